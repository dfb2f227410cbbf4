"""The policy language: what may be written in `policies/*.yaml` and in `guardrails.yaml`.

`reconciler.policy.load` makes these values out of files; `reconciler.policy.desired` and the plan
read them. YAML spells keys in camelCase, Python in snake_case. A mistake is a `ValueError` here,
and `load` adds where it stands.
"""

import fnmatch
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    StrictBool,
    StrictInt,
    ValidationInfo,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from reconciler import roles
from reconciler.errors import ResourceIdError
from reconciler.ids import ResourceId, fold, is_guid
from reconciler.model import USER_ASSIGNED_IDENTITY, Mode

GUARDRAILS_FILE = "guardrails.yaml"

UNKNOWN_ROLE = "unknown_role"
UNKNOWN_IDENTITY = "unknown_identity"
UNKNOWN_PLACEHOLDER = "unknown_placeholder"
"""Kinds of mistake for which `load` looks for what was probably meant."""

_SAMPLE = "/subscriptions/00000000-0000-0000-0000-000000000000"
PLACEHOLDERS: Mapping[str, str] = {
    "id": f"{_SAMPLE}/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/vm",
    "resourceGroup": f"{_SAMPLE}/resourceGroups/rg",
    "subscription": _SAMPLE,
    "location": "westeurope",
}
"""What a grant's scope may hold in braces, each with a sample of what it stands for."""

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_ROLE_DEFINITION = "Microsoft.Authorization/roleDefinitions"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TYPE = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(/[A-Za-z0-9.-]+)+")
_NEVER_IN_NAMES = re.compile(r"[/\\%#<>\"'\x00-\x1f\x7f]")


def fill(template: str, values: Mapping[str, str]) -> ResourceId:
    """Put values in for a scope's placeholders, or raise `ResourceIdError`, also for a missing one.

    `{id}`, `{resourceGroup}` and `{subscription}` stand for whole ids, `{location}` for a word.
    """

    def value(found: re.Match[str]) -> str:
        name = found.group(1)
        if not values.get(name):
            raise ResourceIdError(f"{template!r}: nothing is known for '{{{name}}}'")
        return values[name]

    return ResourceId.parse(_PLACEHOLDER.sub(value, template))


def _id(value: object) -> ResourceId:
    if isinstance(value, ResourceId):
        return value
    return ResourceId.parse(_text(value))


def _text(value: object) -> str:
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


def _inside_subscription(value: ResourceId) -> ResourceId:
    if not value.subscription:
        raise ValueError(
            f"'{value}' is not inside a subscription; name a subscription, a group or a resource"
        )
    return value


def _role(value: object) -> roles.Role:
    if isinstance(value, roles.Role):
        return value
    text = _text(value)
    if role := roles.table().lookup(text):
        return role
    if text.startswith("/"):
        return _role_by_definition(ResourceId.parse(text))
    if is_guid(text):
        raise ValueError(
            f"'{text}' is no built-in role; name a custom role by its full id, "
            f"/subscriptions/<id>/providers/{_ROLE_DEFINITION}/{text}"
        )
    raise PydanticCustomError(UNKNOWN_ROLE, "unknown role '{name}'", {"name": text})


def _role_by_definition(definition: ResourceId) -> roles.Role:
    """Take a role by its definition id; what it allows is unknown, so it counts as privileged."""
    guid = fold(definition.name)
    if not definition.is_type(_ROLE_DEFINITION) or not is_guid(guid):
        raise ValueError(
            f"'{definition}' is not the id of a role definition: it must end in "
            f"/providers/{_ROLE_DEFINITION}/<GUID>"
        )
    return roles.table().lookup(guid) or roles.Role(str(definition), guid, privileged=True)


