"""The ids, roles and times of the small world: one subscription, a machine, an identity, a scope.

Text here is as a person types it; `builders` has the same places as the core's values.
"""

from datetime import UTC, datetime

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"
SUB = f"/subscriptions/{SUBSCRIPTION}"
APPS = f"{SUB}/resourceGroups/rg-app"
DATA = f"{SUB}/resourceGroups/rg-data"
IDENTITIES = f"{SUB}/resourceGroups/rg-id"
HOME = f"{SUB}/resourceGroups/rg-reconciler"

ELSEWHERE = "22222222-2222-2222-2222-222222222222"
"""A subscription that nobody watches."""
FAR = f"/subscriptions/{ELSEWHERE}/resourceGroups/rg-new"

READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
BLOB_READER = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
CONTRIBUTOR = "b24988ac-6180-42a0-ab88-20f7382dd24c"

ASSIGNMENTS = "/providers/microsoft.authorization/roleassignments"
"""What the path of a call about role assignments holds."""


def machine(name: str = "vm1", group: str = APPS) -> str:
    """Return the id of a machine."""
    return f"{group}/providers/Microsoft.Compute/virtualMachines/{name}"


def identity(name: str = "shared") -> str:
    """Return the id of a user-assigned identity."""
    return f"{IDENTITIES}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}"


VM = machine()
SHARED = identity()
