"""The role table, and what makes a role privileged."""

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
        "Azure Kubernetes Service RBAC Writer",
        "Azure Kubernetes Fleet Manager RBAC Writer",
        "Key Vault Secrets Officer",
        "Key Vault Certificates Officer",
        "SQL Server Contributor",
        "Disk Backup Reader",
        "Network Contributor",  # It lists the keys of gateways and shares links to bastions.
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
        "AcrPush",
        "Azure Event Hubs Data Sender",
        "Azure Service Bus Data Receiver",
        "Backup Reader",
        "Cognitive Services OpenAI User",
        "Desktop Virtualization User",
        "Key Vault Certificate User",
        "Key Vault Crypto User",
        "Log Analytics Data Reader",
        "Monitoring Reader",
        "Search Index Data Contributor",
        "SQL DB Contributor",
        "Storage Blob Delegator",
        "Storage Table Data Contributor",
        "Tag Contributor",
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


EFFECTS = {
    "writing access": """
        Microsoft.DocumentDB/databaseAccounts/cassandraRoleAssignments/write
        Microsoft.Kusto/clusters/databases/principalAssignments/write
        Microsoft.Cache/redis/accessPolicyAssignments/write Contoso.New/things/roleAssignments/write
        Microsoft.ServiceBus/namespaces/queues/authorizationRules/write
        Microsoft.Databricks/workspaces/assignWorkspaceAdmin/action""",
    "running code": """
        Microsoft.Web/sites/config/write Microsoft.Web/sites/slots/sourcecontrols/write
        Microsoft.Web/sites/slots/siteContainers/write Microsoft.Web/sites/slots/publishxml/action
        Microsoft.Web/sites/slots/config/web/connectionStrings/write
        Microsoft.Web/sites/backups/restore/action Microsoft.Web/sites/extensions/api/action
        Microsoft.Web/sites/restoreFromBackupBlob/action Microsoft.Web/staticSites/zipdeploy/action
        Microsoft.Compute/virtualMachineScaleSets/virtualMachines/extensions/write
        Microsoft.Compute/galleries/applications/versions/write
        Microsoft.Compute/virtualMachines/diagnosticRunCommands/write
        Microsoft.Automation/automationAccounts/python2Packages/write
        Microsoft.Automation/automationAccounts/sourceControls/write
        Microsoft.DataFactory/factories/integrationRuntimes/write
        Microsoft.DevTestLab/labs/artifactSources/write Microsoft.Batch/batchAccounts/pools/write
        Microsoft.Logic/integrationAccounts/assemblies/write Microsoft.App/jobs/start/action
        Microsoft.MachineLearningServices/workspaces/onlineEndpoints/deployments/write
        Microsoft.Synapse/workspaces/bigDataPools/write
        Microsoft.Search/searchServices/skillsets/write
        Microsoft.ServiceFabric/managedClusters/applicationTypes/versions/write
        Microsoft.AppPlatform/Spring/apps/deployments/write
        Microsoft.ScVmm/virtualMachines/extensions/write Contoso.New/boxes/runScript/action
        Microsoft.ApiManagement/service/apis/policies/write""",
    "reading keys": """
        Microsoft.Web/sites/slots/config/list/action Microsoft.Web/sites/host/systemKeys/write
        Microsoft.Storage/storageAccounts/localUsers/regeneratePassword/action
        Microsoft.ServiceLinker/linkers/listConfigurations/action
        Microsoft.HDInsight/clusters/getGatewaySettings/action
        Microsoft.EventGrid/systemTopics/eventSubscriptions/getFullUrl/action
        Microsoft.DesktopVirtualization/hostPools/retrieveRegistrationToken/action
        Contoso.New/things/listAdminPasswords/action Contoso.New/things/generateAuthToken/action""",
    "disks and consoles": """
        Microsoft.Compute/disks/beginGetAccess/action
        Microsoft.Compute/restorePointCollections/restorePoints/diskRestorePoints/beginGetAccess/action
        Microsoft.SerialConsole/serialPorts/connect/action
        Microsoft.Compute/virtualMachines/attachDetachDataDisks/action
        Microsoft.Network/bastionHosts/createShareableLinks/action
        Microsoft.NetworkCloud/virtualMachines/consoles/write""",
    "administrators": """
        Microsoft.Sql/servers/write Microsoft.Sql/managedInstances/write
        Microsoft.DBforMySQL/flexibleServers/write Microsoft.DBforMariaDB/servers/write
        Microsoft.DBforPostgreSQL/serversv2/write
        Microsoft.Synapse/workspaces/sqlAdministrators/write
        Microsoft.SqlVirtualMachine/sqlVirtualMachines/write
        Microsoft.ContainerService/managedClusters/resetAADProfile/action
        Contoso.New/servers/resetPassword/action""",
    "what others trust": """
        Microsoft.KeyVault/vaults/secrets/write Microsoft.KeyVault/vaults/accessPolicies/write
        Microsoft.DataFactory/factories/linkedServices/write Microsoft.Web/connections/write
        Microsoft.ApiManagement/service/namedValues/write
        Microsoft.MachineLearningServices/workspaces/connections/write
        Microsoft.Automation/automationAccounts/credentials/write
        Microsoft.Devices/iotHubs/certificates/write""",
}

