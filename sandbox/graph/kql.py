"""The part of the Kusto query language that the product and the tested clients speak.

`queries` calls it. A lexer and a recursive-descent parser, which compile a query to functions over
rows; whatever is not understood is a ``QueryError`` that names it, never a guess. Names of columns
and properties are case-sensitive.

    table | where e | project a, b = e | extend c = e | join kind=fullouter (query) on a

Resource Graph takes one join across tables, and unites no other tables than ``resources`` and
``resourcecontainers`` (documented); so one join it is here.
"""

import dataclasses
import functools
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

type Row = dict[str, Any]
type Columns = dict[str, bool]
"""Names of columns, in their order, and whether each is known to hold text."""
type Tables = Callable[[str], Iterable[Row]]
"""Returns the rows of a table by its name in lower case."""
type Expression = Callable[[Row], Any]
type Stage = Callable[[Iterable[Row], Tables], Iterable[Row]]

_KINDS = ("inner", "leftouter", "fullouter")
_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
      |(?P<string>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")
      |(?P<number>\d+)
      |(?P<word>!?[A-Za-z_][\w-]*~?)
      |(?P<mark>=~|!~|==|!=|[|(),.=])""",
    re.VERBOSE,
)


class QueryError(Exception):
    """A query that is not understood, with the place where."""

    def __init__(self, line: int, column: int, token: str, expected: str) -> None:
        super().__init__(f"line {line}:{column}: '{token}', expected {expected}")
        self.line = line
        self.column = column
        self.token = token
        self.expected = expected


@dataclasses.dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    """string, number, word, mark or end."""
    text: str
    at: int


def _text(value: object) -> str:
    """Return a value as the language writes it into a text: what is dynamic as JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, separators=(",", ":"))


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "=~": lambda a, b: _text(a).lower() == _text(b).lower(),
    "!~": lambda a, b: _text(a).lower() != _text(b).lower(),
    "startswith": lambda a, b: _text(a).lower().startswith(_text(b).lower()),
}
_FUNCTIONS: dict[str, Callable[[list[Any]], Any]] = {
    "tostring": lambda given: _text(given[0]),
    "tolower": lambda given: _text(given[0]).lower(),
    "isempty": lambda given: given[0] in (None, ""),
    "isnotempty": lambda given: given[0] not in (None, ""),
    # Of texts it takes the first that is not empty (documented).
    "coalesce": lambda given: next((value for value in given if value not in (None, "")), ""),
}
_TEXTUAL = ("tostring", "tolower")


@dataclasses.dataclass(frozen=True, slots=True)
class Query:
    """A compiled query: the table it begins with, and what it makes of its rows."""

    table: str
    stages: tuple[Stage, ...]
    columns: Columns

    def run(self, tables: Tables) -> Iterable[Row]:
        """Return the resulting rows."""
        rows = tables(self.table)
        for stage in self.stages:
            rows = stage(rows, tables)
        return rows


@functools.lru_cache(maxsize=256)
def compile_query(
    text: str, tables: tuple[str, ...], columns: tuple[tuple[str, bool], ...]
) -> Query:
    """Compile a query over tables that all have the same columns; raises ``QueryError``."""
    return _Parser(text, tables, dict(columns)).query()


def blank(columns: Columns) -> Row:
    """Return a row without values; a text cannot be null (documented)."""
    return {name: "" if text else None for name, text in columns.items()}


def _joined(  # noqa: PLR0913, PLR0917 - what a join is made of
    kind: str,
    on: str,
    other: Query,
    renamed: dict[str, str],
    nobody: Row,
    rows: Iterable[Row],
    tables: Tables,
) -> Iterator[Row]:
    """Yield the rows of a join on a column; ``renamed`` names the other's columns."""
    index: dict[str, list[Row]] = {}
    for row in other.run(tables):
        made = {renamed[name]: value for name, value in row.items()}
        index.setdefault(row[on], []).append(made)
    nothing = {name: nobody[name] for name in renamed.values()}
    matched: set[str] = set()
    for row in rows:
        matched.add(row[on])
        for match in index.get(row[on], [nothing] if kind != "inner" else []):
            yield {**row, **match}
    if kind == "fullouter":
        for text, others in index.items():
            if text not in matched:
                yield from ({**nobody, **made} for made in others)