def _scope_template(text: str) -> str:
    for name in _PLACEHOLDER.findall(text):
        if name not in PLACEHOLDERS:
            raise PydanticCustomError(
                UNKNOWN_PLACEHOLDER, "unknown placeholder '{{{name}}}'", {"name": name}
            )
    if "{" in (bare := _PLACEHOLDER.sub("", text)) or "}" in bare:
        raise ValueError(f"'{text}' has a brace without its partner")
    for found in _PLACEHOLDER.finditer(text):
        if found.group(1) != "location" and (
            found.start() > 0 or not text.startswith(("/", ""), found.end())
        ):
            raise ValueError(f"'{found.group()}' stands for a whole id: it may only begin a scope")
    fill(text, PLACEHOLDERS)
    return text


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(
            f"'{text}' cannot be a name: use up to 64 letters, digits, '-', '_' and '.', "
            "a letter or digit first"
        )
    return text


def _known_identity(name: str, info: ValidationInfo) -> str:
    if info.context is not None and name not in info.context:
        raise PydanticCustomError(UNKNOWN_IDENTITY, "unknown identity '{name}'", {"name": name})
    return name


def _type_name(text: str) -> str:
    if not _TYPE.fullmatch(text):
        raise ValueError(
            f"'{text}' is not a resource type: write it whole and without globs, "
            "such as Microsoft.Compute/virtualMachines"
        )
    return text


def _glob(text: str) -> str:
    if not text or text != text.strip():
        raise ValueError(f"'{text}' can never match: it is empty or has blanks at its edge")
    if found := _NEVER_IN_NAMES.search(text):
        raise ValueError(f"'{text}' can never match: no name holds {found.group()!r}")
    if "(?!)" in fnmatch.translate(text):
        raise ValueError(f"'{text}' can never match: its brackets allow no character")
    return text


def _condition(text: str) -> str:
    # A block scalar ends in a line break, which would differ from what Azure stores.
    if not text.strip():
        raise ValueError("the condition is empty; write one, or delete the key")
    return text.strip()


