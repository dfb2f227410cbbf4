"""A local Azure with the app over it, fresh for each test."""

from pathlib import Path

import pytest

from tests.loop.cloud import Cloud


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
