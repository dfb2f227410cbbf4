"""How resource types differ in their identity block and in the answers to writes (facts A2.3)."""

import dataclasses
from typing import Literal

from sandbox.azure.routing import Evidence


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """One resource type's manners."""

    type: str
    spelled: str = ""
    """The type as its provider spells it, where ARM's lists spell it otherwise."""
    created: int = 201
    """Status of a PUT that creates; 202 is a receipt, mostly without a body."""
    replaced: int = 200
    """Status of any other PUT."""
    put_runs: Literal["never", "create", "always"] = "never"
    """Which PUT starts an operation: none, one that creates, or any."""
    patched: int = 200
    """Status of a PATCH that starts an operation (202 as above); others give 200."""
    patch_runs: Literal["never", "always", "identity", "users"] = "never"
    """When a PATCH does: if it has an identity, or (``users``) names user-assigned ones."""
    patching: str = "Updating"
    """The provisioning state while a PATCH runs."""
    announced: bool = True
    """Whether answers name the operation; else only the provisioning state tells of it."""
    creating: str = "Creating"
    """The provisioning state while a PUT that creates runs."""
    activating: str = ""
    """The provisioning state while one runs that adds identities; empty: as for any other."""
    deleted: Literal["nothing", "resource"] = "nothing"
    """The body of a DELETE that is done at once."""
    delete_runs: bool = False
    """A DELETE is an operation: 202 with a location."""
    joint: str = "SystemAssigned, UserAssigned"
    """How both identities together are spelled."""
    camel: bool = False
    """Identity types begin with a lower-case letter."""
    shows_none: Literal["never", "written", "always"] = "written"
    """Without identity, when ``{"type": "None"}`` stands for it: never, once a block was sent."""
    nulls_none: bool = False
    """``{"type": "None"}`` comes with its other members as null."""
    group_literal: str = ""
    """How the keys of the identity map spell their group segment; empty: as they were sent."""
    entry: tuple[tuple[str, str], ...] = (("principalId", "principal"), ("clientId", "client"))
    """What an entry of the identity map shows: its members, and whose id each has."""
    late_entries: bool = False
    """An entry is empty until the operation that attaches it has ended."""
    tenant: bool = False
    """The tenant is shown beside user-assigned identities, too."""
    zeros: bool = False
    """Beside user-assigned identities, principal and tenant are shown as zeros."""
    own_group: str = "resourceGroups"
    """How the resource's own id spells its group segment."""
    lowers_name: bool = False
    """Once created, the id ends in the name in lower case."""
    region: Literal["sent", "shown", "read"] = "sent"
    """How the location is spelled: as it was sent, as for people, or so in reads only."""
    tags: Literal["always", "sent", "some", "null"] = "always"
    """Without tags, what is shown: an empty object, the same if one was sent, nothing, null."""
    state: bool = True
    """Whether there is a provisioning state."""
    etag: Literal["", "settled", "shown", "always"] = ""
    """When the header is sent: not by a PUT, with any body, also without one."""
    list_nulls: tuple[str, ...] = ()
    """Members of a list's body that are null."""
    evidence: Evidence = Evidence.RECORDED


KINDS = (
    Kind(
        "Microsoft.Compute/virtualMachines",
        put_runs="always",
        patch_runs="always",
        shows_none="never",
        group_literal="resourceGroups",
        late_entries=True,
    ),
    Kind(
        "Microsoft.Compute/virtualMachineScaleSets",
        put_runs="always",
        patch_runs="always",
        shows_none="never",
        group_literal="resourceGroups",
        late_entries=True,
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
        joint="SystemAssigned,UserAssigned",
        creating="Provisioning",
        delete_runs=True,
        late_entries=True,
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
        late_entries=True,
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
        tags="sent",
        etag="settled",
    ),
    Kind("Microsoft.NetApp/netAppAccounts", put_runs="always", etag="always"),
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
            late_entries=True,
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
