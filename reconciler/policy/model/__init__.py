"""The policy language: what may be written in `policies/*.yaml` and in `guardrails.yaml`.

`reconciler.policy.load` makes these values out of files; `reconciler.policy.desired` and the plan
read them. What a single text must be is in `reconciler.policy.model.texts`. YAML spells keys in
camelCase, Python in snake_case. The text below a key is its description in `docs/policy.md` and in
the JSON schemas, which `tools/policy_docs.py` writes.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StrictBool,
    StrictInt,
    model_validator,
)
from pydantic.alias_generators import to_camel

from reconciler.ids import ResourceId, fold
from reconciler.model import Mode
from reconciler.policy.model import texts

GUARDRAILS_FILE: Final = "guardrails.yaml"
FULL_ROLLOUT: Final = 100
"""Percent of a rule's matches."""

_SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000000"
_IDENTITIES = (
    f"{_SUBSCRIPTION}/resourceGroups/rg-id"
    "/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
)
_VAULTS = f"{_SUBSCRIPTION}/resourceGroups/rg-data/providers/Microsoft.KeyVault/vaults"
"""Where the things lie that examples speak of."""


def _version(value: object) -> object:
    if value != 1 or type(value) is not int:
        raise ValueError("version must be 1, a number without quotes; there is no other")
    return value


def _listed(value: object) -> object:
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


def _ids(ids: Mapping[str, ResourceId]) -> Mapping[str, ResourceId]:
    if not all(key.strip() for key in ids):
        raise ValueError("a key without a name can never be picked")
    return ids


_Version = Annotated[Literal[1], BeforeValidator(_version)]
_SomeTypes = Annotated[tuple[texts.Type, ...], Field(min_length=1)]
_Types = Annotated[
    _SomeTypes, BeforeValidator(_listed, json_schema_input_type=texts.Type | _SomeTypes)
]
_Globs = Annotated[
    tuple[texts.Glob, ...],
    BeforeValidator(_listed, json_schema_input_type=texts.Glob | tuple[texts.Glob, ...]),
]
_Locations = Annotated[
    tuple[texts.Location, ...],
    BeforeValidator(_listed, json_schema_input_type=texts.Location | tuple[texts.Location, ...]),
]
_NAMED = Field(json_schema_extra={"additionalProperties": False})
_KEYED = Field(json_schema_extra={"propertyNames": {"pattern": r"\S"}})
_CASE_BLIND = PlainSerializer(lambda tags: {fold(name): tags[name] for name in tags})
_Tags = Annotated[Mapping[str, texts.Tag], _KEYED, AfterValidator(_tags), _CASE_BLIND]
_TagGlobs = Annotated[Mapping[str, texts.TagGlob], _KEYED, AfterValidator(_tags), _CASE_BLIND]
Map = Annotated[Mapping[str, texts.Id], Field(min_length=1), _KEYED, AfterValidator(_ids)]


class Entry(BaseModel):
    """A mapping of policy: no other keys than these, and nothing changes once it is checked."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        field_title_generator=lambda name, _: name.replace("_", " ").capitalize(),
        # Rust's expressions have no lookahead.
        regex_engine="python-re",
    )


class Grant(Entry):
    """A wanted right: a role at a scope, which may hold placeholders."""

    role: texts.Role = Field(
        examples=["Key Vault Secrets User", "acdd72a7-3385-48ef-bd42-f606fba81ae7"]
    )
    """A built-in role by its name or GUID; a custom role by its GUID or full definition id."""

    scope: texts.Scope = Field(
        examples=["{resourceGroup}", f"{_VAULTS}/kv-app", "{maps.vault[tags.env]}"]
    )
    """Where the role applies. {id}, {resourceGroup} and {subscription} stand for the id of what
    receives the right and of where it lies, {location} for its location; {maps.<map>[location]} and
    {maps.<map>[tags.<tag>]} for an entry of a map. Without such an entry nothing is granted."""

    condition: texts.Condition | None = Field(
        default=None,
        examples=["(@Resource[Microsoft.Storage/storageAccounts:name] StringEquals 'images')"],
    )
    """An ABAC condition, always version 2.0, that narrows the right further. Azure checks it when
    the right is given; placeholders in it are not filled in."""


class OwnGrant(Grant):
    """A right of a user-assigned identity, whose placeholders mean the identity's own place."""

    scope: texts.OwnScope = Field(
        examples=["{resourceGroup}", f"{_VAULTS}/kv-app", "{maps.images[location]}"]
    )
    """Where the role applies. {id}, {resourceGroup}, {subscription} and {location} mean the
    identity's own; {maps.<map>[location]} is an entry of a map. Without such an entry nothing is
    granted."""


