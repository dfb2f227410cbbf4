"""The part of the Kusto query language that the sandbox speaks, compiled to functions over rows.

``graph`` calls it. A lexer and a recursive-descent parser; whatever is not understood is a
``QueryError`` that names it, never a guess. Column and property names are case-sensitive.

    table | where e | project a, b = e | extend c = e | order by a desc | take 5
          | mv-expand k = bag_keys(identity.userAssignedIdentities)
"""

import dataclasses
import functools
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

type Row = dict[str, Any]
type Expression = Callable[[Row], Any]
type Stage = Callable[[Iterable[Row]], Iterable[Row]]

_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
      |(?P<string>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")
      |(?P<number>\d+)
      |(?P<word>mv-expand|project-away|project-rename|!?[A-Za-z_]\w*~?)
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
class _Token:
    kind: str
    text: str
    at: int


@dataclasses.dataclass(frozen=True, slots=True)
class Query:
    """A compiled query: the table it reads and what it makes of its rows."""

    table: str
    stages: tuple[Stage, ...]

    def run(self, rows: Iterable[Row]) -> list[Row]:
        """Return the resulting rows."""
        for stage in self.stages:
            rows = stage(rows)
        return list(rows)


@functools.lru_cache(maxsize=256)
def compile_query(text: str, schema: tuple[tuple[str, tuple[str, ...]], ...]) -> Query:
    """Compile a query; raises ``QueryError``.

    Args:
        text: the query.
        schema: table names in lower case, each with its columns.
    """
    return _Parser(text, dict(schema)).query()


def _text(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _has(text: str, term: str) -> bool:
    pattern = rf"(?<![^\W_]){re.escape(term)}(?![^\W_])"
    return re.search(pattern, text, re.IGNORECASE) is not None


def _lower(value: object) -> str:
    return _text(value).lower()


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "=~": lambda a, b: _lower(a) == _lower(b),
    "!~": lambda a, b: _lower(a) != _lower(b),
    "has": lambda a, b: _has(_text(a), _text(b)),
    "contains": lambda a, b: _lower(b) in _lower(a),
    "!contains": lambda a, b: _lower(b) not in _lower(a),
    "startswith": lambda a, b: _lower(a).startswith(_lower(b)),
    "!startswith": lambda a, b: not _lower(a).startswith(_lower(b)),
    "endswith": lambda a, b: _lower(a).endswith(_lower(b)),
}
_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "tostring": _text,
    "tolower": _lower,
    "bag_keys": lambda value: list(value) if isinstance(value, dict) else None,
    "isnull": lambda value: value is None,
    "isnotnull": lambda value: value is not None,
    "isempty": lambda value: value in (None, ""),
    "isnotempty": lambda value: value not in (None, ""),
}


def _member(base: Expression, name: str) -> Expression:
    def read(row: Row) -> Any:  # noqa: ANN401 - a dynamic value
        value = base(row)
        return value.get(name) if isinstance(value, dict) else None

    return read


