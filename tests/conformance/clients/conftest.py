"""A fresh local Azure over HTTPS for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import seed
from sandbox.server import Server
from tests.conformance.clients.azure import Azure
from tests.world.arm import SEED


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server whose env.sh is exported; operations end at once, since pollers really wait."""
    with Server(seed.load(SEED, operation_delay=0), tmp_path) as served:
        for name, value in served.environment().items():
            monkeypatch.setenv(name, value)
        yield served


@pytest.fixture
def azure(server: Server) -> Iterator[Azure]:
    """Clients of the server, closed at the end."""
    with Azure(server) as made:
        yield made
