"""The policy language: what may be written in `policies/*.yaml` and in `guardrails.yaml`.

`reconciler.policy.load` makes these values out of files; `reconciler.policy.desired` and the plan
read them. What a policy file may hold is in `rules`, what the guardrails may in `guardrails`, what
a single text must be in `texts`; `scopes` fills in placeholders, `matching` tells which rules speak
of a resource, `wishes` adds up what they want.
"""

import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from pydantic import TypeAdapter

from reconciler.ids import ResourceId
from reconciler.model import Mode
from reconciler.policy.language.exemptions import Exemption
from reconciler.policy.language.grants import Grant
from reconciler.policy.language.guardrails import GuardrailGrant, Guardrails, MaxRemovals
from reconciler.policy.language.matching import Chosen, Matcher
from reconciler.policy.language.rules import Identity, Match, PolicyFile, Rule, System
from reconciler.policy.language.scopes import Names
from reconciler.policy.language.texts import Map
from reconciler.policy.language.wishes import Wishes

__all__ = [
    "GUARDRAILS_FILE",
    "Exemption",
    "Grant",
    "GuardrailGrant",
    "Guardrails",
    "Identity",
    "Match",
    "Matcher",
    "MaxRemovals",
    "Names",
    "Policy",
    "PolicyFile",
    "Rule",
    "System",
    "digest",
    "map_ids",
]

GUARDRAILS_FILE = "guardrails.yaml"

_REMEMBERED = 4096
"""Sets of rules that match together, in a subscription and location each."""

map_ids = TypeAdapter[Mapping[str, ResourceId]](Map).validate_python
"""Check one map of a policy file; raises pydantic's `ValidationError`."""


@dataclass(frozen=True)
class Policy:
    """All policy files, loaded and checked as one; rules are sorted by name.

    `digest` is the SHA-256 of what they mean. `origins` says where rules, identities, maps and
    exemptions are written: `{"rule hosts": "policies/avd.yaml:12", "exemption 0": "...", ...}`.
    """

    identities: Mapping[str, Identity]
    rules: tuple[Rule, ...]
    guardrails: Guardrails
    digest: str
    origins: Mapping[str, str] = field(default_factory=dict[str, str])
    maps: Mapping[str, Mapping[str, ResourceId]] = field(
        default_factory=dict[str, Mapping[str, ResourceId]]
    )
    exemptions: tuple[Exemption, ...] = ()

    @cached_property
    def custom_roles(self) -> Mapping[str, ResourceId]:
        """The definitions of the roles that it grants and the table does not know, by GUID.

        Where a role is named by its GUID here and by its definition there, the latter counts.
        """
        systems = [rule.system.grants for rule in self.rules if rule.system]
        own = [entry.grants for entry in self.identities.values()]
        roles = [grant.role for grants in (*systems, *own) for grant in grants if grant.role.custom]
        roles.sort(key=lambda role: (not role.by_guid, role.name))
        return {role.guid: ResourceId.parse(role.name) for role in roles}

    @cached_property
    def matcher(self) -> Matcher:
        """Tells which of the rules speak of a resource."""
        return Matcher(self.rules)

    @cached_property
    def wishes(self) -> Callable[[Chosen, tuple[Mode, ...], str | None, str], Wishes]:
        """Adds up what some of the rules want in a subscription and location; see `Wishes.of`."""
        return functools.lru_cache(_REMEMBERED)(functools.partial(Wishes.of, self.identities))

    @cached_property
    def exclusive(self) -> Mapping[str, Identity]:
        """The identities that no resource outside of the rules may carry."""
        return {name: entry for name, entry in self.identities.items() if entry.exclusive}


def digest(file: PolicyFile, guardrails: Guardrails) -> str:
    """Return the SHA-256 (hex) of what policy means, whatever its layout, order and casing.

    `file` is all of policy as if it had been written in one file.
    """
    parts = {"policy": file, "guardrails": guardrails}
    meaning = {name: part.model_dump(mode="json") for name, part in parts.items()}
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
