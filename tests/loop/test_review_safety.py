"""Inputs on which a review found a live right taken, or a withdrawn one kept without a word."""

from pathlib import Path

import pytest

from tests.loop.cloud import Cloud
from tests.loop.lab import SEED, VM
from tests.loop.sweeps import OWN

ELSEWHERE = "22222222-2222-2222-2222-222222222222"
FAR = f"/subscriptions/{ELSEWHERE}/resourceGroups/rg-new"


@pytest.fixture
def far(tmp_path: Path) -> Cloud:
    """A second subscription beside the steady one; the app may not even read it."""
    cloud = Cloud(
        tmp_path,
        subscriptions=[*SEED["subscriptions"], {"id": ELSEWHERE, "name": "other"}],
        groups=[*SEED["groups"], {"id": FAR}],
    )
    cloud.sweep()
    cloud.pass_time()
    cloud.blind(ELSEWHERE)
    return cloud


def stop_by_eviction(cloud: Cloud) -> None:
    """Let Azure take a Spot machine's place, but not the machine."""
    spot = {"properties": {"priority": "Spot", "evictionPolicy": "Deallocate"}}
    assert cloud.operator.call("PATCH", VM, spot).status_code == 200
    cloud.pass_time()
    assert cloud.operator.call("POST", f"{VM}/simulateEviction").status_code == 204
    cloud.pass_time()
    assert VM.lower() in cloud.world.resources


def test_an_eviction_that_only_stopped_a_machine_is_no_end_of_what_moved(far: Cloud) -> None:
    """The log tells of the eviction in both cases; the machine lives on where we cannot see it."""
    principal = far.principal()
    stop_by_eviction(far)
    far.move(FAR)
    far.drive(VM)
    far.sweep()

    assert far.rights(principal) == OWN


def test_an_eviction_before_a_start_is_no_end(far: Cloud) -> None:
    """Neither Resource Manager nor the index shows it for a while; it was started since."""
    principal = far.principal()
    stop_by_eviction(far)
    assert far.operator.call("POST", f"{VM}/start").status_code == 202
    far.pass_time()
    far.wire.answer("GET", "/virtualmachines/vm1", 404, "ResourceNotFound", times=10_000)
    empty = {"data": [], "count": 0, "totalRecords": 0, "resultTruncated": "false"}
    far.wire.answer("POST", "/microsoft.resourcegraph/", 200, body=empty, times=10_000)
    far.drive(VM)

    assert far.rights(principal) == OWN
