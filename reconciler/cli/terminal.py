"""What a command writes and asks: answers on stdout, everything else on stderr.

Text from Azure and from policy is never markup, and every line goes through
`reconciler.wording`, so that neither a terminal nor a CI runner obeys it. Rich leaves colours
out where they are not wanted (`NO_COLOR`, pipes); nothing is wrapped or cut, so that ids can be
copied.
"""

import json
import os
import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager
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
        """End without a word: nobody reads it."""
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
