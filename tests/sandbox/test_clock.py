"""The clock: it stands still until it is turned, and waiting turns it."""

import datetime as dt
import time
from typing import Any

import pytest
from azure.core.pipeline.policies import RetryPolicy
from azure.core.rest import HttpRequest
from azure.mgmt.core import ARMPipelineClient

from sandbox.identity import tokens
from sandbox.transport import Transport
from sandbox.world.clock import START, Clock, wall_clock
from sandbox.world.faults import Faults, RequestFault
from tests.world.arm import MACHINE, SEED, Arm
from tests.world.ids import SUBSCRIPTION

compute = pytest.importorskip("azure.mgmt.compute", reason="the conformance group")

TEN_MINUTES = dt.timedelta(minutes=10)


def test_a_clock_stands_still_until_it_is_turned() -> None:
    """Nothing but the test lets time pass."""
    clock = Clock()
    clock.forward(5)

    assert clock() == clock() == START + dt.timedelta(seconds=5)


def test_a_clock_with_a_speed_goes_by_the_wall() -> None:
    """Sixty seconds in one; a change of speed changes what comes, not what was."""
    wall = [100.0]
    clock = Clock(speed=60, wall=lambda: wall[0])
    wall[0] += 2
    clock.speed = 1
    wall[0] += 3

    assert clock() == START + dt.timedelta(seconds=123)
    clock.forward(7)
    assert clock() == START + dt.timedelta(seconds=130)
    clock.moment = START
    assert clock() == START


def test_the_clock_of_the_wall_begins_now() -> None:
    """A server goes by the time of the machine."""
    before = dt.datetime.now(dt.UTC)

    assert before <= wall_clock()() <= dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1)


def test_ten_minutes_of_polling_cost_no_time(arm: Arm) -> None:
    """The published poller sleeps through its transport, which turns the clock."""
    arm.world.faults = Faults(operation_delay=TEN_MINUTES.total_seconds())
    client = compute.ComputeManagementClient(
        tokens.credential(arm.world), SUBSCRIPTION, transport=Transport(arm.app, arm.clock)
    )
    started = time.process_time()
    body = {"location": "westus", "identity": {"type": "SystemAssigned"}}
    made = client.virtual_machines.begin_create_or_update("rg", "new", body).result()
    client.virtual_machines.begin_delete("rg", "new").result()

    assert made.provisioning_state == "Succeeded"
    assert START + 2 * TEN_MINUTES <= arm.clock() < START + 3 * TEN_MINUTES
    assert time.process_time() - started < TEN_MINUTES.total_seconds()


def test_a_client_waits_for_as_long_as_it_is_told(arm: Arm) -> None:
    """The published retry policy sleeps through the transport, too."""
    arm.world.faults = Faults(requests=[RequestFault(status=429, retry_after=300, times=2)])
    client: ARMPipelineClient[HttpRequest, Any] = ARMPipelineClient(
        "https://management.azure.com",
        policies=[RetryPolicy()],
        transport=Transport(arm.app, arm.clock),
    )
    token = tokens.mint(arm.world, arm.caller, "https://management.azure.com")
    request = HttpRequest(
        "GET",
        f"https://management.azure.com{MACHINE}?api-version=2024-07-01",
        headers={"Authorization": f"Bearer {token}"},
    )

    assert client.send_request(request).status_code == 200
    assert arm.clock() == START + TEN_MINUTES


def test_who_waits_on_a_fast_clock_is_told_the_time_of_the_wall() -> None:
    """A minute at sixty times the speed is a second for the client."""
    arm = Arm(SEED, Clock(speed=60, wall=lambda: 0.0))
    arm.world.faults = Faults(operation_delay=600)
    answer = arm.patch(MACHINE, {"type": "SystemAssigned"})

    assert answer.headers["Retry-After"] == "10"
