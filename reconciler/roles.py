"""The built-in roles, and the rule by which a role is privileged.

Policy loading looks names up here without an account; plans apply `is_privileged` to custom roles;
`tools/roles.py` builds `roles.csv` with the same rule.
"""

import csv
import difflib
import functools
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

# What lets its holder reach further than the scope it was granted for; reads never do. Each is one
# operation, or a family of them, as built-in roles (recorded) or providers (documented) name it.
_DANGEROUS_ACTIONS = (
    # Writing access: assignments, definitions, policies and locks, or a provider's own grants.
    "Microsoft.Authorization/*/write",
    "Microsoft.Authorization/*/delete",
    "Microsoft.Authorization/elevateAccess/action",
    "Microsoft.Blueprint/blueprintAssignments/write",
    "Microsoft.ContainerService/managedClusters/trustedAccessRoleBindings/write",
    "Microsoft.DBforPostgreSQL/flexibleServers/administrators/write",
    "Microsoft.DBforMySQL/flexibleServers/administrators/write",
    "Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments/write",
    "Microsoft.KeyVault/vaults/write",
    "Microsoft.KeyVault/vaults/accessPolicies/write",
    "Microsoft.KeyVault/managedHSMs/write",
    "Microsoft.ManagedServices/registrationAssignments/write",
    "Microsoft.Management/managementGroups/subscriptions/write",  # Moves what it inherits.
    "Microsoft.Sql/managedInstances/administrators/write",
    "Microsoft.Sql/servers/administrators/write",
    # Becoming another identity: assigning it to a resource, or trusting a foreign token for it.
    "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action",
    "Microsoft.ManagedIdentity/userAssignedIdentities/*/assign/action",
    "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/write",
    # Running code on others' compute, where it finds their identities.
    "Microsoft.App/containerApps/write",
    "Microsoft.App/containerApps/*/action",
    "Microsoft.App/jobs/write",
    "Microsoft.App/jobs/*/action",
    "Microsoft.Automation/automationAccounts/jobs/write",
    "Microsoft.Automation/automationAccounts/jobSchedules/write",
    "Microsoft.Automation/automationAccounts/runbooks/write",
    "Microsoft.Automation/automationAccounts/runbooks/*/write",
    "Microsoft.Automation/automationAccounts/webhooks/write",
    "Microsoft.Batch/batchAccounts/pools/write",
    "Microsoft.ClassicCompute/virtualMachines/extensions/write",
    "Microsoft.Compute/virtualMachines/write",
    "Microsoft.Compute/virtualMachines/extensions/write",
    "Microsoft.Compute/virtualMachines/runCommand/action",
    "Microsoft.Compute/virtualMachines/runCommands/write",
    "Microsoft.Compute/virtualMachineScaleSets/write",
    "Microsoft.Compute/virtualMachineScaleSets/extensions/write",
    "Microsoft.Compute/virtualMachineScaleSets/virtualMachines/runCommand/action",
    "Microsoft.Compute/virtualMachineScaleSets/virtualMachines/runCommands/write",
    "Microsoft.ContainerInstance/containerGroups/write",
    "Microsoft.ContainerInstance/containerGroups/containers/exec/action",
    "Microsoft.ContainerRegistry/registries/scheduleRun/action",
    "Microsoft.ContainerRegistry/registries/taskruns/write",
    "Microsoft.ContainerRegistry/registries/tasks/write",
    "Microsoft.ContainerService/managedClusters/write",
    "Microsoft.ContainerService/managedClusters/runCommand/action",
    "Microsoft.DataFactory/factories/pipelines/write",
    "Microsoft.GuestConfiguration/guestConfigurationAssignments/write",
    "Microsoft.HDInsight/clusterPools/clusters/runJob/action",
    "Microsoft.HDInsight/clusters/executeScriptActions/action",
    "Microsoft.HybridCompute/machines/extensions/write",
    "Microsoft.HybridCompute/machines/runCommands/write",
    "Microsoft.KubernetesConfiguration/extensions/write",
    "Microsoft.KubernetesConfiguration/fluxConfigurations/write",
    "Microsoft.Logic/workflows/write",
    "Microsoft.Logic/workflows/run/action",
    "Microsoft.Logic/workflows/triggers/run/action",
    "Microsoft.MachineLearningServices/workspaces/computes/write",
    "Microsoft.MachineLearningServices/workspaces/jobs/write",
    "Microsoft.NetworkCloud/bareMetalMachines/runCommand/action",
    "Microsoft.Resources/deploymentScripts/write",
    "Microsoft.ServiceFabric/clusters/applications/write",
    "Microsoft.ServiceFabric/managedClusters/applications/write",
    "Microsoft.VirtualMachineImages/imageTemplates/write",
    "Microsoft.Web/sites/write",
    "Microsoft.Web/sites/config/*/write",
    "Microsoft.Web/sites/extensions/write",
    "Microsoft.Web/sites/functions/write",
    "Microsoft.Web/sites/hostruntime/*/action",
    "Microsoft.Web/sites/publish/action",
    "Microsoft.Web/sites/publishxml/action",
    "Microsoft.Web/sites/slots/*/publish/action",
    "Microsoft.Web/sites/workflows/write",
    "Microsoft.Web/sites/deployWorkflowArtifacts/action",
    # Reading keys and credentials, of any type that names the operation ...
    "*/list*credential*/action",
    "*/list*key*/action",
    "*/list*kubeconfig/action",
    "*/list*sas/action",
    "*/list*secrets/action",
    "*/listCallbackUrl/action",
    "*/listConnectionStrings/action",
    "*/generateCredentials/action",
    "*/generateKey/action",
    "*/readonlyKeys/action",
    "*/regenerate*/action",
    "*/sharedKeys/action",
    # ... and of the types known to have one, for roles that hold all of a type or provider.
    "Microsoft.ApiManagement/service/subscriptions/listSecrets/action",
    "Microsoft.AppConfiguration/configurationStores/listKeys/action",
    "Microsoft.Automation/automationAccounts/listKeys/action",
    "Microsoft.Batch/batchAccounts/listKeys/action",
    "Microsoft.Cache/redis/listKeys/action",
    "Microsoft.ClassicStorage/storageAccounts/listKeys/action",
    "Microsoft.CognitiveServices/accounts/listKeys/action",
    "Microsoft.ContainerRegistry/registries/listCredentials/action",
    "Microsoft.ContainerService/fleets/listCredentials/action",
    "Microsoft.Devices/iotHubs/listKeys/action",
    "Microsoft.DocumentDB/databaseAccounts/listKeys/action",
    "Microsoft.EventGrid/topics/listKeys/action",
    "Microsoft.EventHub/namespaces/authorizationRules/listKeys/action",
    "Microsoft.HybridConnectivity/endpoints/listCredentials/action",
    "Microsoft.MachineLearningServices/workspaces/listKeys/action",
    "Microsoft.Maps/accounts/listKeys/action",
    "Microsoft.NotificationHubs/namespaces/authorizationRules/listKeys/action",
    "Microsoft.OperationalInsights/workspaces/sharedKeys/action",
    "Microsoft.Relay/namespaces/authorizationRules/listKeys/action",
    "Microsoft.Search/searchServices/listAdminKeys/action",
    "Microsoft.ServiceBus/namespaces/authorizationRules/listKeys/action",
    "Microsoft.SignalRService/signalR/listKeys/action",
    "Microsoft.SignalRService/webPubSub/listKeys/action",
    "Microsoft.Storage/storageAccounts/listKeys/action",
)

