"""How resource types differ in their identity block and in the answers to writes: one row each.

See facts: Identity by type. A new type is a new row; the handlers go by the traits alone.
"""

import dataclasses
from typing import Literal

from sandbox.arm.attachment import IdentityTraits
from sandbox.arm.routing import Evidence

_LOCATION = ("location", "Retry-After")
_BOTH_LINKS = ("azure-asyncoperation", "azure-asyncnotification", *_LOCATION)


@dataclasses.dataclass(frozen=True, slots=True)
class TypeTraits(IdentityTraits):
    """What is particular about one resource type."""

    type: str
    created: int = 201
    """Status of a PUT that creates."""
    replaced: int = 200
    """Status of any other PUT."""
    put_runs: Literal["never", "create", "always"] = "never"
    """Which PUT starts an operation: none, one that creates, or any."""
    creating: str = "Creating"
    """The provisioning state while a PUT that creates runs."""
    patched: int = 200
    """Status of a PATCH that starts an operation; others are answered 200."""
    patch_runs: Literal["never", "always", "identity", "users"] = "never"
    """When a PATCH does: if it has an identity, or (``users``) names user-assigned ones."""
    patching: str = "Updating"
    """The provisioning state while a PATCH runs."""
    delete_runs: bool = False
    """Whether a DELETE is an operation: 202 with a location; else it is done at once."""
    links: tuple[str, ...] = _BOTH_LINKS
    """Which headers announce the operation of a write; the location is sent with 202 only."""
    accepted_body: bool = False
    """Whether the 202 of a write shows the resource; else it has no body."""
    untagged: Literal["object", "absent", "null"] = "object"
    """What is shown where there are no tags."""
    state: bool = True
    """Whether there is a provisioning state."""
    etag: bool = False
    """Whether answers with a body have the header."""
    evidence: Evidence = Evidence.RECORDED


TYPES = (
    TypeTraits(
        "Microsoft.Compute/virtualMachines",
        none="absent",
        group_literal="resourceGroups",
        late_entries="new",
    ),
    TypeTraits(
        "Microsoft.Compute/virtualMachineScaleSets",
        none="absent",
        group_literal="resourceGroups",
        late_entries="all",
    ),
    TypeTraits(
        "Microsoft.Storage/storageAccounts",
        created=202,
        put_runs="create",
        links=_LOCATION,
        joint="SystemAssigned,UserAssigned",
    ),
    TypeTraits(
        "Microsoft.Synapse/workspaces",
        put_runs="always",
        creating="Provisioning",
        patched=201,
        patch_runs="always",
        patching="Provisioning",
        delete_runs=True,
        untagged="absent",
        joint="SystemAssigned,UserAssigned",
    ),
    TypeTraits(
        "Microsoft.ContainerRegistry/registries",
        replaced=201,
        put_runs="always",
        patched=201,
        patch_runs="identity",
        joint="systemAssigned, userAssigned",
        none="absent",
    ),
    TypeTraits(
        "Microsoft.ContainerInstance/containerGroups",
        put_runs="always",
        creating="Pending",
        tenant=True,
    ),
    TypeTraits(
        "Microsoft.ContainerService/managedClusters",
        put_runs="always",
        delete_runs=True,
        untagged="absent",
        none="absent",
        late_entries="new",
    ),
    TypeTraits(
        "Microsoft.AppConfiguration/configurationStores",
        put_runs="always",
        delete_runs=True,
        etag=True,
        none="absent",
    ),
    TypeTraits(
        "Microsoft.Batch/batchAccounts",
        created=202,
        put_runs="create",
        delete_runs=True,
        links=_LOCATION,
        untagged="absent",
        etag=True,
        none="always",
    ),
    TypeTraits(
        "Microsoft.RecoveryServices/vaults",
        replaced=201,
        put_runs="always",
        creating="Provisioning",
        patched=202,
        patch_runs="users",
        delete_runs=True,
        untagged="absent",
        tenant=True,
    ),
    TypeTraits(
        "Microsoft.Network/virtualNetworks",
        put_runs="always",
        creating="Updating",
        delete_runs=True,
        untagged="absent",
        etag=True,
    ),
    TypeTraits(
        "Microsoft.NetApp/netAppAccounts",
        put_runs="always",
        delete_runs=True,
        untagged="absent",
        etag=True,
    ),
    TypeTraits(
        "Microsoft.CognitiveServices/accounts",
        put_runs="always",
        patched=202,
        patch_runs="always",
        patching="Accepted",
        accepted_body=True,
        untagged="absent",
        etag=True,
    ),
    TypeTraits(
        "Microsoft.SignalRService/SignalR",
        put_runs="always",
        patched=202,
        patch_runs="always",
        untagged="null",
        none="absent",
    ),
    TypeTraits(
        "Microsoft.EventGrid/topics",
        replaced=201,
        put_runs="always",
        patched=201,
        patch_runs="always",
        delete_runs=True,
        untagged="null",
        none="always",
        nulls=True,
    ),
    TypeTraits(
        "Microsoft.EventGrid/systemTopics",
        created=200,
        patched=201,
        patch_runs="identity",
        delete_runs=True,
        untagged="null",
        nulls=True,
    ),
    TypeTraits(
        "Microsoft.DBforMySQL/flexibleServers",
        created=202,
        replaced=202,
        put_runs="always",
        patched=202,
        patch_runs="always",
        delete_runs=True,
        untagged="absent",
        state=False,
        none="absent",
        entry=(("principalId", "principal"), ("tenantId", "tenant")),
        zeros=True,
    ),
    TypeTraits(
        "Microsoft.DBforPostgreSQL/flexibleServers",
        created=202,
        replaced=202,
        put_runs="always",
        patched=202,
        patch_runs="always",
        delete_runs=True,
        untagged="absent",
        state=False,
        none="absent",
        entry=(("principalId", "principal"), ("clientId", "tenant")),
        tenant=True,
    ),
    TypeTraits(
        "Microsoft.Sql/servers",
        created=202,
        replaced=202,
        put_runs="always",
        delete_runs=True,
        untagged="absent",
        state=False,
        joint="SystemAssigned,UserAssigned",
        none="absent",
        group_literal="resourcegroups",
    ),
    TypeTraits(
        "Microsoft.Web/sites",
        created=200,
        untagged="absent",
        state=False,
        etag=True,
        none="absent",
        group_literal="resourcegroups",
    ),
)

_BY_TYPE = {traits.type.lower(): traits for traits in TYPES}


def traits_of(resource_type: str) -> TypeTraits:
    """Return a type's row; other types behave in the commonest way (assumed)."""
    known = _BY_TYPE.get(resource_type.lower())
    return known or TypeTraits(resource_type, untagged="absent", evidence=Evidence.ASSUMED)