def _one_condition(grants: tuple[Grant, ...]) -> tuple[Grant, ...]:
    first: dict[tuple[str, str], Grant] = {}
    for grant in grants:
        same = first.setdefault((grant.role.guid, fold(grant.scope)), grant)
        if same.condition != grant.condition:
            raise ValueError(
                f"'{grant.role.name}' at '{grant.scope}' is granted twice, with different "
                "conditions; Azure keeps one assignment of a role, so keep one of them"
            )
    return grants


class Exemption(Entry):
    """A place where nothing is added and nothing removed, whatever rules say."""

    scope: texts.Within = Field(examples=[f"{_SUBSCRIPTION}/resourceGroups/rg-forensics"])
    """A resource or identity, or a group or subscription of them, exactly. All that would be done
    to them is withheld; what others are granted there is not."""

    reason: texts.Reason = Field(examples=["forensics, ticket 4711"])
    """Why; every plan shows it."""

    expires: texts.Day = Field(examples=["2027-01-31"])
    """The last day, in UTC, on which it is in force."""

    def covers(self, place: ResourceId) -> bool:
        """Return whether it is about a place, be it in force or not."""
        return self.scope.contains(place)

    def in_force(self, at: datetime) -> bool:
        """Return whether it still holds at a time."""
        return at.astimezone(UTC).date() <= self.expires


class Identity(Entry):
    """A user-assigned identity and the rights that it shall hold."""

    model_config = ConfigDict(
        json_schema_extra={
            "dependentRequired": {"ensure": ["location"], "location": ["ensure"]},
            "if": {"required": ["tags"], "properties": {"tags": {"minProperties": 1}}},
            "then": {"required": ["ensure"]},
        }
    )

    id: texts.Identities = Field(
        examples=[
            f"{_IDENTITIES}/app",
            _IDENTITIES.replace(_SUBSCRIPTION, "{subscription}") + "/avd-{location}",
        ]
    )
    """The ARM id of the user-assigned identity. With {subscription} or {location} it is one
    identity for each subscription and location of the resources that carry it."""

    exclusive: StrictBool = Field(default=False, examples=[True])
    """Whether resources that no rule attaches it to may not carry it: sweeps detach it there,
    within maxRemovals."""

    ensure: Literal["present"] | None = Field(default=None, examples=["present"])
    """present: the identity is created where a rule in repair mode attaches it and it is missing.
    Without this it must exist."""

    location: texts.NewLocation | None = Field(default=None, examples=["{location}", "westeurope"])
    """Where it is created: a location, or {location} where its id holds that too. Only with ensure,
    and required there."""

    tags: _Tags = Field(default_factory=dict, examples=[{"team": "desktop"}])
    """The tags with which it is created. Only with ensure."""

    mode: Mode = Field(default=Mode.AUDIT, examples=["repair"])
    """Whether a difference in its grants, or its absence, is only reported (audit) or repaired
    (repair)."""

    grants: Annotated[tuple[OwnGrant, ...], AfterValidator(_one_condition)] = Field(
        default=(), examples=[[{"role": "Storage Blob Data Reader", "scope": "{resourceGroup}"}]]
    )
    """The rights that the identity shall hold. Placeholders mean its own place and location."""

    @model_validator(mode="after")
    def _can_be_created(self) -> Self:
        placed = "{location}" in self.id.text
        if self.ensure is None:
            if self.location is not None or self.tags:
                raise ValueError("'location' and 'tags' need 'ensure: present'; add it")
        elif self.location is None:
            sample = '"{location}"' if placed else "westeurope"
            raise ValueError(f"'ensure: present' needs a location; add 'location: {sample}'")
        elif placed and self.location != "{location}":
            raise ValueError(
                "the id holds {location}, so an identity lies where its id says: write "
                'location: "{location}"'
            )
        elif not placed and self.location == "{location}":
            raise ValueError(
                "the id does not hold {location}, so it is one identity in one place: write that, "
                "such as location: westeurope"
            )
        return self


