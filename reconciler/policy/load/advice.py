"""What mends a file that is not YAML, where it looks like one of the slips that people make.

`reconciler.policy.load.syntax` is the only caller. libyaml speaks of tokens, contexts and simple
keys, and often of the place where it gave up rather than of the one where the slip is.
"""

import re

import yaml

from reconciler.policy.load import positions
from reconciler.policy.load.positions import Position

QUOTE = "put quotes around a text that begins with '{begin}'"
_NO_FIT = "this does not fit what stands before it; check the indent, quotes and brackets"

_SLIPS = (
    ("cannot start any token", False, QUOTE),
    ("mapping keys", False, QUOTE),
    ("scanning an anchor", True, QUOTE),
    ("scanning an alias", True, QUOTE),
    ("scanning a tag", True, QUOTE),
    ("expected ':'", True, "there is no key here; write 'key: value', a blank after the colon"),
    ("end of stream", True, "this quote is never closed; close it"),
    (
        "mapping values",
        False,
        "no ':' can stand here; quote a text that holds one, or mend the indent",
    ),
    ("escape", False, "in double quotes '\\' begins an escape; use single quotes"),
    ("comment or line break", False, "after '|' or '>' the text begins in the next line"),
    ("sequence entries", False, "no entry of a list can begin here; give it a line of its own"),
    (
        "',' or",
        False,
        "a ',' or the closing bracket is missing before this; one opens in line {opened}",
    ),
    ("node content", False, "a value or the closing bracket is missing before this"),
    ("expected key", False, _NO_FIT),
    ("expected '-'", False, _NO_FIT),
    ("<document start>", False, _NO_FIT),
)
"""A part of what libyaml says, whether its context is the place, and what to say of that."""

_PLACEHOLDER = re.compile(r"(?:^|[\s:,\[])\{[A-Za-z.]+[}\[]")
"""Where a plain text begins with a placeholder, which YAML takes for a mapping."""

_LIKE_A_BLANK = re.compile(r"[^\S \t]|[\u200b\ufeff]")


def on(error: yaml.MarkedYAMLError, text: str) -> tuple[Position, str]:
    """Return the place of a slip in a text, and what mends it."""
    context, place = positions.at(error.context_mark), positions.at(error.problem_mark)
    said = ", ".join(filter(None, (error.context, error.problem)))
    number, column = place
    line = positions.line(text, place)
    if line[column - 1 : column] == "\t":
        return place, "use spaces, not tabs"
    if _PLACEHOLDER.search(line):
        return place, QUOTE.format(begin="{")
    # libyaml takes what looks like a blank for a text, and stumbles as late as in the next line.
    for row, before in (
        (number, line[:column]),
        (number - 1, positions.line(text, (number - 1, 1))),
    ):
        if found := _LIKE_A_BLANK.search(before):
            message = f"{found.group()!a} only looks like a blank; write a blank"
            return (row, found.start() + 1), message
    for part, of_context, advice in _SLIPS:
        if part in said:
            where = context if of_context else place
            begin = positions.line(text, where)[where[1] - 1 : where[1]]
            return where, advice.format(begin=begin, opened=context[0])
    return place, f"not valid YAML: {said}"
