"""One file of policy as YAML: what it says, and the line and column of every key and value.

`reconciler.policy.load` is the only caller. PyYAML follows YAML 1.1, where `no` is false and `0700`
is 448. Here plain texts mean what YAML 1.2 readers expect, and what would surprise (tags, merge
keys) is refused by name. PyYAML's own composer is not used: it recurses without a limit, so that a
file of brackets ends the whole process. Lines and columns count from 1, as editors show them.
"""

import itertools
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

import yaml
from yaml.reader import Reader

from reconciler.errors import Problem

type Position = tuple[int, int]
type Value = str | int | float | bool | list[Value] | dict[str, Value] | None
type Path = tuple[str | int, ...]

START: Final[Position] = (1, 1)
MAX_BYTES: Final = 1024 * 1024
_MAX_VALUES: Final = 20_000
_COUNTS_AS_ONE: Final = 100
"""Characters; a longer text counts as several values, so that aliases cannot multiply it."""
_MAX_DEPTH: Final = 20
_MAX_HEAD, _MAX_TAIL = 200, 270
"""Characters of a message, whose end says what to do."""
_MAX_HIDDEN: Final = 20
"""Hidden signs that are reported of one file: nobody mends them one by one."""

_TOO_MANY: Final = f"more than {_MAX_VALUES} values, aliases counted; split the file"
_EMPTY: Final = "the file is empty; write 'version: 1'"
_MISSING: Final = "a value is missing here; write one, or delete the line"
_QUOTE: Final = "put quotes around a text that begins with '{begin}'"
_NO_FIT: Final = "this does not fit what stands before it; check the indent, quotes and brackets"

# Signs that a reviewer of policy cannot see, or sees elsewhere than YAML does. Where a comment
# ends, and in which order a line is read, must be the same for the loader, for git, for a browser
# and for the person who approves.
_INVISIBLE = (
    r"[\xad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u2060-\u2065\u206a-\u206f\u3164\ufeff"
    r"\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff"
    r"\U000e01f0-\U000e0fff]"
)
# Between letters that are not ASCII they are part of how Persian, Hindi and emoji are written.
_JOINER = r"(?:(?<![^\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f]))"
_VARIATION = r"(?<![^\x00-\x7f])[\ufe00-\ufe0f\U000e0100-\U000e01ef]"
_HIDDEN = re.compile(
    r"(?P<line>\r(?!\n)|[\x85\u2028\u2029])"
    r"|(?P<direction>[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069])"
    # YAML begins a comment only after a blank or tab, and a reader after whatever looks like one.
    r"|(?P<comment>[\xa0\u1680\u2000-\u200a\u202f\u205f\u3000](?=#))"
    f"|{_INVISIBLE}|{_JOINER}|{_VARIATION}"
)
_HIDDEN_ADVICE: Final = {
    "line": "ends a line for YAML and not for everyone who reads this; end lines with LF or CRLF",
    "direction": "changes the order in which a line is shown; delete it",
    "comment": "only looks like a blank, so YAML begins no comment here; write a blank",
    None: "cannot be seen; delete it",
}

# A part of what libyaml says, whether its context is the place, and what mends that. libyaml speaks
# of tokens and simple keys, and often of the place where it gave up rather than where the slip is.
_SLIPS: Final = (
    ("cannot start any token", False, _QUOTE),
    ("mapping keys", False, _QUOTE),
    ("scanning an anchor", True, _QUOTE),
    ("scanning an alias", True, _QUOTE),
    ("scanning a tag", True, _QUOTE),
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
_LINE_BREAK = re.compile(r"\r\n?|[\n\x85\u2028\u2029]")
"""Where libyaml counts a new line."""
_PLACEHOLDER = re.compile(r"(?:^|[\s:,\[])\{[A-Za-z.]+[}\[]")
"""Where a plain text begins with a placeholder, which YAML takes for a mapping."""
_LIKE_A_BLANK = re.compile(r"[^\S \t]|[\u200b\ufeff]")

_WORDS: Final = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]{1,400}")
_OTHER_BASE = re.compile(r"0o[0-7]{1,400}|0x[0-9a-fA-F]{1,400}")
_FLOAT = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)


@dataclass(slots=True)
class Document:
    """What a file says, where it says it, and what of it could not be read.

    `refused` holds the paths whose value a problem is already about; () is the whole file.
    """

    file: str
    value: Value = None
    keys: dict[Path, Position] = field(default_factory=dict[Path, Position])
    values: dict[Path, Position] = field(default_factory=dict[Path, Position])
    refused: set[Path] = field(default_factory=set[Path])
    problems: list[Problem] = field(default_factory=list[Problem])

    def position(self, path: Path) -> Position:
        """Return where the value at `path` begins, or the innermost one around it."""
        while path not in self.values and path:
            path = path[:-1]
        return self.values.get(path, START)

    def report(self, position: Position, message: str) -> None:
        """Add a mistake, in one line however long or odd the text that it quotes."""
        if len(message) > _MAX_HEAD + _MAX_TAIL:
            message = f"{message[:_MAX_HEAD]} ... {message[-_MAX_TAIL:]}"
        self.problems.append(Problem(self.file, *position, visible(message)))

    def refuse(self, path: Path, position: Position, message: str) -> None:
        """Add a mistake about the value at a path, which is not looked at any further."""
        self.refused.add(path)
        self.report(position, message)


