"""A clock that tests turn, and the sample apps in hosts of their own."""

import base64
import json
from collections.abc import Generator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sandbox.host.blobs import Blobs, MemoryBlobs, StorageBlobs
from sandbox.host.queues import MemoryQueues, Queues
from sandbox.host.triggers import Host
from sandbox.host.worker import Worker

APPS = Path(__file__).parent / "apps"
LEASE = timedelta(minutes=1)


@dataclass
class Clock:
    """A clock that stands still until it is turned."""

    at: datetime = datetime(2026, 1, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Read it."""
        return self.at

    def turn(self, seconds: float) -> None:
        """Turn it forward."""
        self.at += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    """Noon of some day, UTC."""
    return Clock()


@pytest.fixture
def queues(clock: Clock) -> MemoryQueues:
    """Empty queues in memory."""
    return MemoryQueues(clock)


@pytest.fixture
def host(clock: Clock, queues: MemoryQueues) -> Generator[Host]:
    """The relay app, running."""
    with Host(Worker(APPS / "relay"), queues, clock, {"SWEEP": "0 */15 * * * *"}) as running:
        yield running


def empty_blobs(request: pytest.FixtureRequest) -> Blobs:
    """Return no blobs yet, in memory or in a storage emulator, as a fixture's parameter says."""
    if request.param == "memory":
        return MemoryBlobs()
    store = StorageBlobs(request.getfixturevalue("azurite"))
    request.addfinalizer(store.close)
    return store


def event(subject: str = "/subscriptions/s", **data: object) -> dict[str, Any]:
    """Build an event in Event Grid's own schema."""
    return {
        "id": "1",
        "topic": "/subscriptions/s",
        "subject": subject,
        "eventType": "Microsoft.Resources.ResourceWriteSuccess",
        "eventTime": "2026-01-01T12:00:00.1234567Z",
        "dataVersion": "2",
        "data": data,
    }


def texts(queues: Queues, queue: str) -> list[str]:
    """Take the visible messages of a queue, decoded."""
    return [base64.b64decode(one.text).decode() for one in queues.get(queue, LEASE, 32)]


def objects(queues: Queues, queue: str) -> list[Any]:
    """Take the visible messages of a queue, parsed."""
    return [json.loads(text) for text in texts(queues, queue)]
