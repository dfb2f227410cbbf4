"""Commands that tests start as processes of their own, and waiting for what others bring about.

No command outlives its test. One that hangs is no reason to wait for it: the limit in
`tests.conftest` ends the test, and the end of the block here ends the process.
"""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PATIENCE = 120.0
"""Seconds that a busy machine may take for anything that a test waits for."""


@contextmanager
def child[T: (str, bytes)](process: "subprocess.Popen[T]") -> Iterator["subprocess.Popen[T]"]:
    """Hand over a process that was started, and see it end.

    Raises `subprocess.TimeoutExpired` where it was told to end, or was to end by itself, and does
    not.
    """
    with process:
        try:
            yield process
            process.wait(PATIENCE)
        finally:
            process.kill()


def until(reached: Callable[[], object]) -> None:
    """Wait for what another process or thread brings about; fail when it takes too long."""
    end = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < end, "what was waited for did not come"
        time.sleep(0.02)