# What makes its holder an administrator of a data plane, rather than a reader or writer of it.
_DANGEROUS_DATA_ACTIONS = (
    # Replaces what others' workloads trust: secrets, keys and certificates.
    "Microsoft.KeyVault/vaults/certificates/create/action",
    "Microsoft.KeyVault/vaults/keys/create/action",
    "Microsoft.KeyVault/vaults/secrets/setSecret/action",
    # Gives itself or others access within the data, or runs pods as any service account there.
    "Microsoft.ContainerService/fleets/rbac.authorization.k8s.io/rolebindings/write",
    "Microsoft.ContainerService/managedClusters/pods/write",
    "Microsoft.ContainerService/managedClusters/rbac.authorization.k8s.io/rolebindings/write",
    "Microsoft.Dashboard/grafana/ActAsGrafanaAdmin/action",
    "Microsoft.Kubernetes/connectedClusters/pods/write",
    "Microsoft.Kubernetes/connectedClusters/rbac.authorization.k8s.io/rolebindings/write",
    "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/manageOwnership/action",
    "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/modifyPermissions/action",
    "Microsoft.Storage/storageAccounts/fileServices/fileshares/files/modifypermissions/action",
    "Microsoft.Storage/storageAccounts/fileServices/takeOwnership/action",
    "Microsoft.Synapse/workspaces/roleAssignments/write",
    # Signs in to machines as administrator.
    "Microsoft.Compute/virtualMachines/loginAsAdmin/action",
    "Microsoft.HybridCompute/machines/loginAsAdmin/action",
)