def read(file: str, content: bytes) -> Document:
    """Read one file; nothing raises, mistakes are in the document's `problems`."""
    document = Document(file)
    if len(content) > MAX_BYTES:
        document.refuse((), START, "the file is larger than 1 MiB; split it")
        return document
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = _after(content[: error.start].decode("utf-8-sig"))
        document.refuse((), place, "the file is not UTF-8; save it as UTF-8")
        return document
    if match := Reader.NON_PRINTABLE.search(text):
        message = f"not valid YAML: it may not contain the character {match.group()!a}"
        document.refuse((), _after(text[: match.start()]), message)
        return document
    for position, message in hidden(text):
        # What follows would be reported at places that a reader does not find.
        document.refuse((), position, message)
    if not document.problems:
        try:
            document.value = _Reading(document, text).whole()
        except _SyntaxMistake as mistake:
            document.refuse((), mistake.position, str(mistake))
        except yaml.MarkedYAMLError as error:
            document.refuse((), *_slip(error, text))
        except yaml.YAMLError as error:
            document.refuse((), START, f"not valid YAML: {error}")
    return document


def hidden(text: str) -> Iterator[tuple[Position, str]]:
    """Yield where a text holds a sign that misleads, and what to do, for the first few of them.

    Lines are counted as git does, by line feeds alone.
    """
    line, counted = 1, 0
    for number, match in enumerate(_HIDDEN.finditer(text), start=1):
        start, sign = match.start(), match[0]
        line += text.count("\n", counted, start)
        counted = start
        column = start - text.rfind("\n", 0, start)
        # Control characters have no name in Unicode.
        name = {"\r": "CARRIAGE RETURN", "\x85": "NEXT LINE"}.get(sign, "")
        shown = f"U+{ord(sign):04X} {name or unicodedata.name(sign, '')}".rstrip()
        yield (line, column), f"{shown} {_HIDDEN_ADVICE[match.lastgroup]}"
        if number == _MAX_HIDDEN:
            return


def visible(text: str) -> str:
    """Return a text in which every sign can be seen: others are shown as their escapes."""
    return "".join(
        sign if sign.isprintable() and not _HIDDEN.match(sign) else ascii(sign)[1:-1]
        for sign in text
    )


class _SyntaxMistake(Exception):
    """The file cannot be read any further."""

    def __init__(self, position: Position, message: str) -> None:
        super().__init__(message)
        self.position = position


def _after(text: str) -> Position:
    lines = _LINE_BREAK.split(text)
    return len(lines), len(lines[-1]) + 1


class _Mark(Protocol):
    """Where libyaml is; PyYAML's type stubs know several types for it."""

    line: int
    column: int


def _at(mark: _Mark | None) -> Position:
    return (mark.line + 1, mark.column + 1) if mark else START


def _slip(error: yaml.MarkedYAMLError, text: str) -> tuple[Position, str]:
    """Return the place of a slip in a text, and what mends it."""
    lines = ["", *_LINE_BREAK.split(text), ""]
    context, place = _at(error.context_mark), _at(error.problem_mark)
    number, column = place
    if lines[number][column - 1 : column] == "\t":
        return place, "use spaces, not tabs"
    if _PLACEHOLDER.search(lines[number]):
        return place, _QUOTE.format(begin="{")
    # libyaml takes what looks like a blank for a text, and stumbles as late as in the next line.
    for row, before in ((number, lines[number][:column]), (number - 1, lines[number - 1])):
        if match := _LIKE_A_BLANK.search(before):
            message = f"{match.group()!a} only looks like a blank; write a blank"
            return (row, match.start() + 1), message
    reason = ", ".join(filter(None, (error.context, error.problem)))
    for part, of_context, advice in _SLIPS:
        if part in reason:
            row, column = context if of_context else place
            begin = lines[row][column - 1 : column]
            return (row, column), advice.format(begin=begin, opened=context[0])
    return place, f"not valid YAML: {reason}"


@dataclass(frozen=True, slots=True)
class _Node:
    """A text, a list of nodes, or a mapping: its keys and values in turn, with duplicates."""

    event: yaml.ScalarEvent | yaml.CollectionStartEvent
    position: Position
    items: list["_Node"] = field(default_factory=list["_Node"])


