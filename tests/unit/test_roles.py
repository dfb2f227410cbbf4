"""The role table, and what makes a role privileged."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from reconciler import roles
from tools import roles as generator


@pytest.mark.parametrize(
    "name",
    [
        "Owner",
        "Contributor",
        "User Access Administrator",
        "Role Based Access Control Administrator",
        "Managed Identity Operator",
        "Managed Identity Contributor",
        "Virtual Machine Contributor",
        "Website Contributor",
        "Automation Contributor",
        "Logic App Contributor",
        "Azure Container Instances Contributor Role",
        "Storage Account Key Operator Service Role",
        "Key Vault Contributor",
        "Key Vault Administrator",
        "Storage Blob Data Owner",
        "Virtual Machine Administrator Login",
        "Azure Kubernetes Service RBAC Cluster Admin",
    ],
)
def test_a_role_that_reaches_beyond_its_scope_is_privileged(name: str) -> None:
    """Writing access, becoming an identity, running code and reading keys are privileges."""
    role = roles.table().lookup(name)

    assert role is not None
    assert role.privileged


@pytest.mark.parametrize(
    "name",
    [
        "Reader",
        "Storage Blob Data Reader",
        "Storage Blob Data Contributor",
        "Storage Queue Data Contributor",
        "Key Vault Secrets User",
        "Key Vault Reader",
        "Monitoring Metrics Publisher",
        "AcrPull",
        "Network Contributor",
    ],
)
def test_a_role_that_only_uses_its_scope_is_not_privileged(name: str) -> None:
    """Reading, and writing the data of a scope, are not privileges."""
    role = roles.table().lookup(name)

    assert role is not None
    assert not role.privileged


@pytest.mark.parametrize(
    "text", ["Reader", "reader", " READER ", "ACDD72A7-3385-48EF-BD42-F606FBA81AE7"]
)
def test_a_role_is_found_by_name_or_guid_in_any_case(text: str) -> None:
    """Azure compares role names and GUIDs without case."""
    role = roles.table().lookup(text)

    assert role == roles.Role("Reader", "acdd72a7-3385-48ef-bd42-f606fba81ae7", privileged=False)


def test_an_unknown_name_is_not_found_but_a_near_miss_is_suggested() -> None:
    """A spelling mistake gets the name that was meant, and nonsense gets nothing."""
    table = roles.table()

    assert table.lookup("Storage Blob Data Redaer") is None
    assert table.suggest("Storage Blob Data Redaer") == "Storage Blob Data Reader"
    assert table.suggest("Blob Reader") == "Storage Blob Data Reader"
    assert table.suggest("zzzz") is None


def test_the_table_is_read_once() -> None:
    """Every look-up shares the one table."""
    assert roles.table() is roles.table()


@pytest.mark.parametrize(
    ("actions", "not_actions", "privileged"),
    [
        pytest.param(["*"], [], True, id="everything"),
        pytest.param(["*/read"], [], False, id="reading everything"),
        pytest.param(["MICROSOFT.AUTHORIZATION/roleassignments/WRITE"], [], True, id="any case"),
        pytest.param(["Microsoft.Authorization/*"], [], True, id="a family around the danger"),
        pytest.param(["*/write"], [], True, id="a family across providers"),
        pytest.param(["Microsoft.Authorization/*/read"], [], False, id="a family beside it"),
        pytest.param(
            ["Microsoft.Authorization/*"],
            ["Microsoft.Authorization/*/Write", "Microsoft.Authorization/*/Delete"],
            True,
            id="elevateAccess left",
        ),
        pytest.param(
            ["Microsoft.Authorization/*"],
            [
                "Microsoft.Authorization/*/Write",
                "Microsoft.Authorization/*/Delete",
                "Microsoft.Authorization/elevateAccess/Action",
            ],
            False,
            id="every danger excluded",
        ),
        pytest.param(
            ["Microsoft.Authorization/*"],
            ["Microsoft.Authorization/roleAssignments/write"],
            True,
            id="only a part of the danger excluded",
        ),
        pytest.param(["Contoso.New/things/listKeys/action"], [], True, id="keys of any type"),
        pytest.param(["Microsoft.Support/*"], [], False, id="a provider without dangers"),
        pytest.param(["Microsoft.Storage/*"], [], True, id="a provider with keys"),
        pytest.param([], [], False, id="nothing"),
    ],
)
def test_privilege_is_judged_by_effective_actions(
    actions: list[str],
    not_actions: list[str],
    privileged: bool,  # noqa: FBT001 (a table of cases)
) -> None:
    """Actions minus exclusions decide, with wildcards intersected and in doubt for privilege."""
    assert roles.is_privileged(actions, not_actions) == privileged


def test_data_actions_are_judged_on_their_own() -> None:
    """An exclusion among control actions says nothing of data actions, and the reverse."""
    everything_in_vaults = ["Microsoft.KeyVault/vaults/*"]

    assert roles.is_privileged([], ["*"], everything_in_vaults)
    assert not roles.is_privileged([], [], everything_in_vaults, ["*"])
    assert not roles.is_privileged([], [], ["Microsoft.KeyVault/vaults/secrets/getSecret/action"])


def test_a_hostile_pattern_of_a_custom_role_is_judged_without_backtracking() -> None:
    """Whoever writes role definitions cannot stall a plan."""
    assert roles.is_privileged(["*" + "a*" * 200], ["*a" * 100 + "b"])


def test_the_table_is_what_the_recorded_definitions_say(shared: Path) -> None:
    """Running the generator again changes nothing."""
    recorded = shared / "roles" / "builtin_roles_full_arm_response.json"
    built = generator.rows(json.loads(recorded.read_text("utf-8"))["value"])

    with generator.TABLE.open(encoding="utf-8", newline="") as file:
        shipped = [tuple(row) for row in csv.reader(file)][1:]

    assert shipped == built


def test_whoever_may_write_access_is_privileged_here_too(shared: Path) -> None:
    """The flag derived beside the recording covers writing access only; ours covers that and more.

    Ours adds identities, code on others' compute, keys and data-plane administrators.
    """
    recorded: list[dict[str, Any]] = json.loads(
        (shared / "roles" / "builtin_roles.json").read_text("utf-8")
    )["roles"]
    flags = (
        "isControlPlanePrivileged",
        "canWriteRoleAssignments",
        "canAssignUserAssignedIdentities",
    )

    missed = [
        role["name"]
        for role in recorded
        if any(role[flag] for flag in flags) and not _shipped(role["id"]).privileged
    ]

    assert missed == []


def _shipped(guid: str) -> roles.Role:
    role = roles.table().lookup(guid)
    assert role is not None
    return role
