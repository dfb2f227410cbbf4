"""The whole path with a real storage emulator for the queues, and the app in its own process."""

import os
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from sandbox.host.queues import StorageQueues
from tests.conftest import ROOT
from tests.functions.conftest import MACHINE, QUEUE, Cloud, healed, post
from tests.world.children import PATIENCE, child


@pytest.mark.usefixtures("settings")
def test_a_machine_is_healed_over_azurite(cloud: Cloud, azurite: str, tmp_path: Path) -> None:
    """Webhook, queue, function and delayed request work as they do with queues in memory."""
    settings = os.environ | {"AzureWebJobsStorage": azurite, "RECONCILER_SETTLE": "1"}
    command = [sys.executable, "-m", "sandbox", "host", "--port", "0"]
    with (tmp_path / "app.log").open("w") as log:
        started = subprocess.Popen(
            command, cwd=ROOT, env=settings, stdout=subprocess.PIPE, stderr=log, text=True
        )
    with child(started) as process:
        assert process.stdout
        address = process.stdout.readline().removeprefix("ready ").strip()
        cloud.operator.put(MACHINE, {})
        answer = post(address, [cloud.written(MACHINE)])
        deadline = time.monotonic() + PATIENCE
        while not healed(cloud) and time.monotonic() < deadline:
            time.sleep(0.1)
        process.terminate()

    assert answer.status_code == 202
    assert healed(cloud), (tmp_path / "app.log").read_text("utf-8")
    with closing(StorageQueues(azurite)) as queues:
        assert queues.create(f"{QUEUE}-poison"), "a message was poisoned"
