"""What policy wants of one resource or identity: a pure function of the two.

The same code serves a fresh read and a Resource Graph row. `scopes_from` says what can be named
before the subject has been read, because role assignments must be read before what explains them.
"""

import contextlib
import hashlib
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import replace

from reconciler.errors import ResourceIdError
from reconciler.ids import ResourceId
from reconciler.model import Desired, Grant, Mode, NewIdentity, Resource, UserIdentity, Wanted
from reconciler.policy import language
from reconciler.policy.language import templates
from reconciler.policy.language.templates import Place

_ALL = 100
"""Percent."""


def for_resource(policy: language.Policy, resource: Resource) -> Desired:
    """Return what every rule that matches the resource wants of it, added up."""
    place = Place(resource.id, resource.location, resource.tags)
    rules = [(rule, mode_for(rule, resource.id)) for rule in policy.matcher.about(resource)]
    attach = [
        Wanted(identity, mode, _by(rule), rule.allow_default_change, rule.allow_restart)
        for rule, mode in rules
        for _, _, identity in _attached(policy, rule, place)
    ]
    ensured = [
        Wanted(
            _new(entry, identity, place), _less(mode, entry.mode), (*_by(rule), f"identity {name}")
        )
        for rule, mode in rules
        for name, entry, identity in _attached(policy, rule, place)
        if entry.ensure
    ]
    systems = [
        Wanted(None, mode, _by(rule), rule.allow_default_change, rule.allow_restart)
        for rule, mode in rules
        if rule.system
    ]
    grants = [
        (grant, mode, _by(rule))
        for rule, mode in rules
        if rule.system
        for grant in rule.system.grants
    ]
    system = next(iter(_added_up(systems)), None)
    found = _with_grants(policy, place, grants)
    return replace(
        found,
        attach=tuple(_added_up(attach)),
        system=system,
        ensured=tuple(_added_up(ensured)),
        unwelcome=tuple(_added_up(_unwelcome(policy, resource, {one.what for one in attach}))),
    )


def _unwelcome(
    policy: language.Policy, resource: Resource, attach: Container[ResourceId]
) -> Iterator[Wanted[ResourceId]]:
    """Yield what may be exclusive identities that a resource carries and no rule attaches there."""
    for name, entry in policy.identities.items():
        # Without a location nobody knows which of a template's identities rules attach.
        if entry.exclusive and (entry.id.exact or resource.location):
            for carried in resource.identities.attached:
                if entry.id.may_be(carried.id) and carried.id not in attach:
                    yield Wanted(carried.id, entry.mode, (f"identity {name}",))


def mode_for(rule: language.Rule, resource: ResourceId) -> Mode:
    """Return a rule's mode for one of its matches: beyond its rollout it only audits.

    The draw hangs on the id, so a machine that is rebuilt keeps it, and on the rule's name, so that
    rules do not all try themselves on the same machines.
    """
    if rule.rollout == _ALL:
        return rule.mode
    drawn = hashlib.sha256(f"{rule.name}\0{resource.key}".encode()).digest()
    return rule.mode if int.from_bytes(drawn) % _ALL < rule.rollout else Mode.AUDIT


def for_identity(policy: language.Policy, identity: UserIdentity) -> Desired:
    """Return the grants that policy hangs on a user-assigned identity."""
    place = Place(identity.id, identity.location)
    grants = [
        (grant, entry.mode, (f"identity {name}",))
        for name, entry in policy.identities.items()
        if entry.id.is_of(place)
        for grant in entry.grants
    ]
    return _with_grants(policy, place, grants)


def is_exclusive(policy: language.Policy, identity: UserIdentity) -> bool:
    """Tell whether policy means an identity by an exclusive entry: it must lie where its id says.

    A neighbour's name may fit a template, too.
    """
    place = Place(identity.id, identity.location)
    return any(entry.exclusive and entry.id.is_of(place) for entry in policy.identities.values())


def scopes_from(policy: language.Policy, subject: ResourceId) -> tuple[ResourceId, ...]:
    """Return the scopes at which policy may grant the subject something, as far as its id tells."""
    grants: list[language.Grant] = [
        grant
        for rule in policy.matcher.near(subject)
        if rule.system
        for grant in rule.system.grants
    ]
    for identity in policy.identities.values():
        if identity.id.may_be(subject):
            grants += identity.grants
    found: set[ResourceId] = set()
    for grant in grants:
        with contextlib.suppress(ResourceIdError):
            found.add(templates.fill(grant.scope, Place(subject), policy.maps))
    return tuple(sorted(found, key=lambda scope: scope.key))


def bearers(policy: language.Policy, identity: ResourceId) -> tuple[language.Rule, ...]:
    """Return the rules whose matches may have to carry the identity, judged by its id alone."""
    return tuple(
        rule
        for rule in policy.rules
        if any(policy.identities[name].id.may_be(identity) for name in rule.attach)
    )


def _attached(
    policy: language.Policy, rule: language.Rule, place: Place
) -> Iterator[tuple[str, language.Identity, ResourceId]]:
    """Yield the identities that a rule attaches to a resource, with their ids there."""
    for name in rule.attach:
        entry = policy.identities[name]
        # Only a resource without a location, of which Azure has none that carries identities.
        with contextlib.suppress(ResourceIdError):
            yield name, entry, entry.id.of(place)


def _new(entry: language.Identity, identity: ResourceId, place: Place) -> NewIdentity:
    own = entry.location == "{location}"
    location = place.value("location") if own else entry.location or ""
    return NewIdentity(identity, location, tuple(sorted(entry.tags.items())))


def _less(one: Mode, other: Mode) -> Mode:
    """Return what both modes allow: what only one of them would repair is audited."""
    return Mode.REPAIR if one is other is Mode.REPAIR else Mode.AUDIT


def _by(rule: language.Rule) -> tuple[str, ...]:
    return (f"rule {rule.name}",)


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
    counting = [each for each in (one, other) if each.mode is mode]
    default_change = any(each.default_change for each in counting)
    restart = any(each.restart for each in counting)
    return Wanted(one.what, mode, one.by + other.by, default_change, restart)


def _with_grants(
    policy: language.Policy,
    place: Place,
    grants: Sequence[tuple[language.Grant, Mode, tuple[str, ...]]],
) -> Desired:
    resolved: list[Wanted[Grant]] = []
    unresolved: list[tuple[Wanted[str], str]] = []
    for grant, mode, by in grants:
        try:
            scope = templates.fill(grant.scope, place, policy.maps)
        except ResourceIdError as error:
            lost = Wanted(grant.role.guid, mode, by)
            unresolved.append((lost, f"{grant.scope}: {error}"))
        else:
            resolved.append(Wanted(Grant(grant.role.guid, scope, grant.condition), mode, by))
    return Desired(grants=tuple(_added_up(resolved)), unresolved=tuple(unresolved))