class Match(Entry):
    """Which of the resources within a rule's scopes it is about; all that is given must hold."""

    type: _Types = Field(examples=["Microsoft.Compute/virtualMachines"])
    """Full resource types, without globs; one of them must be the resource's."""

    resource_group: _Globs = Field(default=(), examples=[["rg-avd-*"]])
    """Globs, one of which the group's name must fit, whatever the case."""

    name: _Globs = Field(default=(), examples=[["sh-*"]])
    """Globs, one of which the resource's name must fit, whatever the case."""

    location: _Locations = Field(default=(), examples=[["westeurope", "north*"]])
    """Globs, one of which the resource's location must fit; West Europe is westeurope."""

    kind: _Globs = Field(default=(), examples=[["functionapp*"]])
    """Globs, one of which the resource's kind must fit, whatever the case."""

    tags: _TagGlobs = Field(default_factory=dict, examples=[{"workload": "avd", "env": "*"}])
    """For each tag a glob that its value must fit, in this case; '*' takes any value. The case of a
    tag's name does not matter."""


class System(Entry):
    """The system-assigned identity: present means switched on, with these rights."""

    grants: Annotated[tuple[Grant, ...], AfterValidator(_one_condition)] = Field(
        default=(), examples=[[{"role": "Reader", "scope": "{resourceGroup}"}]]
    )
    """The rights that the resource's system-assigned identity shall hold."""


