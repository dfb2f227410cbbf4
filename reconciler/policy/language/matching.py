"""Which rules speak of a resource: the same for a fresh read and for a Resource Graph row.

A sweep asks about every resource there is, and resources share all but their names: so the rules of
a type are bits of a number, and which of them a text fits is found out once for each text.
`reconciler.policy.desired` and the reconciler ask here.
"""

import fnmatch
import functools
import operator
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from reconciler.ids import ResourceId, fold
from reconciler.model import Resource
from reconciler.policy.language.rules import Match, Rule
from reconciler.policy.language.templates import location_name

ALL = 100
"""Percent of a rule's matches."""

_REMEMBERED = 4096
"""Texts, or sets of rules; a policy or tenant with more only takes longer."""


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """Some rules in their order, and those of them that only a share of their matches is for.

    It equals only itself: what follows from it can be remembered by it.
    """

    rules: tuple[Rule, ...] = ()
    shared: tuple[Rule, ...] = ()


_NONE = Chosen()


class Matcher:
    """Some rules, ready to be asked about many resources."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        by_type: dict[str, list[Rule]] = defaultdict(list)
        for rule in rules:
            for type_name in sorted(set(map(fold, rule.match.type))):
                by_type[type_name].append(rule)
        self._by_type = {name: _OfType(found) for name, found in by_type.items()}

    def about(self, resource: Resource) -> tuple[Rule, ...]:
        """Return the rules that match the resource, in their order."""
        return self.chosen(resource).rules

    def chosen(self, resource: Resource) -> Chosen:
        """Return the rules that match the resource, as one that is mostly the same for the same."""
        rules = self._by_type.get(fold(resource.id.type))
        return rules.about(resource) if rules else _NONE

    def near(self, place: ResourceId) -> tuple[Rule, ...]:
        """Return the rules that may match a resource, judged by its id alone."""
        rules = self._by_type.get(fold(place.type))
        return rules.near(place).rules if rules else ()


class _OfType:
    """The rules about one type; each is a bit in the order of the rules."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self._within: dict[str, int] = defaultdict(int)
        for bit, rule in _bits(rules):
            for scope in rule.within:
                self._within[scope.key] |= bit
        matches = [rule.match for rule in rules]
        self._group = _Asked([_any_of(match.resource_group) for match in matches])
        self._name = _Asked([_any_of(match.name) for match in matches])
        self._location = _Asked([_any_of(match.location) for match in matches])
        self._kind = _Asked([_any_of(match.kind) for match in matches])
        # Azure ignores the case of a tag's name, but not of its value.
        tags = {fold(name) for match in matches for name in match.tags}
        self._tags = {tag: _Asked([_of_tag(match, tag) for match in matches]) for tag in tags}
        self._chosen = functools.lru_cache(_REMEMBERED)(self._of_bits)

    def about(self, resource: Resource) -> Chosen:
        found = self._around(resource.id)
        found &= self._location.by(location_name(resource.location))
        found &= self._kind.by(fold(resource.kind))
        if found and self._tags:
            tags = {fold(name): value for name, value in resource.tags.items()}
            for name, asked in self._tags.items():
                if asked.asking & found:
                    found &= asked.by(tags.get(name))
        return self._called(resource.id, found)

    def near(self, place: ResourceId) -> Chosen:
        return self._called(place, self._around(place))

    def _around(self, place: ResourceId) -> int:
        """Return those within whose scopes and groups a place lies."""
        found = 0
        for key in accumulate(place.key.split("/"), "{}/{}".format):
            found |= self._within.get(key, 0)
        return found & self._group.by(fold(place.group or ""))

    def _called(self, place: ResourceId, among: int) -> Chosen:
        """Return those that a place's name fits."""
        # Not remembered by name, since hardly two resources share one.
        return self._chosen(self._name.among(fold(place.name), among)) if among else _NONE

    def _of_bits(self, bits: int) -> Chosen:
        rules = tuple(rule for bit, rule in _bits(self._rules) if bit & bits)
        return Chosen(rules, tuple(rule for rule in rules if rule.rollout != ALL))


class _Asked:
    """What rules ask of one text: each a pattern, or nothing."""

    def __init__(self, patterns: Sequence[str | None]) -> None:
        self._all = (1 << len(patterns)) - 1
        together: dict[str, int] = defaultdict(int)
        for bit, pattern in _bits(patterns):
            if pattern is not None:
                together[pattern] |= bit
        self._patterns = [(bits, re.compile(one).match) for one, bits in together.items()]
        self.asking = functools.reduce(operator.or_, together.values(), 0)
        self.by = functools.lru_cache(_REMEMBERED)(self._by)

    def among(self, text: str | None, rules: int) -> int:
        """Return which of some rules a text fits; those that ask nothing take also none."""
        for bits, fits in self._patterns:
            if bits & rules and (text is None or not fits(text)):
                rules &= ~bits
        return rules

    def _by(self, text: str | None) -> int:
        return self.among(text, self._all)


def _bits[T](values: Iterable[T]) -> Iterator[tuple[int, T]]:
    return ((1 << number, value) for number, value in enumerate(values))


def _any_of(globs: Iterable[str]) -> str | None:
    return "|".join(map(fnmatch.translate, map(fold, globs))) or None


def _of_tag(match: Match, tag: str) -> str | None:
    globs = (glob for name, glob in match.tags.items() if fold(name) == tag)
    return "|".join(map(fnmatch.translate, globs)) or None
