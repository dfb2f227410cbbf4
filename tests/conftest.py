"""What every test may ask for, and the guards that all of them run under."""

import faulthandler
import itertools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import NoReturn

import hypothesis
import pytest

from tests.world.children import child

ROOT = Path(__file__).parent.parent
# These run without any socket, so that they stay fast and cannot depend on a server.
OFFLINE = (ROOT / "tests" / "unit", ROOT / "tests" / "properties")

# The emulator's one account and key, as its documentation gives them.
EMULATOR = "devstoreaccount1"
EMULATOR_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

# A shared machine is slow at times, which says nothing about a rule. CI repeats the same examples;
# elsewhere each run draws others, and fewer, so that the inner loop stays quick.
hypothesis.settings.register_profile(
    "default",
    max_examples=30,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.register_profile(
    "ci", hypothesis.settings.get_profile("default"), max_examples=100, derandomize=True
)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")

LIMIT = 300
"""Seconds after which a test hangs, on however busy a machine; each of its phases has as many."""


def require(condition: object, reason: str) -> None:
    """Skip the test with `reason` unless `condition` holds; fail it where REQUIRE_ALL=1."""
    if condition:
        return
    if os.environ.get("REQUIRE_ALL") == "1":
        pytest.fail(f"REQUIRE_ALL=1 and missing: {reason}", pytrace=False)
    pytest.skip(reason)


def pytest_configure() -> None:
    """Clear up on a polite kill as on Ctrl-C, so that no process of a test stays behind."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGALRM, _hung)


def pytest_unconfigure() -> None:
    """Let no thread that hangs keep the process from its end."""
    faulthandler.dump_traceback_later(LIMIT, exit=True)


def _hung(*_: object) -> NoReturn:
    faulthandler.dump_traceback(sys.__stderr__ or 2)
    pytest.fail(f"this hangs: {LIMIT} s are over; where, the traceback and standard error tell")


def _limited() -> Generator[None, object, object]:
    # What is cleared up on the way out may hang as well, so the alarm goes on.
    signal.setitimer(signal.ITIMER_REAL, LIMIT, LIMIT / 10)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


# Fixtures hang as well as tests.
pytest_runtest_setup = pytest.hookimpl(wrapper=True)(_limited)
pytest_runtest_call = pytest.hookimpl(wrapper=True)(_limited)
pytest_runtest_teardown = pytest.hookimpl(wrapper=True)(_limited)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Take sockets away from the offline tests."""
    for item in items:
        if any(item.path.is_relative_to(folder) for folder in OFFLINE):
            item.add_marker(pytest.mark.disable_socket)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The recordings of real Azure traffic, which lie beside the repository and not in it."""
    path = ROOT.parent / "shared" / "data"
    require(path.is_dir(), "the recordings at ../shared/data")
    return path


@pytest.fixture(scope="session")
def azurite() -> Generator[str]:
    """A running storage emulator's connection string, for queues and blobs."""
    local = ROOT / ".tools" / "node_modules" / ".bin" / "azurite"
    binary = str(local) if local.exists() else shutil.which("azurite")
    require(binary, "Azurite, which make test installs where npm is there")
    command = [str(binary), "--blobPort", "0", "--queuePort", "0", "--tablePort", "0"]
    options = ["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry"]
    # Not silent, it would stop in the middle of its log as soon as the pipe is full.
    started = subprocess.Popen([*command, *options, "--silent"], stdout=subprocess.PIPE, text=True)
    with child(started) as process:
        assert process.stdout
        ready = (line for line in process.stdout if "successfully" in line)
        blobs, queues, _ = (f"{line.split()[-1]}/{EMULATOR}" for line in itertools.islice(ready, 3))
        yield (
            f"DefaultEndpointsProtocol=http;AccountName={EMULATOR};AccountKey={EMULATOR_KEY};"
            f"BlobEndpoint={blobs};QueueEndpoint={queues};"
        )
        process.terminate()