class _Parser:
    def __init__(self, text: str, schema: dict[str, tuple[str, ...]]) -> None:
        self._text = text
        self._schema = schema
        self._tokens = list(self._lex())
        self._next = 0
        self._columns: set[str] = set()

    def _lex(self) -> Iterator[_Token]:
        at = 0
        while at < len(self._text):
            found = _TOKEN.match(self._text, at)
            if found is None:
                raise self._error(self._text[at], at, "a name, a literal or an operator")
            if found.lastgroup != "space":
                yield _Token(found.lastgroup or "", found[0], at)
            at = found.end()
        yield _Token("end", "<EOF>", at)

    def _error(self, token: str, at: int, expected: str) -> QueryError:
        before = self._text[:at]
        return QueryError(before.count("\n") + 1, at - before.rfind("\n") - 1, token, expected)

    def _fail(self, expected: str) -> QueryError:
        return self._error(self._peek.text, self._peek.at, expected)

    @property
    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _advance(self) -> _Token:
        self._next += 1
        return self._tokens[self._next - 1]

    def _accept(self, *texts: str) -> str | None:
        if self._peek.kind in ("word", "mark") and self._peek.text in texts:
            return self._advance().text
        return None

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            raise self._fail(f"'{text}'")

    def _word(self) -> str:
        if self._peek.kind != "word":
            raise self._fail("a name")
        return self._advance().text

    def query(self) -> Query:
        table = self._peek
        columns = self._schema.get(self._word().lower())
        if columns is None:
            raise self._error(table.text, table.at, f"one of the tables {sorted(self._schema)}")
        self._columns = set(columns)
        stages: list[Stage] = []
        while self._accept("|"):
            stages.append(self._stage())
        if self._peek.kind != "end":
            raise self._fail("'|' or the end")
        return Query(table.text.lower(), tuple(stages))

    def _stage(self) -> Stage:
        match self._peek.text:
            case "where":
                self._advance()
                test = self._either()
                return lambda rows: (row for row in rows if test(row))
            case "project" | "extend" as verb:
                self._advance()
                return self._computed(keep=verb == "extend")
            case "order" | "sort":
                self._advance()
                self._expect("by")
                return self._ordered()
            case "limit" | "take":
                self._advance()
                return self._limited()
            case "mv-expand":
                self._advance()
                return self._expanded()
        raise self._fail("where, project, extend, order, limit, take or mv-expand")

    def _computed(self, *, keep: bool) -> Stage:
        named = [self._named()]
        while self._accept(","):
            named.append(self._named())
        names = {name for name, _ in named}
        self._columns = self._columns | names if keep else names
        pairs = tuple(named)

        def compute(row: Row) -> Row:
            made = {name: value(row) for name, value in pairs}
            return {**row, **made} if keep else made

        return lambda rows: (compute(row) for row in rows)

    def _named(self) -> tuple[str, Expression]:
        start = self._next
        if self._peek.kind == "word" and self._tokens[start + 1].text == "=":
            name = self._word()
            self._expect("=")
            return name, self._either()
        value = self._either()
        parts = [token.text for token in self._tokens[start : self._next] if token.kind == "word"]
        return "_".join(parts), value

    def _ordered(self) -> Stage:
        keys: list[tuple[Expression, bool]] = []
        while True:
            value = self._operand()
            descending = self._accept("asc", "desc") != "asc"
            keys.append((value, descending))
            if not self._accept(","):
                break

        def order(rows: Iterable[Row]) -> Iterable[Row]:
            found = list(rows)
            for value, descending in reversed(keys):
                found.sort(key=lambda row, value=value: _text(value(row)), reverse=descending)  # type: ignore[misc]  # the default binds the loop's value
            return found

        return order

    def _limited(self) -> Stage:
        if self._peek.kind != "number":
            raise self._fail("a number")
        count = int(self._advance().text)
        return lambda rows: list(rows)[:count]

    def _expanded(self) -> Stage:
        name, value = self._named()
        if self._accept("to"):
            self._expect("typeof")
            self._expect("(")
            self._expect("string")
            self._expect(")")
        self._columns = self._columns | {name}

        def expand(rows: Iterable[Row]) -> Iterator[Row]:
            for row in rows:
                found = value(row)
                if isinstance(found, dict):
                    found = [{key: each} for key, each in found.items()]
                for each in found if isinstance(found, list) else [found]:
                    yield {**row, name: each}

        return expand

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
        operator = self._accept(*_COMPARE)
        if operator:
            compare, right = _COMPARE[operator], self._operand()
            return lambda row: compare(left(row), right(row))
        member = self._accept("in", "in~", "!in", "!in~")
        return self._among(left, member) if member else left

    def _among(self, left: Expression, operator: str) -> Expression:
        self._expect("(")
        values = [self._literal()]
        while self._accept(","):
            values.append(self._literal())
        self._expect(")")
        fold: Callable[[Any], Any] = _lower if operator.endswith("~") else lambda value: value
        listed = {fold(value) for value in values}
        negated = operator.startswith("!")
        return lambda row: (fold(left(row)) in listed) is not negated

    def _literal(self) -> str | int:
        if self._peek.kind == "string":
            return _ESCAPE.sub(r"\1", self._advance().text[1:-1])
        if self._peek.kind == "number":
            return int(self._advance().text)
        raise self._fail("a string or a number")

    def _operand(self) -> Expression:
        if self._accept("("):
            inner = self._either()
            self._expect(")")
            return inner
        if self._peek.kind in ("string", "number"):
            value = self._literal()
            return lambda _: value
        if boolean := self._accept("true", "false"):
            return lambda _: boolean == "true"
        if self._tokens[self._next + 1].text == "(":
            return self._function()
        return self._path()

    def _function(self) -> Expression:
        name = self._peek.text
        if name != "not" and name not in _FUNCTIONS:
            raise self._fail(f"one of the functions not, {', '.join(_FUNCTIONS)}")
        self._advance()
        self._expect("(")
        inner = self._either()
        self._expect(")")
        if name == "not":
            return lambda row: not inner(row)
        apply = _FUNCTIONS[name]
        return lambda row: apply(inner(row))

    def _path(self) -> Expression:
        column = self._peek
        name = self._word()
        if name not in self._columns:
            raise self._error(column.text, column.at, f"one of the columns {sorted(self._columns)}")
        found: Expression = lambda row: row.get(name)  # noqa: E731 - the base of a chain
        while True:
            if self._accept("."):
                found = _member(found, self._word())
            elif self._accept("["):
                key = self._literal()
                self._expect("]")
                found = _member(found, str(key))
            else:
                return found
