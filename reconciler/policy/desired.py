"""What policy wants of one resource or identity: a pure function of the two.

The same code serves a fresh read and a Resource Graph row. `scopes_from` says what can be named
before the subject has been read, because role assignments must be read before what explains them.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Protocol

from reconciler.errors import ResourceIdError
from reconciler.ids import ResourceId, fold
from reconciler.model import Desired, Grant, Mode, Resource, UserIdentity, Wanted
from reconciler.policy import language

_LOCATION = re.compile(r"[^a-z0-9]")
"""Azure's location names hold nothing else; "West Europe" and westeurope are the same."""


class Located(Protocol):
    """What a placeholder can speak of."""

    @property
    def id(self) -> ResourceId: ...  # noqa: D102 (as in the model)
    @property
    def location(self) -> str: ...  # noqa: D102 (as in the model)


def for_resource(policy: language.Policy, resource: Resource) -> Desired:
    """Return what every rule that matches the resource wants of it, added up."""
    rules = [rule for rule in policy.rules if matches(rule, resource)]
    attach = [
        Wanted(policy.identities[name].id, rule.mode, _by(rule), rule.allow_default_change)
        for rule in rules
        for name in rule.attach
    ]
    systems = [
        Wanted(None, rule.mode, _by(rule), rule.allow_default_change)
        for rule in rules
        if rule.system
    ]
    grants = [
        (grant, rule.mode, _by(rule))
        for rule in rules
        if rule.system
        for grant in rule.system.grants
    ]
    system = next(iter(_added_up(systems)), None)
    return _with_grants(resource, grants, attach=tuple(_added_up(attach)), system=system)


def for_identity(policy: language.Policy, identity: UserIdentity) -> Desired:
    """Return the grants that policy hangs on a user-assigned identity."""
    grants = [
        (grant, entry.mode, (f"identity {name}",))
        for name, entry in policy.identities.items()
        if entry.id == identity.id
        for grant in entry.grants
    ]
    return _with_grants(identity, grants)


def matches(rule: language.Rule, resource: Resource) -> bool:
    """Tell whether a rule speaks of the resource."""
    if not could_match(rule, resource.id):
        return False
    tags = {fold(name): value for name, value in resource.tags.items()}
    return all(
        fold(name) in tags and fnmatchcase(tags[fold(name)], pattern)
        for name, pattern in rule.match.tags.items()
    )


def could_match(rule: language.Rule, resource: ResourceId) -> bool:
    """Tell whether a rule may speak of the resource, judged by its id alone."""
    return (
        any(scope.contains(resource) for scope in rule.within)
        and any(resource.is_type(type_name) for type_name in rule.match.type)
        and _globbed(rule.match.resource_group, resource.group or "")
        and _globbed(rule.match.name, resource.name)
    )


def scopes_from(policy: language.Policy, subject: ResourceId) -> tuple[ResourceId, ...]:
    """Return the scopes at which policy may grant the subject something, as far as its id tells."""
    grants = [
        grant
        for rule in policy.rules
        if rule.system and could_match(rule, subject)
        for grant in rule.system.grants
    ]
    for identity in policy.identities.values():
        if identity.id == subject:
            grants += identity.grants
    found = (_scope(grant.scope, subject, None) for grant in grants)
    return tuple(sorted({scope for scope in found if scope}, key=lambda scope: scope.key))


def bearers(policy: language.Policy, identity: ResourceId) -> tuple[language.Rule, ...]:
    """Return the rules whose matches must carry the identity."""
    return tuple(
        rule
        for rule in policy.rules
        if any(policy.identities[name].id == identity for name in rule.attach)
    )


def _by(rule: language.Rule) -> tuple[str, ...]:
    return (f"rule {rule.name}",)


def _globbed(patterns: tuple[str, ...], text: str) -> bool:
    return not patterns or any(fnmatchcase(fold(text), fold(pattern)) for pattern in patterns)


def _added_up[T](wanted: Iterable[Wanted[T]]) -> Iterator[Wanted[T]]:
    """Make one of what several rules want: to be repaired where any of them says so."""
    merged: dict[T, Wanted[T]] = {}
    for one in wanted:
        known = merged.get(one.what)
        merged[one.what] = one if known is None else _both(known, one)
    return iter(merged.values())


def _both[T](one: Wanted[T], other: Wanted[T]) -> Wanted[T]:
    mode = Mode.REPAIR if Mode.REPAIR in {one.mode, other.mode} else Mode.AUDIT
    # What a rule in audit mode allows must not loosen one that repairs.
    allowed = any(each.default_change for each in (one, other) if each.mode is mode)
    return Wanted(one.what, mode, one.by + other.by, allowed)


def _with_grants(
    subject: Located,
    grants: Sequence[tuple[language.Grant, Mode, tuple[str, ...]]],
    *,
    attach: tuple[Wanted[ResourceId], ...] = (),
    system: Wanted[None] | None = None,
) -> Desired:
    resolved: list[Wanted[Grant]] = []
    unresolved: list[tuple[Wanted[str], str]] = []
    for grant, mode, by in grants:
        scope = _scope(grant.scope, subject.id, subject.location)
        if scope:
            wanted = Grant(grant.role.guid, scope, grant.condition)
            resolved.append(Wanted(wanted, mode, by))
        else:
            unresolved.append((Wanted(grant.role.guid, mode, by), grant.scope))
    return Desired(attach, system, tuple(_added_up(resolved)), tuple(unresolved))


def _scope(template: str, subject: ResourceId, location: str | None) -> ResourceId | None:
    """Fill a scope's placeholders; none where one has no value or the outcome is no id."""
    values = {
        "id": str(subject),
        "resourceGroup": str(subject.group_id or ""),
        "subscription": str(subject.subscription_id or ""),
        "location": _LOCATION.sub("", fold(location or "")),
    }
    try:
        return language.fill(template, values)
    except ResourceIdError:
        return None