class _Reading:
    """Puts the events of one document together and gives its nodes their meaning."""

    def __init__(self, document: Document, text: str) -> None:
        self._document = document
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=yaml.CSafeLoader)
        self._anchors: dict[str, _Node] = {}
        self._depth = 0
        self._nodes = 0
        self._values = 0

    def whole(self) -> Value:
        """Return what the only document of the text says; raises `_SyntaxMistake`."""
        next(self._events)  # The stream's start.
        if isinstance(next(self._events), yaml.StreamEndEvent):
            raise _SyntaxMistake(START, _EMPTY)
        root = self._node(next(self._events))
        next(self._events)  # The document's end.
        following = next(self._events)
        if not isinstance(following, yaml.StreamEndEvent):
            message = "a second document begins here; put it into a file of its own"
            raise _SyntaxMistake(_at(following.start_mark), message)
        return self._value(root, ())

    def _node(self, event: yaml.Event) -> _Node:
        """Return the node that an event begins, with all that is in it."""
        position = _at(event.start_mark)
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                quote = _QUOTE.format(begin="*")
                message = f"'*{event.anchor}' has no anchor before it; {quote}"
                raise _SyntaxMistake(position, message)
            return self._anchors[event.anchor]
        self._nodes += 1
        if self._nodes > _MAX_VALUES:
            raise _SyntaxMistake(position, _TOO_MANY)
        if self._depth > _MAX_DEPTH:
            raise _SyntaxMistake(position, "nested too deeply; no policy needs this")
        if not isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            raise _SyntaxMistake(position, "not valid YAML: a value is expected here")
        node = _Node(event, position)
        if isinstance(event, yaml.CollectionStartEvent):
            self._depth += 1
            while not isinstance(inner := next(self._events), yaml.CollectionEndEvent):
                node.items.append(self._node(inner))
            self._depth -= 1
        if event.anchor:
            if first := self._anchors.get(event.anchor):
                message = f"the anchor '&{event.anchor}' is already defined in line "
                raise _SyntaxMistake(position, f"{message}{first.position[0]}; name one otherwise")
            # Known only from its end on, so that no node can hold itself.
            self._anchors[event.anchor] = node
        return node

    def _value(self, node: _Node, path: Path) -> Value:
        """Return what a node means, noting where it stands; none where that is a mistake."""
        self._document.values[path] = node.position
        self._count(node)
        mistake = _MISSING if path else _EMPTY
        match node:
            case _Node(event=event) if event.tag not in {None, "!"}:
                mistake = _bad_tag(node)
            case _Node(
                yaml.MappingStartEvent(flow_style=True),
                items=[_Node(yaml.ScalarEvent(value=name)), _Node(yaml.ScalarEvent(value=""))],
            ) if _meaning(node.items[1].event) is None:
                # YAML takes a placeholder without quotes for a mapping without a value.
                mistake = f"'{name}' has no value; if it is a placeholder, quote it: \"{{{name}}}\""
            case _Node(yaml.MappingStartEvent()):
                return self._mapping(node, path)
            case _Node(yaml.SequenceStartEvent()):
                return [self._value(item, (*path, index)) for index, item in enumerate(node.items)]
            case _ if (value := _meaning(node.event)) is not None:
                return value
        self._document.refuse(path, node.position, mistake)
        return None

    def _mapping(self, node: _Node, path: Path) -> Value:
        values: dict[str, Value] = {}
        for key_node, value_node in itertools.batched(node.items, 2, strict=True):
            key = self._key(key_node, path)
            if key is None:
                continue
            where = (*path, key)
            if where in self._document.keys:
                line, _ = self._document.keys[where]
                message = f"duplicate key '{key}', first in line {line}; keep one of them"
                self._document.report(key_node.position, message)
                continue
            self._document.keys[where] = key_node.position
            value = self._value(value_node, where)
            if where not in self._document.refused:
                values[key] = value
        return values

    def _key(self, node: _Node, path: Path) -> str | None:
        """Return a key's text, or none for one that this language does not know."""
        self._count(node)
        event, meaning = node.event, _meaning(node.event)
        if not isinstance(event, yaml.ScalarEvent):
            message = "a key must be a text"
        elif event.tag not in {None, "!"}:
            message = _bad_tag(node)
        elif event.implicit[0] and event.value == "<<":
            message = "merge keys ('<<') are not supported; write the keys out"
        elif isinstance(meaning, str):
            return meaning
        else:
            message = f"a key must be a text; put quotes around '{event.value}'"
        self._document.refuse((*path, ""), node.position, message)
        return None

    def _count(self, node: _Node) -> None:
        """Raise `_SyntaxMistake` for too many values; an alias counts each time it is used."""
        text = node.event.value if isinstance(node.event, yaml.ScalarEvent) else ""
        self._values += 1 + len(text) // _COUNTS_AS_ONE
        if self._values > _MAX_VALUES:
            raise _SyntaxMistake(node.position, _TOO_MANY)


def _bad_tag(node: _Node) -> str:
    shown = str(node.event.tag).replace("tag:yaml.org,2002:", "!!")
    return f"the tag '{shown}' is not supported; delete it"


def _meaning(event: yaml.Event) -> str | float | bool | None:
    """Return what a text means by YAML 1.2's core schema, none for anything else."""
    if not isinstance(event, yaml.ScalarEvent):
        return None
    text = event.value
    # In quotes it is nothing but a text.
    if not event.implicit[0]:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _OTHER_BASE.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(re.sub(r"\.(?=[in])", "", text.lower()))
    return text
