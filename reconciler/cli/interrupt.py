"""Ctrl-C and a polite kill as one exception, which no library on the way takes for its own.

`reconciler.cli.commands` sets it up and ends by it; `apply` adds what it leaves behind.
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
    """Whether something must be finished first, and which signal came meanwhile."""

    finishing: bool = False
    came: int | None = None


_STATE: Final = _State()


@contextmanager
def listening() -> Iterator[None]:
    """Let both signals raise `Interrupted` for as long as this is open."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [(number, signal.signal(number, _interrupt)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


@contextmanager
def finishing() -> Iterator[None]:
    """Let a first signal wait until this is over, so that what was written is known; raises then.

    A second one raises at once, and nobody can tell then what the last call came to.
    """
    _STATE.finishing = True
    try:
        yield
    finally:
        _STATE.finishing, came, _STATE.came = False, _STATE.came, None
    if came:
        raise Interrupted(came)


def _interrupt(number: int, _: object) -> None:
    if not _STATE.finishing:
        raise Interrupted(number)
    if _STATE.came:
        interrupted = Interrupted(number)
        interrupted.add_note("what was under way may be done, too: look with plan")
        raise interrupted
    _STATE.came = number
    # The stream may be in the middle of a line, which only the system's own call can bear.
    os.write(2, b"interrupted: ends once what is under way is done; once more ends at once\n")
