"""Signs that a reviewer of policy cannot see, or sees elsewhere than YAML does.

Where a comment ends, and in which order a line is read, must be the same for the loader, for git,
for a browser and for the person who approves. `reconciler.policy.load` asks this of files and of
their names.
"""

import re
import unicodedata
from collections.abc import Iterator

from reconciler.policy.load.positions import Position

_MOST = 20
"""Signs that are told of one file: nobody mends them one by one."""

_LINE_BREAK = r"\r(?!\n)|[\x85\u2028\u2029]"
_DIRECTION = r"[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
_INVISIBLE = (
    r"[\xad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u2060-\u2065\u206a-\u206f\u3164\ufeff"
    r"\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff"
    r"\U000e01f0-\U000e0fff]"
)
# Between letters that are not ASCII they are part of how Persian, Hindi and emoji are written.
_JOINER = r"(?:(?<![^\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f]))"
_VARIATION = r"(?<![^\x00-\x7f])[\ufe00-\ufe0f\U000e0100-\U000e01ef]"
# YAML begins a comment only after a blank or tab, and a reader after whatever looks like one.
_NEARLY_A_BLANK = r"[\xa0\u1680\u2000-\u200a\u202f\u205f\u3000](?=#)"

_HIDDEN = re.compile(
    f"(?P<line>{_LINE_BREAK})|(?P<direction>{_DIRECTION})|(?P<comment>{_NEARLY_A_BLANK})"
    f"|{_INVISIBLE}|{_JOINER}|{_VARIATION}"
)

_WHY = {
    "line": "ends a line for YAML and not for everyone who reads this; end lines with LF or CRLF",
    "direction": "changes the order in which a line is shown; delete it",
    "comment": "only looks like a blank, so YAML begins no comment here; write a blank",
    None: "cannot be seen; delete it",
}


def hidden(text: str) -> Iterator[tuple[Position, str]]:
    """Yield where a text holds a sign that misleads, and what to do, for the first few of them.

    Lines are counted as git does, by line feeds alone.
    """
    line, counted = 1, 0
    for number, found in enumerate(_HIDDEN.finditer(text), start=1):
        start = found.start()
        line += text.count("\n", counted, start)
        counted = start
        column = start - text.rfind("\n", 0, start)
        yield (line, column), f"{_named(found[0])} {_WHY[found.lastgroup]}"
        if number == _MOST:
            return


def visible(text: str) -> str:
    """Return a text in which every sign can be seen: others are shown as their escapes."""
    return "".join(
        sign if sign.isprintable() and not _HIDDEN.match(sign) else ascii(sign)[1:-1]
        for sign in text
    )


def _named(sign: str) -> str:
    name = {"\r": "CARRIAGE RETURN", "\x85": "NEXT LINE"}.get(sign, "")
    return f"U+{ord(sign):04X} {name or unicodedata.name(sign, '')}".rstrip()
