"""The part of the Kusto query language that the sandbox speaks, compiled to functions over rows.

``graph`` calls it. A lexer and a recursive-descent parser; whatever is not understood is a
``QueryError`` that names it, never a guess. Column and property names are case-sensitive.

    table | where e | project a, b = e | extend c = e | order by a desc | take 5
          | mv-expand k = bag_keys(identity.userAssignedIdentities)
"""

import dataclasses
import functools
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from sandbox.azure.kqltokens import Tokens

type Row = dict[str, Any]
type Expression = Callable[[Row], Any]
type Stage = Callable[[Iterable[Row]], Iterable[Row]]


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
    """Compile a query; raises ``kqltokens.QueryError``.

    Args:
        text: the query.
        schema: table names in lower case, each with its columns.
    """
    return _Parser(text, dict(schema)).query()


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    # Dynamic values are written as JSON.
    return "" if value is None else json.dumps(value, separators=(",", ":"))


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


class _Parser(Tokens):
    def __init__(self, text: str, schema: dict[str, tuple[str, ...]]) -> None:
        super().__init__(text)
        self._schema = schema
        self._columns: set[str] = set()

    def query(self) -> Query:
        table = self.peek
        columns = self._schema.get(self.word().lower())
        if columns is None:
            raise self.error(table, f"one of the tables {sorted(self._schema)}")
        self._columns = set(columns)
        stages: list[Stage] = []
        while self.accept("|"):
            stages.append(self._stage())
        if self.peek.kind != "end":
            raise self.fail("'|' or the end")
        return Query(table.text.lower(), tuple(stages))

    def _stage(self) -> Stage:
        match self.peek.text:
            case "where":
                self.advance()
                test = self._either()
                return lambda rows: (row for row in rows if test(row))
            case "project" | "extend" as verb:
                self.advance()
                return self._computed(keep=verb == "extend")
            case "order" | "sort":
                self.advance()
                self.expect("by")
                return self._ordered()
            case "limit" | "take":
                self.advance()
                return self._limited()
            case "mv-expand":
                self.advance()
                return self._expanded()
        raise self.fail("where, project, extend, order, limit, take or mv-expand")

    def _computed(self, *, keep: bool) -> Stage:
        named = [self._named()]
        while self.accept(","):
            named.append(self._named())
        names = {name for name, _ in named}
        self._columns = self._columns | names if keep else names
        pairs = tuple(named)

        def compute(row: Row) -> Row:
            made = {name: value(row) for name, value in pairs}
            return {**row, **made} if keep else made

        return lambda rows: (compute(row) for row in rows)

    def _named(self) -> tuple[str, Expression]:
        if self.peek.kind == "word" and self.following == "=":
            name = self.word()
            self.expect("=")
            return name, self._either()
        start = self.peek
        value = self._either()
        return "_".join(self.words_since(start)), value

    def _ordered(self) -> Stage:
        keys: list[tuple[Expression, bool]] = []
        while True:
            value = self._operand()
            descending = self.accept("asc", "desc") != "asc"
            keys.append((value, descending))
            if not self.accept(","):
                break

        def order(rows: Iterable[Row]) -> Iterable[Row]:
            found = list(rows)
            for value, descending in reversed(keys):
                found.sort(key=lambda row, value=value: _text(value(row)), reverse=descending)  # type: ignore[misc]  # the default binds the loop's value
            return found

        return order

    def _limited(self) -> Stage:
        if self.peek.kind != "number":
            raise self.fail("a number")
        count = int(self.advance().text)
        return lambda rows: list(rows)[:count]

    def _expanded(self) -> Stage:
        name, value = self._named()
        if self.accept("to"):
            self.expect("typeof")
            self.expect("(")
            self.expect("string")
            self.expect(")")
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
        while self.accept("or"):
            tests.append(self._both())
        return tests[0] if len(tests) == 1 else lambda row: any(test(row) for test in tests)

    def _both(self) -> Expression:
        tests = [self._comparison()]
        while self.accept("and"):
            tests.append(self._comparison())
        return tests[0] if len(tests) == 1 else lambda row: all(test(row) for test in tests)

    def _comparison(self) -> Expression:
        left = self._operand()
        operator = self.accept(*_COMPARE)
        if operator:
            compare, right = _COMPARE[operator], self._operand()
            return lambda row: compare(left(row), right(row))
        member = self.accept("in", "in~", "!in", "!in~")
        return self._among(left, member) if member else left

    def _among(self, left: Expression, operator: str) -> Expression:
        self.expect("(")
        values = [self.literal()]
        while self.accept(","):
            values.append(self.literal())
        self.expect(")")
        fold: Callable[[Any], Any] = _lower if operator.endswith("~") else lambda value: value
        listed = {fold(value) for value in values}
        negated = operator.startswith("!")
        return lambda row: (fold(left(row)) in listed) is not negated

    def _operand(self) -> Expression:
        if self.accept("("):
            inner = self._either()
            self.expect(")")
            return inner
        if self.peek.kind in ("string", "number"):
            value = self.literal()
            return lambda _: value
        if boolean := self.accept("true", "false"):
            return lambda _: boolean == "true"
        if self.following == "(":
            return self._function()
        return self._path()

    def _function(self) -> Expression:
        name = self.peek.text
        if name != "not" and name not in _FUNCTIONS:
            raise self.fail(f"one of the functions not, {', '.join(_FUNCTIONS)}")
        self.advance()
        self.expect("(")
        inner = self._either()
        self.expect(")")
        if name == "not":
            return lambda row: not inner(row)
        apply = _FUNCTIONS[name]
        return lambda row: apply(inner(row))

    def _path(self) -> Expression:
        column = self.peek
        name = self.word()
        if name not in self._columns:
            raise self.error(column, f"one of the columns {sorted(self._columns)}")
        found: Expression = lambda row: row.get(name)  # noqa: E731 - the base of a chain
        while True:
            if self.accept("."):
                found = _member(found, self.word())
            elif self.accept("["):
                key = self.literal()
                self.expect("]")
                found = _member(found, str(key))
            else:
                return found
