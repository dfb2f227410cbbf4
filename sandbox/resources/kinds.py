"""How resource types differ in their identity block and in the answers to writes.

See facts: Identity by type.
"""

from typing import Literal

from sandbox.arm.routing import Evidence
from sandbox.resources.traits import Kind

_COMPUTE: tuple[tuple[str, Literal["new", "all"]], ...] = (
    ("virtualMachines", "new"),
    ("virtualMachineScaleSets", "all"),
)
KINDS = (
    *(
        Kind(
            f"Microsoft.Compute/{each}",
            put_runs="always",
            patch_runs="always",
            shows_none="never",
            group_literal="resourceGroups",
            late_entries=late,
        )
        for each, late in _COMPUTE
    ),
    Kind(
        "Microsoft.Storage/storageAccounts",
        created=202,
        put_runs="create",
        joint="SystemAssigned,UserAssigned",
    ),
    Kind(
        "Microsoft.Synapse/workspaces",
        put_runs="always",
        patched=201,
        patch_runs="always",
        patching="Provisioning",
        joint="SystemAssigned,UserAssigned",
        creating="Provisioning",
        delete_runs=True,
        tags="some",
    ),
    Kind(
        "Microsoft.ContainerRegistry/registries",
        replaced=201,
        put_runs="always",
        patched=201,
        patch_runs="identity",
        joint="systemAssigned, userAssigned",
        camel=True,
        shows_none="never",
    ),
    Kind(
        "Microsoft.ContainerInstance/containerGroups",
        put_runs="always",
        creating="Pending",
        deleted="resource",
        tenant=True,
    ),
    Kind(
        "Microsoft.ContainerService/managedClusters",
        spelled="Microsoft.ContainerService/ManagedClusters",
        put_runs="always",
        delete_runs=True,
        shows_none="never",
        late_entries="new",
        own_group="resourcegroups",
        tags="some",
    ),
    Kind(
        "Microsoft.AppConfiguration/configurationStores",
        put_runs="always",
        shows_none="never",
        delete_runs=True,
        etag="settled",
        lowers_name=True,
    ),
    Kind(
        "Microsoft.Batch/batchAccounts",
        created=202,
        put_runs="create",
        shows_none="always",
        delete_runs=True,
        tags="some",
        etag="settled",
    ),
    Kind("Microsoft.BotService/botServices", etag="shown"),
    Kind(
        "Microsoft.Cache/Redis",
        put_runs="always",
        patched=202,
        patch_runs="identity",
        patching="Succeeded",
        delete_runs=True,
        shows_none="never",
        region="shown",
    ),
    Kind(
        "Microsoft.DocumentDB/databaseAccounts",
        created=200,
        put_runs="always",
        patch_runs="always",
        delete_runs=True,
        shows_none="always",
        region="shown",
    ),
    Kind(
        "Microsoft.RecoveryServices/vaults",
        put_runs="always",
        replaced=201,
        creating="Provisioning",
        patched=202,
        patch_runs="users",
        delete_runs=True,
        tags="sent",
        tenant=True,
    ),
    Kind(
        "Microsoft.Network/virtualNetworks",
        put_runs="always",
        creating="Updating",
        delete_runs=True,
        region="plain",
        tags="sent",
        etag="settled",
    ),
    Kind(
        "Microsoft.NetApp/netAppAccounts",
        put_runs="always",
        delete_runs=True,
        tags="some",
        etag="shown",
    ),
    Kind(
        "Microsoft.CognitiveServices/accounts",
        put_runs="always",
        patched=202,
        patch_runs="always",
        patching="Accepted",
        tags="some",
        etag="shown",
    ),
    Kind(
        "Microsoft.SignalRService/SignalR",
        put_runs="always",
        patched=202,
        patch_runs="always",
        shows_none="never",
        tags="null",
    ),
    *(
        Kind(
            f"Microsoft.EventGrid/{each}",
            replaced=201,
            put_runs="always",
            patched=201,
            patch_runs="always",
            shows_none="always",
            nulls_none=True,
            delete_runs=True,
            tags="null",
        )
        for each in ("domains", "topics")
    ),
    Kind(
        "Microsoft.EventGrid/systemTopics",
        created=200,
        patched=201,
        patch_runs="identity",
        nulls_none=True,
        delete_runs=True,
        tags="null",
    ),
    *(
        Kind(
            f"Microsoft.{each}/namespaces",
            spelled=f"Microsoft.{each}/Namespaces",
            created=200,
            put_runs="always",
            announced=False,
            creating="Created",
            activating="ActivatingIdentity",
            delete_runs=True,
            shows_none="never",
            late_entries="new",
            region="shown",
        )
        for each in ("EventHub", "ServiceBus")
    ),
    Kind(
        "Microsoft.DBforMySQL/flexibleServers",
        created=202,
        replaced=202,
        put_runs="always",
        patched=202,
        patch_runs="always",
        delete_runs=True,
        shows_none="never",
        entry=(("principalId", "principal"), ("tenantId", "tenant")),
        zeros=True,
        region="shown",
        tags="some",
        state=False,
    ),
    Kind(
        "Microsoft.DBforPostgreSQL/flexibleServers",
        created=202,
        replaced=202,
        put_runs="always",
        patched=202,
        patch_runs="always",
        delete_runs=True,
        shows_none="never",
        entry=(("principalId", "principal"), ("clientId", "tenant")),
        tenant=True,
        region="shown",
        tags="some",
        state=False,
    ),
    Kind(
        "Microsoft.Sql/servers",
        created=202,
        replaced=202,
        put_runs="always",
        delete_runs=True,
        joint="SystemAssigned,UserAssigned",
        shows_none="never",
        group_literal="resourcegroups",
        tags="sent",
        state=False,
    ),
    Kind(
        "Microsoft.KeyVault/vaults",
        created=200,
        put_runs="create",
        announced=False,
        creating="RegisteringDns",
    ),
    Kind(
        "Microsoft.Web/sites",
        created=200,
        shows_none="never",
        group_literal="resourcegroups",
        region="read",
        tags="some",
        state=False,
        etag="always",
        list_nulls=("nextLink", "id"),
    ),
)

_KINDS = {kind.type.lower(): kind for kind in KINDS}


def kind(resource_type: str) -> Kind:
    """Return a type's row; other types behave in the commonest way (assumed)."""
    found = _KINDS.get(resource_type.lower())
    return found or Kind(resource_type, tags="sent", evidence=Evidence.ASSUMED)
