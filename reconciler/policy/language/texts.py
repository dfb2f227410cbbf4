"""What a single text of policy must be: an id, a role, a scope, a glob, a name.

The models of `reconciler.policy.language` are put together from these types. A mistake is a
`ValueError`, which pydantic collects and `reconciler.policy.load` reports with its place.
"""

import fnmatch
import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
)
from pydantic_core import PydanticCustomError

from reconciler import roles
from reconciler.ids import ResourceId, fold, is_guid
from reconciler.model import USER_ASSIGNED_IDENTITY, VIRTUAL_MACHINE
from reconciler.policy.language import conditions, scopes, shapes, templates
from reconciler.policy.language.templates import IdentityTemplate
from reconciler.suggestions import did_you_mean, near_misses

UNKNOWN_ROLE = "unknown_role"
UNKNOWN_IDENTITY = "unknown_identity"
"""Kinds of mistake, as in `scopes`, for which `load` looks for what was probably meant."""

_RECONCILED = (VIRTUAL_MACHINE,)
_NEAR = 0.95
"""How much a type must look like one of those to be it misspelled: there are other real ones."""

_ROLE_DEFINITION = "Microsoft.Authorization/roleDefinitions"
_NAME = re.compile(shapes.NAME)
_TYPE = re.compile(shapes.TYPE)
_CONTROL = re.compile(f"[{shapes.CONTROL}]")
_NEVER_IN_NAMES = re.compile(f"[{shapes.NEVER_IN_NAMES}]")
_LOCATION = re.compile(shapes.PLAIN_LOCATION)
_LOCATION_GLOB = re.compile(r"[a-z0-9*?\[\]!-]+")


def _id(value: object) -> ResourceId:
    if isinstance(value, ResourceId):
        return value
    text = only_text(value)
    if "{" in text:
        raise ValueError(f"'{text}' holds a placeholder: here ids are exact; write the id itself")
    scopes.check_start(text)
    return ResourceId.parse(text)


def only_text(value: object) -> str:
    """Take a text for what it is; anything else is a mistake."""
    if not isinstance(value, str):
        raise PydanticCustomError("string_type", "must be a text")
    return value


def _identity_id(value: ResourceId) -> ResourceId:
    if not value.is_type(USER_ASSIGNED_IDENTITY) or not value.group or len(value.blocks) != 1:
        raise ValueError(
            f"'{value}' is not the id of a user-assigned identity: it must end in "
            f"/resourceGroups/<group>/providers/{USER_ASSIGNED_IDENTITY}/<name>"
        )
    return value


def _identity_template(value: object) -> IdentityTemplate:
    if isinstance(value, IdentityTemplate):
        return value
    text = str(value) if isinstance(value, ResourceId) else only_text(value)
    for name in templates.names(text):
        if name not in templates.OF_IDENTITIES:
            scopes.unknown_placeholder(name, templates.OF_IDENTITIES)
    scopes.check_start(text.strip())
    scopes.check_braces(text)
    _identity_id(scopes.check_place(templates.fill(text, scopes.SAMPLE, {})))
    return IdentityTemplate.parse(text)


def _inside_subscription(value: ResourceId) -> ResourceId:
    if not value.subscription:
        raise ValueError(
            f"'{value}' is not inside a subscription; name a subscription, a group or a resource"
        )
    return value


def _role(value: object) -> roles.Role:
    if isinstance(value, roles.Role):
        return value
    text = only_text(value)
    if role := roles.table().lookup(text):
        return role
    if text.startswith("/"):
        return _role_by_definition(ResourceId.parse(text))
    if is_guid(text):
        # A custom role, or a built-in one younger than the table: Azure knows, and is asked.
        return _role_by_definition(ResourceId.parse(f"/providers/{_ROLE_DEFINITION}/{text}"))
    raise PydanticCustomError(
        UNKNOWN_ROLE,
        "unknown role '{name}' (not among the built-in roles as of {as_of})",
        {"name": text, "as_of": roles.table().as_of},
    )


def _role_by_definition(definition: ResourceId) -> roles.Role:
    """Take a role by its definition id; what it allows is unknown, so it counts as privileged."""
    guid = fold(definition.name)
    if not definition.is_type(_ROLE_DEFINITION) or not is_guid(guid):
        raise ValueError(
            f"'{definition}' is not the id of a role definition: it must end in "
            f"/providers/{_ROLE_DEFINITION}/<GUID>"
        )
    return roles.table().lookup(guid) or roles.Role(str(definition), guid, privileged=True)


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(
            f"'{text}' cannot be a name: use up to 64 letters, digits, '-', '_' and '.', "
            "a letter or digit first"
        )
    return text


def _known_identity(name: str, info: ValidationInfo) -> str:
    known = info.context.identities if isinstance(info.context, scopes.Names) else None
    if known is not None and name not in known:
        raise PydanticCustomError(UNKNOWN_IDENTITY, "unknown identity '{name}'", {"name": name})
    return name


def _type_name(text: str) -> str:
    if not _TYPE.fullmatch(text):
        raise ValueError(
            f"'{text}' is not a resource type: write it whole and without globs, "
            "such as Microsoft.Compute/virtualMachines"
        )
    near = near_misses(text, _RECONCILED, cutoff=_NEAR)
    if near and fold(text) != fold(near[0]):
        raise ValueError(f"unknown resource type '{text}'{did_you_mean(near[0])}")
    return text


