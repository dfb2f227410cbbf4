"""What the domain's values tell about themselves."""

from datetime import UTC, datetime

import pytest

from reconciler.ids import ResourceId
from reconciler.model import AttachedIdentity, IdentityBlock, Observed, Resource, UserIdentity

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MACHINE = ResourceId.parse(
    "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/vm-1"
)
IDENTITY = ResourceId.parse(
    "/subscriptions/s/resourceGroups/rg/providers/Microsoft.ManagedIdentity"
    "/userAssignedIdentities/app"
)


def test_an_identity_s_entry_is_found_whatever_its_case() -> None:
    """Resources spell the ids of their identities as they like (facts A2.1, recorded)."""
    entry = AttachedIdentity(ResourceId.parse(str(IDENTITY).upper()), "p-1")

    assert IdentityBlock(attached=(entry,)).entry(IDENTITY) == entry
    assert IdentityBlock().entry(IDENTITY) is None


@pytest.mark.parametrize(
    ("subject", "principal", "incarnation"),
    [
        pytest.param(None, None, None, id="gone"),
        pytest.param(Resource(MACHINE, incarnation="vm-a"), None, "vm-a", id="no system identity"),
        pytest.param(
            Resource(MACHINE, identities=IdentityBlock(principal="p-1"), incarnation="vm-a"),
            "p-1",
            "vm-a",
            id="machine",
        ),
        pytest.param(UserIdentity(IDENTITY, "p-2"), "p-2", "p-2", id="user-assigned identity"),
    ],
)
def test_what_was_observed_knows_its_principal_and_its_incarnation(
    subject: Resource | UserIdentity | None, principal: str | None, incarnation: str | None
) -> None:
    """A machine is told from its predecessor by its own id, an identity by its principal."""
    observed = Observed(MACHINE, NOON, subject)

    assert observed.principal == principal
    assert observed.incarnation == incarnation
