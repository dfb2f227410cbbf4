"""What a single text of policy must be: an id, a role, a scope, a glob, a name.

The entries in `reconciler.policy.model` are put together from the types at the end. Each has one
pattern, which editors get in the JSON schema, and which pydantic checks unless a parser knows more.
It refuses nothing that the loader takes, with one exception: of roles it knows only the spelling
that Azure has. Patterns keep to what Python and JavaScript both understand. A mistake is a
`ValueError`, which pydantic collects and `reconciler.policy.load` reports with its place.
"""

import fnmatch
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
)
from pydantic_core import PydanticCustomError

from reconciler import roles
from reconciler.errors import ResourceIdError
from reconciler.ids import ResourceId, fold, is_guid
from reconciler.model import USER_ASSIGNED_IDENTITY
from reconciler.policy import templates
from reconciler.policy.templates import PLACEHOLDER, IdentityTemplate, MapEntry, Subject
from reconciler.resource_types import CARRIERS
from reconciler.wording import Suggestions, did_you_mean, nearest

_NEAR_TYPE: Final = 0.95
"""How much a type must look like one that is reconciled to be that, misspelled."""
_ROLE_DEFINITION: Final = "Microsoft.Authorization/roleDefinitions"
_LONGEST_ID: Final = 2048
"""Characters of an id, as `reconciler.ids` has it, and of a template of ids."""
_LONGEST_NAME: Final = 260
_LONGEST_TAG: Final = 256
"""Characters of a tag's value (documented)."""


@dataclass(frozen=True, slots=True)
class Names:
    """The context of a check: what policy defines, none where a file could not be read for it."""

    identities: frozenset[str] | None = None
    maps: frozenset[str] | None = None
    suggestions: Suggestions = field(default_factory=Suggestions)

    def check(self, kind: str, name: str) -> str:
        """Return the name of an identity or map, or raise `ValueError` for one that is unknown."""
        identity = kind == "identity"
        defined, section = (self.identities, "identities") if identity else (self.maps, "maps")
        if defined is None or name in defined:
            return name
        near = self.suggestions.did_you_mean(kind, name, lambda word: nearest(word, defined))
        attach = " and attach its name" if identity and name.startswith("/") else ""
        step = near or f"; define it under '{section}'{attach}"
        raise ValueError(f"unknown {kind} '{name}'{step}")


def _names(info: ValidationInfo) -> Names:
    return info.context or Names()


EXPLANATIONS: Final[dict[str, Callable[[str], str]]] = {}
"""By pattern: what is wrong with a text that does not fit it."""


def _pattern(pattern: str, wanted: str, explain: Callable[[str], str] | None = None) -> Any:  # noqa: ANN401 (as pydantic's own)
    """Return the check of a text by its pattern; `{}` in `wanted` stands for the text."""
    # Python's `$` would take a last line break, too.
    whole = rf"^({pattern})$(?!\n)"
    EXPLANATIONS[whole] = explain or (lambda text: wanted.replace("{}", f"'{text}'"))
    message = wanted.replace("{}", "This")
    return Field(pattern=whole, json_schema_extra={"patternErrorMessage": message})


def _parsed(parse: Callable[..., object], pattern: str, wanted: str) -> PlainValidator:
    """Return the check of a text by a parser; only editors check its pattern."""
    return PlainValidator(parse, json_schema_input_type=Annotated[str, _pattern(pattern, wanted)])


def _any_case(text: str) -> str:
    """Return a pattern for a text in whatever case, for which JSON Schema has no flag."""
    letters = (f"[{sign.upper()}{sign.lower()}]" if sign.isalpha() else sign for sign in text)
    return "".join(letters).replace(".", r"\.")


def _without(excluded: str) -> str:
    """Return a pattern for a text without some characters, and without blanks at its edges."""
    return rf"[^\s{excluded}]([^{excluded}]*[^\s{excluded}])?"


