"""Ctrl-C and a polite kill as one exception, which no library on the way takes for its own.

`reconciler.cli.commands` sets it up and ends by it; `apply` adds what it leaves behind.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn


class Interrupted(BaseException):
    """SIGINT or SIGTERM came; `code` is the exit code, as shells count it (130, 143)."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.code = 128 + number

    def __str__(self) -> str:
        """Return one line with what was noted on the way."""
        notes = getattr(self, "__notes__", ["nothing was written"])
        return "; ".join(["interrupted", *notes])


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


def _interrupt(number: int, _: object) -> NoReturn:
    raise Interrupted(number)
