"""Resource types: one row is all that this project knows of a type.

A row is complete: `azure.client` calls the type under its api-version, `azure.parsing` reads its
answers by its paths, `apply` writes identities in its form, `plan` knows by it what restarts, and
policy, events, sweeps and the command line what can be reconciled. To support a type, add a row and
name the recording or page that it rests on. A type without a row is never written.

A path is a member of the type's JSON, level by level: `properties.vmId`.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from reconciler.ids import ResourceId, fold
from reconciler.model import USER_ASSIGNED_IDENTITY

_PASSING_STATES: Final = frozenset({"creating", "updating", "deleting"})


class IdentityPatch(Enum):
    """How a PATCH of `identity` must be written; a type that takes none has no form."""

    DELTA = "delta"
    """Only what changes: `{}` adds an entry, null removes one, and all others stay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceType:
    """What is known of one type.

    Without an api-version it is never read by itself: it is no more than a place at which policy
    may grant. Empty paths are members that the type does not have.
    """

    name: str
    evidence: str
    """The recordings, pages or threads that the row rests on."""
    api_version: str = ""
    """The one under which the identity block was recorded."""
    system: bool = False
    """Whether it can have a system-assigned identity."""
    user_assigned: bool = False
    """Whether it can carry user-assigned identities."""
    patch: IdentityPatch | None = None
    """How its identities are written; none where no PATCH of them was recorded."""
    restarts: bool = False
    """Whether its apps restart when its identities change."""
    indexed: bool = False
    """Whether Resource Graph's table `resources` shows it, so that what has no row is absent."""
    incarnation: str = ""
    """Where it shows an id that a resource recreated under the same name does not share."""
    created: str = ""
    """Where it shows when it was created."""
    state: str = "properties.provisioningState"
    """Where it shows the state of the last write; one that is not shown has succeeded."""
    parent: str = "managedBy"
    """Where it names the resource that manages it, whose writes would undo ours."""
    children: str = ""
    """Where it lists children that may still be building, each with a state of its own."""


# Types at which roles are granted, and which Resource Graph shows, whatever else they can.
_PLACES: Final = (
    "Microsoft.ApiManagement/service",
    "Microsoft.App/containerApps",
    "Microsoft.App/managedEnvironments",
    "Microsoft.AppConfiguration/configurationStores",
    "Microsoft.Automation/automationAccounts",
    "Microsoft.Batch/batchAccounts",
    "Microsoft.Cache/redis",
    "Microsoft.CognitiveServices/accounts",
    "Microsoft.Compute/disks",
    "Microsoft.Compute/galleries",
    "Microsoft.Compute/snapshots",
    "Microsoft.Compute/virtualMachineScaleSets",
    "Microsoft.ContainerRegistry/registries",
    "Microsoft.ContainerService/managedClusters",
    "Microsoft.DataFactory/factories",
    "Microsoft.DesktopVirtualization/applicationGroups",
    "Microsoft.DesktopVirtualization/hostPools",
    "Microsoft.DesktopVirtualization/workspaces",
    "Microsoft.DocumentDB/databaseAccounts",
    "Microsoft.EventGrid/topics",
    "Microsoft.EventHub/namespaces",
    "Microsoft.Insights/components",
    "Microsoft.KeyVault/vaults",
    "Microsoft.MachineLearningServices/workspaces",
    "Microsoft.Network/networkSecurityGroups",
    "Microsoft.Network/virtualNetworks",
    "Microsoft.OperationalInsights/workspaces",
    "Microsoft.RecoveryServices/vaults",
    "Microsoft.Search/searchServices",
    "Microsoft.ServiceBus/namespaces",
    "Microsoft.Sql/servers",
    "Microsoft.Storage/storageAccounts",
    "Microsoft.Synapse/workspaces",
)

TABLE: Final = (
    ResourceType(
        name="Microsoft.Compute/virtualMachines",
        evidence="facts: Machines (azure-cli test_vm_explicit_msi, test_vm_msi)",
        api_version="2024-07-01",
        system=True,
        user_assigned=True,
        patch=IdentityPatch.DELTA,
        indexed=True,
        incarnation="properties.vmId",
        created="properties.timeCreated",
        children="resources",
    ),
    ResourceType(
        # Read and created through its own SDK; it is an identity and carries none.
        name=USER_ASSIGNED_IDENTITY,
        evidence="facts: Identities",
        api_version="2024-11-30",
        indexed=True,
        incarnation="properties.principalId",
    ),
    ResourceType(
        name="Microsoft.Web/sites",
        evidence="facts: Identity by type; documented for Resource Graph",
        system=True,
        user_assigned=True,
        restarts=True,
        indexed=True,
    ),
    ResourceType(
        name="Microsoft.Web/sites/slots",
        evidence="facts: Identity by type",
        system=True,
        user_assigned=True,
        restarts=True,
    ),
    *(
        ResourceType(name=name, evidence="documented for Resource Graph", indexed=True)
        for name in _PLACES
    ),
)

_BY_NAME: Final = {fold(row.name): row for row in TABLE}
_UNKNOWN: Final = ResourceType(name="", evidence="")

CARRIERS: Final = {
    key: row
    for key, row in _BY_NAME.items()
    if row.api_version and (row.system or row.user_assigned)
}
"""The types that are reconciled for identities of their own, by their names in lower case."""


def find(type_name: str) -> ResourceType:
    """Return the row of a type, whatever the case; of an unknown one a row that allows nothing."""
    return _BY_NAME.get(fold(type_name), _UNKNOWN)


def is_reconciled(place: ResourceId) -> bool:
    """Return whether an id is a resource or identity that can be brought to what policy asks.

    Both lie in a resource group; what a message names below another resource is neither.
    """
    return place.group is not None and len(place.blocks) == 1 and bool(find(place.type).api_version)


def is_passing(state: str) -> bool:
    """Return whether a provisioning state is that of a write under way, and ends by itself.

    All other states, *Failed* among them, stay until the next write.
    """
    return fold(state) in _PASSING_STATES
