"""The command that runs a function app."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
from azure.storage.queue import QueueClient

from sandbox.__main__ import main
from sandbox.host.http import connection_string
from tests.conftest import ROOT
from tests.host.conftest import APPS, event
from tests.world.children import PATIENCE, child

HOURLY = {"SWEEP": "0 0 * * * *"}


def start(app: Path, settings: dict[str, str], port: int = 0) -> subprocess.Popen[str]:
    """Run the command in a process of its own."""
    inherited = {key: value for key, value in os.environ.items() if key != "AzureWebJobsStorage"}
    return subprocess.Popen(
        [sys.executable, "-m", "sandbox", "host", "--port", str(port), "--app", str(app)],
        cwd=ROOT,
        env=inherited | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_serves_until_it_is_told_to_stop(number: signal.Signals) -> None:
    """It says where it is ready, takes events and ends well."""
    with child(start(APPS / "relay", HOURLY)) as process:
        assert process.stdout
        address = process.stdout.readline().removeprefix("ready ").strip()
        answer = requests.post(
            f"{address}/runtime/webhooks/eventgrid?functionName=event_grid_trigger",
            json=[event("nothing")],
            headers={"aeg-event-type": "Notification"},
            timeout=PATIENCE,
        )
        process.send_signal(number)
        process.communicate()

    assert address.startswith("http://127.0.0.1:")
    assert answer.status_code == 202
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("app", "settings", "message"),
    [
        ("absent", {}, "error: no function_app.py in"),
        ("broken", {}, "error: ValueError: the policy folder is empty"),
        ("relay", {}, "error: timer timer_trigger: schedule '' has 0 fields"),
        ("relay", {"AzureWebJobsStorage": "nonsense"}, "error: Connection string"),
        (
            "slow",
            {"AzureWebJobsStorage": "AccountName=a;AccountKey=b"},
            "error: 401 cannot sign",
        ),
        ("relay", HOURLY | {"AzureWebJobsStorage": connection_string(1)}, "error: 503 the storage"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    app: str, settings: dict[str, str], message: str
) -> None:
    """The exit code is 1, and nothing was said to be ready."""
    with child(start(APPS / app, settings)) as process:
        stdout, stderr = process.communicate()

    assert (process.returncode, stdout) == (1, "")
    assert [line for line in stderr.splitlines() if line.startswith("error: ")] == [
        stderr.splitlines()[-1]
    ]
    assert stderr.splitlines()[-1].startswith(message)


def test_a_second_interrupt_does_not_wait_for_functions(tmp_path: Path) -> None:
    """The first one does, so that no work is cut off without need."""
    file = tmp_path / "never"
    with child(start(APPS / "slow", {})) as process:
        assert process.stdout
        port = int(process.stdout.readline().rpartition(":")[2])
        with QueueClient.from_connection_string(connection_string(port), "work") as queue:
            queue.send_message(str(file))
        while not file.with_suffix(".begun").exists():
            time.sleep(0.01)
        # Two that come together may be one.
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
            time.sleep(0.1)
        process.communicate()

    assert process.returncode == 130


def test_a_port_that_is_taken_is_an_error() -> None:
    """The reason comes from the system."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with child(start(APPS / "relay", HOURLY, port)) as process:
            _, stderr = process.communicate()

    assert process.returncode == 1
    assert "Address already in use" in stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--port", "high"], "argument --port: invalid port value: 'high'"),
        (["--port", "65536"], "argument --port: invalid port value: '65536'"),
        (["--speed"], "unrecognized arguments: --speed"),
    ],
)
def test_wrong_arguments_are_told_in_one_line(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code is 2."""
    with pytest.raises(SystemExit) as left:
        main(["host", *arguments])

    assert left.value.code == 2
    assert capsys.readouterr().err == f"python -m sandbox host: {complaint}\n"
