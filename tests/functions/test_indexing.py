"""What the worker library finds in `function_app.py`, and how it fails on a wrong setting."""

from collections.abc import Generator
from pathlib import Path

import pytest

from sandbox.host.worker import AppError, Binding, Worker
from tests.conftest import ROOT
from tests.world.ids import SUBSCRIPTION

STORAGE = "AzureWebJobsStorage"
SETTINGS = {
    "RECONCILER_OWNER": "lab",
    "RECONCILER_SUBSCRIPTIONS": SUBSCRIPTION,
    "RECONCILER_SWEEP_SCHEDULE": "0 */15 * * * *",
}
OUTPUT = {
    "direction": "OUT",
    "type": "queue",
    "name": "requests",
    "queueName": "reconcile-requests",
    "connection": STORAGE,
}


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The least that the app must be told."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.fixture
def worker(settings: pytest.MonkeyPatch) -> Generator[Worker]:
    """The indexed app."""
    settings.setenv("RECONCILER_POLICIES", "policies")
    with Worker(ROOT) as running:
        yield running


def test_the_bindings_are_exactly_those_intended(worker: Worker) -> None:
    """Events come in by two ways, requests go through a queue, a timer sweeps; nothing else."""
    found = {one.name: [_named(binding) for binding in one.bindings] for one in worker.functions}
    event = {"direction": "IN", "type": "eventGridTrigger", "name": "event"}
    message = OUTPUT | {"direction": "IN", "type": "queueTrigger", "name": "message"}
    delivered = message | {"queueName": "reconcile-events"}
    timer = {
        "direction": "IN",
        "type": "timerTrigger",
        "name": "timer",
        "schedule": "0 */15 * * * *",
    }

    assert {name: sorted(each, key=str) for name, each in found.items()} == {
        "event_grid_trigger": sorted([event, OUTPUT], key=str),
        "event_queue_trigger": sorted([delivered, OUTPUT], key=str),
        "queue_trigger": sorted([message, OUTPUT], key=str),
        "timer_trigger": sorted([timer, OUTPUT], key=str),
    }


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("RECONCILER_OWNER", "", "SettingsError: RECONCILER_OWNER is not set"),
        ("RECONCILER_SUBSCRIPTIONS", "lab", "SettingsError: RECONCILER_SUBSCRIPTIONS is 'lab'"),
        ("RECONCILER_MODE", "repair", "SettingsError: RECONCILER_HOME is not set"),
        ("RECONCILER_SETTLE", "soon", "SettingsError: RECONCILER_SETTLE is 'soon'"),
        ("RECONCILER_SWEEP_SCHEDULE", "hourly", "SettingsError: RECONCILER_SWEEP_SCHEDULE is"),
        ("RECONCILER_TOPIC_ENDPOINT", "http://t/", "SettingsError: RECONCILER_TOPIC_ENDPOINT is"),
        ("RECONCILER_POLICIES", "/nowhere", "PolicyError: /nowhere"),
    ],
)
def test_a_wrong_setting_fails_indexing_by_name(
    settings: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    """The deployment fails where it is seen, before any message is taken."""
    settings.setenv(name, value)

    with pytest.raises(AppError) as failure:
        Worker(ROOT).start()

    assert str(failure.value).startswith(message)


def test_a_mistake_in_policy_fails_indexing_at_its_place(
    settings: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The message has file, line and column."""
    file = tmp_path / "machines.yaml"
    file.write_text("version: 1\nrule: []\n", "utf-8")
    settings.setenv("RECONCILER_POLICIES", str(tmp_path))

    with pytest.raises(AppError) as failure:
        Worker(ROOT).start()

    assert f"{file}:2:1: " in str(failure.value)


def _named(binding: Binding) -> dict[str, object]:
    """Leave out what the library adds and no host reads as ours."""
    wanted = {"direction", "type", "name", "queueName", "connection", "schedule"}
    return {key: value for key, value in binding.items() if key in wanted}
