"""One contract for queues, in memory and in a real storage emulator."""

import base64
import json
import time
import uuid
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from sandbox.host.queues import MemoryQueues, QueueError, Queues, StorageQueues
from sandbox.host.triggers import Host
from sandbox.host.worker import Worker
from tests.host.conftest import APPS, Clock
from tests.world.children import PATIENCE

SHORT = timedelta(seconds=1)
LONG = timedelta(minutes=1)


@dataclass(frozen=True)
class Store:
    """Queues, one of which exists and is new, and the way to let their time pass."""

    queues: Queues
    turn: Callable[[float], None]
    queue: str = field(default_factory=lambda: f"contract-{uuid.uuid4()}")


@pytest.fixture(params=["memory", "azurite"])
def store(request: pytest.FixtureRequest, clock: Clock) -> Generator[Store]:
    """An empty queue of either kind."""
    if request.param == "memory":
        store = Store(MemoryQueues(clock), clock.turn)
        store.queues.create(store.queue)
        yield store
        return
    with closing(StorageQueues(request.getfixturevalue("azurite"))) as queues:
        store = Store(queues, time.sleep)
        queues.create(store.queue)
        yield store


def test_creating_a_queue_again_changes_nothing(store: Store) -> None:
    """The answer tells whether it was missing."""
    assert store.queues.create("created-once")
    assert not store.queues.create("created-once")


def test_a_taken_message_is_hidden_and_counted(store: Store) -> None:
    """It comes with its text, its times and the number of attempts."""
    sent = store.queues.put(store.queue, "<a & b>")
    assert store.queues.waiting(store.queue)

    (taken,) = store.queues.get(store.queue, LONG)

    assert (taken.id, taken.text, taken.dequeued) == (sent.id, "<a & b>", 1)
    assert taken.expires - taken.inserted == timedelta(days=7)
    assert taken.visible > taken.inserted
    assert not store.queues.waiting(store.queue)
    assert store.queues.get(store.queue, LONG) == []


def test_a_message_comes_again_when_its_lease_ends(store: Store) -> None:
    """Who took it may have died."""
    store.queues.put(store.queue, "again")
    (first,) = store.queues.get(store.queue, SHORT)
    store.turn(1.5)

    (second,) = store.queues.get(store.queue, LONG)

    assert (second.id, second.dequeued) == (first.id, 2)


def test_a_delayed_message_is_not_visible_before_its_time(store: Store) -> None:
    """It is neither waiting nor to be had."""
    store.queues.put(store.queue, "later", delay=LONG)
    assert not store.queues.waiting(store.queue)
    store.queues.put(store.queue, "soon", delay=SHORT)
    store.turn(1.5)

    assert [one.text for one in store.queues.get(store.queue, LONG, 32)] == ["soon"]


def test_a_released_message_is_visible_after_its_delay(store: Store) -> None:
    """Without a delay at once; its count stays."""
    store.queues.put(store.queue, "back")
    (first,) = store.queues.get(store.queue, LONG)
    store.queues.release(store.queue, first)
    (second,) = store.queues.get(store.queue, LONG)
    store.queues.release(store.queue, second, LONG)

    assert second.dequeued == 2
    assert not store.queues.waiting(store.queue)


def test_up_to_the_limit_are_taken_at_once(store: Store) -> None:
    """The rest is left for the next."""
    for text in "abc":
        store.queues.put(store.queue, text)

    taken = [store.queues.get(store.queue, LONG, 2) for _ in range(2)]

    assert [[one.text for one in batch] for batch in taken] == [["a", "b"], ["c"]]


def test_a_deleted_message_is_gone(store: Store) -> None:
    """Deleting it twice is told apart."""
    store.queues.put(store.queue, "done")
    (taken,) = store.queues.get(store.queue, SHORT)
    store.queues.delete(store.queue, taken)
    store.turn(1.5)

    assert not store.queues.waiting(store.queue)
    with pytest.raises(QueueError) as raised:
        store.queues.delete(store.queue, taken)
    assert (raised.value.status, raised.value.code) == (404, "MessageNotFound")


def test_only_the_latest_receipt_may_delete_or_release(store: Store) -> None:
    """Whoever lost the lease has lost the message."""
    store.queues.put(store.queue, "mine")
    (first,) = store.queues.get(store.queue, LONG)
    store.queues.release(store.queue, first)
    store.queues.get(store.queue, LONG)

    with pytest.raises(QueueError) as deleting:
        store.queues.delete(store.queue, first)
    with pytest.raises(QueueError) as releasing:
        store.queues.release(store.queue, first)
    assert deleting.value.code == releasing.value.code == "PopReceiptMismatch"
    assert deleting.value.status == 400


@pytest.mark.parametrize("stored", ["Ym9vbQ==", "{not base64}"])
def test_what_fails_for_the_last_time_moves_to_poison_as_it_is(
    store: Store, clock: Clock, stored: str
) -> None:
    """Three attempts of the relay app, be it the function or the decoding that fails."""
    for queue in ("work", "work-poison"):
        store.queues.create(queue)

    with Host(Worker(APPS / "relay"), store.queues, clock, {"SWEEP": "0 0 0 1 1 *"}) as host:
        host.options = replace(host.options, visibility_timeout=SHORT)
        store.queues.put("work", stored)
        for _ in range(3):
            host.drain(PATIENCE)
            store.turn(1.5)

    assert not store.queues.waiting("work")
    (poison,) = store.queues.get("work-poison", LONG)
    assert (poison.text, poison.dequeued) == (stored, 1)
    store.queues.delete("work-poison", poison)


def test_texts_travel_in_base64(store: Store, clock: Clock) -> None:
    """Into a function and out of it; what is stored is what other clients of the queue see."""
    store.queues.create("done")
    store.queues.create("work")
    store.queues.put("work", "R3LDvMOfZQ==")

    with Host(Worker(APPS / "relay"), store.queues, clock, {"SWEEP": "0 0 0 1 1 *"}) as host:
        host.drain(PATIENCE)

    (done,) = store.queues.get("done", LONG)
    about = json.loads(base64.b64decode(done.text))
    assert (about["body"], about["attempt"]) == ("Grüße", 1)


def test_a_message_has_its_largest_size_and_delay(store: Store) -> None:
    """More than 64 KB are refused, and what would become visible when it has expired."""
    store.queues.put(store.queue, "x" * 64 * 1024, timedelta(days=6))

    with pytest.raises(QueueError, match="413 RequestBodyTooLarge"):
        store.queues.put(store.queue, "x" * (64 * 1024 + 1))
    with pytest.raises(QueueError, match="400 OutOfRangeQueryParameterValue"):
        store.queues.put(store.queue, "late", timedelta(days=7, seconds=1))


def test_a_missing_queue_is_an_error(store: Store) -> None:
    """Nothing is made up for a misspelt name."""
    attempts: list[Callable[[], object]] = [
        lambda: store.queues.put("absent", ""),
        lambda: store.queues.get("absent", LONG),
        lambda: store.queues.waiting("absent"),
    ]
    for attempt in attempts:
        with pytest.raises(QueueError, match="404 QueueNotFound"):
            attempt()


def test_a_message_is_forgotten_after_seven_days(clock: Clock) -> None:
    """Only in memory, where the clock can be turned."""
    queues = MemoryQueues(clock)
    queues.create("old")
    queues.put("old", "stale")
    clock.turn(7 * 24 * 3600)

    assert queues.get("old", LONG) == []
