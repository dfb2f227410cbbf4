"""What happens to timers when a host starts, and starts again after a while."""

import threading
from datetime import UTC, datetime

from sandbox.host.bindings import decode
from sandbox.host.blobs import MemoryBlobs
from sandbox.host.queues import MemoryQueues
from sandbox.host.triggers import Host
from sandbox.host.worker import Worker
from tests.host.conftest import APPS, LEASE, Clock, texts
from tests.world.children import PATIENCE

QUEUES = ("hourly", "careless", "eager", "often")


def rung(host: Host, queues: MemoryQueues, *names: str) -> dict[str, list[str]]:
    """Wait until these timers rang; returns what all were told."""
    pause = threading.Event()
    while not all(queues.waiting(name) for name in names):
        pause.wait(0.01)
    host.drain(PATIENCE)
    found: dict[str, list[str]] = {}
    for name in QUEUES:
        for message in queues.get(name, LEASE, 32):
            found.setdefault(name, []).append(decode(message.text))
            queues.delete(name, message)
    return found


def test_timers_that_were_missed_ring_once_when_the_host_is_back(
    clock: Clock, queues: MemoryQueues
) -> None:
    """They are told; one that is not watched, or rings by the minute, waits for its next time."""
    for name in QUEUES:
        queues.create(name)
    blobs = MemoryBlobs()

    def host() -> Host:
        return Host(Worker(APPS / "missed"), queues, clock, {}, blobs)

    with host() as running:
        first = rung(running, queues, "eager")
    clock.turn(3 * 3600 + 30)
    with host() as running:
        second = rung(running, queues, "eager", "hourly")
        clock.turn(3600)
        third = rung(running, queues, *QUEUES)

    assert first == {"eager": ["past due: False"]}
    assert second == {"hourly": ["past due: True"], "eager": ["past due: True"]}
    assert third == {name: ["past due: False"] for name in QUEUES}


def test_a_timer_with_another_schedule_has_missed_nothing(
    clock: Clock, queues: MemoryQueues
) -> None:
    """What was remembered for the earlier schedule says nothing about the new one."""
    queues.create("ticks")
    blobs = MemoryBlobs()
    with Host(Worker(APPS / "relay"), queues, clock, {"SWEEP": "0 */15 * * * *"}, blobs):
        pass
    clock.at = datetime(2026, 1, 1, 18, tzinfo=UTC)
    with Host(Worker(APPS / "relay"), queues, clock, {"SWEEP": "0 30 3 * * *"}, blobs) as running:
        running.drain(PATIENCE)

    assert not queues.waiting("ticks")


def test_a_clock_that_jumps_rings_a_timer_once(
    host: Host, queues: MemoryQueues, clock: Clock
) -> None:
    """However often it was due meanwhile."""
    queues.create("ticks")
    clock.turn(3 * 3600)
    pause = threading.Event()
    while not queues.waiting("ticks"):
        pause.wait(0.01)
    host.drain(PATIENCE)

    assert len(texts(queues, "ticks")) == 1
