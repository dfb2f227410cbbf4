"""Policy: all files of a folder, loaded and checked as one.

`reconciler.policy.load` makes it, once per process. `reconciler.policy.model` is the language,
`desired` says what policy wants of a resource or identity.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from reconciler.ids import ResourceId
from reconciler.policy.model import Exemption, Guardrails, Identity, Rule
from reconciler.policy.templates import Maps


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
    maps: Maps = field(default_factory=dict[str, Mapping[str, ResourceId]])
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
