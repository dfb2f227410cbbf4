"""Ctrl-C and SIGTERM as one exception, which no library on the way takes for its own.

`reconciler.cli.commands` sets it up and turns it into the exit code; `apply` defers it while it
writes, and notes on it that what was done stays.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final


class Interrupted(BaseException):
    """SIGINT or SIGTERM came; `code` is the exit code, as shells count it (130, 143)."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.code = 128 + number

    def __str__(self) -> str:
        """Return one line with what was noted on the way."""
        notes = getattr(self, "__notes__", ["nothing was written"])
        return "; ".join(["interrupted", *notes])


@dataclass(slots=True)
class _State:
    """Whether signals are deferred, and the first one that came meanwhile."""

    deferred: bool = False
    pending: int | None = None


_STATE: Final = _State()


@contextmanager
def listening() -> Iterator[None]:
    """Raise `Interrupted` at either signal for as long as this is open."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [(number, signal.signal(number, _interrupt)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


@contextmanager
def deferred() -> Iterator[None]:
    """Raise `Interrupted` at the end of this where a signal came meanwhile.

    What was written is then known. A second signal raises at once, and nobody knows then what the
    last call came to.
    """
    _STATE.deferred = True
    try:
        yield
    finally:
        _STATE.deferred, pending, _STATE.pending = False, _STATE.pending, None
    if pending:
        raise Interrupted(pending)


def _interrupt(number: int, _: object) -> None:
    if not _STATE.deferred:
        raise Interrupted(number)
    if _STATE.pending:
        interrupted = Interrupted(number)
        interrupted.add_note("what was under way may be done, too: look with plan")
        raise interrupted
    _STATE.pending = number
    # The stream may be in the middle of a line, where only the system's own call is safe.
    os.write(2, b"interrupted: ends once what is under way is done; once more ends at once\n")
