"""A management group over two subscriptions, and what a test does and sees there."""

from reconciler.changes import Status
from tests.world.cloud import Cloud
from tests.world.ids import SUB, machine
from tests.world.policies import guardrails, policy, rule

SECOND = "22222222-2222-2222-2222-222222222222"
CORP = "/providers/Microsoft.Management/managementGroups/corp"
DESCENDANTS = "/corp/descendants"
THERE = f"/subscriptions/{SECOND}"
APPS_THERE = f"{THERE}/resourceGroups/rg-apps"
VM_THERE = machine("vm2", APPS_THERE)
GROUPS = {"RECONCILER_SUBSCRIPTIONS": "", "RECONCILER_MANAGEMENT_GROUPS": "corp"}
HOUR = 3600
RULE = rule(within=[SUB, THERE], attach=[])
RAILS = guardrails(grants=[{"scope": one, "roles": ["Reader"]} for one in (SUB, THERE)])


def start(cloud: Cloud, **told: str) -> None:
    """Start a process that watches the management group."""
    cloud.deploy(policy(RULE, identities={}), RAILS, None, **(GROUPS | told))
    cloud.wire.calls.clear()


def leave(cloud: Cloud, *remaining: str) -> None:
    """Take all but some subscriptions out of the management group."""
    tree = cloud.world.hierarchy
    for each in cloud.world.subscriptions:
        tree.place(each, tree.groups["corp"] if each in remaining else tree.root)


def resolutions(cloud: Cloud) -> int:
    """Return how often the group was read."""
    return sum(call.path.endswith(DESCENDANTS) for call in cloud.wire.calls)


def watched(cloud: Cloud) -> list[str]:
    """Return the names of the watched subscriptions."""
    return [one.name for one in cloud.app.watched.subscriptions]


def refused(cloud: Cloud, vm: str) -> list[str]:
    """Return the codes with which a machine is refused."""
    return [one.code for one in cloud.look(vm).outcomes if one.status is Status.BLOCKED]
