"""The worker library runs a function app for us."""

import logging
import re
import threading

import pytest

from sandbox.host.worker import AppError, InvocationError, TypedData, Worker
from tests.host.conftest import APPS


def test_indexing_gives_exactly_the_bindings_of_each_function() -> None:
    """What the decorators say is what the host sees, as in function.json."""
    with Worker(APPS / "relay") as worker:
        found = {one.name: {b["name"]: b for b in one.bindings} for one in worker.functions}

    storage = {"connection": "AzureWebJobsStorage"}
    assert found == {
        "event_grid_trigger": {
            "event": {"name": "event", "type": "eventGridTrigger", "direction": "IN"},
            "requests": _queue("requests", "work") | storage,
        },
        "queue_trigger": {
            "message": {
                "name": "message",
                "type": "queueTrigger",
                "direction": "IN",
                "queueName": "work",
            }
            | storage,
            "done": _queue("done", "done") | storage,
        },
        "timer_trigger": {
            "timer": {
                "name": "timer",
                "type": "timerTrigger",
                "direction": "IN",
                "schedule": "%SWEEP%",
            },
            "requests": _queue("requests", "ticks") | storage,
        },
    }


def test_every_function_is_loaded_before_it_is_called(caplog: pytest.LogCaptureFixture) -> None:
    """A host in Azure asks for that after the listing; the library's own log shows the order."""
    with caplog.at_level(logging.DEBUG, "azure.functions"), Worker(APPS / "relay"):
        asked = [name for text in caplog.messages for name in re.findall(r"received (\w+)", text)]

    assert asked == ["WorkerInitRequest", "WorkerMetadataRequest"] + ["WorkerLoadRequest"] * 3


def _queue(name: str, queue: str) -> dict[str, str]:
    return {"name": name, "type": "queue", "direction": "OUT", "queueName": queue}


def test_a_worker_starts_again_after_a_stop_and_leaves_no_thread() -> None:
    """An app can be started twice in one process, also while it runs already."""
    before = set(threading.enumerate())
    worker = Worker(APPS / "relay")

    for _ in range(2):
        worker.start()
        worker.start()
        assert len(worker.functions) == 3
        worker.stop()
        worker.stop()

    assert set(threading.enumerate()) <= before


def test_another_app_in_the_same_process_is_the_one_that_runs() -> None:
    """A module of the same name from an earlier app does not stay behind."""
    event = {"event": TypedData(json='{"subject": "s", "data": {}, "eventTime": ""}')}
    outputs = []
    for app in ("relay", "single"):
        with Worker(APPS / app) as worker:
            outputs.append(worker.invoke("event_grid_trigger", event)["requests"])

    assert outputs == [['{"subject": "s"}', "{}"], "s"]


def test_an_app_that_cannot_be_imported_says_why() -> None:
    """The app's own words reach whoever starts it, and nothing keeps running."""
    before = set(threading.enumerate())

    with pytest.raises(AppError, match="ValueError: the policy folder is empty"):
        Worker(APPS / "broken").start()

    assert set(threading.enumerate()) <= before


def test_a_folder_without_an_app_is_refused() -> None:
    """The message names the missing file and where it was looked for."""
    with pytest.raises(AppError, match=r"no function_app\.py in .*apps"):
        Worker(APPS).start()


def test_a_function_that_raises_gives_its_message_and_its_stack() -> None:
    """The exception's type, text and traceback come out."""
    metadata = {"Id": TypedData(string="1")}
    with Worker(APPS / "relay") as worker, pytest.raises(InvocationError) as raised:
        worker.invoke("queue_trigger", {"message": TypedData(string="boom")}, metadata)

    assert raised.value.message == "RuntimeError: cannot do boom"
    assert 'raise RuntimeError(f"cannot do {body}")' in raised.value.stack


def test_an_unknown_function_is_refused() -> None:
    """Its name is in the message."""
    with Worker(APPS / "relay") as worker, pytest.raises(LookupError, match="'absent'"):
        worker.invoke("absent", {})