def _glob(text: str) -> str:
    if not text or text != text.strip() or len(text) > shapes.LONGEST_NAME:
        raise ValueError(f"'{text}' can never match: it is empty, too long or edged with blanks")
    if found := _NEVER_IN_NAMES.search(text):
        raise ValueError(f"'{text}' can never match: no name holds {found.group()!r}")
    if text.startswith("!"):
        raise ValueError(f"'{text}' can never match: there is no glob for 'all but'")
    return _with_characters(text)


def _with_characters(glob: str) -> str:
    if "(?!)" in fnmatch.translate(glob):
        raise ValueError(f"'{glob}' can never match: its brackets allow no character")
    return glob


def _tag_value(text: str) -> str:
    if len(text) > shapes.LONGEST_TAG:
        raise ValueError(f"'{text}' is longer than the {shapes.LONGEST_TAG} that a tag can hold")
    if found := _CONTROL.search(text):
        raise ValueError(
            f"'{text}' holds {found.group()!r}, which no tag does (after '|' write '|-', which "
            "leaves out the last line break)"
        )
    return text


def _location(text: str) -> str:
    glob = _glob(fold(text).replace(" ", ""))
    if not _LOCATION_GLOB.fullmatch(glob):
        raise ValueError(f"'{text}' can never match: a location holds letters and digits only")
    return glob


def _new_location(text: str) -> str:
    if text == "{location}":
        return text
    if not templates.location_name(text) or not _LOCATION.fullmatch(text):
        raise ValueError(
            f"'{text}' is not a location: write one such as westeurope, or {{location}}"
        )
    return templates.location_name(text)


def _map(entries: Mapping[str, ResourceId]) -> Mapping[str, ResourceId]:
    if not entries:
        raise ValueError("the map is empty; name at least one key")
    if not all(key.strip() for key in entries):
        raise ValueError("a key without a name can never be picked")
    return entries


def one_or_many(value: object) -> object:
    """Make a list of a single text."""
    return (value,) if isinstance(value, str) else value


def _tags(tags: Mapping[str, str]) -> Mapping[str, str]:
    first: dict[str, str] = {}
    for name in tags:
        if not name.strip():
            raise ValueError("a tag must have a name")
        if (other := first.setdefault(fold(name), name)) != name:
            raise ValueError(f"'{other}' and '{name}' are one tag: Azure ignores their case")
    return tags


def some[T](values: tuple[T, ...]) -> tuple[T, ...]:
    """Refuse an empty list."""
    # Not min_length, which also speaks of lists that are only short of their wrong entries.
    if not values:
        raise ValueError("the list is empty; name at least one")
    return values


def _version(value: object) -> object:
    if value != 1 or type(value) is not int:
        raise ValueError("version must be 1, a number without quotes; there is no other")
    return value


Id = Annotated[
    ResourceId,
    PlainValidator(_id),
    AfterValidator(scopes.check_place),
    PlainSerializer(lambda value: value.key, return_type=str),
    shapes.ID,
]
IdentityId = Annotated[Id, AfterValidator(_identity_id), shapes.IDENTITY_ID]
Identities = Annotated[
    IdentityTemplate,
    PlainValidator(_identity_template),
    PlainSerializer(lambda value: fold(value.text), return_type=str),
    shapes.IDENTITIES,
]
Within = Annotated[Id, AfterValidator(_inside_subscription), shapes.WITHIN]
type Role = Annotated[
    roles.Role,
    PlainValidator(_role),
    PlainSerializer(lambda value: value.guid, return_type=str),
    shapes.ROLE,
]
_CaseBlind = PlainSerializer(fold, return_type=str)
Scope = Annotated[str, AfterValidator(scopes.scope), _CaseBlind, shapes.SCOPE]
OwnScope = Annotated[Scope, AfterValidator(scopes.own_scope), shapes.OWN_SCOPE]
Name = Annotated[str, AfterValidator(_name), shapes.OF_NAME]
Attached = Annotated[str, AfterValidator(_known_identity)]
Condition = Annotated[str, AfterValidator(conditions.condition), shapes.CONDITION]
Type = Annotated[str, AfterValidator(_type_name), _CaseBlind, shapes.OF_TYPE]
Glob = Annotated[str, AfterValidator(_glob), _CaseBlind, shapes.GLOB]
Location = Annotated[str, AfterValidator(_location), shapes.LOCATION]
NewLocation = Annotated[str, AfterValidator(_new_location), shapes.NEW_LOCATION]
_TagValue = Annotated[str, AfterValidator(_tag_value), shapes.TAG]
TagGlob = Annotated[_TagValue, AfterValidator(_with_characters)]
Map = Annotated[Mapping[str, Id], AfterValidator(_map), shapes.KEYED]
_OneEach = AfterValidator(_tags)
_NamesCaseBlind = PlainSerializer(lambda tags: {fold(name): tags[name] for name in tags})
Tags = Annotated[Mapping[str, _TagValue], _OneEach, _NamesCaseBlind, shapes.TAGS]
TagGlobs = Annotated[Mapping[str, TagGlob], _OneEach, _NamesCaseBlind, shapes.TAGS]
Version = Annotated[Literal[1], BeforeValidator(_version)]
OneOrMany = BeforeValidator(one_or_many)
Some = AfterValidator(some)
