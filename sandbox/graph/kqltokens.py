"""The words of the query language, and a cursor over them; ``kql`` builds its parser on it."""

import dataclasses
import re
from collections.abc import Iterator

_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
      |(?P<string>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")
      |(?P<number>\d+)
      |(?P<word>mv-expand|!?[A-Za-z_]\w*~?)
      |(?P<mark>=~|!~|==|!=|[|()\[\],.=])""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(.)")


class QueryError(Exception):
    """A query that is not understood, with the place where."""

    def __init__(self, line: int, column: int, token: str, expected: str) -> None:
        super().__init__(f"line {line}:{column}: '{token}', expected {expected}")
        self.line = line
        self.column = column
        self.token = token
        self.expected = expected


@dataclasses.dataclass(frozen=True, slots=True)
class Token:
    """A piece of a query and its offset; ``kind`` is string, number, word, mark or end."""

    kind: str
    text: str
    at: int


class Tokens:
    """The tokens of a query, read from left to right."""

    def __init__(self, text: str) -> None:
        """Split the text; raises ``QueryError`` at a character that begins nothing known."""
        self._text = text
        self._tokens = list(self._split())
        self._next = 0

    def _split(self) -> Iterator[Token]:
        at = 0
        while at < len(self._text):
            found = _TOKEN.match(self._text, at)
            if found is None:
                bad = Token("", self._text[at], at)
                raise self.error(bad, "a name, a literal or an operator")
            if found.lastgroup != "space":
                yield Token(found.lastgroup or "", found[0], at)
            at = found.end()
        yield Token("end", "<EOF>", at)

    def error(self, token: Token, expected: str) -> QueryError:
        """Return the error that something else was expected at a token."""
        before = self._text[: token.at]
        column = token.at - before.rfind("\n") - 1
        return QueryError(before.count("\n") + 1, column, token.text, expected)

    def fail(self, expected: str) -> QueryError:
        """Return the error that something else was expected here."""
        return self.error(self.peek, expected)

    @property
    def peek(self) -> Token:
        """The token to read next."""
        return self._tokens[self._next]

    @property
    def following(self) -> str:
        """The text of the token after that, empty at the end."""
        after = self._tokens[self._next + 1 : self._next + 2]
        return after[0].text if after else ""

    def words_since(self, start: Token) -> list[str]:
        """Return the words read from a token on."""
        read = self._tokens[self._tokens.index(start) : self._next]
        return [token.text for token in read if token.kind == "word"]

    def advance(self) -> Token:
        """Read a token."""
        self._next += 1
        return self._tokens[self._next - 1]

    def accept(self, *texts: str) -> str | None:
        """Read one of these words or marks, if it is next."""
        if self.peek.kind in ("word", "mark") and self.peek.text in texts:
            return self.advance().text
        return None

    def expect(self, text: str) -> None:
        """Read this word or mark; raises ``QueryError``."""
        if not self.accept(text):
            raise self.fail(f"'{text}'")

    def word(self) -> str:
        """Read a word; raises ``QueryError``."""
        if self.peek.kind != "word":
            raise self.fail("a name")
        return self.advance().text

    def literal(self) -> str | int:
        """Read a string or a number; raises ``QueryError``."""
        if self.peek.kind == "string":
            return _ESCAPE.sub(r"\1", self.advance().text[1:-1])
        if self.peek.kind == "number":
            return int(self.advance().text)
        raise self.fail("a string or a number")
