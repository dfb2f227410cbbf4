"""What is well written and still cannot mean anything: dead globs, and maps with one key twice.

`reconciler.policy.load` is the only caller. Unlike `ceiling` this is also asked of what only
audits, and needs no guardrails.
"""

import fnmatch
from collections.abc import Iterator, Sequence

from reconciler.ids import fold
from reconciler.policy.language import Grant, Identity, Rule
from reconciler.policy.language.templates import MapEntry, Maps, location_name, names
from reconciler.policy.load.ceiling import Mistake


def of_identity(identity: Identity, maps: Maps) -> Iterator[Mistake]:
    """Find what makes no sense in an identity."""
    yield from _unclear(("grants",), identity.grants, maps)


def of_rule(rule: Rule, maps: Maps) -> Iterator[Mistake]:
    """Find what makes no sense in a rule."""
    groups = [fold(one.group) for one in rule.within if one.group]
    if len(groups) == len(rule.within):
        for index, glob in enumerate(rule.match.resource_group):
            if not fnmatch.filter(groups, fold(glob)):
                message = f"'{glob}' can never match: no group that 'within' names fits it"
                yield ("match", "resourceGroup", index), message
    if rule.system:
        yield from _unclear(("system", "grants"), rule.system.grants, maps)


def _unclear(path: tuple[str, ...], grants: Sequence[Grant], maps: Maps) -> Iterator[Mistake]:
    """Find locations that pick two entries of a map: which one counts would hang on their order."""
    for index, grant in enumerate(grants):
        for entry in filter(None, map(MapEntry.parse, names(grant.scope))):
            first: dict[str, str] = {}
            for key in () if entry.tag else maps.get(entry.map, {}):
                if (other := first.setdefault(location_name(key), key)) != key:
                    message = (
                        f"'{other}' and '{key}' of map '{entry.map}' are one location; "
                        "keep one of them"
                    )
                    yield (*path, index, "scope"), message
