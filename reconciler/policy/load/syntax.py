"""One file's bytes as a tree of YAML nodes, each of which knows where it stands.

`reconciler.policy.load.document` gives the nodes their meaning. PyYAML's own composer is not used:
it recurses without a limit, so that a file of brackets ends the whole process.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import yaml
from yaml.reader import Reader

from reconciler.policy.load import advice, positions
from reconciler.policy.load.positions import START, Position

MAX_BYTES = 1024 * 1024
MAX_VALUES = 20_000
EMPTY = "the file is empty; write 'version: 1'"
_MAX_DEPTH = 20


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text; `plain` without quotes, so that it may also be a number or a word of YAML's."""

    position: Position
    tag: str | None
    text: str
    plain: bool


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list of nodes."""

    position: Position
    tag: str | None
    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Mapping:
    """Pairs of nodes, in the file's order and with its duplicates; `flow` is written in braces."""

    position: Position
    tag: str | None
    pairs: tuple[tuple["Node", "Node"], ...]
    flow: bool


type Node = Scalar | Sequence | Mapping


class SyntaxMistake(Exception):
    """The file cannot be read any further."""

    def __init__(self, position: Position, message: str) -> None:
        super().__init__(message)
        self.position = position


def too_many(position: Position) -> SyntaxMistake:
    """Return the mistake of a file that says too much, from a position on."""
    return SyntaxMistake(
        position, f"more than {MAX_VALUES} values, aliases counted; split the file"
    )


def compose(text: str) -> Node:
    """Return the root of the file's only document, or raise `SyntaxMistake`."""
    try:
        return _Composer(text).document()
    except yaml.MarkedYAMLError as error:
        raise SyntaxMistake(*advice.on(error, text)) from error
    except yaml.YAMLError as error:
        raise SyntaxMistake(START, f"not valid YAML: {error}") from error


def decode(content: bytes) -> str:
    """Return the text of a file, or raise `SyntaxMistake`."""
    if len(content) > MAX_BYTES:
        raise SyntaxMistake(START, "the file is larger than 1 MiB; split it")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8-sig")
        raise SyntaxMistake(
            positions.after(before), "the file is not UTF-8; save it as UTF-8"
        ) from error
    if found := Reader.NON_PRINTABLE.search(text):
        message = f"not valid YAML: it may not contain the character {found.group()!a}"
        raise SyntaxMistake(positions.after(text[: found.start()]), message)
    return text


class _Composer:
    """Puts the parser's events together."""

    def __init__(self, text: str) -> None:
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=yaml.CSafeLoader)
        self._anchors: dict[str, Node] = {}
        self._depth = 0
        self._nodes = 0

    def document(self) -> Node:
        next(self._events)  # The stream's start.
        if isinstance(next(self._events), yaml.StreamEndEvent):
            raise SyntaxMistake(START, EMPTY)
        root = self._node(next(self._events))
        next(self._events)  # The document's end.
        following = next(self._events)
        if not isinstance(following, yaml.StreamEndEvent):
            message = "a second document begins here; put it into a file of its own"
            raise SyntaxMistake(positions.at(following.start_mark), message)
        return root

    def _node(self, event: yaml.Event) -> Node:
        position = positions.at(event.start_mark)
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                quote = advice.QUOTE.format(begin="*")
                message = f"'*{event.anchor}' has no anchor before it; {quote}"
                raise SyntaxMistake(position, message)
            return self._anchors[event.anchor]
        self._nodes += 1
        if self._nodes > MAX_VALUES:
            raise too_many(position)
        if self._depth > _MAX_DEPTH:
            raise SyntaxMistake(position, "nested too deeply; no policy needs this")
        self._depth += 1
        node = self._opened(event, position)
        self._depth -= 1
        if isinstance(event, yaml.NodeEvent) and event.anchor:
            if first := self._anchors.get(event.anchor):
                message = f"the anchor '&{event.anchor}' is already defined in line "
                raise SyntaxMistake(position, f"{message}{first.position[0]}; name one otherwise")
            # Known only from its end on, so that no node can hold itself.
            self._anchors[event.anchor] = node
        return node

    def _opened(self, event: yaml.Event, position: Position) -> Node:
        if isinstance(event, yaml.ScalarEvent):
            return Scalar(position, event.tag, event.value, plain=event.implicit[0])
        if isinstance(event, yaml.SequenceStartEvent):
            return Sequence(position, event.tag, tuple(self._until(yaml.SequenceEndEvent)))
        if isinstance(event, yaml.MappingStartEvent):
            nodes = self._until(yaml.MappingEndEvent)
            pairs = tuple(zip(nodes, nodes, strict=True))
            return Mapping(position, event.tag, pairs, flow=bool(event.flow_style))
        raise SyntaxMistake(position, "not valid YAML: a value is expected here")

    def _until(self, end: type[yaml.Event]) -> Iterator[Node]:
        while not isinstance(event := next(self._events), end):
            yield self._node(event)
