"""What may be written in `guardrails.yaml`: the ceiling over all policy."""

from typing import Annotated

from pydantic import Field, StrictBool, StrictInt

from reconciler.ids import ResourceId
from reconciler.policy.language import texts
from reconciler.policy.language.entry import IDENTITIES, SUBSCRIPTION, Entry


class GuardrailGrant(Entry):
    """Roles that may be granted at or below a scope; privileged ones only where it says so."""

    scope: texts.Id = Field(
        title="Scope",
        description="The id at or below which the roles may be granted.",
        examples=[f"{SUBSCRIPTION}/resourceGroups/rg-data"],
    )
    roles: Annotated[tuple[texts.Role, ...], texts.Some] = Field(
        title="Roles",
        description=("Built-in roles by name or GUID, custom roles by GUID or full definition id."),
        examples=[["Reader", "Key Vault Secrets User"]],
    )
    privileged: StrictBool = Field(
        default=False,
        title="Privileged",
        description=(
            "Whether those of the roles may be granted, too, that let their holder reach further "
            "than the scope, such as Contributor."
        ),
        examples=[True],
    )

    def allows(self, guid: str, scope: ResourceId, *, privileged: bool) -> bool:
        """Tell whether this entry lets that role be granted at that scope."""
        named = any(role.guid == guid for role in self.roles)
        return named and self.scope.contains(scope) and (self.privileged or not privileged)


class MaxRemovals(Entry):
    """How many unwanted rights one sweep may remove: the larger of both."""

    count: Annotated[StrictInt, Field(ge=0)] = Field(
        default=10,
        title="Count",
        description="So many unwanted rights may always be removed at once.",
        examples=[10],
    )
    percent: Annotated[StrictInt, Field(ge=0, le=100)] = Field(
        default=10,
        title="Percent",
        description="So large a part of all our role assignments may be removed at once.",
        examples=[10],
    )


class Guardrails(Entry):
    """The ceiling over policy; without grants nothing may be granted."""

    version: texts.Version = Field(
        title="Version", description="The version of the guardrails' format.", examples=[1]
    )
    grants: tuple[GuardrailGrant, ...] = Field(
        default=(),
        title="Grants",
        description="Which roles may be granted where; nothing else may.",
        examples=[[{"scope": SUBSCRIPTION, "roles": ["Reader"]}]],
    )
    identities: tuple[texts.Id, ...] = Field(
        default=(),
        title="Identities",
        description="Scopes in which the identities that policy names may live.",
        examples=[[f"{SUBSCRIPTION}/resourceGroups/rg-id"]],
    )
    protected: tuple[texts.IdentityId, ...] = Field(
        default=(),
        title="Protected",
        description="User-assigned identities never attached, detached, altered or granted to.",
        examples=[[f"{IDENTITIES}/deployment"]],
    )
    max_removals: MaxRemovals = Field(
        default=MaxRemovals(),
        title="Max removals",
        description=(
            "How many unwanted rights one sweep may remove, the larger of both; a resource group "
            "that alone would lose more is set aside, and where the others together would, none go."
        ),
        examples=[{"count": 10, "percent": 10}],
    )

    def covers(self, scope: ResourceId) -> bool:
        """Tell whether anything at all may be granted at that scope."""
        return any(grant.scope.contains(scope) for grant in self.grants)

    def allows(self, guid: str, scope: ResourceId, *, privileged: bool) -> bool:
        """Tell whether that role (GUID, lower case) may be granted at that scope."""
        return any(grant.allows(guid, scope, privileged=privileged) for grant in self.grants)