CLUSTERS = (
    "Microsoft.ContainerService/managedClusters",
    "Microsoft.ContainerService/fleets",
    "Microsoft.ContainerService/fleets/members",
    "Microsoft.Kubernetes/connectedClusters",
)


@pytest.mark.parametrize("effect", EFFECTS)
def test_an_operation_is_judged_by_its_effect(effect: str) -> None:
    """Each lets its holder reach further, whatever it is called and whoever names it how."""
    operations = EFFECTS[effect].split()

    assert [one for one in operations if not roles.is_privileged([one.upper()])] == []
    assert not any(roles.is_privileged([one], [one.lower()]) for one in operations)


@pytest.mark.parametrize("cluster", CLUSTERS)
@pytest.mark.parametrize(
    "kind",
    [
        *("apps/deployments/write", "apps/daemonsets/write", "batch/cronjobs/write", "pods/write"),
        *("pods/exec/action", "pods/ephemeralcontainers/write", "replicationcontrollers/write"),
        "rbac.authorization.k8s.io/clusterrolebindings/write",
        "rbac.authorization.k8s.io/clusterroles/escalate/action",
        "admissionregistration.k8s.io/mutatingwebhookconfigurations/write",
        *("serviceaccounts/impersonate/action", "users/impersonate/action", "secrets/read"),
        "authentication.k8s.io/userextras/impersonate/action",
    ],
)
def test_a_cluster_is_judged_alike_wherever_it_runs(cluster: str, kind: str) -> None:
    """Objects that run code or bind roles reach as far in a fleet or at the edge."""
    assert roles.is_privileged([], [], [f"{cluster}/{kind}"])
    assert roles.is_privileged([], [], [f"{cluster}/*"])
    assert not roles.is_privileged([], [], [f"{cluster}/configmaps/write", f"{cluster}/pods/read"])


@pytest.mark.parametrize(
    "operation",
    [
        *("keys/import/action", "keys/restore/action", "keys/rotate/action"),
        *("certificates/import/action", "secrets/restore/action", "secrets/setSecret/action"),
    ],
)
def test_what_a_vault_is_trusted_for_is_not_overwritten(operation: str) -> None:
    """To replace a secret is to become whoever is known by it; to use one is not."""
    assert roles.is_privileged([], [], [f"Microsoft.KeyVault/vaults/{operation}"])
    assert not roles.is_privileged([], [], ["Microsoft.KeyVault/vaults/keys/sign/action"])