_CONTROL = r"\x00-\x1f\x7f"
_NEVER_IN_CONDITIONS = r"\x00-\x08\x0e-\x1f\x7f"
_NEVER_IN_NAMES = rf"""/\\%#<>"'{_CONTROL}"""
_NEVER_IN_IDS = rf"""/%?#*\\"'`{{}}{_CONTROL}"""
_GUID = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_SEGMENT = rf"(?!\.+(/|$)){_without(_NEVER_IN_IDS)}"
_SUBSCRIPTION = _any_case("/subscriptions/") + _GUID
_GROUPS = _any_case("/resourceGroups/")
_USER_ASSIGNED = _any_case(f"/providers/{USER_ASSIGNED_IDENTITY}/")
_DEFINITION = _any_case(f"/providers/{_ROLE_DEFINITION}/")
# A placeholder for a whole id can only begin one; a location may stand anywhere.
_PART = rf"([^{_NEVER_IN_IDS}]|\{{location\}})+"
_FIRST_PART = rf"{_SUBSCRIPTION}|/(?!{_any_case('subscriptions')}/){_PART}"
_BY_LOCATION = r"id|resourceGroup|subscription|maps\.[^\[\]{}]+\[location\]"
_BY_TAG = r"maps\.[^\[\]{}]+\[tags\.[^\[\]{}]+\]"
_IDENTITY = (
    "This must be the id of a user-assigned identity: /subscriptions/<id>/resourceGroups/<group>"
    f"/providers/{USER_ASSIGNED_IDENTITY}/<name>."
)


# Ids and roles.


def _only_text(value: object) -> str:
    """Return a text as it is; anything else is a mistake."""
    if not isinstance(value, str):
        raise PydanticCustomError("string_type", "must be a text")
    return value


def _check_start(text: str) -> None:
    """Refuse a bare name, or anything else that does not begin as an id or placeholder does."""
    if len(text) > _LONGEST_ID:
        shown = f"'{text[:40]}...' is not an ARM id"
        raise ValueError(f"{shown}: it is longer than {_LONGEST_ID} characters")
    if text.startswith("${"):
        raise ValueError(f"'{text}' begins with a placeholder: write it without the '$'")
    if is_guid(text):
        raise ValueError(f"'{text}' is not an ARM id: a subscription is /subscriptions/{text}")
    if not text.startswith(("/", "{")):
        sample = "/subscriptions/<id>/resourceGroups/<group>"
        raise ValueError(f"'{text}' is not an ARM id: write it whole, such as {sample}")


def _check_exact(place: ResourceId) -> ResourceId:
    """Refuse what an example left in, a subscription's name, and a glob."""
    if "*" in str(place):
        raise ValueError(f"'{place}' holds a '*': here ids are exact; only 'match' takes globs")
    if place.subscription and not is_guid(place.subscription):
        raise ValueError(f"'{place.subscription}' is not a subscription id: it must be a GUID")
    return place


def _id(value: object) -> ResourceId:
    if isinstance(value, ResourceId):
        return value
    text = _only_text(value)
    if "{" in text:
        raise ValueError(f"'{text}' holds a placeholder: here ids are exact; write the id itself")
    _check_start(text)
    return _check_exact(ResourceId.parse(text))


def _within(value: object) -> ResourceId:
    place = _id(value)
    if not place.subscription:
        step = "name a subscription, a group or a resource"
        raise ValueError(f"'{place}' is not inside a subscription; {step}")
    return place


def _identity_id(value: object) -> ResourceId:
    place = _id(value)
    if not place.is_type(USER_ASSIGNED_IDENTITY) or not place.group or len(place.blocks) != 1:
        raise ValueError(
            f"'{place}' is not the id of a user-assigned identity: it must end in "
            f"/resourceGroups/<group>/providers/{USER_ASSIGNED_IDENTITY}/<name>"
        )
    return place


def _role(value: object, info: ValidationInfo) -> roles.Role:
    if isinstance(value, roles.Role):
        return value
    text, table = _only_text(value), roles.table()
    if role := table.lookup(text):
        return role
    # A GUID is a custom role's, or that of a built-in one younger than the table.
    id_ = f"/providers/{_ROLE_DEFINITION}/{text}" if is_guid(text) else text
    if not id_.startswith("/"):
        near = _names(info).suggestions.did_you_mean("role", text, table.suggest)
        step = near or "; write a built-in role's name, or a role's GUID or full id"
        as_of = f"not among the built-in roles as of {table.as_of}"
        raise ValueError(f"unknown role '{text}' ({as_of}){step}")
    definition = ResourceId.parse(id_)
    guid = fold(definition.name)
    if not definition.is_type(_ROLE_DEFINITION) or not is_guid(guid):
        raise ValueError(
            f"'{definition}' is not the id of a role definition: it must end in "
            f"/providers/{_ROLE_DEFINITION}/<GUID>"
        )
    # What a custom role allows is read from Azure; until then it counts as privileged.
    return table.lookup(guid) or roles.Role(id_, guid, privileged=True)


