"""Which events an event subscription wants: its filter, checked and applied.

See facts: Delivery, documented.

`eventsubscriptions` checks with it what a PUT sends, the delivery asks it about every event.
"""

from collections.abc import Callable, Collection, Iterable
from typing import Any

from sandbox.arm import errors
from sandbox.arm.routing import Json

type _Test = Callable[[Any, list[Any]], bool]

MOST_FILTERS = 25
MOST_VALUES = 25
LONGEST_VALUE = 512
_TEXTS = ("subjectBeginsWith", "subjectEndsWith")
_SWITCHES = ("isSubjectCaseSensitive", "enableAdvancedFilteringOnArrays")
_KNOWN = {*_TEXTS, *_SWITCHES, "includedEventTypes", "advancedFilters"}
_PARTS = {"operatorType", "key", "value", "values"}
_ALL = "all"
_ABSENT = object()
# The envelope's members by either schema's name; everything else is looked up as it is spelled.
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


def _texts(test: Callable[[str, str], bool]) -> _Test:
    """Compare texts without regard to case; another type matches nothing."""

    def found(actual: Any, values: list[Any]) -> bool:  # noqa: ANN401 - JSON
        if not isinstance(actual, str):
            return False
        return any(test(actual.casefold(), str(each).casefold()) for each in values)

    return found


def _numbers(test: Callable[[float, Any], bool]) -> _Test:
    def found(actual: Any, values: list[Any]) -> bool:  # noqa: ANN401 - JSON
        return _is_number(actual) and any(test(actual, each) for each in values)

    return found


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_STRINGS: dict[str, _Test] = {
    "In": _texts(lambda actual, wanted: actual == wanted),
    "Contains": _texts(lambda actual, wanted: wanted in actual),
    "BeginsWith": _texts(lambda actual, wanted: actual.startswith(wanted)),
    "EndsWith": _texts(lambda actual, wanted: actual.endswith(wanted)),
}
_SETS: dict[str, _Test] = {
    "In": _numbers(lambda actual, wanted: actual == wanted),
    "InRange": _numbers(lambda actual, wanted: wanted[0] <= actual <= wanted[1]),
}
_NULL: dict[str, _Test] = {
    "IsNullOrUndefined": lambda actual, _: actual is _ABSENT or actual is None,
    "IsNotNull": lambda actual, _: actual is not _ABSENT and actual is not None,
}
_SINGLE: dict[str, _Test] = {
    "BoolEquals": lambda actual, values: actual is values[0],
    "NumberLessThan": _numbers(lambda actual, wanted: actual < wanted),
    "NumberLessThanOrEquals": _numbers(lambda actual, wanted: actual <= wanted),
    "NumberGreaterThan": _numbers(lambda actual, wanted: actual > wanted),
    "NumberGreaterThanOrEquals": _numbers(lambda actual, wanted: actual >= wanted),
}
_POSITIVE: dict[str, _Test] = {
    **{f"String{name}": test for name, test in _STRINGS.items()},
    **{f"Number{name}": test for name, test in _SETS.items()},
}
# What is missing is none of the values, so that a negated filter matches it.
_NEGATIVE: dict[str, str] = {
    **{f"StringNot{name}": f"String{name}" for name in _STRINGS},
    **{f"NumberNot{name}": f"Number{name}" for name in _SETS},
}
_OPERATORS = {each.casefold(): each for each in (*_POSITIVE, *_NEGATIVE, *_SINGLE, *_NULL)}


def invalid(reason: str) -> errors.AzureError:
    """Return the 400 for wrong settings; its code is known from issues, most texts are assumed."""
    return errors.AzureError(400, "InvalidRequest", f"Invalid event subscription request: {reason}")


def check(found: Json) -> Json:
    """Return a filter as it is shown, with its defaults; raises ``AzureError`` 400.

    The limits are documented (facts: Delivery), the texts of the refusals assumed.
    """
    require_known(found, _KNOWN, "filter")
    for name in _TEXTS:
        if not isinstance(found.get(name) or "", str):
            raise invalid(f"filter.{name} must be one text.")
    for name in _SWITCHES:
        if not isinstance(found.get(name) or False, bool):
            raise invalid(f"filter.{name} must be true or false.")
    types = found.get("includedEventTypes")
    if types is not None and not _are_texts(types):
        raise invalid("filter.includedEventTypes must be a list of texts.")
    advanced = found.get("advancedFilters") or []
    if not isinstance(advanced, list):
        raise invalid("filter.advancedFilters must be a list.")
    if len(advanced) > MOST_FILTERS:
        raise invalid(f"{len(advanced)} advanced filters; at most {MOST_FILTERS} are allowed.")
    for at, each in enumerate(advanced):
        _check_advanced(each, f"advancedFilters[{at}]")
    values = sum(len(_values(each)) for each in advanced)
    if values > MOST_VALUES:
        raise invalid(f"{values} values in all advanced filters; at most {MOST_VALUES}.")
    shown: Json = {
        "subjectBeginsWith": "",
        "subjectEndsWith": "",
        "isSubjectCaseSensitive": False,
        **{name: value for name, value in found.items() if value is not None},
    }
    return shown


