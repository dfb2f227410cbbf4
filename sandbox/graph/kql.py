"""The part of the Kusto query language that the sandbox speaks, compiled to functions over rows.

``graph`` calls it. A lexer and a recursive-descent parser; whatever is not understood is a
``QueryError`` that names it, never a guess. Column and property names are case-sensitive.

    table | where e | project a, b = e | extend c = e | order by a desc | take 5
          | mv-expand k = bag_keys(identity.userAssignedIdentities)
          | join kind=fullouter (query) on a

Resource Graph takes at most three joins, and one across tables but for those of ``resources`` and
``resourcecontainers``; it unites no other tables than these two (documented), so nobody needs it.
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator

from sandbox.graph.kqlexpressions import Columns, Expression, Expressions, Row, text_of

type Tables = Callable[[str], Iterable[Row]]
"""Returns the rows of a table by its name in lower case."""
type Stage = Callable[[Iterable[Row], Tables], Iterable[Row]]

_MOST_COMBINED = 3
_KINDS = ("inner", "leftouter", "fullouter")
_TEXTUAL = ("tostring", "tolower")


@dataclasses.dataclass(frozen=True, slots=True)
class Query:
    """A compiled query: the table it begins with, if any, and what it makes of its rows."""

    table: str
    stages: tuple[Stage, ...]
    columns: Columns
    ordered: bool
    """Whether the query itself says in which order its rows come."""

    def run(self, tables: Tables) -> Iterable[Row]:
        """Return the resulting rows."""
        rows = tables(self.table) if self.table else ()
        for stage in self.stages:
            rows = stage(rows, tables)
        return rows


@functools.lru_cache(maxsize=256)
def compile_query(
    text: str, tables: tuple[str, ...], columns: tuple[tuple[str, bool], ...]
) -> Query:
    """Compile a query; raises ``kqltokens.QueryError``.

    Args:
        text: the query.
        tables: names of tables in lower case.
        columns: those that every table has, and whether each holds text.
    """
    return _Parser(text, tables, dict(columns)).query()


def _blank(columns: Columns) -> Row:
    """Return a row without values; a text cannot be null (documented)."""
    return {name: "" if text else None for name, text in columns.items()}


class _Parser(Expressions):
    def __init__(self, text: str, tables: tuple[str, ...], columns: Columns) -> None:
        super().__init__(text)
        self._tables = tables
        self._all = columns
        self._combined = 0
        self._crossed = 0

    def query(self) -> Query:
        found = self._pipeline()
        if self.peek.kind != "end":
            raise self.fail("'|' or the end")
        return found

    def _pipeline(self) -> Query:
        """Read a query or a part of one in brackets; leaves its columns behind."""
        stages: list[Stage] = []
        ordered = False
        self.columns = {}
        table = self.peek
        name = self.word().lower()
        if name not in self._tables:
            raise self.error(table, f"one of the tables {sorted(self._tables)}")
        self.columns = dict(self._all)
        while self.accept("|"):
            # A join mixes what was in order.
            ordered = ordered or self.peek.text in ("order", "sort")
            ordered = ordered and self.peek.text != "join"
            stages.append(self._stage(name))
        return Query(name, tuple(stages), self.columns, ordered)

    def _bracketed(self) -> Query:
        """Read a query in brackets, or the bare name of a table, and keep the columns outside."""
        outer = self.columns
        if self.accept("("):
            found = self._pipeline()
            self.expect(")")
        else:
            table = self.peek
            if self.word().lower() not in self._tables:
                raise self.error(table, f"one of the tables {sorted(self._tables)}")
            found = Query(table.text.lower(), (), dict(self._all), ordered=False)
        self.columns = outer
        return found

    def _combine(self) -> None:
        self._combined += 1
        if self._combined > _MOST_COMBINED:
            raise self.fail(f"at most {_MOST_COMBINED} joins")
        self.advance()

    def _join(self, table: str) -> Stage:
        """Return what adds to each row those of another query with the same text in a column."""
        self._combine()
        self.expect("kind")
        self.expect("=")
        kind = self.accept(*_KINDS)
        if kind is None:
            raise self.fail(" or ".join(_KINDS))
        other = self._bracketed()
        pair = {table, other.table}
        self._crossed += len(pair) > 1 and pair != {"resources", "resourcecontainers"}
        if self._crossed > 1:
            raise self.fail("at most one join across tables")
        self.expect("on")
        key = self.peek
        on = self.word()
        if not (self.columns.get(on) and other.columns.get(on)):
            raise self.error(key, "a column that holds text on both sides: tostring(...)")
        renamed = {name: f"{name}1" if name in self.columns else name for name in other.columns}
        added = {renamed[name]: text for name, text in other.columns.items()}
        self.columns = self.columns | added
        nothing, nobody = _blank(added), _blank(self.columns)

        def joined(rows: Iterable[Row], tables: Tables) -> Iterator[Row]:
            index: dict[str, list[Row]] = {}
            for row in other.run(tables):
                made = {renamed[name]: value for name, value in row.items()}
                index.setdefault(row[on], []).append(made)
            matched: set[str] = set()
            for row in rows:
                matches = index.get(row[on], [nothing] if kind != "inner" else [])
                matched.add(row[on])
                yield from ({**row, **match} for match in matches)
            if kind == "fullouter":
                for key, others in index.items():
                    if key not in matched:
                        yield from ({**nobody, **other} for other in others)

        return joined

    def _stage(self, table: str) -> Stage:
        readers: dict[str, Callable[[], Stage]] = {
            "where": self._filtered,
            "project": functools.partial(self._computed, keep=False),
            "extend": functools.partial(self._computed, keep=True),
            **dict.fromkeys(("order", "sort"), self._ordered),
            **dict.fromkeys(("limit", "take"), self._limited),
            "mv-expand": self._expanded,
            "join": functools.partial(self._join, table),
        }
        reader = readers.get(self.peek.text)
        if reader is None:
            raise self.fail(f"one of the operators {', '.join(readers)}")
        if self.peek.text != "join":
            self.advance()
        return reader()

    def _filtered(self) -> Stage:
        test = self.either()
        return lambda rows, _: (row for row in rows if test(row))

    def _computed(self, *, keep: bool) -> Stage:
        named = [self._named()]
        while self.accept(","):
            named.append(self._named())
        names = {name: text for name, _, text in named}
        self.columns = self.columns | names if keep else names
        pairs = tuple((name, value) for name, value, _ in named)

        def compute(row: Row) -> Row:
            made = {name: value(row) for name, value in pairs}
            return {**row, **made} if keep else made

        return lambda rows, _: (compute(row) for row in rows)

    def _named(self) -> tuple[str, Expression, bool]:
        """Read a column's name and value, and whether that is known to be text."""
        name = ""
        if self.peek.kind == "word" and self.following == "=":
            name = self.word()
            self.expect("=")
        start, ends = self.peek, self.following in (",", "|", ")", "<EOF>")
        value = self.either()
        text = start.text in _TEXTUAL or start.kind == "string"
        text = text or (ends and self.columns.get(start.text, False))
        return name or "_".join(self.words_since(start)), value, text

    def _ordered(self) -> Stage:
        self.expect("by")
        keys: list[tuple[Expression, bool]] = []
        while True:
            value = self.operand()
            descending = self.accept("asc", "desc") != "asc"
            keys.append((value, descending))
            if not self.accept(","):
                break

        def order(rows: Iterable[Row], _: Tables) -> Iterable[Row]:
            found = list(rows)
            for value, descending in reversed(keys):
                found.sort(key=lambda row, value=value: text_of(value(row)), reverse=descending)  # type: ignore[misc]  # the default binds the loop's value
            return found

        return order

    def _limited(self) -> Stage:
        if self.peek.kind != "number":
            raise self.fail("a number")
        count = int(self.advance().text)
        return lambda rows, _: itertools.islice(rows, count)

    def _expanded(self) -> Stage:
        name, value, _ = self._named()
        typed = bool(self.accept("to"))
        if typed:
            self.expect("typeof")
            self.expect("(")
            self.expect("string")
            self.expect(")")
        self.columns = self.columns | {name: typed}

        def expand(rows: Iterable[Row], _: Tables) -> Iterator[Row]:
            for row in rows:
                found = value(row)
                if isinstance(found, dict):
                    found = [{key: each} for key, each in found.items()]
                for each in found if isinstance(found, list) else [found]:
                    yield {**row, name: each}

        return expand
