"""Lines and columns, both from 1, as editors show them.

The modules of `reconciler.policy.load` share these.
"""

import re
from typing import Final, Protocol

type Position = tuple[int, int]
"""Line and column, both from 1."""

START: Final[Position] = (1, 1)

_LINE_BREAK = re.compile(r"\r\n?|[\n\x85\u2028\u2029]")
"""Where libyaml counts a new line."""


class Mark(Protocol):
    """Where libyaml is; PyYAML's type stubs know several types for it."""

    line: int
    column: int


def at(mark: Mark | None) -> Position:
    """Return the position of a mark."""
    return (mark.line + 1, mark.column + 1) if mark else START


def after(text: str) -> Position:
    """Return the position that follows a text."""
    lines = _LINE_BREAK.split(text)
    return len(lines), len(lines[-1]) + 1


def line(text: str, position: Position) -> str:
    """Return the line of a text that a position is in."""
    number, _ = position
    return "".join(_LINE_BREAK.split(text)[number - 1 : number])
