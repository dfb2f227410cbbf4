"""Role definitions, the built-in ones first; ``access`` judges by what they allow.

Names, GUIDs and actions are Azure's (role list of 2025-01-14, recorded). The roles listed here are
shortened to what the sandbox can serve; those of the table beside it exist but allow nothing. A
seed and clients add custom ones.
"""

import csv
import dataclasses
import datetime as dt
from pathlib import Path

OWNER = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"

_LONG_AGO = dt.datetime(2015, 1, 1, tzinfo=dt.UTC)
_COMMON = (
    "Microsoft.Authorization/*/read",
    "Microsoft.Resources/subscriptions/resourceGroups/read",
)
_BLOB = "Microsoft.Storage/storageAccounts/blobServices/containers"
_QUEUE = "Microsoft.Storage/storageAccounts/queueServices/queues"
_IDENTITY = "Microsoft.ManagedIdentity/userAssignedIdentities"
_VAULT_READ = (
    *_COMMON,
    "Microsoft.KeyVault/checkNameAvailability/read",
    "Microsoft.KeyVault/deletedVaults/read",
    "Microsoft.KeyVault/locations/*/read",
    "Microsoft.KeyVault/vaults/*/read",
)


@dataclasses.dataclass(frozen=True, slots=True)
class Permissions:
    """One block of what a role allows: its actions but for those it takes away."""

    actions: tuple[str, ...] = ()
    not_actions: tuple[str, ...] = ()
    data_actions: tuple[str, ...] = ()
    not_data_actions: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Role:
    """A role definition; a block takes nothing away from another."""

    guid: str
    name: str
    permissions: tuple[Permissions, ...] = (Permissions(),)
    custom: bool = False
    description: str = dataclasses.field(default="", compare=False)
    assignable: tuple[str, ...] = dataclasses.field(default=("/",), compare=False)
    """The scopes at and below which it may be assigned."""
    created: dt.datetime = dataclasses.field(default=_LONG_AGO, compare=False)
    updated: dt.datetime = dataclasses.field(default=_LONG_AGO, compare=False)
    created_by: str | None = dataclasses.field(default=None, compare=False)
    updated_by: str | None = dataclasses.field(default=None, compare=False)


def _role(
    guid: str,
    name: str,
    actions: tuple[str, ...] = (),
    not_actions: tuple[str, ...] = (),
    data_actions: tuple[str, ...] = (),
) -> Role:
    """Return a built-in role with one block, as nearly all have."""
    return Role(guid, name, (Permissions(actions, not_actions, data_actions),))


def _others(known: tuple[Role, ...]) -> tuple[Role, ...]:
    """Return the built-in roles of which the sandbox knows only the name."""
    guids = {role.guid for role in known}
    with (Path(__file__).parent / "builtin_roles.csv").open(encoding="utf-8", newline="") as file:
        return tuple(
            Role(row["guid"], row["name"])
            for row in csv.DictReader(file)
            if row["guid"] not in guids
        )


