"""How resource types differ in their identity block and in the answers to writes (facts A2.3)."""

import dataclasses

from sandbox.azure.routing import Evidence


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """One resource type's manners."""

    type: str
    created: int = 201
    """Status of a PUT that creates."""
    patched: int = 200
    asynchronous: bool = False
    """Writes run as an operation and announce it."""
    joint: str = "SystemAssigned, UserAssigned"
    """How both identities together are spelled."""
    camel: bool = False
    """Identity types begin with a lower-case letter."""
    shows_none: bool = True
    """Without identity, whether ``{"type": "None"}`` remains or the block disappears."""
    group_literal: str = "resourcegroups"
    """How the keys of the identity map spell their group segment."""
    identity: bool = True
    evidence: Evidence = Evidence.RECORDED


_TABLE = (
    Kind(
        "Microsoft.Compute/virtualMachines",
        asynchronous=True,
        shows_none=False,
        group_literal="resourceGroups",
    ),
    Kind("Microsoft.Storage/storageAccounts", created=200, joint="SystemAssigned,UserAssigned"),
    Kind(
        "Microsoft.Synapse/workspaces",
        patched=201,
        asynchronous=True,
        joint="SystemAssigned,UserAssigned",
    ),
    Kind(
        "Microsoft.ContainerRegistry/registries",
        patched=201,
        asynchronous=True,
        joint="systemAssigned, userAssigned",
        camel=True,
    ),
    Kind("Microsoft.AppConfiguration/configurationStores", shows_none=False),
    Kind("Microsoft.Batch/batchAccounts"),
    Kind("Microsoft.RecoveryServices/vaults"),
    Kind("Microsoft.EventGrid/topics", patched=201, asynchronous=True),
    Kind("Microsoft.KeyVault/vaults", created=200, identity=False, evidence=Evidence.DOCUMENTED),
    Kind("Microsoft.Web/sites", created=200, evidence=Evidence.DOCUMENTED),
)

_KINDS = {kind.type.lower(): kind for kind in _TABLE}


def kind(resource_type: str) -> Kind:
    """Return a type's row; other types behave in the commonest way (assumed)."""
    return _KINDS.get(resource_type.lower()) or Kind(resource_type, evidence=Evidence.ASSUMED)
