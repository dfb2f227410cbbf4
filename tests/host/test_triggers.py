"""The triggers of a running app, with queues in memory and a clock that the test turns."""

import base64
import json
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from sandbox.host.listening import QueueOptions
from sandbox.host.queues import MemoryQueues, Message, QueueError
from sandbox.host.triggers import Host
from sandbox.host.worker import AppError, InvocationError, Worker
from tests.host.conftest import APPS, Clock, event, objects, texts
from tests.world.children import PATIENCE


def put(queues: MemoryQueues, text: str) -> None:
    """Put a message on the relay's queue."""
    queues.put("work", base64.b64encode(text.encode()).decode())


def test_an_event_becomes_one_message_per_item_of_the_output(
    host: Host, queues: MemoryQueues
) -> None:
    """A JSON array in a queue output is several messages, each the item's own text."""
    host.deliver(event("/subscriptions/s", a=1))
    host.drain(PATIENCE)

    done = {one["body"] for one in objects(queues, "done")}
    assert done == {'{"subject": "/subscriptions/s"}', '{"a": 1}'}


def test_an_event_that_asks_for_nothing_puts_nothing(host: Host, queues: MemoryQueues) -> None:
    """An output that is not set is no message."""
    host.deliver(event("nothing"))

    assert not queues.waiting("work")


def test_a_cloud_event_reaches_the_function_too(clock: Clock, queues: MemoryQueues) -> None:
    """The worker library tells the two schemas apart by `specversion`."""
    cloud = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "subject": "/s/x"}
    with Host(Worker(APPS / "single"), queues, clock) as host:
        host.deliver(cloud)

    assert texts(queues, "elsewhere") == ["/s/x"]


@pytest.mark.parametrize(
    ("output", "messages"),
    [
        ("plain", ["plain"]),
        ("12", ["12"]),
        ('["a", {"b": 1}]', ["a", '{\n  "b": 1\n}']),
        ("[broken", ["[broken"]),
    ],
)
def test_a_text_that_is_a_json_array_is_several_messages_too(
    clock: Clock, queues: MemoryQueues, output: str, messages: list[str]
) -> None:
    """The real host parses texts that look like JSON; all others stay as they are."""
    with Host(Worker(APPS / "single"), queues, clock) as host:
        host.deliver(event(output))

    assert texts(queues, "elsewhere") == messages


def test_a_function_learns_of_its_message_what_azure_would_say(
    host: Host, queues: MemoryQueues
) -> None:
    """Id, receipt, count and times arrive as the trigger's metadata."""
    put(queues, "hello")
    host.drain(PATIENCE)

    (about,) = objects(queues, "done")
    assert about.pop("id")
    assert about.pop("receipt")
    assert about == {
        "body": "hello",
        "attempt": 1,
        "inserted": "2026-01-01T12:00:00+00:00",
        "expires": "2026-01-08T12:00:00+00:00",
        "visible": "2026-01-01T12:10:00+00:00",
    }