class Rule(Entry):
    """Which resources carry which identities; a system-assigned one with which rights."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": ["attach"], "properties": {"attach": {"minItems": 1}}},
                {"required": ["system"]},
            ]
        }
    )

    name: texts.Name = Field(examples=["session-hosts"])
    """A name of its own among all rules."""

    mode: Mode = Field(default=Mode.AUDIT, examples=["repair"])
    """Whether a difference is only reported (audit) or repaired (repair)."""

    rollout: Annotated[StrictInt, Field(ge=0, le=FULL_ROLLOUT)] = Field(
        default=FULL_ROLLOUT, examples=[10]
    )
    """The percentage of the matches that the mode is for; the others are audited. Which ones is
    decided by their ids, so a resource stays in when the percentage grows."""

    within: Annotated[tuple[texts.Within, ...], Field(min_length=1)] = Field(
        examples=[[f"{_SUBSCRIPTION}/resourceGroups/rg-avd"]]
    )
    """Subscriptions, resource groups or resources, exactly and without globs, outside of which the
    rule has no say. Whoever may write there may fit the match."""

    match: Match = Field(examples=[{"type": "Microsoft.Compute/virtualMachines", "name": ["sh-*"]}])
    """Which of the resources within the scopes the rule is about."""

    attach: tuple[texts.Attached, ...] = Field(default=(), examples=[["avd-host"]])
    """Names of identities that every match must carry."""

    allow_default_change: StrictBool = Field(default=False, examples=[True])
    """Whether the identity may change that the metadata service picks for callers who name none."""

    allow_restart: StrictBool = Field(default=False, examples=[True])
    """Whether identities may be changed on types whose apps restart on it, such as web apps."""

    system: System | None = Field(
        default=None, examples=[{"grants": [{"role": "Reader", "scope": "{resourceGroup}"}]}]
    )
    """If present, the system-assigned identity is switched on, with these rights."""

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        if not self.attach and self.system is None:
            raise ValueError(f"rule '{self.name}' asks for nothing: add 'attach' or 'system'")
        return self


class PolicyFile(Entry):
    """One file of policy."""

    version: _Version = Field(examples=[1])
    """The version of the policy language."""

    identities: Annotated[Mapping[texts.Name, Identity], _NAMED] = Field(
        default_factory=dict, examples=[{"avd-host": {"id": f"{_IDENTITIES}/avd-host"}}]
    )
    """User-assigned identities under the names by which rules attach them."""

    maps: Annotated[Mapping[texts.Name, Map], _NAMED] = Field(
        default_factory=dict,
        examples=[{"vault": {"dev": f"{_VAULTS}/kv-dev", "prod": f"{_VAULTS}/kv-prod"}}],
    )
    """Reviewed ids by key. A resource's location or tag picks a key in a grant's scope, and can
    never be a part of it."""

    exemptions: tuple[Exemption, ...] = Field(
        default=(),
        examples=[
            [{"scope": _SUBSCRIPTION, "reason": "migration weekend", "expires": "2027-01-31"}]
        ],
    )
    """Where nothing is added and nothing removed for a while; plans say why."""

    rules: tuple[Rule, ...] = Field(
        default=(),
        examples=[
            [
                {
                    "name": "session-hosts",
                    "within": [_SUBSCRIPTION],
                    "match": {"type": "Microsoft.Compute/virtualMachines"},
                    "attach": ["avd-host"],
                }
            ]
        ],
    )
    """Which resources carry which identities and rights."""


class GuardrailGrant(Entry):
    """Roles that may be granted at or below a scope; privileged ones only where it says so."""

    scope: texts.Id = Field(examples=[f"{_SUBSCRIPTION}/resourceGroups/rg-data"])
    """The id at or below which the roles may be granted."""

    roles: Annotated[tuple[texts.Role, ...], Field(min_length=1)] = Field(
        examples=[["Reader", "Key Vault Secrets User"]]
    )
    """Built-in roles by name or GUID, custom roles by GUID or full definition id."""

    privileged: StrictBool = Field(default=False, examples=[True])
    """Whether those of the roles may be granted, too, that let their holder reach further than the
    scope, such as Contributor."""

    def allows(self, guid: str, scope: ResourceId, *, privileged: bool) -> bool:
        """Return whether this entry allows that role to be granted at that scope."""
        named = any(role.guid == guid for role in self.roles)
        return named and self.scope.contains(scope) and (self.privileged or not privileged)


class MaxRemovals(Entry):
    """How many unwanted rights one sweep may remove: the larger of both."""

    count: Annotated[StrictInt, Field(ge=0)] = Field(default=10, examples=[10])
    """So many unwanted rights may always be removed at once."""

    percent: Annotated[StrictInt, Field(ge=0, le=100)] = Field(default=10, examples=[10])
    """So large a part of all our role assignments may be removed at once."""


class Guardrails(Entry):
    """The guardrails over policy; without grants nothing may be granted."""

    version: _Version = Field(examples=[1])
    """The version of the guardrails' format."""

    grants: tuple[GuardrailGrant, ...] = Field(
        default=(), examples=[[{"scope": _SUBSCRIPTION, "roles": ["Reader"]}]]
    )
    """Which roles may be granted where; nothing else may."""

    identities: tuple[texts.Id, ...] = Field(
        default=(), examples=[[f"{_SUBSCRIPTION}/resourceGroups/rg-id"]]
    )
    """Scopes in which the identities that policy names may live."""

    protected: tuple[texts.IdentityId, ...] = Field(
        default=(), examples=[[f"{_IDENTITIES}/deployment"]]
    )
    """User-assigned identities never attached, detached, altered or granted to."""

    max_removals: MaxRemovals = Field(
        default=MaxRemovals(), examples=[{"count": 10, "percent": 10}]
    )
    """How many unwanted rights one sweep may remove, the larger of both; a resource group that
    alone would lose more is set aside, and where the others together would, none go."""

    def covers(self, scope: ResourceId) -> bool:
        """Return whether anything at all may be granted at that scope."""
        return any(grant.scope.contains(scope) for grant in self.grants)

    def allows(self, guid: str, scope: ResourceId, *, privileged: bool) -> bool:
        """Return whether that role (GUID, lower case) may be granted at that scope."""
        return any(grant.allows(guid, scope, privileged=privileged) for grant in self.grants)