# Templates.

_SAMPLES: Final = tuple(
    Subject(ResourceId.parse(f"/subscriptions/00000000-0000-0000-0000-000000000000{path}"), "west")
    for path in ("/resourceGroups/rg/providers/A.B/c/d", "/resourceGroups/rg", "")
)
"""A subject for which templates are tried out; the others are what a map may name besides."""


def _check_template(text: str, allowed: tuple[str, ...], names: Names | None = None) -> None:
    """Check that placeholders are whole, known, and stand where they may."""
    _check_start(text.strip())
    for name in PLACEHOLDER.findall(text):
        entry = MapEntry.parse(name)
        if names and entry:
            names.check("map", entry.map)
        elif names and name.startswith("tags."):
            raise ValueError(
                f"'{{{name}}}' would let whoever tags a resource choose the scope; "
                f"pick from a reviewed map: {{maps.<map>[{name}]}}"
            )
        elif names and name.startswith("maps"):
            step = "write {maps.<map>[location]} or {maps.<map>[tags.<tag>]}"
            raise ValueError(f"'{{{name}}}' does not pick from a map: {step}")
        elif name not in allowed:
            listed = ", ".join(f"{{{placeholder}}}" for placeholder in allowed)
            near = did_you_mean(nearest(name, allowed)) or f"; there are {listed}"
            raise ValueError(f"unknown placeholder '{{{name}}}'{near}")
    if text != text.strip():
        raise ValueError(
            f"'{text}' has blanks or a line break at its edge; delete them (after '|' write "
            "'|-', which leaves out the last line break)"
        )
    if re.search(r"[{}]", PLACEHOLDER.sub("", text)):
        step = "a placeholder stands in one pair"
        raise ValueError(f"'{text}' has a brace without its partner; {step}")
    for match in PLACEHOLDER.finditer(text):
        alone = match.start() == 0 and text[match.end() :][:1] in {"", "/"}
        if match[0] != "{location}" and not alone:
            raise ValueError(f"'{match[0]}' stands for a whole id: it may only begin an id")


def _identity_template(value: object) -> IdentityTemplate:
    if isinstance(value, IdentityTemplate):
        return value
    text = str(value) if isinstance(value, ResourceId) else _only_text(value)
    _check_template(text, templates.IDENTITY_PLACEHOLDERS)
    _identity_id(_check_exact(templates.fill(text, _SAMPLES[0], {})))
    return IdentityTemplate.parse(text)


def _scope(value: object, info: ValidationInfo) -> str:
    text = _only_text(value)
    _check_template(text, templates.PLACEHOLDERS, _names(info))
    # Filled in, it must come to an id for one of the kinds of id that its map may hold.
    entries = templates.entries(text)
    samples = _SAMPLES if entries else _SAMPLES[:1]
    for number, sample in enumerate(samples, start=1):
        subject = replace(_SAMPLES[0], tags={entry.tag: "key" for entry in entries if entry.tag})
        maps = {entry.map: {"key": sample.id, sample.location: sample.id} for entry in entries}
        try:
            _check_exact(templates.fill(text, subject, maps))
            break
        except ResourceIdError:
            if number == len(samples):
                raise
    return text


def _own_scope(value: object, info: ValidationInfo) -> str:
    text = _scope(value, info)
    for name in PLACEHOLDER.findall(text):
        if (entry := MapEntry.parse(name)) and entry.tag:
            raise ValueError(
                f"'{{{name}}}': placeholders in an identity's grants mean the identity itself, "
                "and its tags are not read; pick by location, or name an identity for each"
            )
    return text


# Conditions.

# A quoted text that is not closed runs to the end of the condition. It is possessive, so that every
# character is read once, whatever is in it.
_SIGN = re.compile(r"'(?:[^'\\]|\\.)*+(?P<closed>')?|[()\[\]{}]", re.DOTALL)
_OPENED_BY: Final = {")": "(", "]": "[", "}": "{"}