def _one_or_many(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _tags(tags: Mapping[str, str]) -> Mapping[str, str]:
    first: dict[str, str] = {}
    for name in tags:
        if not name.strip():
            raise ValueError("a tag without a name can never match")
        if (other := first.setdefault(fold(name), name)) != name:
            raise ValueError(f"'{other}' and '{name}' are one tag: Azure ignores their case")
    return tags


def _version(value: object) -> object:
    if value != 1 or type(value) is not int:
        raise ValueError("version must be 1, the only one there is")
    return value


_Id = Annotated[
    ResourceId, PlainValidator(_id), PlainSerializer(lambda value: value.key, return_type=str)
]
_IdentityId = Annotated[_Id, AfterValidator(_identity_id)]
_Within = Annotated[_Id, AfterValidator(_inside_subscription)]
_Role = Annotated[
    roles.Role, PlainValidator(_role), PlainSerializer(lambda value: value.guid, return_type=str)
]
_CaseBlind = PlainSerializer(fold, return_type=str)
_Scope = Annotated[str, AfterValidator(_scope_template), _CaseBlind]
_Name = Annotated[str, AfterValidator(_name)]
_Type = Annotated[str, AfterValidator(_type_name), _CaseBlind]
_Glob = Annotated[str, AfterValidator(_glob), _CaseBlind]
_Tags = Annotated[
    Mapping[str, str],
    AfterValidator(_tags),
    PlainSerializer(lambda tags: {fold(name): value for name, value in tags.items()}),
]
_Version = Annotated[Literal[1], BeforeValidator(_version)]
_OneOrMany = BeforeValidator(_one_or_many)


class _Entry(BaseModel):
    """What all parts of the language share."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        arbitrary_types_allowed=True,
    )


class Grant(_Entry):
    """A wanted right: a role at a scope, which may hold placeholders."""

    role: _Role
    scope: _Scope
    condition: Annotated[str, AfterValidator(_condition)] | None = None


def _one_condition(grants: tuple[Grant, ...]) -> tuple[Grant, ...]:
    first: dict[tuple[str, str], Grant] = {}
    for grant in grants:
        same = first.setdefault((grant.role.guid, fold(grant.scope)), grant)
        if same.condition != grant.condition:
            raise ValueError(
                f"'{grant.role.name}' at '{grant.scope}' is granted with two conditions; "
                "Azure keeps one assignment of a role, so choose one"
            )
    return grants


_Grants = Annotated[tuple[Grant, ...], AfterValidator(_one_condition)]


class Identity(_Entry):
    """A user-assigned identity and the rights that it shall hold."""

    id: _IdentityId
    mode: Mode = Mode.AUDIT
    grants: _Grants = ()


class Match(_Entry):
    """Which of the resources within a rule's scopes it is about; all that is given must hold."""

    type: Annotated[tuple[_Type, ...], _OneOrMany, Field(min_length=1)]
    resource_group: Annotated[tuple[_Glob, ...], _OneOrMany] = ()
    name: Annotated[tuple[_Glob, ...], _OneOrMany] = ()
    tags: _Tags = Field(default_factory=dict)


class System(_Entry):
    """The system-assigned identity: present means switched on, with these rights."""

    grants: _Grants = ()


class Rule(_Entry):
    """Which resources carry which identities; a system-assigned one with which rights."""

    name: _Name
    mode: Mode = Mode.AUDIT
    within: Annotated[tuple[_Within, ...], Field(min_length=1)]
    match: Match
    attach: tuple[Annotated[str, AfterValidator(_known_identity)], ...] = ()
    allow_default_change: StrictBool = False
    system: System | None = None

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        if not self.attach and self.system is None:
            raise ValueError(f"rule '{self.name}' asks for nothing: add 'attach' or 'system'")
        return self


class PolicyFile(_Entry):
    """One file of policy."""

    version: _Version
    identities: Mapping[_Name, Identity] = Field(default_factory=dict)
    rules: tuple[Rule, ...] = ()


class GuardrailGrant(_Entry):
    """Roles that may be granted at or below a scope; privileged ones only where it says so."""

    scope: _Id
    roles: Annotated[tuple[_Role, ...], Field(min_length=1)]
    privileged: StrictBool = False

    def allows(self, guid: str, scope: ResourceId) -> bool:
        """Tell whether this entry lets that role be granted at that scope."""
        return self.scope.contains(scope) and any(
            role.guid == guid and (self.privileged or not role.privileged) for role in self.roles
        )


class MaxRemovals(_Entry):
    """How many unwanted rights one sweep may remove: the larger of both."""

    count: Annotated[StrictInt, Field(ge=0)] = 10
    percent: Annotated[StrictInt, Field(ge=0, le=100)] = 10


class Guardrails(_Entry):
    """The ceiling over policy; without grants nothing may be granted."""

    version: _Version
    grants: tuple[GuardrailGrant, ...] = ()
    identities: tuple[_Id, ...] = ()
    protected: tuple[_IdentityId, ...] = ()
    max_removals: MaxRemovals = MaxRemovals()

    def allows(self, guid: str, scope: ResourceId) -> bool:
        """Tell whether that role (GUID, lower case) may be granted at that scope."""
        return any(grant.allows(guid, scope) for grant in self.grants)


@dataclass(frozen=True, slots=True)
class Policy:
    """All policy files, loaded and checked as one; rules are sorted by name.

    `digest` is the SHA-256 of what they mean. `origins` says where something is written:
    `{"rule session-hosts": "policies/avd.yaml:12", "identity avd-host": ...}`.
    """

    identities: Mapping[str, Identity]
    rules: tuple[Rule, ...]
    guardrails: Guardrails
    digest: str
    origins: Mapping[str, str] = field(default_factory=dict[str, str])


def digest(
    identities: Mapping[str, Identity], rules: tuple[Rule, ...], guardrails: Guardrails
) -> str:
    """Return the SHA-256 (hex) of what policy means, whatever its layout, order and casing."""
    meaning = {
        "identities": {name: entry.model_dump(mode="json") for name, entry in identities.items()},
        "rules": [rule.model_dump(mode="json") for rule in rules],
        "guardrails": guardrails.model_dump(mode="json"),
    }
    text = json.dumps(_as_sets(meaning), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _as_sets(value: object) -> object:
    """Sort every list and drop what it says twice: no order in the language means anything."""
    if isinstance(value, dict):
        return {key: _as_sets(item) for key, item in value.items()}
    if isinstance(value, list):
        items = {json.dumps(_as_sets(item), sort_keys=True) for item in value}
        return sorted(items)
    return value
