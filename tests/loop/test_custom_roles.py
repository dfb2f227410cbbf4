"""Custom roles through the whole loop: each plan reads what they allow today."""

from reconciler.changes import Hold
from tests.world.cloud import Cloud, holds
from tests.world.ids import APPS, SUB, VM
from tests.world.policies import Content, guardrails, policy, rule

GUID = "0a0a0a0a-1111-2222-3333-444444444444"
DEFINITION = f"{SUB}/providers/Microsoft.Authorization/roleDefinitions/{GUID}"
READS = "Microsoft.Compute/virtualMachines/read"
RUNS = "Microsoft.Compute/virtualMachines/runCommand/action"


def allow(cloud: Cloud, action: str) -> None:
    """Let the operator write what the custom role allows."""
    properties = {
        "roleName": "Custom",
        "type": "CustomRole",
        "permissions": [{"actions": [action]}],
        "assignableScopes": [SUB],
    }
    answer = cloud.operator.call("PUT", DEFINITION, {"properties": properties})
    assert answer.status_code == 201, answer.text
    cloud.pass_time()


def deploy(cloud: Cloud) -> None:
    """Deploy a rule that grants the custom role, under guardrails that do not let it reach far."""
    grants = [{"role": DEFINITION, "scope": APPS}]
    content: Content = policy(rule(attach=[], system={"grants": grants}), identities={})
    cloud.deploy(content, rails=guardrails(grants=[{"scope": SUB, "roles": [DEFINITION]}]))


def test_a_custom_role_that_does_not_reach_far_is_granted(cloud: Cloud) -> None:
    """As a built-in one is, by an event as by a sweep."""
    allow(cloud, READS)
    deploy(cloud)
    cloud.sweep()

    assert cloud.rights(cloud.principal()) == {("Custom", "rg-app")}
    assert cloud.replan().compliant


def test_a_custom_role_that_came_to_reach_far_is_withheld(cloud: Cloud) -> None:
    """Whoever may change the role would decide what is handed out; review does not see it."""
    allow(cloud, RUNS)
    deploy(cloud)
    cloud.drive(VM)
    cloud.sweep()

    assert cloud.rights(cloud.principal()) == set()
    assert holds(cloud.replan()) == {Hold.GUARDRAILS}


def test_a_role_that_is_named_by_its_guid_alone_is_read(cloud: Cloud) -> None:
    """A custom role or a built-in one younger than our table: Azure says how far it reaches."""
    grants = [{"role": GUID, "scope": APPS}]
    content: Content = policy(rule(attach=[], system={"grants": grants}), identities={})
    cloud.deploy(content, rails=guardrails(grants=[{"scope": SUB, "roles": [GUID]}]))
    cloud.drive(VM)
    assert holds(cloud.replan()) == {Hold.ROLE_UNREAD}

    allow(cloud, READS)
    cloud.drive(VM)
    assert cloud.rights(cloud.principal()) == {("Custom", "rg-app")}


def test_a_custom_role_that_does_not_exist_is_withheld(cloud: Cloud) -> None:
    """What cannot be read is not granted, and nothing else suffers."""
    deploy(cloud)
    cloud.drive(VM)

    assert holds(cloud.replan()) == {Hold.ROLE_UNREAD}
