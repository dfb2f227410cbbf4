"""The names in `seed.yaml` and `policies/`, as ids; the story and the stage speak in them."""

from typing import Final

SUBSCRIPTION: Final = "/subscriptions/11111111-1111-1111-1111-111111111111"
GROUP: Final = f"{SUBSCRIPTION}/resourceGroups/rg-app"
STORE: Final = (
    f"{SUBSCRIPTION}/resourceGroups/rg-data/providers/Microsoft.Storage/storageAccounts/appstore"
)
SHARED: Final = (
    f"{SUBSCRIPTION}/resourceGroups/rg-identities/providers"
    "/Microsoft.ManagedIdentity/userAssignedIdentities/app-shared"
)
MACHINES: Final = ("app-1", "app-2", "app-3")

READER: Final = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
BLOB_READER: Final = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
BLOB_CONTRIBUTOR: Final = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
QUEUE_READER: Final = "19e7f393-937e-4f77-808e-94535e297925"
"""A role that no policy of the demo speaks of."""


def machine(name: str) -> str:
    """Return the id of a machine."""
    return f"{GROUP}/providers/Microsoft.Compute/virtualMachines/{name}"
