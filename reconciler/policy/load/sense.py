"""What is well written and still cannot mean anything: dead globs and places, keys never picked.

`reconciler.policy.load` is the only caller. Unlike `ceiling` this is also asked of what only
audits, and needs no guardrails.
"""

import fnmatch
from collections.abc import Iterator, Sequence
from itertools import product

from reconciler.ids import ResourceId, fold
from reconciler.policy.language import Grant, Identity, Rule
from reconciler.policy.language.templates import Maps, entries, location_name
from reconciler.policy.load.ceiling import Mistake


def of_identity(identity: Identity, maps: Maps) -> Iterator[Mistake]:
    """Find what makes no sense in an identity."""
    yield from _unclear(("grants",), identity.grants, maps)


def of_rule(rule: Rule, maps: Maps) -> Iterator[Mistake]:
    """Find what makes no sense in a rule."""
    yield from _nowhere(rule)
    if rule.system:
        yield from _unclear(("system", "grants"), rule.system.grants, maps)
        yield from _never_picked(rule, rule.system.grants, maps)


def _nowhere(rule: Rule) -> Iterator[Mistake]:
    """Find groups and places in which nothing can match."""
    groups = [fold(one.group) for one in rule.within if one.group]
    if len(groups) == len(rule.within):
        for index, glob in enumerate(rule.match.resource_group):
            if not fnmatch.filter(groups, fold(glob)):
                message = f"'{glob}' can never match: no group that 'within' names fits it"
                yield ("match", "resourceGroup", index), message
    for index, place in enumerate(rule.within):
        if place.blocks and not any(_lies_in(name, place) for name in rule.match.type):
            message = (
                f"'{place}' can never match: a {place.type} holds none of what 'match' asks for; "
                "name a group or subscription"
            )
            yield ("within", index), message


def _lies_in(type_name: str, place: ResourceId) -> bool:
    return f"{fold(type_name)}/".startswith(f"{fold(place.type)}/")


def _never_picked(rule: Rule, grants: Sequence[Grant], maps: Maps) -> Iterator[Mistake]:
    """Find grants that pick from a map by what none of its keys is for any match of the rule."""
    tags = {fold(name): glob for name, glob in rule.match.tags.items()}
    for index, grant in enumerate(grants):
        for entry in entries(grant.scope):
            keys = list(maps.get(entry.map, {}))
            asked = list(rule.match.location)
            if entry.tag:
                asked = [tags[fold(entry.tag)]] if fold(entry.tag) in tags else []
            fits = keys if entry.tag else map(location_name, keys)
            dead = not any(fnmatch.fnmatchcase(*pair) for pair in product(fits, asked))
            if keys and asked and dead:
                what = f"tag '{entry.tag}'" if entry.tag else "location"
                message = (
                    f"no key of map '{entry.map}' is a {what} that 'match' asks for "
                    f"({', '.join(asked)}); it has {', '.join(keys)}; add one"
                )
                yield ("system", "grants", index, "scope"), message


def _unclear(path: tuple[str, ...], grants: Sequence[Grant], maps: Maps) -> Iterator[Mistake]:
    """Find locations that pick two entries of a map: which one counts would hang on their order."""
    for index, grant in enumerate(grants):
        for entry in entries(grant.scope):
            first: dict[str, str] = {}
            for key in () if entry.tag else maps.get(entry.map, {}):
                if (other := first.setdefault(location_name(key), key)) != key:
                    message = (
                        f"'{other}' and '{key}' of map '{entry.map}' are one location; "
                        "keep one of them"
                    )
                    yield (*path, index, "scope"), message
