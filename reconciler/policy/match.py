"""Which rules match a resource: the same for a fresh read and for a Resource Graph row.

`reconciler.policy.desired` asks here, and the search for whom a deleted assignment belonged to.
Each rule is held against the resource in turn: a sweep takes longer to read its rows.
"""

import fnmatch
import functools
import re
from collections.abc import Callable, Iterable

from reconciler.ids import ResourceId, fold
from reconciler.model import Resource
from reconciler.policy.model import Rule
from reconciler.policy.templates import location_name


def matching_rules(rules: Iterable[Rule], resource: Resource) -> tuple[Rule, ...]:
    """Return the rules that match a resource, in their order."""
    location, kind = location_name(resource.location), fold(resource.kind)
    # Azure ignores the case of a tag's name, but not of its value.
    tags = {fold(name): value for name, value in resource.tags.items()}
    return tuple(
        rule
        for rule in rules_near(rules, resource.id)
        if (not rule.match.location or _fits_any(rule.match.location)(location))
        and (not rule.match.kind or _fits_any(rule.match.kind)(kind))
        and all(
            (value := tags.get(fold(name))) is not None and _fits(glob)(value)
            for name, glob in rule.match.tags.items()
        )
    )


def rules_near(rules: Iterable[Rule], place: ResourceId) -> tuple[Rule, ...]:
    """Return the rules that may match a resource, judged by its id alone, in their order."""
    type_name, group, name = fold(place.type), fold(place.group or ""), fold(place.name)
    return tuple(
        rule
        for rule in rules
        if type_name in _folded(rule.match.type)
        and any(scope.contains(place) for scope in rule.within)
        and (not rule.match.resource_group or _fits_any(rule.match.resource_group)(group))
        and (not rule.match.name or _fits_any(rule.match.name)(name))
    )


# What policy writes is prepared once: there is one policy in a process, and it does not change.


@functools.cache
def _folded(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(map(fold, names))


@functools.cache
def _fits(glob: str) -> Callable[[str], object]:
    return re.compile(fnmatch.translate(glob)).match


@functools.cache
def _fits_any(globs: tuple[str, ...]) -> Callable[[str], object]:
    return re.compile("|".join(map(fnmatch.translate, map(fold, globs)))).match