def _condition(text: str) -> str:
    """Check quotes and brackets; Azure alone knows the rest of a condition's grammar."""
    # A block scalar ends in a line break, which would differ from what Azure stores.
    text = text.strip()
    opened: list[re.Match[str]] = []
    for sign in _SIGN.finditer(text):
        partner = _OPENED_BY.get(sign[0])
        if opened and partner == opened[-1][0]:
            opened.pop()
        elif partner and opened:
            break
        elif partner:
            place = f'"{sign[0]}", character {sign.start() + 1} of it,'
            raise ValueError(f"the condition's {place} closes nothing; delete it")
        elif not sign["closed"]:
            opened.append(sign)
    if opened:
        place = f'"{opened[-1][0][0]}", character {opened[-1].start() + 1} of it,'
        raise ValueError(f"the condition's {place} is never closed; close it")
    return text


# Types of resources, globs, tags, days.


def _near_type(text: str) -> str:
    reconciled = [row.name for row in CARRIERS.values()]
    if fold(text) not in CARRIERS and (near := nearest(text, reconciled, cutoff=_NEAR_TYPE)):
        raise ValueError(f"unknown resource type '{text}'{did_you_mean(near)}")
    return text


def _glob_mistake(text: str, location: str = "") -> str:
    mistake = "a location holds letters and digits only"
    if not text or text != text.strip() or len(text) > _LONGEST_NAME:
        mistake = "it is empty, too long or edged with blanks"
    elif match := re.search(f"[{_NEVER_IN_NAMES}]", text):
        mistake = f"no name holds {match[0]!r}"
    elif text.startswith("!"):
        mistake = "there is no glob for 'all but'"
    return f"'{location or text}' can never match: {mistake}"


def _fits_something(glob: str) -> str:
    if "(?!)" in fnmatch.translate(glob):
        raise ValueError(f"'{glob}' can never match: its brackets allow no character")
    return glob


def _without_blanks(location: str) -> str:
    return fold(location).replace(" ", "")


def _tag_mistake(text: str) -> str:
    if len(text) > _LONGEST_TAG:
        return f"'{text}' is longer than the {_LONGEST_TAG} that a tag can hold"
    sign = next(filter(re.compile(f"[{_CONTROL}]").match, text))
    step = "after '|' write '|-', which leaves out the last line break"
    return f"'{text}' holds {sign!r}, which no tag does ({step})"


def _day(value: object) -> date:
    if isinstance(value, date):
        return value
    # A year alone is a number, and one in quotes would still not be a date.
    text = str(value) if isinstance(value, int) else _only_text(value)
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    # Weeks, and days without dashes, are ISO dates too.
    if day is None or text != day.isoformat():
        raise ValueError(f"'{text}' is not a date: write one such as 2027-01-31")
    return day


# How they are compared for the digest of policy.
_ByKey = PlainSerializer(lambda value: value.key, return_type=str)
_CaseBlind = PlainSerializer(fold, return_type=str)


