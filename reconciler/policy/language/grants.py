"""Wanted rights: of a system-assigned identity, and of a user-assigned one."""

from typing import Annotated

from pydantic import AfterValidator, Field

from reconciler.ids import fold
from reconciler.policy.language import texts
from reconciler.policy.language.entry import VAULTS, Entry


class Grant(Entry):
    """A wanted right: a role at a scope, which may hold placeholders."""

    role: texts.Role = Field(
        title="Role",
        description=(
            "A built-in role by its name or GUID; a custom role by its GUID or full definition id."
        ),
        examples=["Key Vault Secrets User", "acdd72a7-3385-48ef-bd42-f606fba81ae7"],
    )
    scope: texts.Scope = Field(
        title="Scope",
        description=(
            "Where the role applies. {id}, {resourceGroup} and {subscription} stand for the id of "
            "what receives the right and of where it lies, {location} for its location; "
            "{maps.<map>[location]} and {maps.<map>[tags.<tag>]} for an entry of a map. Without "
            "such an entry nothing is granted."
        ),
        examples=["{resourceGroup}", f"{VAULTS}/kv-app", "{maps.vault[tags.env]}"],
    )
    condition: texts.Condition | None = Field(
        default=None,
        title="Condition",
        description=(
            "An ABAC condition, always version 2.0, that narrows the right further. Azure checks "
            "it when the right is given; placeholders in it are not filled in."
        ),
        examples=["(@Resource[Microsoft.Storage/storageAccounts:name] StringEquals 'images')"],
    )


class OwnGrant(Grant):
    """A right of a user-assigned identity, whose placeholders mean the identity's own place."""

    scope: texts.OwnScope = Field(
        title="Scope",
        description=(
            "Where the role applies. {id}, {resourceGroup}, {subscription} and {location} mean the "
            "identity's own; {maps.<map>[location]} is an entry of a map. Without such an entry "
            "nothing is granted."
        ),
        examples=["{resourceGroup}", f"{VAULTS}/kv-app", "{maps.images[location]}"],
    )


def _one_condition[T: Grant](grants: tuple[T, ...]) -> tuple[T, ...]:
    first: dict[tuple[str, str], T] = {}
    for grant in grants:
        same = first.setdefault((grant.role.guid, fold(grant.scope)), grant)
        if same.condition != grant.condition:
            raise ValueError(
                f"'{grant.role.name}' at '{grant.scope}' is granted twice, with different "
                "conditions; Azure keeps one assignment of a role, so keep one of them"
            )
    return grants


Grants = Annotated[tuple[Grant, ...], AfterValidator(_one_condition)]
OwnGrants = Annotated[tuple[OwnGrant, ...], AfterValidator(_one_condition)]
