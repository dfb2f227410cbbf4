"""Which rules speak of a resource: the same for a fresh read and for a Resource Graph row.

Globs are compiled once per policy, because a sweep asks about every resource there is.
`reconciler.policy.desired` and the controller ask here.
"""

import fnmatch
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate

from reconciler.ids import ResourceId, fold
from reconciler.model import Resource
from reconciler.policy.language.rules import Rule
from reconciler.policy.language.templates import location_name

type _Fits = Callable[[str], object]

_OF_ID = 2
"""How many of a resource's texts its id alone tells: its group and its name."""


@dataclass(frozen=True, slots=True)
class _Compiled:
    """One rule with its globs: by the position of the text that each is held against."""

    rule: Rule
    within: frozenset[str]
    globs: tuple[tuple[int, _Fits], ...]
    tags: tuple[tuple[str, _Fits], ...]


class Matcher:
    """Some rules, ready to be asked about many resources."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._by_type: dict[str, list[_Compiled]] = {}
        for rule in rules:
            compiled = _compiled(rule)
            for type_name in sorted(set(map(fold, rule.match.type))):
                self._by_type.setdefault(type_name, []).append(compiled)

    def about(self, resource: Resource) -> tuple[Rule, ...]:
        """Return the rules that match the resource, in their order."""
        rules = self._by_type.get(fold(resource.id.type))
        if not rules:
            return ()
        around = _around(resource.id)
        texts = (*_of_id(resource.id), location_name(resource.location), fold(resource.kind))
        tags = {fold(name): value for name, value in resource.tags.items()}
        found: list[Rule] = []
        # A sweep comes by here for every resource and rule, so no call is made in between.
        for one in rules:
            if not one.within.isdisjoint(around):
                for at, fits in one.globs:
                    if not fits(texts[at]):
                        break
                else:
                    if not one.tags or _all_tagged(one.tags, tags):
                        found.append(one.rule)
        return tuple(found)

    def near(self, place: ResourceId) -> tuple[Rule, ...]:
        """Return the rules that may match a resource, judged by its id alone."""
        around, texts = _around(place), _of_id(place)
        return tuple(
            one.rule
            for one in self._by_type.get(fold(place.type), ())
            if not one.within.isdisjoint(around)
            and all(fits(texts[at]) for at, fits in one.globs if at < _OF_ID)
        )


def _compiled(rule: Rule) -> _Compiled:
    match = rule.match
    patterns = (match.resource_group, match.name, match.location, match.kind)
    return _Compiled(
        rule,
        frozenset(scope.key for scope in rule.within),
        tuple((at, _any_of(map(fold, globs))) for at, globs in enumerate(patterns) if globs),
        # Azure ignores the case of a tag's name, but not of its value.
        tuple((fold(name), _any_of([glob])) for name, glob in match.tags.items()),
    )


def _any_of(globs: Iterable[str]) -> _Fits:
    return re.compile("|".join(map(fnmatch.translate, globs))).match


def _all_tagged(globs: Iterable[tuple[str, _Fits]], tags: Mapping[str, str]) -> bool:
    return all(name in tags and fits(tags[name]) for name, fits in globs)


def _of_id(place: ResourceId) -> tuple[str, ...]:
    return (fold(place.group or ""), fold(place.name))


def _around(place: ResourceId) -> frozenset[str]:
    """Return the keys of a place and of everything that contains it."""
    return frozenset(accumulate(place.key.split("/"), "{}/{}".format))