def require_known(found: Json, known: Collection[str], where: str) -> None:
    """Raise ``AzureError`` 400 for a member that is not simulated, or is misspelt."""
    strange = found.keys() - set(known)
    if strange:
        raise errors.unsupported(f"'{min(strange)}' of {where}")


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _values(advanced: Json) -> list[Any]:
    if "value" in advanced:
        return [advanced["value"]]
    values = advanced.get("values")
    return values if isinstance(values, list) else []


def _check_advanced(advanced: object, where: str) -> None:
    if not isinstance(advanced, dict) or not isinstance(advanced.get("key"), str):
        raise invalid(f"{where} needs a key.")
    require_known(advanced, _PARTS, where)
    operator = _OPERATORS.get(str(advanced.get("operatorType")).casefold())
    if operator is None:
        raise invalid(f"{where} has the unknown operatorType '{advanced.get('operatorType')}'.")
    if not advanced["key"]:
        raise invalid(f"{where} has an empty key.")
    values = _values(advanced)
    if operator in _NULL:
        return
    if not values or (operator in _SINGLE) != ("value" in advanced):
        needed = "value" if operator in _SINGLE else "values"
        raise invalid(f"{where} with {operator} needs {needed}.")
    for value in values:
        _check_value(operator, value, where)


def _check_value(operator: str, value: object, where: str) -> None:
    if operator.startswith("String"):
        if not isinstance(value, str):
            raise invalid(f"{where} with {operator} needs texts.")
        if len(value) > LONGEST_VALUE:
            raise invalid(f"a value of {where} is longer than {LONGEST_VALUE} characters.")
    elif operator == "BoolEquals":
        if not isinstance(value, bool):
            raise invalid(f"{where} with {operator} needs true or false.")
    elif operator.endswith("InRange"):
        pair = isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))  # noqa: PLR2004 - from and to
        if not pair:
            raise invalid(f"{where} with {operator} needs pairs of numbers.")
    elif not _is_number(value):
        raise invalid(f"{where} with {operator} needs numbers.")


def matches(wanted: Json, event: Json) -> bool:
    """Tell whether an event in Event Grid's schema passes a checked filter.

    All conditions must hold; of the values of one condition any.
    """
    types = [each.casefold() for each in wanted.get("includedEventTypes") or ()]
    if types and _ALL not in types and event["eventType"].casefold() not in types:
        return False
    sensitive = bool(wanted["isSubjectCaseSensitive"])
    subject, begins, ends = (
        text if sensitive else text.casefold()
        for text in (event["subject"], wanted["subjectBeginsWith"], wanted["subjectEndsWith"])
    )
    if not (subject.startswith(begins) and subject.endswith(ends)):
        return False
    arrays = bool(wanted.get("enableAdvancedFilteringOnArrays"))
    advanced = wanted.get("advancedFilters") or ()
    return all(_holds(each, event, arrays=arrays) for each in advanced)


def _holds(advanced: Json, event: Json, *, arrays: bool) -> bool:
    operator = _OPERATORS[advanced["operatorType"].casefold()]
    actual = _lookup(event, advanced["key"])
    if operator in _NULL:
        return _NULL[operator](actual, [])
    several: Iterable[Any] = actual if arrays and isinstance(actual, list) else [actual]
    values = _values(advanced)
    if operator in _NEGATIVE:
        test = _POSITIVE[_NEGATIVE[operator]]
        return not any(test(each, values) for each in several)
    test = _POSITIVE.get(operator) or _SINGLE[operator]
    return any(test(each, values) for each in several)


def _lookup(event: Json, key: str) -> Any:  # noqa: ANN401 - JSON
    """Return what a key names, or a mark of absence.

    A dot always leads into an object, so a member whose name has one (a claim) is out of reach.
    """
    first, *rest = key.split(".")
    found: Any = event
    for name in (_ENVELOPE.get(first.casefold(), first.lower()), *rest):
        if not isinstance(found, dict) or name not in found:
            return _ABSENT
        found = found[name]
    return found
