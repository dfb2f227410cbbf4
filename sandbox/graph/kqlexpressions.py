"""What the query language computes from a row: operators, functions and paths.

``kql`` builds the rest of the language on it.
"""

import json
import re
from collections.abc import Callable
from typing import Any

from sandbox.graph.kqltokens import Tokens

type Row = dict[str, Any]
type Expression = Callable[[Row], Any]
type Columns = dict[str, bool]
"""Names of columns, in their order, and whether each is known to hold text."""


def text_of(value: object) -> str:
    """Return a value as the language writes it into a text."""
    if isinstance(value, str):
        return value
    # Dynamic values are written as JSON.
    return "" if value is None else json.dumps(value, separators=(",", ":"))


def _has(text: str, term: str) -> bool:
    pattern = rf"(?<![^\W_]){re.escape(term)}(?![^\W_])"
    return re.search(pattern, text, re.IGNORECASE) is not None


def _lower(value: object) -> str:
    return text_of(value).lower()


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "=~": lambda a, b: _lower(a) == _lower(b),
    "!~": lambda a, b: _lower(a) != _lower(b),
    "has": lambda a, b: _has(text_of(a), text_of(b)),
    "contains": lambda a, b: _lower(b) in _lower(a),
    "!contains": lambda a, b: _lower(b) not in _lower(a),
    "startswith": lambda a, b: _lower(a).startswith(_lower(b)),
    "!startswith": lambda a, b: not _lower(a).startswith(_lower(b)),
    "endswith": lambda a, b: _lower(a).endswith(_lower(b)),
}
_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "tostring": text_of,
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


class Expressions(Tokens):
    """Reads expressions over the columns that there are."""

    def __init__(self, text: str) -> None:
        """Split the text; raises ``QueryError``."""
        super().__init__(text)
        self.columns: Columns = {}

    def either(self) -> Expression:
        """Read an expression; raises ``QueryError``."""
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
        left = self.operand()
        operator = self.accept(*_COMPARE)
        if operator:
            compare, right = _COMPARE[operator], self.operand()
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

    def operand(self) -> Expression:
        """Read one side of a comparison; raises ``QueryError``."""
        if self.accept("("):
            inner = self.either()
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
        if name not in ("not", "coalesce") and name not in _FUNCTIONS:
            raise self.fail(f"one of the functions not, coalesce, {', '.join(_FUNCTIONS)}")
        self.advance()
        self.expect("(")
        inner = self.either()
        given = [inner]
        while name == "coalesce" and self.accept(","):
            given.append(self.either())
        self.expect(")")
        if name == "not":
            return lambda row: not inner(row)
        if name == "coalesce":
            # Of texts it takes the first that is not empty (documented).
            return lambda row: next((v for each in given if (v := each(row)) not in (None, "")), "")
        apply = _FUNCTIONS[name]
        return lambda row: apply(inner(row))

    def _path(self) -> Expression:
        column = self.peek
        name = self.word()
        if name not in self.columns:
            raise self.error(column, f"one of the columns {sorted(self.columns)}")
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