def test_a_failing_message_is_tried_again_and_then_moves_to_poison_with_its_reason(
    host: Host, queues: MemoryQueues, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """host.json allows three attempts, thirty seconds apart; the log keeps what was wrong."""
    put(queues, "boom")
    for _ in range(3):
        host.drain(PATIENCE)
        clock.turn(30)
    host.drain(PATIENCE)

    assert texts(queues, "work-poison") == ["boom"]
    reasons = [
        one.getMessage()
        for one in caplog.records
        if one.name == "sandbox.host.listening" and one.levelname != "INFO"
    ]
    assert [reason.split(": ", 1)[1] for reason in reasons] == ["RuntimeError: cannot do boom"] * 3
    assert "moves to work-poison" in reasons[-1]


def test_a_message_that_is_not_base64_ends_in_poison_as_it_is(
    host: Host, queues: MemoryQueues, clock: Clock
) -> None:
    """A sender with another encoding is found out without losing what it sent."""
    queues.put("work", "{not base64}")
    for _ in range(3):
        host.drain(PATIENCE)
        clock.turn(30)
    host.drain(PATIENCE)

    (poison,) = queues.get("work-poison", host.options.visibility_timeout)
    assert poison.text == "{not base64}"


def test_more_messages_than_a_batch_are_all_done(host: Host, queues: MemoryQueues) -> None:
    """Messages are worked on side by side, and none is lost or done twice."""
    for number in range(50):
        put(queues, str(number))
    host.drain(PATIENCE)

    done = [one["body"] for _ in range(2) for one in objects(queues, "done")]
    assert sorted(map(int, done)) == list(range(50))


def test_a_failing_event_is_reported_to_its_sender(host: Host) -> None:
    """Event Grid would deliver it again."""
    with pytest.raises(InvocationError, match="ValueError"):
        host.deliver(event() | {"subject": "boom"})


def test_a_timer_fires_by_its_schedule(host: Host, queues: MemoryQueues, clock: Clock) -> None:
    """The schedule comes from a setting, and is read on the host's clock."""
    queues.create("ticks")
    clock.turn(15 * 60)
    arrived = threading.Event()
    while not queues.waiting("ticks"):
        arrived.wait(0.01)

    host.drain(PATIENCE)
    assert texts(queues, "ticks") == ["past due: False"]


def test_a_timer_fires_by_hand(host: Host, queues: MemoryQueues) -> None:
    """Tests and the demo need not wait for the schedule."""
    host.fire_timer("timer_trigger", past_due=True)

    assert texts(queues, "ticks") == ["past due: True"]


def test_a_host_that_does_not_run_refuses_events(host: Host) -> None:
    """The sender keeps the event and delivers it again."""
    host.stop()

    with pytest.raises(InvocationError, match="the host does not run"):
        host.deliver(event())


def test_a_store_that_fails_for_a_while_loses_nothing(clock: Clock) -> None:
    """The host looks again, and a message whose output could not be stored comes again."""
    queues = Unsteady(clock)
    with Host(Worker(APPS / "relay"), queues, clock, {"SWEEP": "0 0 * * * *"}) as host:
        put(queues, "kept")
        host.drain(PATIENCE)
        clock.turn(30)
        host.drain(PATIENCE)

    (done,) = objects(queues, "done")
    assert (done["body"], done["attempt"]) == ("kept", 2)
    assert queues.failures == []


class Unsteady(MemoryQueues):
    """Fails once in reading, and once in creating the queue of the first output."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.failures = ["get", "done"]

    def get(self, queue: str, lease: timedelta, limit: int = 1) -> list[Message]:
        """Fail the first time."""
        self._fail("get")
        return super().get(queue, lease, limit)

    def create(self, queue: str) -> bool:
        """Fail the first time for the queue that is called done."""
        self._fail(queue)
        return super().create(queue)

    def _fail(self, what: str) -> None:
        if what in self.failures:
            self.failures.remove(what)
            raise QueueError(503, "ServerBusy")


def test_unknown_functions_are_refused_by_name(host: Host) -> None:
    """Neither an event nor a tick gets lost at a misspelt name."""
    with pytest.raises(LookupError, match="'absent'"):
        host.deliver(event(), "absent")
    with pytest.raises(LookupError, match="'queue_trigger'"):
        host.fire_timer("queue_trigger")


def test_a_binding_that_the_host_lacks_is_refused_at_the_start(queues: MemoryQueues) -> None:
    """An output that went nowhere would look like success."""
    expected = r"no table binding on AzureWebJobsStorage.*sweep.*'report'"
    with pytest.raises(AppError, match=expected):
        Host(Worker(APPS / "table"), queues).start()


def test_a_schedule_that_cannot_be_read_is_refused_at_the_start(queues: MemoryQueues) -> None:
    """The timer is named; nothing keeps running."""
    before = set(threading.enumerate())

    with pytest.raises(ValueError, match="timer timer_trigger: schedule '' has 0 fields"):
        Host(Worker(APPS / "relay"), queues, settings={}).start()

    assert set(threading.enumerate()) <= before


def test_stopping_leaves_no_thread(clock: Clock, queues: MemoryQueues) -> None:
    """A host can be stopped and started again."""
    before = set(threading.enumerate())
    host = Host(Worker(APPS / "relay"), queues, clock, {"SWEEP": "0 0 * * * *"})

    for _ in range(2):
        with host:
            host.deliver(event())
            host.drain(PATIENCE)

    assert set(threading.enumerate()) <= before


def test_draining_gives_up_after_its_time(host: Host, queues: MemoryQueues) -> None:
    """A queue that nobody empties is not waited for forever."""
    host.stop()
    put(queues, "left")
    host.worker.start()

    with pytest.raises(TimeoutError, match="not empty after 0 s"):
        host.drain(0)


def test_queue_options_come_from_host_json(tmp_path: Path) -> None:
    """Without the file or a key, the documented defaults hold."""
    default = QueueOptions.read(Worker(tmp_path))
    (tmp_path / "host.json").write_text(
        json.dumps({"extensions": {"queues": {"batchSize": 2, "messageEncoding": "none"}}})
    )

    assert (default.batch_size, default.new_batch_threshold, default.max_dequeue_count) == (
        16,
        8,
        5,
    )
    assert QueueOptions.read(Worker(tmp_path)) == QueueOptions(2, 1, 5, base64=False)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "extensions.queues is not an object"),
        ('{"extensions": 5}', "extensions.queues is not an object"),
        ('{"extensions": {"queues": []}}', "extensions.queues is not an object"),
        ('{"extensions": {"queues": {"batchSize": 33}}}', "batchSize is a number from 1 to 32"),
        ('{"extensions": {"queues": {"maxDequeueCount": null}}}', "maxDequeueCount is a number"),
        (
            '{"extensions": {"queues": {"visibilityTimeout": "30"}}}',
            "visibilityTimeout is hh:mm:ss",
        ),
        ('{"extensions": {"queues": {"messageEncoding": "utf8"}}}', "messageEncoding is base64 or"),
        ("{", "Expecting property name"),
    ],
)
def test_queue_options_that_mean_nothing_are_refused(
    tmp_path: Path, content: str, message: str
) -> None:
    """The reason names the option, and what it may be."""
    (tmp_path / "host.json").write_text(content)

    with pytest.raises(ValueError, match=message):
        QueueOptions.read(Worker(tmp_path))
