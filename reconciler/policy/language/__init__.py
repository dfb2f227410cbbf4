"""The policy language: what may be written in `policies/*.yaml` and in `guardrails.yaml`.

`reconciler.policy.load` makes these values out of files; `reconciler.policy.desired` and the plan
read them. YAML spells keys in camelCase, Python in snake_case. What a single text must be is in
`texts`.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    model_validator,
)
from pydantic.alias_generators import to_camel

from reconciler.ids import ResourceId, fold
from reconciler.model import Mode
from reconciler.policy.language import texts
from reconciler.policy.language.texts import fill

__all__ = [
    "GUARDRAILS_FILE",
    "Grant",
    "GuardrailGrant",
    "Guardrails",
    "Identity",
    "Match",
    "MaxRemovals",
    "Policy",
    "PolicyFile",
    "Rule",
    "System",
    "digest",
    "fill",
]

GUARDRAILS_FILE = "guardrails.yaml"


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

    role: texts.Role
    scope: texts.Scope
    condition: texts.Condition | None = None


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

    id: texts.IdentityId
    mode: Mode = Mode.AUDIT
    grants: _Grants = ()


class Match(_Entry):
    """Which of the resources within a rule's scopes it is about; all that is given must hold."""

    type: Annotated[tuple[texts.Type, ...], texts.OneOrMany, texts.Some]
    resource_group: Annotated[tuple[texts.Glob, ...], texts.OneOrMany] = ()
    name: Annotated[tuple[texts.Glob, ...], texts.OneOrMany] = ()
    tags: texts.Tags = Field(default_factory=dict)


class System(_Entry):
    """The system-assigned identity: present means switched on, with these rights."""

    grants: _Grants = ()


class Rule(_Entry):
    """Which resources carry which identities; a system-assigned one with which rights."""

    name: texts.Name
    mode: Mode = Mode.AUDIT
    within: Annotated[tuple[texts.Within, ...], texts.Some]
    match: Match
    attach: tuple[texts.Attached, ...] = ()
    allow_default_change: StrictBool = False
    system: System | None = None

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        if not self.attach and self.system is None:
            raise ValueError(f"rule '{self.name}' asks for nothing: add 'attach' or 'system'")
        return self


class PolicyFile(_Entry):
    """One file of policy."""

    version: texts.Version
    identities: Mapping[texts.Name, Identity] = Field(default_factory=dict)
    rules: tuple[Rule, ...] = ()


class GuardrailGrant(_Entry):
    """Roles that may be granted at or below a scope; privileged ones only where it says so."""

    scope: texts.Id
    roles: Annotated[tuple[texts.Role, ...], texts.Some]
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

    version: texts.Version
    grants: tuple[GuardrailGrant, ...] = ()
    identities: tuple[texts.Id, ...] = ()
    protected: tuple[texts.IdentityId, ...] = ()
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
