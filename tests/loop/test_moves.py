"""A machine is moved to another group: it keeps its principal, and its id is another."""

from datetime import timedelta
from typing import Any

import pytest

from reconciler.ids import ResourceId
from reconciler.model import Request
from tests.world.cloud import Cloud
from tests.world.ids import APPS, DATA, SUB, VM, machine
from tests.world.policies import guardrails, named, policy, rule

TARGET = f"{SUB}/resourceGroups/rg-target"
MOVED = machine(group=TARGET)
IN_DATA = {"grants": [{"role": "Reader", "scope": DATA}]}
ONCE_MORE = timedelta(minutes=5)


@pytest.fixture
def placed(cloud: Cloud) -> Cloud:
    """Machines of both groups read rg-data, and the one that there is does so already."""
    answer = cloud.operator.call("PUT", TARGET, {"location": "westeurope"}, version="2021-04-01")
    assert answer.status_code == 201
    cloud.deploy(policy(rule(within=[APPS, TARGET], system=IN_DATA)), guardrails())
    cloud.drive(VM)
    cloud.pass_time()
    cloud.events.clear()
    return cloud


def move(cloud: Cloud, seconds: float) -> Request:
    """Move the machine, which takes that long; returns what its event asks for."""
    cloud.world.faults = cloud.world.faults.changed({"operation_delay": seconds})
    body: dict[str, Any] = {"resources": [VM], "targetResourceGroup": TARGET}
    answer = cloud.operator.call("POST", f"{APPS}/moveResources", body, version="2021-04-01")
    assert answer.status_code == 202, answer.text
    (request,) = cloud.hear()
    return request


def test_a_move_has_its_group_swept_at_once_and_five_minutes_later(placed: Cloud) -> None:
    """It is announced when it begins, and the index is late as well."""
    request = move(placed, 0)
    first = placed.look(request)

    assert request.id == ResourceId.parse(APPS)
    assert first.again_after == ONCE_MORE
    second = placed.look(placed.copy(first))
    assert second.again is None


def test_a_covered_sweep_of_a_move_is_repeated_all_the_same(placed: Cloud) -> None:
    """The run that covers it saw no more of the move than it would have."""
    request = move(placed, 240)
    placed.pass_time(1)
    placed.look(APPS)
    placed.wire.calls.clear()
    result = placed.look(request)

    assert placed.wire.calls == []
    assert result.again_after == ONCE_MORE


def test_a_failed_sweep_s_copy_still_knows_of_the_move(placed: Cloud) -> None:
    """The copy that comes instead still knows."""
    request = move(placed, 0)
    placed.wire.answer("POST", "/microsoft.resourcegraph/", 503)
    failed = placed.look(request)

    assert placed.look(placed.copy(failed)).again_after == ONCE_MORE


@pytest.mark.parametrize("seconds", [0, 240])
def test_a_moved_machine_has_its_rights_under_its_new_id(placed: Cloud, seconds: float) -> None:
    """What left the group is looked at where it is now, though no event named that."""
    principal = placed.principal()
    right = placed.right(principal)
    placed.drive(move(placed, seconds))

    assert placed.principal(MOVED) == principal
    assert placed.right(principal).name == right.name
    assert placed.right(principal).description == placed.mark(MOVED)
    assert placed.attached(MOVED) == {"system", "shared"}
    assert placed.replan(MOVED).compliant


def test_a_machine_moved_out_of_policy_keeps_its_right(placed: Cloud) -> None:
    """A live principal's right is not retired, wherever the machine is."""
    placed.deploy(policy(rule(system=IN_DATA), identities=named()), guardrails())
    principal = placed.principal()
    placed.drive(move(placed, 0))

    assert placed.rights(principal) == {("Reader", "rg-data")}


def test_the_validation_of_a_move_requests_nothing(placed: Cloud) -> None:
    """It moves nothing."""
    body = {"resources": [VM], "targetResourceGroup": TARGET}
    path = f"{APPS}/validateMoveResources"
    assert placed.operator.call("POST", path, body, version="2021-04-01").status_code == 202

    assert placed.hear() == []
