"""The deployed function app: the real triggers, over HTTPS against a local Azure of their own.

Place, policy and the person who acts are the demo's.
"""

import contextlib
import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox import seed
from sandbox.demo.fixtures import SHARED, Operator, machine
from sandbox.demo.scenario import HERE
from sandbox.host import http
from sandbox.host.queues import MemoryQueues
from sandbox.host.timers import now
from sandbox.host.triggers import Host
from sandbox.host.worker import Worker
from sandbox.server import Server
from tests.conftest import ROOT
from tests.world.children import PATIENCE

MACHINE = machine("app-1")
QUEUE = "reconcile-requests"
EVENT_QUEUE = "reconcile-events"


@dataclass(frozen=True)
class Cloud:
    """A running local Azure, its person, and the events that it announced."""

    server: Server
    operator: Operator
    events: list[dict[str, Any]]

    def written(self, resource: str) -> dict[str, Any]:
        """Return the event of the last write of a resource."""
        return [one for one in self.events if one["subject"].lower() == resource.lower()][-1]


@dataclass(frozen=True)
class Deployment:
    """The function app in its host; `address` is where its web entrance is."""

    host: Host
    queues: MemoryQueues
    address: str


@pytest.fixture
def cloud(tmp_path: Path) -> Generator[Cloud]:
    """The demo's landing zone with its shared identity and one new, bare machine."""
    world = seed.load(seed.read(HERE / "seed.yaml"), operation_delay=0.0)
    events: list[dict[str, Any]] = []
    world.feed.subscribe(events.append)
    with (
        Server(world, tmp_path) as server,
        Operator(server.url, tmp_path / "ca.pem", world) as operator,
    ):
        operator.put(SHARED, {})
        operator.put(MACHINE, {})
        yield Cloud(server, operator, events)


@pytest.fixture
def settings(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The settings of the app in this process, ready to be changed; new machines do not wait."""
    chosen = {"RECONCILER_POLICIES": str(HERE / "policies"), "RECONCILER_SETTLE": "0"}
    # No sweep that nobody asked for comes in between.
    chosen["RECONCILER_SWEEP_SCHEDULE"] = "0 0 0 29 2 *"
    for name, value in (cloud.server.environment() | chosen).items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@contextlib.contextmanager
def deployed(settings: pytest.MonkeyPatch, queues: MemoryQueues) -> Generator[Deployment]:
    """Run the function app with these queues for as long as the context lasts."""
    host = Host(Worker(ROOT), queues)
    with (
        http.serving(http.application(host, queues)) as port,
        contextlib.ExitStack() as closed_at_last,
    ):
        settings.setenv("AzureWebJobsStorage", http.connection_string(port))
        with host:
            app = sys.modules["function_app"].deployment
            for connection in (app.arm, app.credential):
                closed_at_last.callback(connection.close)
            yield Deployment(host, queues, f"http://{http.ADDRESS}:{port}")


@pytest.fixture
def deployment(settings: pytest.MonkeyPatch) -> Generator[Deployment]:
    """The function app, running, with queues in memory."""
    with deployed(settings, MemoryQueues(now)) as found:
        yield found


def post(address: str, events: list[dict[str, Any]]) -> requests.Response:
    """Send events to the app's webhook as Event Grid does."""
    return requests.post(
        f"{address}/runtime/webhooks/eventgrid?functionName=event_grid_trigger",
        json=events,
        headers={"aeg-event-type": "Notification"},
        timeout=PATIENCE,
    )


def healed(cloud: Cloud) -> bool:
    """Tell whether the machine carries what policy asks for."""
    block = cloud.operator.get(MACHINE).get("identity") or {}
    attached = {name.lower() for name in block.get("userAssignedIdentities") or {}}
    return block.get("principalId") is not None and SHARED.lower() in attached
