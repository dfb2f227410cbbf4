"""What one policy file says, and the line and column of every key and value.

PyYAML follows YAML 1.1, where `no` is false and `0700` is 448. Here plain texts mean what YAML 1.2
readers expect, and what would surprise (tags, merge keys) is refused by name.
`reconciler.policy.load` is the only caller.
"""

import re
from dataclasses import dataclass, field

from reconciler.errors import Problem
from reconciler.policy.load import signs, syntax
from reconciler.policy.load.positions import START, Position

type Value = str | int | float | bool | list[Value] | dict[str, Value] | None
type Path = tuple[str | int, ...]

_COUNTS_AS_ONE = 100
"""Characters; a longer text counts as several values, so that aliases cannot multiply it."""
_MAX_HEAD, _MAX_TAIL = 200, 270
"""Characters of a message, whose end says what to do."""

_MISSING = "a value is missing here; write one, or delete the line"

_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]{1,400}")
_OTHER_BASE = re.compile(r"0o[0-7]{1,400}|0x[0-9a-fA-F]{1,400}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


@dataclass(slots=True)
class Document:
    """What a file says, where it says it, and what of it could not be read.

    `refused` holds the paths whose value a problem already speaks of.
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
        """Note a mistake, in one line however long or odd the text that it quotes."""
        long = len(message) > _MAX_HEAD + _MAX_TAIL
        short = f"{message[:_MAX_HEAD]} ... {message[-_MAX_TAIL:]}" if long else message
        self.problems.append(Problem(self.file, *position, signs.visible(short)))


def read(file: str, content: bytes) -> Document:
    """Read one file; nothing raises, mistakes are in the document's `problems`."""
    document = Document(file)
    try:
        text = syntax.decode(content)
        for position, message in signs.hidden(text):
            # What follows would be told at places that a reader does not find.
            document.refused.add(())
            document.report(position, message)
        if not document.problems:
            document.value = _Reading(document).value(syntax.compose(text), ())
    except syntax.SyntaxMistake as mistake:
        document.value = None
        document.refused.add(())
        document.report(mistake.position, str(mistake))
    return document


class _Reading:
    """Turns one document's nodes into values; an alias counts each time it is used."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._left = syntax.MAX_VALUES

    def value(self, node: syntax.Node, path: Path) -> Value:
        """Return what a node means, noting where it stands."""
        self._document.values[path] = node.position
        self._count(node)
        if node.tag not in {None, "!"}:
            self._refuse(path, node, f"the tag '{_shown(node.tag)}' is not supported; delete it")
        elif name := _placeholder(node):
            message = f"'{name}' has no value; if it is a placeholder, quote it: \"{{{name}}}\""
            self._refuse(path, node, message)
        elif isinstance(node, syntax.Mapping):
            return self._mapping(node, path)
        elif isinstance(node, syntax.Sequence):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.items)]
        elif (value := _meaning(node)) is not None:
            return value
        else:
            self._refuse(path, node, _MISSING if path else syntax.EMPTY)
        return None

    def _count(self, node: syntax.Node) -> None:
        self._left -= 1
        if isinstance(node, syntax.Scalar):
            self._left -= len(node.text) // _COUNTS_AS_ONE
        if self._left < 0:
            raise syntax.too_many(node.position)

    def _mapping(self, node: syntax.Mapping, path: Path) -> Value:
        values: dict[str, Value] = {}
        for key_node, value_node in node.pairs:
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
            value = self.value(value_node, where)
            if where not in self._document.refused:
                values[key] = value
        return values

    def _key(self, node: syntax.Node, path: Path) -> str | None:
        """Return a key's text, or nothing for one that this language does not know."""
        self._count(node)
        if not isinstance(node, syntax.Scalar):
            message = "a key must be a text"
        elif node.tag not in {None, "!"}:
            message = f"the tag '{_shown(node.tag)}' is not supported; delete it"
        elif node.plain and node.text == "<<":
            message = "merge keys ('<<') are not supported; write the keys out"
        elif isinstance(meaning := _meaning(node), str):
            return meaning
        else:
            message = f"a key must be a text; put quotes around '{node.text}'"
        self._refuse((*path, ""), node, message)
        return None

    def _refuse(self, path: Path, node: syntax.Node, message: str) -> None:
        self._document.refused.add(path)
        self._document.report(node.position, message)


def _shown(tag: str | None) -> str:
    return str(tag).replace("tag:yaml.org,2002:", "!!")


def _placeholder(node: syntax.Node) -> str | None:
    """Return the name in `{name}`, which YAML takes for a mapping without a value."""
    match node:
        case syntax.Mapping(
            pairs=((syntax.Scalar(text=name), syntax.Scalar(text="", plain=True)),)
        ):
            return name if node.flow else None
    return None


def _meaning(node: syntax.Scalar) -> str | float | bool | None:
    """Return what a text means by YAML 1.2's core schema."""
    if not node.plain:
        return node.text
    if node.text in _WORDS:
        return _WORDS[node.text]
    return _number_or_text(node.text)


def _number_or_text(text: str) -> str | float:
    if _INTEGER.fullmatch(text):
        return int(text)
    if _OTHER_BASE.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text) or _NOT_FINITE.fullmatch(text):
        return float(re.sub(r"\.(?=[in])", "", text.lower()))
    return text