_REVIEWED: tuple[Role, ...] = (
    _role(OWNER, "Owner", ("*",)),
    _role(
        "b24988ac-6180-42a0-ab88-20f7382dd24c",
        "Contributor",
        ("*",),
        (
            "Microsoft.Authorization/*/Delete",
            "Microsoft.Authorization/*/Write",
            "Microsoft.Authorization/elevateAccess/Action",
            "Microsoft.Blueprint/blueprintAssignments/write",
            "Microsoft.Blueprint/blueprintAssignments/delete",
            "Microsoft.Compute/galleries/share/action",
        ),
    ),
    _role("acdd72a7-3385-48ef-bd42-f606fba81ae7", "Reader", ("*/read",)),
    _role(
        "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9",
        "User Access Administrator",
        ("*/read", "Microsoft.Authorization/*"),
    ),
    _role(
        "f58310d9-a9f6-439a-9e8d-f62e7b41a168",
        "Role Based Access Control Administrator",
        (
            "Microsoft.Authorization/roleAssignments/write",
            "Microsoft.Authorization/roleAssignments/delete",
            "*/read",
        ),
    ),
    _role(
        "f1a07417-d97a-45cb-824c-7a7467783830",
        "Managed Identity Operator",
        (f"{_IDENTITY}/*/read", f"{_IDENTITY}/*/assign/action", *_COMMON),
    ),
    _role(
        "e40ec5ca-96e0-45a2-b4ff-59039f2c2b59",
        "Managed Identity Contributor",
        (
            f"{_IDENTITY}/read",
            f"{_IDENTITY}/write",
            f"{_IDENTITY}/delete",
            f"{_IDENTITY}/federatedIdentityCredentials/read",
            f"{_IDENTITY}/federatedIdentityCredentials/write",
            f"{_IDENTITY}/federatedIdentityCredentials/delete",
            *_COMMON,
        ),
    ),
    _role(
        "9980e02c-c2be-4d73-94e8-173b1dc7cf3c",
        "Virtual Machine Contributor",
        (
            "Microsoft.Compute/locations/*",
            "Microsoft.Compute/virtualMachines/*",
            "Microsoft.Compute/virtualMachineScaleSets/*",
            "Microsoft.Network/networkInterfaces/*",
            "Microsoft.Storage/storageAccounts/listKeys/action",
            "Microsoft.Storage/storageAccounts/read",
            *_COMMON,
        ),
    ),
    _role(
        "17d1049b-9a84-46fb-8f53-869881c3d3ab",
        "Storage Account Contributor",
        ("Microsoft.Storage/storageAccounts/*", *_COMMON),
    ),
    _role(
        "d5a91429-5739-47e2-a06b-3470a27159e7",
        "EventGrid Data Sender",
        ("Microsoft.EventGrid/topics/read", *_COMMON),
        data_actions=("Microsoft.EventGrid/events/send/action",),
    ),
    _role(
        "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1",
        "Storage Blob Data Reader",
        (f"{_BLOB}/read",),
        data_actions=(f"{_BLOB}/blobs/read",),
    ),
    _role(
        "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
        "Storage Blob Data Contributor",
        (f"{_BLOB}/delete", f"{_BLOB}/read", f"{_BLOB}/write"),
        data_actions=(
            f"{_BLOB}/blobs/delete",
            f"{_BLOB}/blobs/read",
            f"{_BLOB}/blobs/write",
            f"{_BLOB}/blobs/move/action",
            f"{_BLOB}/blobs/add/action",
        ),
    ),
    _role(
        "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
        "Storage Blob Data Owner",
        (f"{_BLOB}/*",),
        data_actions=(f"{_BLOB}/blobs/*",),
    ),
    _role(
        "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
        "Storage Queue Data Contributor",
        (f"{_QUEUE}/delete", f"{_QUEUE}/read", f"{_QUEUE}/write"),
        data_actions=(
            f"{_QUEUE}/messages/delete",
            f"{_QUEUE}/messages/read",
            f"{_QUEUE}/messages/write",
            f"{_QUEUE}/messages/process/action",
        ),
    ),
    _role(
        "19e7f393-937e-4f77-808e-94535e297925",
        "Storage Queue Data Reader",
        (f"{_QUEUE}/read",),
        data_actions=(f"{_QUEUE}/messages/read",),
    ),
    _role(
        "00482a5a-887f-4fb3-b363-3b7fe8e74483",
        "Key Vault Administrator",
        _VAULT_READ,
        data_actions=("Microsoft.KeyVault/vaults/*",),
    ),
    _role(
        "21090545-7ca7-4776-b22c-e363652d74d2",
        "Key Vault Reader",
        _VAULT_READ,
        data_actions=(
            "Microsoft.KeyVault/vaults/*/read",
            "Microsoft.KeyVault/vaults/secrets/readMetadata/action",
        ),
    ),
    _role(
        "b86a8fe4-44ce-4948-aee5-eccb2c155cd7",
        "Key Vault Secrets Officer",
        _VAULT_READ,
        data_actions=("Microsoft.KeyVault/vaults/secrets/*",),
    ),
    _role(
        "4633458b-17de-408a-b874-0445c86b69e6",
        "Key Vault Secrets User",
        data_actions=(
            "Microsoft.KeyVault/vaults/secrets/getSecret/action",
            "Microsoft.KeyVault/vaults/secrets/readMetadata/action",
        ),
    ),
    _role(
        "3913510d-42f4-4e42-8a64-420c390055eb",
        "Monitoring Metrics Publisher",
        (
            "Microsoft.Insights/Register/Action",
            "Microsoft.Resources/subscriptions/resourceGroups/read",
        ),
        data_actions=("Microsoft.Insights/Metrics/Write", "Microsoft.Insights/Telemetry/Write"),
    ),
    _role(
        "7f951dda-4ed3-4680-a7ca-43fe172d538d",
        "AcrPull",
        ("Microsoft.ContainerRegistry/registries/pull/read",),
    ),
)

BUILT_IN = _REVIEWED + _others(_REVIEWED)
