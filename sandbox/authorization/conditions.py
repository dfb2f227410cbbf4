"""Conditions of role assignments, in the part of the language that delegation needs.

See facts: Rights.

``access`` evaluates them; role assignments are checked for grammar when they are written. What
the grammar knows but the sandbox cannot decide is refused by name, never guessed.
"""

import dataclasses
import fnmatch
import functools
import re
from collections.abc import Callable, Iterator, Mapping

from sandbox.arm import errors

type Attributes = Mapping[str, str]
"""Values by attribute as written, in lower case: ``@request[...:principalid]``."""

type _Test = Callable[[str, Attributes], bool]

_TOKEN = re.compile(
    r"\s*(?:(?P<attribute>@\w+\[[^\]]+\])|(?P<text>'[^']*')|(?P<mark>&&|\|\||[(){}!,])"
    r"|(?P<word>[\w:.\-]+))"
)
_ASSIGNMENT = "microsoft.authorization/roleassignments"
_KNOWN = {
    f"@{source}[{_ASSIGNMENT}:{name}]"
    for source in ("request", "resource")
    for name in ("roledefinitionid", "principalid", "principaltype")
}
# Each attribute has one value, so a quantifier decides only how a set is compared.
_EQUAL = {
    "guidequals",
    "stringequalsignorecase",
    "foranyofanyvalues:guidequals",
    "foranyofanyvalues:stringequalsignorecase",
}
_DIFFERENT = {
    "guidnotequals",
    "stringnotequalsignorecase",
    "foranyofallvalues:guidnotequals",
    "foranyofallvalues:stringnotequalsignorecase",
}


def check(text: str) -> None:
    """Raise ``AzureError`` 400 unless a condition is well-formed."""
    _compiled(text)


def holds(text: str, action: str, attributes: Attributes) -> bool:
    """Return whether a condition is fulfilled; raises ``AzureError`` 400 for what is unsupported.

    Args:
        text: the condition, version 2.0.
        action: the action that is asked for.
        attributes: what is known; an attribute that is absent equals nothing.
    """
    return _compiled(text)(action, attributes)


@functools.lru_cache(maxsize=1024)
def _compiled(text: str) -> _Test:
    return _Parser(text).parse()


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at, end = 0, len(text.rstrip())
    while at < end:
        found = _TOKEN.match(text, at)
        if found is None:
            raise errors.unsupported(f'the condition at "{text[at:].strip()[:40]}"')
        at = found.end()
        yield found.lastgroup or "", found[found.lastgroup or 0]


@dataclasses.dataclass
class _Parser:
    text: str

    def parse(self) -> _Test:
        self._rest = [*_tokens(self.text), ("end", "")]
        test = self._either()
        self._take("end")
        return test

    def _take(self, kind: str, *values: str) -> str:
        """Consume a token of a kind, of certain values if any are given."""
        found, value = self._rest[0]
        if found != kind or (values and value.lower() not in values):
            raise errors.unsupported(f'the condition at "{value or self.text[-40:]}"')
        if kind != "end":
            self._rest.pop(0)
        return value

    def _next_is(self, kind: str, *values: str) -> bool:
        """Consume a token if it is of a kind and, in lower case, one of the values."""
        found, value = self._rest[0]
        if found == kind and value.lower() in values:
            self._rest.pop(0)
            return True
        return False

    def _either(self) -> _Test:
        tests = [self._both()]
        while self._next_is("mark", "||") or self._next_is("word", "or"):
            tests.append(self._both())
        return lambda action, attributes: any(test(action, attributes) for test in tests)

    def _both(self) -> _Test:
        tests = [self._one()]
        while self._next_is("mark", "&&") or self._next_is("word", "and"):
            tests.append(self._one())
        return lambda action, attributes: all(test(action, attributes) for test in tests)

    def _one(self) -> _Test:
        if self._next_is("mark", "!") or self._next_is("word", "not"):
            negated = self._one()
            return lambda action, attributes: not negated(action, attributes)
        if self._next_is("mark", "("):
            test = self._either()
            self._take("mark", ")")
            return test
        if self._rest[0][0] == "attribute":
            attribute = self._take("attribute")
            return _comparison(attribute, self._take("word"), self._values())
        word = self._take("word")
        if self._rest[0][0] == "attribute":
            return _unknown(f"{word} {self._take('attribute')}")
        values = self._values()
        if word.lower() != "actionmatches":
            return _unknown(word)
        patterns = [re.compile(fnmatch.translate(each.lower())) for each in values]
        return lambda action, _: any(each.match(action.lower()) for each in patterns)

    def _values(self) -> list[str]:
        """Parse one value, or a set of them in braces."""
        if not self._next_is("mark", "{"):
            return [self._value()]
        found = [self._value()]
        while self._next_is("mark", ","):
            found.append(self._value())
        self._take("mark", "}")
        return found

    def _value(self) -> str:
        kind = self._rest[0][0]
        return self._take(kind if kind in ("text", "attribute") else "word").strip("'")


def _unknown(what: str) -> _Test:
    """Return a test that is refused once it would decide."""

    def refuse(_: str, __: Attributes) -> bool:
        raise errors.unsupported(f"{what} in a condition")

    return refuse


def _comparison(attribute: str, operator: str, values: list[str]) -> _Test:
    name, folded = attribute.lower(), operator.lower()
    if name not in _KNOWN or folded not in _EQUAL | _DIFFERENT:
        return _unknown(f"{attribute} {operator}")
    wanted = {each.lower() for each in values}

    def test(_: str, attributes: Attributes) -> bool:
        value = attributes.get(name)
        return value is not None and (value.lower() in wanted) is (folded in _EQUAL)

    return test
