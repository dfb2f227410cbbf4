"""Which events an event subscription wants: its filter, checked and applied.

See facts: Delivery, documented. Of the advanced operators those of texts are here. `subscriptions`
checks what a PUT sends, `delivery` asks about every event.
"""

from collections.abc import Callable, Collection
from typing import Any

from sandbox.arm import errors
from sandbox.arm.routing import Json

MOST_FILTERS = 25
MOST_VALUES = 25
LONGEST_VALUE = 512
_SETTINGS = {
    "subjectBeginsWith": (str, "one text"),
    "subjectEndsWith": (str, "one text"),
    "isSubjectCaseSensitive": (bool, "true or false"),
    "enableAdvancedFilteringOnArrays": (bool, "true or false"),
}
_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "in": str.__eq__,
    "contains": str.__contains__,
    "beginswith": str.startswith,
    "endswith": str.endswith,
}
_ENVELOPE = {
    "id": "id",
    "topic": "topic",
    "source": "topic",
    "subject": "subject",
    "eventtype": "eventType",
    "type": "eventType",
    "eventtime": "eventTime",
    "time": "eventTime",
    "dataversion": "dataVersion",
}
"""The envelope's members by either schema's name, in lower case; all else is as it is spelled."""


def invalid(reason: str) -> errors.AzureError:
    """Return the 400 for wrong settings; its code is known from issues, most texts are assumed."""
    return errors.AzureError(400, "InvalidRequest", f"Invalid event subscription request: {reason}")


def require_known(sent: Json, known: Collection[str], where: str) -> None:
    """Raise ``AzureError`` 400 for a member that is not simulated, or is misspelt."""
    if unknown := sent.keys() - set(known):
        raise errors.unsupported(f"'{min(unknown)}' of {where}")


def check(sent: Json) -> Json:
    """Return a filter as it is shown, with its defaults; raises ``AzureError`` 400.

    The limits are documented (facts: Delivery), the texts of the refusals assumed.
    """
    require_known(sent, {*_SETTINGS, "includedEventTypes", "advancedFilters"}, "filter")
    for name, (kind, called) in _SETTINGS.items():
        if not isinstance(sent.get(name) or kind(), kind):
            raise invalid(f"filter.{name} must be {called}.")
    types = sent.get("includedEventTypes")
    if types is not None and not _are_texts(types):
        raise invalid("filter.includedEventTypes must be a list of texts.")
    advanced = sent.get("advancedFilters") or []
    if not isinstance(advanced, list):
        raise invalid("filter.advancedFilters must be a list.")
    if len(advanced) > MOST_FILTERS:
        raise invalid(f"{len(advanced)} advanced filters; at most {MOST_FILTERS} are allowed.")
    for at, condition in enumerate(advanced):
        _check_advanced(condition, f"advancedFilters[{at}]")
    values = sum(len(condition["values"]) for condition in advanced)
    if values > MOST_VALUES:
        raise invalid(f"{values} values in all advanced filters; at most {MOST_VALUES}.")
    return {
        "subjectBeginsWith": "",
        "subjectEndsWith": "",
        "isSubjectCaseSensitive": False,
        **{name: value for name, value in sent.items() if value is not None},
    }


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _check_advanced(condition: object, where: str) -> None:
    if not isinstance(condition, dict) or not isinstance(condition.get("key"), str):
        raise invalid(f"{where} needs a key.")
    require_known(condition, ("operatorType", "key", "values"), where)
    operator = condition.get("operatorType")
    if _split(str(operator))[0] not in _OPERATORS:
        raise errors.unsupported(f"the operatorType '{operator}' of {where}")
    if not condition["key"]:
        raise invalid(f"{where} has an empty key.")
    values = condition.get("values")
    if not values:
        raise invalid(f"{where} with {operator} needs values.")
    if not _are_texts(values):
        raise invalid(f"{where} with {operator} needs texts.")
    if max(map(len, values)) > LONGEST_VALUE:
        raise invalid(f"a value of {where} is longer than {LONGEST_VALUE} characters.")


def _split(operator: str) -> tuple[str, bool]:
    """Return the name of a text operator in lower case, and whether it is negated."""
    name = operator.casefold()
    if name.startswith("stringnot"):
        return name.removeprefix("stringnot"), True
    return name.removeprefix("string") if name.startswith("string") else "", False


def matches(wanted: Json, event: Json) -> bool:
    """Return whether an event in Event Grid's schema passes a checked filter.

    All conditions must hold; of the values of one condition any.
    """
    types = [kind.casefold() for kind in wanted.get("includedEventTypes") or ()]
    if types and "all" not in types and event["eventType"].casefold() not in types:
        return False
    subject, begins, ends = (
        text if wanted["isSubjectCaseSensitive"] else text.casefold()
        for text in (event["subject"], wanted["subjectBeginsWith"], wanted["subjectEndsWith"])
    )
    if not (subject.startswith(begins) and subject.endswith(ends)):
        return False
    arrays = bool(wanted.get("enableAdvancedFilteringOnArrays"))
    for condition in wanted.get("advancedFilters") or ():
        name, negated = _split(condition["operatorType"])
        actual = _lookup(event, condition["key"])
        # What is missing, or no text, is none of the values, so that a negated filter matches it.
        fits = any(
            isinstance(text, str) and _OPERATORS[name](text.casefold(), value.casefold())
            for text in (actual if arrays and isinstance(actual, list) else [actual])
            for value in condition["values"]
        )
        if fits is negated:
            return False
    return True


def _lookup(event: Json, key: str) -> Any:  # noqa: ANN401 - JSON
    """Return what a key names, None where there is no such member.

    A dot always leads into an object, so a member whose name has one (a claim) is out of reach.
    """
    first, *rest = key.split(".")
    value: Any = event
    for name in (_ENVELOPE.get(first.casefold(), first.lower()), *rest):
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value
