"""The terminal of a command: what it writes and asks, and what interrupts it.

Answers go to stdout, everything else to stderr. Text from Azure and from policy is never markup,
and every line goes through `reconciler.wording`, so that neither a terminal nor a CI runner obeys
it. Rich leaves colours out where they are not wanted (`NO_COLOR`, pipes); nothing is wrapped or
cut, so that ids can be copied.

`commands` opens `raise_interrupts` around each command and turns `Interrupted` into the exit code;
`apply` defers interrupts while it writes.
"""

import json
import os
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import typer
from rich.console import Console

from reconciler.wording import printable, printable_json

if sys.platform != "win32":
    import termios

Format = Annotated[
    Literal["text", "json"], typer.Option("--format", help="How to write the answer.")
]
"""The option that every command has."""

_PIPE_CLOSED: Final = 141
"""The exit code that shells show for SIGPIPE, which ends most commands whose reader went away."""

_STYLES: Final = {
    "+": "green",
    "~": "yellow",
    "-": "red",
    "!": "magenta",
    "/": "bold",
}
"""By the first sign of a line: what is done to a subject, or the subject itself."""


class _Console(Console):
    """A console whose reader may go away, as `head` does."""

    def on_broken_pipe(self) -> None:
        """Exit without a message, as nobody would read it."""
        sink = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(sink, stream.fileno())
        raise SystemExit(_PIPE_CLOSED)


_OUT: Final = _Console(soft_wrap=True, markup=False, emoji=False, highlight=False)
_ERR: Final = _Console(soft_wrap=True, markup=False, emoji=False, highlight=False, stderr=True)


def answer(lines: Iterable[str]) -> None:
    """Write lines of the answer on stdout."""
    for line in lines:
        _OUT.print(printable(line), style=_STYLES.get(line.lstrip()[:1]))


def answer_json(value: dict[str, Any]) -> None:
    """Write the answer as JSON; everything outside ASCII is escaped in it."""
    _OUT.print(printable_json(json.dumps(value, indent=2)))


def info(line: str) -> None:
    """Write a line that is no part of the answer on stderr."""
    _ERR.print(printable(line))


def error(message: str) -> None:
    """Write on stderr why the command fails."""
    _ERR.print(printable(f"error: {message}"), style="red")


def confirm(question: str) -> bool:
    """Ask on stderr; return whether the answer is yes. No answer at all (Ctrl-D) is a no."""
    if sys.platform != "win32":
        # What was typed before is no answer to a question that nobody had read yet.
        termios.tcflush(sys.stdin, termios.TCIFLUSH)
    _ERR.print(printable(f"{question} [y/N] "), end="")
    typed = ""
    try:
        typed = sys.stdin.readline()
    finally:
        if not typed.endswith("\n"):
            info("")
    return typed.strip().lower() in {"y", "yes"}


def progress(activity: str) -> AbstractContextManager[object]:
    """Show what the command is doing for as long as this is open, on terminals only."""
    return _ERR.status(printable(activity))


class Interrupted(BaseException):
    """SIGINT (Ctrl-C) or SIGTERM came; `code` is the exit code that shells show (130, 143).

    It is no `Exception`, so that no library on the way takes it for an error of its own.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.code = 128 + number

    def __str__(self) -> str:
        """Return one line with what was noted on the way."""
        notes = getattr(self, "__notes__", ["nothing was written"])
        return "; ".join(["interrupted", *notes])


@dataclass(slots=True)
class _Signals:
    """Whether signals are deferred, and the first one that came since then."""

    deferred: bool = False
    pending: int | None = None


_SIGNALS: Final = _Signals()


@contextmanager
def raise_interrupts() -> Iterator[None]:
    """Raise `Interrupted` at SIGINT or SIGTERM for as long as this is open."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [(number, signal.signal(number, _on_signal)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


@contextmanager
def defer_interrupts() -> Iterator[None]:
    """Raise `Interrupted` for a signal that comes meanwhile only when this closes.

    A write that has begun is then finished, and its outcome known. A second signal raises at once,
    and nobody knows then what the last call came to.
    """
    _SIGNALS.deferred = True
    try:
        yield
    finally:
        _SIGNALS.deferred, pending, _SIGNALS.pending = False, _SIGNALS.pending, None
    if pending:
        raise Interrupted(pending)


def _on_signal(number: int, _: object) -> None:
    if not _SIGNALS.deferred:
        raise Interrupted(number)
    if _SIGNALS.pending:
        interrupted = Interrupted(number)
        interrupted.add_note("what was under way may be done, too: look with plan")
        raise interrupted
    _SIGNALS.pending = number
    # The stream may be in the middle of a line, where only the system's own call is safe.
    os.write(2, b"interrupted: ends once what is under way is done; once more ends at once\n")