@dataclass(frozen=True, slots=True)
class Role:
    """A role; `privileged` as `is_privileged` judged its definition, or true until it is read."""

    name: str
    guid: str
    privileged: bool

    @property
    def custom(self) -> bool:
        """Whether it is none of the built-in ones; then its name is the id of its definition."""
        return self.name.startswith("/")


class RoleTable:
    """Roles by name or GUID, whatever the case."""

    def __init__(self, roles: Iterable[Role]) -> None:
        self._roles = {_key(text): role for role in roles for text in (role.guid, role.name)}

    def lookup(self, name_or_guid: str) -> Role | None:
        """Return the role of that name or GUID, if it is built in."""
        return self._roles.get(_key(name_or_guid))

    def names(self) -> list[str]:
        """Return the built-in names in order."""
        return sorted({role.name.strip() for role in self._roles.values()})

    def suggest(self, name: str) -> str | None:
        """Return the built-in name that `name` was probably meant to be."""
        words = set(_key(name).split())
        holding = [known for known in self._roles if words and words <= set(known.split())]
        near = difflib.get_close_matches(_key(name), self._roles, n=1, cutoff=0.7)
        # A typo is nearer than any name that only has more words.
        typo = difflib.get_close_matches(_key(name), near, cutoff=0.85)
        found = typo or sorted(holding, key=len) or near
        return self._roles[found[0]].name if found else None


@functools.cache
def table() -> RoleTable:
    """Return the built-in roles, read from the package on first use."""
    # Not by importlib.resources, whose import alone takes three times as long as all of this.
    text = Path(__file__).with_name("roles.csv").read_text("utf-8")
    rows = csv.reader(text.splitlines()[1:])
    return RoleTable(Role(name, guid, privileged == "true") for name, guid, privileged in rows)


def role_name(guid: str) -> str:
    """Return what people call a role: a built-in one's name, and the GUID of any other."""
    role = table().lookup(guid)
    return role.name if role else f"role {guid}"


def is_privileged(
    actions: Iterable[str],
    not_actions: Iterable[str] = (),
    data_actions: Iterable[str] = (),
    not_data_actions: Iterable[str] = (),
) -> bool:
    """Say whether one permission of a role definition reaches further than its scope.

    A role with several permissions is privileged when one of them is: what one withholds another
    may give. In doubt, as where several exclusions only together cover a family, the answer is yes.
    """
    return _reaches(actions, not_actions, _DANGEROUS_ACTIONS) or _reaches(
        data_actions, not_data_actions, _DANGEROUS_DATA_ACTIONS
    )


def _key(text: str) -> str:
    # A few built-in names end in a blank.
    return text.strip().lower()


def _reaches(allowed: Iterable[str], excluded: Iterable[str], dangers: Iterable[str]) -> bool:
    exclusions = [_matcher(pattern) for pattern in excluded]
    for action in map(str.lower, allowed):
        for danger in map(str.lower, dangers):
            # `Microsoft.Support/*` does not say whether one of its types lists keys.
            if danger.startswith("*") and "*" in action:
                continue
            if _overlap(action, danger) and not any(
                matches(action) or matches(danger) for matches in exclusions
            ):
                return True
    return False


def _matcher(pattern: str) -> Callable[[str], object]:
    """Match what lies within `pattern`; a family does so where a `*` here covers its own."""
    first, *others = map(re.escape, pattern.lower().split("*"))
    if not others:
        return re.compile(first).fullmatch
    # The first place where a middle part fits is as good as any, so nothing is tried twice.
    middle = "".join(f"(?>.*?{part})" for part in others[:-1])
    return re.compile(f"{first}{middle}.*{others[-1]}", re.DOTALL).fullmatch


def _overlap(one: str, other: str) -> bool:
    """Say whether some operation matches both patterns, where `*` stands for any text."""
    seen: set[tuple[int, int]] = set()
    ahead = [(0, 0)]
    while ahead:
        place = i, j = ahead.pop()
        if place in seen:
            continue
        seen.add(place)
        a, b = one[i : i + 1], other[j : j + 1]
        if not a and not b:
            return True
        if a == "*":  # It ends here, or takes one more character of the other.
            ahead += [(i + 1, j), (i, j + 1)] if b else [(i + 1, j)]
        if b == "*":
            ahead += [(i, j + 1), (i + 1, j)] if a else [(i, j + 1)]
        if a == b:
            ahead.append((i + 1, j + 1))
    return False
