"""A local Azure with the app over it, fresh for each test."""

from pathlib import Path

import pytest

from tests.world.cloud import Cloud
from tests.world.hierarchy import APPS_THERE, CORP, SECOND, VM_THERE, start
from tests.world.ids import ELSEWHERE, FAR, SUBSCRIPTION, VM
from tests.world.policies import SEED


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    """One machine in rg-app, which policy gives the identity `shared` and Reader on its group."""
    return Cloud(tmp_path)


@pytest.fixture
def steady(cloud: Cloud) -> Cloud:
    """The same world, once the app has brought it to what policy asks."""
    cloud.drive(*(request for request in cloud.app.sweep().requests))
    cloud.pass_time()
    cloud.wire.calls.clear()
    cloud.events.clear()
    return cloud


@pytest.fixture
def corp(tmp_path: Path) -> Cloud:
    """A second subscription, and a management group that holds both; the app may read it."""
    cloud = Cloud(
        tmp_path,
        subscriptions=[*SEED["subscriptions"], {"id": SECOND, "name": "other"}],
        groups=[*SEED["groups"], {"id": APPS_THERE}],
        virtualMachines=[{"id": VM}, {"id": VM_THERE}],
        managementGroups=[
            {"name": "corp", "subscriptions": [SUBSCRIPTION, SECOND]},
            {"name": "lab", "subscriptions": []},
        ],
        assignments=[{"scope": CORP, "role": "Reader", "principal": "reconciler"}],
    )
    start(cloud)
    return cloud


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
