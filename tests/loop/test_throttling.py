"""Under ARM's own buckets: a hot machine stops no neighbour, and a storm meets few refusals."""

import random
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.app import App
from reconciler.azure.throttle import DEFERRED
from reconciler.changes import Result, Status
from reconciler.model import Request
from sandbox.world.faults import Faults
from tests.world.cloud import Cloud
from tests.world.ids import VM, machine

NEIGHBOUR = machine("vm2")
BUSY = Faults(throttling=True, operation_delay=5)
TICK = 0.001
"""Seconds that a call takes: more calls a second than any bucket is refilled with."""


@pytest.fixture
def pair(tmp_path: Path) -> Cloud:
    """Two machines that are as policy asks, in an Azure that counts."""
    cloud = Cloud(tmp_path, virtualMachines=[{"id": VM}, {"id": NEIGHBOUR}])
    cloud.drive(VM, NEIGHBOUR)
    cloud.pass_time(3600)
    cloud.wire.calls.clear()
    cloud.world.requests.clear()
    cloud.world.faults = BUSY
    return cloud


def strip(cloud: Cloud, *machines: str) -> None:
    """Let somebody take the shared identity from machines."""
    for each in machines:
        answer = cloud.operator.patch(each, {"type": "SystemAssigned"})
        assert answer.status_code == 200, answer.text
    cloud.pass_time(6)


def patches(cloud: Cloud, of: str) -> int:
    """Return how often the app wrote to a machine."""
    return sum(one.method == "PATCH" and one.path == of.lower() for one in cloud.wire.calls)


def refusals(cloud: Cloud) -> int:
    """Return how often the app was answered 429."""
    own = cloud.world.app.app_id
    return sum(one.status == 429 and one.app_id == own for one in cloud.world.requests)


def test_a_hot_machine_stops_no_neighbour(pair: Cloud) -> None:
    """Others used up all twelve of its updates; it waits for itself alone."""
    for _ in range(11):
        pair.operator.patch(VM, {"type": "SystemAssigned"})
    strip(pair, VM, NEIGHBOUR)
    hot, cool = pair.look(VM), pair.look(NEIGHBOUR)

    assert refusals(pair) == 1
    assert hot.again_after is not None
    assert hot.again_after >= timedelta(seconds=9)
    assert cool.plans[-1].compliant
    assert hot.again is not None
    pair.drive(hot.again)
    assert "shared" in pair.attached() & pair.attached(NEIGHBOUR)


def test_the_last_update_of_a_machine_is_left_to_others(pair: Cloud) -> None:
    """Ours is put off when an answer shows one; the operator's deployment is not."""
    for _ in range(9):
        pair.operator.patch(VM, {"type": "SystemAssigned"})
    strip(pair, VM)
    pair.look(VM)
    before = patches(pair, VM)
    strip(pair, VM)
    put_off = pair.look(VM)

    assert patches(pair, VM) == before == 1
    assert refusals(pair) == 0
    assert [one.status for one in put_off.outcomes] == [Status.AGAIN]
    assert put_off.again is not None
    pair.drive(put_off.again)
    assert "shared" in pair.attached()


def processes_of(cloud: Cloud, count: int) -> App:
    """Return what stands for several processes of the app, any of which takes the next message."""
    *others, front = [cloud.deploy() for _ in range(count + 1)]
    chance = random.Random(3)

    def handle(request: Request, expect: str = "") -> Result:
        return chance.choice(others).handle(request, expect)

    front.handle = handle  # type: ignore[method-assign]  # `drive` lets it do nothing else.
    return front


@pytest.mark.parametrize(("machines", "processes"), [(100, 1), (60, 4)])
def test_machines_that_are_recycled_at_once_meet_few_refusals(
    tmp_path: Path, machines: int, processes: int
) -> None:
    """Under 1 % of the calls, and nothing is lost; who waits does not come back all at once."""
    places = [machine(f"vm{number}") for number in range(machines)]
    cloud = Cloud(tmp_path, virtualMachines=[{"id": each} for each in places])
    cloud.drive(*places, most=10_000)
    old = [cloud.principal(each) for each in places]
    cloud.pass_time(3600)
    start = len(cloud.events)
    for method, body in (("DELETE", None), ("PUT", {"location": "westeurope", "properties": {}})):
        for each in places:
            assert cloud.operator.call(method, each, body).status_code < 300
        cloud.pass_time(10)
    cloud.world.requests.clear()
    cloud.world.faults = BUSY
    cloud.wire.tick = TICK
    app = processes_of(cloud, processes)
    results = cloud.drive(*cloud.hear(start), most=50 * machines, by=app)
    calls = sum(one.app_id == cloud.world.app.app_id for one in cloud.world.requests)
    put_off = [one for one in results if any(done.code == DEFERRED for done in one.outcomes)]

    assert put_off
    assert refusals(cloud) < calls / 100
    assert len(put_off) < 12 * machines
    assert calls < 60 * machines
    for each, before in zip(places, old, strict=True):
        assert cloud.attached(each) == {"system", "shared"}
        assert cloud.rights(cloud.principal(each)) == {("Reader", "rg-app")}
        assert cloud.rights(before) == set()
