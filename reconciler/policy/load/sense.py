"""What is well written and still cannot mean anything: dead globs and places, keys never picked.

`reconciler.policy.load` is the only caller. Unlike `ceiling` this is also asked of what only
audits, and needs no guardrails.
"""

import fnmatch
import functools
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, product

from reconciler.ids import fold
from reconciler.policy.language import Grant, Identity, Rule
from reconciler.policy.language.templates import MapEntry, Maps, entries, location_name
from reconciler.policy.load.ceiling import Mistake

_MOST_PAIRS = 10_000
"""Globs times what they may fit; with more of them this is not checked."""

type Doubled = Mapping[str, str]
"""By map: which two of its keys are one location."""


def doubled(maps: Maps) -> Doubled:
    """Return, for each map with keys that are one location, what is to be said of it."""
    found: dict[str, str] = {}
    for name, entries_of_map in maps.items():
        first: dict[str, str] = {}
        for key in entries_of_map:
            if (other := first.setdefault(location_name(key), key)) != key:
                found[name] = (
                    f"'{other}' and '{key}' of map '{name}' are one location; keep one of them"
                )
                break
    return found


def of_identity(identity: Identity, unclear: Doubled) -> Iterator[Mistake]:
    """Find what makes no sense in an identity."""
    yield from _unclear(("grants",), identity.grants, unclear)


def of_rule(rule: Rule, maps: Maps, unclear: Doubled) -> Iterator[Mistake]:
    """Find what makes no sense in a rule."""
    yield from _nowhere(rule)
    if rule.system:
        yield from _unclear(("system", "grants"), rule.system.grants, unclear)
        yield from _never_picked(rule, rule.system.grants, maps)


def _nowhere(rule: Rule) -> Iterator[Mistake]:
    """Find groups and places in which nothing can match."""
    groups = {fold(one.group) for one in rule.within if one.group}
    few = len(groups) * len(rule.match.resource_group) <= _MOST_PAIRS
    if few and all(one.group for one in rule.within):
        for index, glob in enumerate(rule.match.resource_group):
            if not fnmatch.filter(groups, fold(glob)):
                message = f"'{glob}' can never match: no group that 'within' names fits it"
                yield ("match", "resourceGroup", index), message
    asked = {around for name in rule.match.type for around in _with_parents(fold(name))}
    for index, place in enumerate(rule.within):
        if place.blocks and fold(place.type) not in asked:
            message = (
                f"'{place}' can never match: a {place.type} holds none of what 'match' asks for; "
                "name a group or subscription"
            )
            yield ("within", index), message


def _with_parents(type_name: str) -> Iterator[str]:
    """Yield a type and those of its parents, such as that of a set for its members."""
    yield from accumulate(type_name.split("/"), "{}/{}".format)


def _never_picked(rule: Rule, grants: Sequence[Grant], maps: Maps) -> Iterator[Mistake]:
    """Find grants that pick from a map by what none of its keys is for any match of the rule."""
    tags = {fold(name): glob for name, glob in rule.match.tags.items()}

    @functools.cache
    def mistake(entry: MapEntry) -> str | None:
        keys = list(maps.get(entry.map, {}))
        asked = list(rule.match.location)
        if entry.tag:
            asked = [tags[fold(entry.tag)]] if fold(entry.tag) in tags else []
        fits = keys if entry.tag else [location_name(key) for key in keys]
        if not keys or not asked or len(keys) * len(asked) > _MOST_PAIRS:
            return None
        if any(fnmatch.fnmatchcase(*pair) for pair in product(fits, asked)):
            return None
        what = f"tag '{entry.tag}'" if entry.tag else "location"
        return (
            f"no key of map '{entry.map}' is a {what} that 'match' asks for "
            f"({', '.join(asked)}); it has {', '.join(keys)}; add one"
        )

    for index, grant in enumerate(grants):
        for entry in entries(grant.scope):
            if message := mistake(entry):
                yield ("system", "grants", index, "scope"), message


def _unclear(path: tuple[str, ...], grants: Sequence[Grant], unclear: Doubled) -> Iterator[Mistake]:
    """Find locations that pick two entries of a map: which one counts would hang on their order."""
    for index, grant in enumerate(grants):
        for entry in entries(grant.scope):
            if not entry.tag and entry.map in unclear:
                yield (*path, index, "scope"), unclear[entry.map]