class _Parser:
    """Reads the tokens of a query from left to right."""

    def __init__(self, text: str, tables: tuple[str, ...], columns: Columns) -> None:
        self._text = text
        self._tables = tables
        self._all = columns
        self._columns: Columns = {}
        """Those that there are at this place."""
        self._joins = 0
        self._next = 0
        self._tokens: list[_Token] = []
        at = 0
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise self._error(_Token("", text[at], at), "a name, a literal or an operator")
            if match.lastgroup != "space":
                self._tokens.append(_Token(match.lastgroup or "", match[0], at))
            at = match.end()
        self._tokens.append(_Token("end", "<EOF>", at))

    # Tokens.

    def _error(self, token: _Token, expected: str) -> QueryError:
        before = self._text[: token.at]
        column = token.at - before.rfind("\n") - 1
        return QueryError(before.count("\n") + 1, column, token.text, expected)

    def _fail(self, expected: str) -> QueryError:
        return self._error(self._peek, expected)

    @property
    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _accept(self, *texts: str) -> str | None:
        """Read one of these words or marks, if it is next."""
        token = self._peek
        if token.kind in ("word", "mark") and token.text in texts:
            self._next += 1
            return token.text
        return None

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            raise self._fail(f"'{text}'")

    def _take(self, kind: str, expected: str) -> str:
        """Read a token of a kind."""
        token = self._peek
        if token.kind != kind:
            raise self._fail(expected)
        self._next += 1
        return token.text

    # Stages.

    def query(self) -> Query:
        """Read the whole query; raises ``QueryError``."""
        query = self._pipeline()
        if self._peek.kind != "end":
            raise self._fail("'|' or the end")
        return query

    def _pipeline(self) -> Query:
        """Read a query or a part of one in brackets; leaves its columns behind."""
        token = self._peek
        table = self._take("word", "a name").lower()
        if table not in self._tables:
            raise self._error(token, f"one of the tables {sorted(self._tables)}")
        self._columns = dict(self._all)
        stages: list[Stage] = []
        while self._accept("|"):
            match self._accept("where", "project", "extend", "join"):
                case "where":
                    stages.append(self._where())
                case "project":
                    stages.append(self._compute(keep=False))
                case "extend":
                    stages.append(self._compute(keep=True))
                case "join":
                    stages.append(self._join())
                case _:
                    raise self._fail("one of the operators where, project, extend, join")
        return Query(table, tuple(stages), self._columns)

    def _where(self) -> Stage:
        test = self._either()
        return lambda rows, _: (row for row in rows if test(row))

    def _compute(self, *, keep: bool) -> Stage:
        values: dict[str, Expression] = {}
        names: Columns = {}
        while not values or self._accept(","):
            start = self._peek
            following = self._tokens[self._next + 1 : self._next + 2]
            name = ""
            if start.kind == "word" and following and following[0].text == "=":
                self._next += 2
                name, start = start.text, self._peek
            first = self._next
            value = self._operand()
            read = self._tokens[first : self._next]
            text = start.kind == "string" or start.text in _TEXTUAL
            text = text or (len(read) == 1 and self._columns.get(start.text, False))
            name = name or "_".join(token.text for token in read if token.kind == "word")
            values[name], names[name] = value, text
        self._columns = self._columns | names if keep else names

        def compute(row: Row) -> Row:
            made = {name: value(row) for name, value in values.items()}
            return {**row, **made} if keep else made

        return lambda rows, _: map(compute, rows)

    def _join(self) -> Stage:
        """Return what adds to each row those of another query with the same text in a column."""
        self._joins += 1
        if self._joins > 1:
            raise self._error(self._tokens[self._next - 1], "at most one join")
        self._expect("kind")
        self._expect("=")
        kind = self._accept(*_KINDS)
        if kind is None:
            raise self._fail(" or ".join(_KINDS))
        self._expect("(")
        columns = self._columns
        other = self._pipeline()
        self._columns = columns
        self._expect(")")
        self._expect("on")
        key = self._peek
        on = self._take("word", "a name")
        if not (columns.get(on) and other.columns.get(on)):
            raise self._error(key, "a column that holds text on both sides: tostring(...)")
        renamed = {name: f"{name}1" if name in columns else name for name in other.columns}
        added = {renamed[name]: text for name, text in other.columns.items()}
        self._columns = columns | added
        return functools.partial(_joined, kind, on, other, renamed, blank(self._columns))

    # Expressions.

    def _either(self) -> Expression:
        tests = [self._both()]
        while self._accept("or"):
            tests.append(self._both())
        return tests[0] if len(tests) == 1 else lambda row: any(test(row) for test in tests)

    def _both(self) -> Expression:
        tests = [self._comparison()]
        while self._accept("and"):
            tests.append(self._comparison())
        return tests[0] if len(tests) == 1 else lambda row: all(test(row) for test in tests)

    def _comparison(self) -> Expression:
        left = self._operand()
        if operator := self._accept(*_COMPARE):
            compare, right = _COMPARE[operator], self._operand()
            return lambda row: compare(left(row), right(row))
        if not self._accept("in~"):
            return left
        self._expect("(")
        listed: set[str] = set()
        while not listed or self._accept(","):
            listed.add(self._literal().lower())
        self._expect(")")
        return lambda row: _text(left(row)).lower() in listed

    def _literal(self) -> str:
        return re.sub(r"\\(.)", r"\1", self._take("string", "a string")[1:-1])

    def _operand(self) -> Expression:
        """Read one side of a comparison: brackets, a literal, a function or a path."""
        if self._accept("("):
            inner = self._either()
            self._expect(")")
            return inner
        token = self._peek
        if token.kind == "string":
            value = self._literal()
            return lambda _: value
        name = self._take("word", "a name")
        if self._accept("("):
            if name not in _FUNCTIONS:
                raise self._error(token, f"one of the functions {', '.join(_FUNCTIONS)}")
            apply, given = _FUNCTIONS[name], [self._either()]
            while name == "coalesce" and self._accept(","):
                given.append(self._either())
            self._expect(")")
            return lambda row: apply([expression(row) for expression in given])
        if name not in self._columns:
            raise self._error(token, f"one of the columns {sorted(self._columns)}")
        members: list[str] = []
        while self._accept("."):
            members.append(self._take("word", "a name"))

        def read(row: Row) -> Any:  # noqa: ANN401 - a dynamic value
            value = row.get(name)
            for member in members:
                value = value.get(member) if isinstance(value, dict) else None
            return value

        return read
