"""How resource types differ in their identity block and in the answers to writes (facts A2.3)."""

import dataclasses
from typing import Literal

from sandbox.azure.routing import Evidence


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """One resource type's manners."""

    type: str
    created: int = 201
    """Status of a PUT that creates; 202 has no body."""
    put_runs: Literal["never", "create", "always"] = "never"
    """Which PUT starts an operation and announces it: none, one that creates, or any."""
    patched: int = 200
    """Status of a PATCH that starts an operation (202 has no body); others give 200."""
    patch_runs: Literal["never", "always", "users"] = "never"
    """When a PATCH does: ``users`` is when the identity type names user-assigned ones."""
    joint: str = "SystemAssigned, UserAssigned"
    """How both identities together are spelled."""
    camel: bool = False
    """Identity types begin with a lower-case letter."""
    shows_none: Literal["never", "written", "always"] = "written"
    """Without identity, when ``{"type": "None"}`` stands for it: never, once a block was sent."""
    nulls_none: bool = False
    """``{"type": "None"}`` comes with its other members as null."""
    group_literal: str = "resourcegroups"
    """How the keys of the identity map spell their group segment."""
    creating: str = "Creating"
    """The provisioning state while a PUT that creates runs."""
    delete_runs: bool = False
    """A DELETE is an operation: 202 with a location."""
    shows_tags: bool = True
    """Without tags, whether an empty object is shown."""
    tenant: bool = False
    """The tenant is shown beside user-assigned identities, too."""
    etag: Literal["", "settled", "always"] = ""
    """When the header is sent: not by the PUT that creates, always, or never."""
    lowers_name: bool = False
    """Once created, the id ends in the name in lower case."""
    evidence: Evidence = Evidence.RECORDED


KINDS = (
    Kind(
        "Microsoft.Compute/virtualMachines",
        put_runs="always",
        patch_runs="always",
        shows_none="never",
        group_literal="resourceGroups",
    ),
    Kind(
        "Microsoft.Compute/virtualMachineScaleSets",
        put_runs="always",
        patch_runs="always",
        shows_none="never",
        group_literal="resourceGroups",
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
    ),
    Kind(
        "Microsoft.ContainerRegistry/registries",
        put_runs="always",
        patched=201,
        patch_runs="always",
        joint="systemAssigned, userAssigned",
        camel=True,
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
    Kind(
        "Microsoft.RecoveryServices/vaults",
        put_runs="always",
        creating="Provisioning",
        patched=202,
        patch_runs="users",
        delete_runs=True,
        shows_tags=False,
        tenant=True,
    ),
    Kind(
        "Microsoft.Network/virtualNetworks",
        put_runs="always",
        creating="Updating",
        delete_runs=True,
        shows_tags=False,
        etag="settled",
    ),
    Kind("Microsoft.NetApp/netAppAccounts", put_runs="always", etag="always"),
    Kind(
        "Microsoft.EventGrid/topics",
        put_runs="always",
        patched=201,
        patch_runs="always",
        shows_none="always",
        nulls_none=True,
        delete_runs=True,
    ),
    Kind(
        "Microsoft.DBforMySQL/flexibleServers",
        created=202,
        put_runs="create",
        patched=202,
        patch_runs="always",
        delete_runs=True,
    ),
    Kind(
        "Microsoft.DBforPostgreSQL/flexibleServers",
        created=202,
        put_runs="create",
        patched=202,
        patch_runs="always",
        delete_runs=True,
    ),
    Kind("Microsoft.EventGrid/systemTopics", evidence=Evidence.DOCUMENTED),
    Kind("Microsoft.KeyVault/vaults", created=200, evidence=Evidence.DOCUMENTED),
    Kind("Microsoft.Web/sites", created=200, evidence=Evidence.DOCUMENTED),
)

_KINDS = {kind.type.lower(): kind for kind in KINDS}


def kind(resource_type: str) -> Kind:
    """Return a type's row; other types behave in the commonest way (assumed)."""
    return _KINDS.get(resource_type.lower()) or Kind(resource_type, evidence=Evidence.ASSUMED)
