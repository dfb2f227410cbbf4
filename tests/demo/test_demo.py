"""The demo, run as users run it: its story holds, it fails loudly, and it leaves nothing behind."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.world.children import child

COMMAND = [sys.executable, "-m", "sandbox", "demo"]
PATIENCE = 240.0
"""Seconds that a busy machine may take; a run takes half a minute."""
OUTCOME = r"   ok +(\d+\.\d s|-) +\d+ calls  "
STORY = (
    "1. app-shared and three machines are created, none of which carries it",
    "each has app-shared, its own identity, and their roles",
    "2. a program on app-1 opens the store",
    "its own identity writes, app-shared reads only",
    "3. app-1 is deleted and rebuilt under its name",
    "refused at first, it is let in again; old roles are gone",
    "4. app-shared is deleted and created again",
    "every machine carries the new one and reads with it",
    "5. somebody deletes a role assignment of app-2",
    "it is back",
    "6. somebody gives app-3 a role that no policy speaks of",
    "looked at and left as it is, like that of the old app-1",
    "7. app-3 is deleted for good",
    "Resource Graph shows it no more, the log tells of its end: its roles are gone",
    "8. the last plan",
    "nothing to change",
)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A desk with settings of its own, none of which may lead the demo astray."""
    return os.environ | {
        "TMPDIR": str(tmp_path),
        "AZURE_CLIENT_ID": "somebody",
        "AzureWebJobsStorage": "UseDevelopmentStorage=true",
        "HTTPS_PROXY": "http://127.0.0.1:1",
        "no_proxy": "elsewhere",
        "RECONCILER_OWNER": "NOT VALID",
        "RECONCILER_MODE": "audit",
    }


def test_every_step_of_the_story_holds(environment: dict[str, str], tmp_path: Path) -> None:
    """It is told in order, with time and calls of each effect, and no file is left."""
    done = subprocess.run(
        COMMAND,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    lines = done.stdout.splitlines()
    told = [re.sub(OUTCOME, "", line) for line in lines[3:-2]]
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert told == list(STORY)
    assert [line for line in lines[4:-2:2] if not re.match(OUTCOME, line)] == []
    assert re.fullmatch(r"All 8 steps held in \d+ s; the app made \d+ ARM calls\.", lines[-1])
    assert "\033" not in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_ends_it_in_one_line(environment: dict[str, str], tmp_path: Path) -> None:
    """Nothing keeps running, and no file is left."""
    started = subprocess.Popen(
        COMMAND,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with child(started) as process:
        assert process.stdout
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()

    ports = [int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", first)]
    assert len(ports) == 2
    assert [port for port in ports if _serves(port)] == []
    assert (process.returncode, errors) == (130, "interrupted\n")
    assert list(tmp_path.iterdir()) == []


def _serves(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