_ID = (
    f"/|({_SUBSCRIPTION}|{_any_case('/providers/')}{_SEGMENT})(/{_SEGMENT})*",
    "This must be an ARM id, such as /subscriptions/<id>/resourceGroups/<group>.",
)
_WITHIN = (
    f"{_SUBSCRIPTION}(/{_SEGMENT})*",
    "This must be the exact id of a subscription, a resource group or a resource.",
)
_IDENTITY_ID = (f"{_SUBSCRIPTION}{_GROUPS}{_SEGMENT}{_USER_ASSIGNED}{_SEGMENT}", _IDENTITY)
_IDENTITY_TEMPLATE = (
    rf"(\{{subscription\}}|{_SUBSCRIPTION}){_GROUPS}{_PART}{_USER_ASSIGNED}{_PART}",
    f"{_IDENTITY} It may begin with {{subscription}}, and {{location}} may stand in it.",
)
_SCOPE = (
    rf"/|(?!.*\s$)(\{{({_BY_LOCATION}|{_BY_TAG})\}}|{_FIRST_PART})(/{_PART})*",
    (
        "This must be an ARM id, or begin with {id}, {resourceGroup}, {subscription}, "
        "{maps.<map>[location]} or {maps.<map>[tags.<tag>]}; only {location} may stand further on."
    ),
)
_OWN_SCOPE = (
    rf"/|(?!.*\s$)(\{{({_BY_LOCATION})\}}|{_FIRST_PART})(/{_PART})*",
    (
        "This must be an ARM id, or begin with {id}, {resourceGroup}, {subscription} or "
        "{maps.<map>[location]}; only {location} may stand further on."
    ),
)
_NAME = _pattern(
    r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
    "{} cannot be a name: use up to 64 letters, digits, '-', '_' and '.', a letter or digit first",
)
_TYPE = _pattern(
    r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(/[A-Za-z0-9.-]+)+",
    "{} is not a resource type: write it whole and without globs, "
    "such as Microsoft.Compute/virtualMachines",
)
_GLOB = _pattern(
    rf"(?!!|[\s\S]{{{_LONGEST_NAME + 1}}}){_without(_NEVER_IN_NAMES)}",
    "No name can match this.",
    _glob_mistake,
)
_LOCATION = _pattern(
    rf"(?! *!|.{{{_LONGEST_NAME + 1}}})(?=.*[^ ])[A-Za-z0-9*?\[\]! -]+",
    "No location can match this.",
    lambda text: _glob_mistake(_without_blanks(text), text),
)
_NEW_LOCATION = _pattern(
    r"\{location\}|(?=.*[^ ])[A-Za-z0-9 ]+",
    "{} is not a location: write one such as westeurope, or {location}",
)
_TAG = _pattern(
    rf"(?![\s\S]{{{_LONGEST_TAG + 1}}})[^{_CONTROL}]*", "No tag has this value.", _tag_mistake
)
_CONDITION = _pattern(
    rf"(?=[\s\S]*\S)[^{_NEVER_IN_CONDITIONS}]*",
    "The condition is empty or holds what is not text.",
    lambda text: (
        f"the condition holds {match[0]!r}; delete it"
        if (match := re.search(f"[{_NEVER_IN_CONDITIONS}]", text))
        else "the condition is empty; write one, or delete the key"
    ),
)
_REASON = _pattern(r"[\s\S]*\S[\s\S]*", "the reason is empty; say who asked for it, and why")
_DAY = Field(
    json_schema_extra={
        "pattern": r"^\d{4}-\d{2}-\d{2}$",
        "patternErrorMessage": "This must be a date, such as 2027-01-31.",
    }
)

Id = Annotated[ResourceId, _parsed(_id, *_ID), _ByKey]
Within = Annotated[ResourceId, _parsed(_within, *_WITHIN), _ByKey]
IdentityId = Annotated[ResourceId, _parsed(_identity_id, *_IDENTITY_ID), _ByKey]
Identities = Annotated[
    IdentityTemplate,
    _parsed(_identity_template, *_IDENTITY_TEMPLATE),
    PlainSerializer(lambda value: fold(value.text), return_type=str),
]
type Role = Annotated[
    roles.Role,
    PlainValidator(
        _role,
        json_schema_input_type=Annotated[
            str,
            # Put together only when a schema is made: the names are many.
            Field(
                json_schema_extra=lambda schema: schema.update(
                    anyOf=[
                        {"enum": [*roles.table().names()]},
                        {"pattern": f"^({_GUID}|(/.+)?{_DEFINITION}{_GUID})$"},
                    ]
                )
            ),
        ],
    ),
    PlainSerializer(lambda value: value.guid, return_type=str),
]
Scope = Annotated[str, _parsed(_scope, *_SCOPE), _CaseBlind]
OwnScope = Annotated[str, _parsed(_own_scope, *_OWN_SCOPE), _CaseBlind]
Condition = Annotated[str, _CONDITION, AfterValidator(_condition)]
Name = Annotated[str, _NAME]
Attached = Annotated[str, AfterValidator(lambda name, info: _names(info).check("identity", name))]
Type = Annotated[str, _TYPE, AfterValidator(_near_type), _CaseBlind]
Glob = Annotated[str, _GLOB, AfterValidator(_fits_something), _CaseBlind]
Location = Annotated[
    str, _LOCATION, AfterValidator(_without_blanks), AfterValidator(_fits_something)
]
NewLocation = Annotated[
    str,
    _NEW_LOCATION,
    AfterValidator(lambda text: text if "{" in text else templates.location_name(text)),
]
Tag = Annotated[str, _TAG]
TagGlob = Annotated[str, _TAG, AfterValidator(_fits_something)]
Reason = Annotated[str, _REASON, AfterValidator(lambda text: text.strip())]
Day = Annotated[
    date,
    PlainValidator(_day, json_schema_input_type=Annotated[date, _DAY]),
    PlainSerializer(date.isoformat, return_type=str),
]
