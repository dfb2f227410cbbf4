"""Where the commands write: answers on stdout, everything else on stderr.

Text from Azure and from policy is never markup, and every line goes through
`reconciler.printable`, so that neither a terminal nor a CI runner obeys it. Rich leaves colours
out where they are not wanted (`NO_COLOR`, pipes); nothing is wrapped or cut, so that ids can be
copied.
"""

import io
import json
import os
import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Any, Final

from rich.console import Console

from reconciler.printable import printable, printable_json

if sys.platform != "win32":
    import termios

_PIPE_CLOSED: Final = 141
"""As shells count SIGPIPE, by which most commands end then."""


class _Console(Console):
    """A console whose reader may go away, as `head` does."""

    def on_broken_pipe(self) -> None:
        """End without a word: nobody reads it."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(nowhere, stream.fileno())
        raise SystemExit(_PIPE_CLOSED)


_OUT: Final = _Console(soft_wrap=True, markup=False, emoji=False, highlight=False)
_ERR: Final = _Console(soft_wrap=True, markup=False, emoji=False, highlight=False, stderr=True)

_STYLES: Final = {
    "+": "green",
    "~": "yellow",
    "-": "red",
    "!": "magenta",
    "/": "bold",
}
"""By the first sign of a line: what is done to a subject, or the subject itself."""


class Format(StrEnum):
    """How an answer is written."""

    TEXT = "text"
    JSON = "json"


def prepare() -> None:
    """Let a terminal that cannot show a character show its number instead."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def answer(lines: Iterable[str]) -> None:
    """Write lines of the answer on stdout."""
    for line in lines:
        _OUT.print(printable(line), style=_STYLES.get(line.lstrip()[:1]))


def answer_json(value: dict[str, Any]) -> None:
    """Write the answer as JSON; everything outside ASCII is escaped in it."""
    _OUT.print(printable_json(json.dumps(value, indent=2)))


def tell(line: str) -> None:
    """Write a line that is no part of the answer on stderr."""
    _ERR.print(printable(line))


def fail(message: str) -> None:
    """Say on stderr why the command ends."""
    _ERR.print(printable(f"error: {message}"), style="red")


def confirmed(question: str) -> bool:
    """Ask on stderr; only a yes is one, and no answer at all (Ctrl-D) is a no.

    What was typed before is no answer to what nobody had read yet.
    """
    if sys.platform != "win32":
        termios.tcflush(sys.stdin, termios.TCIFLUSH)
    _ERR.print(printable(f"{question} [y/N] "), end="")
    answer = ""
    try:
        answer = sys.stdin.readline()
    finally:
        if not answer.endswith("\n"):
            tell("")
    return answer.strip().lower() in {"y", "yes"}


def busy(what: str) -> AbstractContextManager[object]:
    """Show that something goes on, on terminals only."""
    return _ERR.status(printable(what))
