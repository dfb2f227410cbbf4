"""What policy wants of one resource or identity: a pure function of the two.

The same code serves a fresh read and a Resource Graph row. `scopes_from` says what can be named
before the subject has been read, because role assignments must be read before what explains them.
"""

import contextlib
import functools
import hashlib
from collections.abc import Container, Iterable, Iterator

from reconciler.errors import ResourceIdError
from reconciler.ids import ResourceId
from reconciler.model import (
    USER_ASSIGNED_IDENTITY,
    Desired,
    Grant,
    Mode,
    Resource,
    Unresolved,
    UserIdentity,
    Wanted,
)
from reconciler.policy import language
from reconciler.policy.language import templates
from reconciler.policy.language.matching import ALL
from reconciler.policy.language.templates import Place
from reconciler.policy.language.wishes import added_up


def for_resource(policy: language.Policy, resource: Resource) -> Desired:
    """Return what every rule that matches the resource wants of it, added up."""
    place = Place(resource.id, resource.location, resource.tags)
    chosen = policy.matcher.chosen(resource)
    modes = tuple(mode_for(rule, resource.id) for rule in chosen.shared)
    wishes = policy.wishes(chosen, modes, resource.id.subscription, resource.location)
    grants, unresolved = _granted(policy, wishes.grants, place)
    attached = {one.what for one in wishes.attach} if policy.exclusive else ()
    return Desired(
        wishes.attach,
        wishes.system,
        grants,
        unresolved,
        wishes.ensured,
        added_up(_unwelcome(policy, resource, attached)),
    )


def _unwelcome(
    policy: language.Policy, resource: Resource, attach: Container[ResourceId]
) -> Iterator[Wanted[ResourceId]]:
    """Yield what may be exclusive identities that a resource carries and no rule attaches there."""
    for name, entry in policy.exclusive.items():
        # Without a location nobody knows which of a template's identities rules attach.
        if entry.id.exact or resource.location:
            for carried in resource.identities.attached:
                if entry.id.may_be(carried.id) and carried.id not in attach:
                    yield Wanted(carried.id, entry.mode, (f"identity {name}",))


def mode_for(rule: language.Rule, resource: ResourceId) -> Mode:
    """Return a rule's mode for one of its matches: beyond its rollout it only audits.

    The draw hangs on the id, so a machine that is rebuilt keeps it, and on the rule's name, so that
    rules do not all try themselves on the same machines.
    """
    if rule.rollout == ALL:
        return rule.mode
    drawn = hashlib.sha256(f"{rule.name}\0{resource.key}".encode()).digest()
    return rule.mode if int.from_bytes(drawn) % ALL < rule.rollout else Mode.AUDIT


def for_identity(policy: language.Policy, identity: UserIdentity) -> Desired:
    """Return the grants that policy hangs on a user-assigned identity."""
    place = Place(identity.id, identity.location)
    wanted = [
        Wanted(grant, entry.mode, (f"identity {name}",))
        for name, entry in policy.identities.items()
        if entry.id.is_of(place)
        for grant in entry.grants
    ]
    grants, unresolved = _granted(policy, wanted, place)
    return Desired(grants=grants, unresolved=unresolved)


def is_exclusive(policy: language.Policy, identity: UserIdentity) -> bool:
    """Tell whether policy means an identity by an exclusive entry: it must lie where its id says.

    A neighbour's name may fit a template, too.
    """
    place = Place(identity.id, identity.location)
    return any(entry.id.is_of(place) for entry in policy.exclusive.values())


def scopes_from(policy: language.Policy, subject: ResourceId) -> tuple[ResourceId, ...]:
    """Return the scopes at which policy may grant the subject something, as far as its id tells."""
    grants: list[language.Grant] = [
        grant
        for rule in policy.matcher.near(subject)
        if rule.system
        for grant in rule.system.grants
    ]
    if subject.is_type(USER_ASSIGNED_IDENTITY):
        for identity in policy.identities.values():
            if identity.id.may_be(subject):
                grants += identity.grants
    found: set[ResourceId] = set()
    for grant in grants:
        with contextlib.suppress(ResourceIdError):
            found.add(templates.fill(grant.scope, Place(subject), policy.maps))
    return tuple(sorted(found, key=lambda scope: scope.key))


def reaches(policy: language.Policy, scope: ResourceId) -> bool:
    """Tell whether policy may speak of anything in a scope, be it only to forbid an identity."""
    places = [place for rule in policy.rules for place in rule.within]
    for identity in policy.identities.values():
        known = templates.beginning(identity.id.text)
        if known is None or identity.exclusive:
            return True
        places.append(known[0])
    return any(scope.contains(place) or place.contains(scope) for place in places)


def bearers(policy: language.Policy, identity: ResourceId) -> tuple[language.Rule, ...]:
    """Return the rules whose matches may have to carry the identity, judged by its id alone."""
    return tuple(
        rule
        for rule in policy.rules
        if any(policy.identities[name].id.may_be(identity) for name in rule.attach)
    )


def _granted(
    policy: language.Policy, wanted: Iterable[Wanted[language.Grant]], place: Place
) -> tuple[tuple[Wanted[Grant], ...], tuple[Wanted[Grant], ...]]:
    """Return the grants at a place, and those whose scope has no name there."""
    resolved: list[Wanted[Grant]] = []
    unresolved: list[Wanted[Grant]] = []
    for one in wanted:
        role, template, condition = one.what.role.guid, one.what.scope, one.what.condition
        try:
            scope = templates.fill(template, place, policy.maps)
        except ResourceIdError as error:
            grant = Grant(role, Unresolved(template, str(error)), condition)
            unresolved.append(Wanted(grant, one.mode, one.by, rollout=one.rollout))
        else:
            choices = _choices(template, policy.maps) if "{maps." in template else frozenset()
            grant = Grant(role, scope, condition)
            resolved.append(Wanted(grant, one.mode, one.by, rollout=one.rollout, choices=choices))
    return added_up(resolved), tuple(unresolved)


_parsed = functools.lru_cache(4096)(ResourceId.parse)
"""What maps hold is the same for every resource that a sweep asks about."""


def _choices(template: str, maps: templates.Maps) -> frozenset[ResourceId]:
    """Return every scope that a template may name by another entry of its map."""
    found: set[ResourceId] = set()
    for scope in templates.with_entries(template, maps):
        with contextlib.suppress(ResourceIdError):
            found.add(_parsed(scope))
    return frozenset(found)
