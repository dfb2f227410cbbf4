"""How a queue is listened to: leases that are renewed, and messages that were taken too often."""

import threading
from datetime import timedelta
from pathlib import Path

import pytest

from sandbox.host.listening import QueueOptions
from sandbox.host.queues import MemoryQueues, Message, QueueError
from sandbox.host.triggers import Host
from sandbox.host.worker import Worker
from tests.host.conftest import APPS, LEASE, Clock, texts
from tests.world.children import PATIENCE, until

HALF = 5 * 60 + 1
"""Seconds after which half of a lease is over."""


class Watched(MemoryQueues):
    """Counts what is released or renewed, and fails where it is told to."""

    def __init__(self, clock: Clock, failures: int = 0) -> None:
        super().__init__(clock)
        self.failures = failures
        self.released = 0

    def release(self, queue: str, message: Message, delay: timedelta = LEASE) -> Message:
        """Release, or fail as often as told."""
        self.released += 1
        if self.failures:
            self.failures -= 1
            raise QueueError(503, "ServerBusy")
        return super().release(queue, message, delay)


@pytest.mark.parametrize("stops", [False, True], ids=["running", "stopping"])
def test_the_lease_of_a_long_function_is_renewed(tmp_path: Path, clock: Clock, stops: bool) -> None:  # noqa: FBT001 - a case
    """Nobody else gets its message however long it takes, not even while the host stops."""
    queues, file = Watched(clock), tmp_path / "go"
    host = Host(Worker(APPS / "slow"), queues, clock, {})
    host.start()
    queues.put("work", str(file))
    until(file.with_suffix(".begun").exists)
    stopping = threading.Thread(target=host.stop)
    if stops:
        stopping.start()
    for count in (1, 2, 3):
        clock.turn(HALF)
        until(lambda count=count: queues.released == count)  # type: ignore[misc]  # bound at once
    hidden = not queues.waiting("work")
    file.touch()
    if stops:
        stopping.join(PATIENCE)
    else:
        host.drain(PATIENCE)
        host.stop()

    assert hidden
    assert queues.get("done", LEASE)[0].text == "attempt 1"
    clock.turn(3600)
    assert queues.get("work", LEASE) == []


def test_a_renewal_that_fails_is_tried_again_in_a_minute(tmp_path: Path, clock: Clock) -> None:
    """There is time for that before the lease ends."""
    queues, file = Watched(clock, failures=1), tmp_path / "go"
    with Host(Worker(APPS / "slow"), queues, clock, {}) as host:
        queues.put("work", str(file))
        until(file.with_suffix(".begun").exists)
        for count, seconds in ((1, HALF), (2, 60)):
            clock.turn(seconds)
            until(lambda count=count: queues.released == count)  # type: ignore[misc]  # bound at once
        clock.turn(HALF)
        file.touch()
        host.drain(PATIENCE)

    assert [one.text for one in queues.get("done", LEASE, 32)] == ["attempt 1"]


def test_a_message_that_was_taken_too_often_is_not_tried_again(
    clock: Clock, queues: MemoryQueues
) -> None:
    """It may be what makes hosts die, so no function sees it."""
    queues.create("work")
    queues.put("work", "aGVsbG8=")
    for _ in range(3):
        (message,) = queues.get("work", LEASE)
        queues.release("work", message)
    with Host(Worker(APPS / "relay"), queues, clock, {"SWEEP": "0 0 0 1 1 *"}) as host:
        host.drain(PATIENCE)

    assert texts(queues, "work-poison") == ["hello"]
    assert not queues.waiting("work")
    with pytest.raises(QueueError, match="QueueNotFound"):
        queues.waiting("done")


def test_what_fails_in_a_poison_queue_stays_there(clock: Clock, queues: MemoryQueues) -> None:
    """There is no poison of the poison; it is hidden until its lease ends."""
    with Host(Worker(APPS / "slow"), queues, clock, {}) as host:
        queues.put("work-poison", "what failed")
        host.drain(PATIENCE)
        clock.turn(601)
        host.drain(PATIENCE)

    clock.turn(601)
    (message,) = queues.get("work-poison", LEASE)
    assert (message.text, message.dequeued) == ("what failed", 3)
    with pytest.raises(QueueError, match="QueueNotFound"):
        queues.waiting("work-poison-poison")


def test_a_queue_that_cannot_be_read_is_told_once(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """And once more when it can be read again, as it must be for the message to be done."""
    queues = Unread(clock)
    with (
        caplog.at_level("INFO"),
        Host(Worker(APPS / "relay"), queues, clock, {"SWEEP": "0 0 0 1 1 *"}) as host,
    ):
        queues.put("work", "aGVsbG8=")
        host.drain(PATIENCE)

    told = [one.getMessage() for one in caplog.records if one.name == "sandbox.host.listening"]
    assert told == ["cannot read queue work: 503 ServerBusy", "queue work can be read again"]


class Unread(MemoryQueues):
    """Cannot be read twice, and then it can."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.failures = 2

    def get(self, queue: str, lease: timedelta, limit: int = 1) -> list[Message]:
        """Fail at first."""
        if self.failures:
            self.failures -= 1
            raise QueueError(503, "ServerBusy")
        return super().get(queue, lease, limit)


def test_no_more_than_the_options_say_run_at_once(tmp_path: Path, clock: Clock) -> None:
    """A batch is fetched when no more than the threshold are left of those before."""
    queues = MemoryQueues(clock)
    queues.create("work")
    files = [tmp_path / str(number) for number in range(5)]
    for file in files:
        queues.put("work", str(file))

    def begun() -> list[Path]:
        return [file for file in files if file.with_suffix(".begun").exists()]

    host = Host(Worker(APPS / "slow"), queues, clock, {})
    host.options = QueueOptions(batch_size=2, new_batch_threshold=1, base64=False)
    with host:
        until(lambda: len(begun()) == 2)
        assert queues.waiting("work")
        begun()[0].touch()
        until(lambda: len(begun()) == 4)
        assert queues.waiting("work")
        for file in files:
            file.touch()
        host.drain(PATIENCE)

    assert len(queues.get("done", LEASE, 32)) == 5