@pytest.mark.parametrize(
    "operation",
    [
        "Microsoft.Storage/storageAccounts/blobServices/generateUserDelegationKey/action",
        "Microsoft.CognitiveServices/accounts/OpenAI/assistants/*",
        "Microsoft.CognitiveServices/accounts/privateEndpointConnections/write",
        "Microsoft.Sql/servers/databases/write",
        "Microsoft.Compute/virtualMachines/start/action",
        "Microsoft.Web/sites/restart/action",
        "Microsoft.Web/sites/*/read",
        "Microsoft.Network/virtualNetworks/subnets/join/action",
        "Microsoft.RecoveryServices/vaults/backupJobs/*",
        "Microsoft.Insights/alertRules/*",
        "Microsoft.Resources/deployments/*",
    ],
)
def test_an_operation_that_stays_in_its_scope_is_harmless(operation: str) -> None:
    """A family is not judged by what only might be in it."""
    assert not roles.is_privileged([operation], [], [operation])


@pytest.mark.parametrize("family", ["Microsoft.Sql/*/write", "Microsoft.Sql/servers/*/write"])
def test_a_star_between_slashes_may_stand_for_nothing(family: str) -> None:
    """Azure lets `a/*/b` cover `a/b`: Managed Identity Operator could assign nothing otherwise."""
    assert roles.is_privileged([family])


def test_a_role_keeps_its_former_names() -> None:
    """Policy that was written before Azure renamed a role goes on, and its GUID has one name."""
    table = roles.table()
    former = table.lookup("Trusted Signing Certificate Profile Signer")

    assert former is not None
    assert former.name == "Artifact Signing Certificate Profile Signer"
    assert table.lookup(former.guid) is former
    assert {former.name, "Trusted Signing Certificate Profile Signer"} <= set(table.names())


def test_the_table_says_as_of_when() -> None:
    """Whoever misses a role sees how old the list is."""
    assert roles.table().as_of == generator.shipped()[0] == "2026-08-22"


def test_a_newer_list_renames_and_an_older_one_only_adds() -> None:
    """No role that rights may hang on is ever lost from the table."""
    kept = generator.Row("Kept", "2", privileged=False)
    added = generator.Row("Added", "3", privileged=True)
    known = [generator.Row("New", "1", privileged=True, formerly=("Old",)), kept]
    listed = [generator.Row("Newest", "1", privileged=False), added]

    assert generator.merged(known, listed, newer=True) == [
        added,
        kept,
        generator.Row("Newest", "1", privileged=False, formerly=("Old", "New")),
    ]
    assert generator.merged(known, listed, newer=False) == [
        added,
        kept,
        generator.Row("New", "1", privileged=True, formerly=("Old", "Newest")),
    ]


def test_lists_are_taken_as_arm_and_as_az_print_them() -> None:
    """Both name the same things in other places."""
    permissions = [{"actions": ["*"], "notActions": []}]
    of_arm = {"type": "BuiltInRole", "roleName": "R", "permissions": permissions}
    of_az = {"name": "1", "roleType": "BuiltInRole", "roleName": "R", "permissions": permissions}

    everything = [generator.Row("R", "1", privileged=True)]
    assert generator.rows([{"name": "1", "properties": of_arm}]) == everything
    assert generator.rows([of_az, {**of_az, "roleType": "CustomRole"}]) == everything


CHANGED = {"Cosmos DB Operator", "Disk Restore Operator", "Health Bot Admin"}
"""Roles that allowed something else when they were recorded than they do in the table's list."""


def test_the_table_is_what_the_recorded_definitions_say(shared: Path) -> None:
    """Every recorded role is there by its name of then, and is as privileged as the rule says."""
    recorded = shared / "roles" / "builtin_roles_full_arm_response.json"
    built = generator.rows(json.loads(recorded.read_text("utf-8"))["value"])
    table = roles.table()

    found = [(row, table.lookup(row.name), table.lookup(row.guid)) for row in built]
    assert [row for row, named, by_guid in found if named is None or named is not by_guid] == []
    judged = [row.name for row, named, _ in found if named and named.privileged != row.privileged]
    assert set(judged) == CHANGED


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
