"""What policy wants of one resource or identity: a pure function of the two.

The same code serves a fresh read (`reconciler.observe`) and a Resource Graph row
(`reconciler.sweep`). `scopes_from` needs the subject's id alone, because role assignments must be
read before the subject that explains them. Which rules match a resource is asked here, too, and by
the search for whom a deleted assignment belonged to; plain loops do, since a sweep takes longer to
read its rows than to match them.
"""

import contextlib
import fnmatch
import functools
import hashlib
import re
from collections.abc import Callable, Iterable
from typing import Any

from reconciler.errors import ResourceIdError
from reconciler.ids import ResourceId, fold
from reconciler.model import (
    USER_ASSIGNED_IDENTITY,
    Desired,
    Grant,
    Mode,
    NewIdentity,
    Resource,
    Unresolved,
    UserIdentity,
    Wanted,
)
from reconciler.policy import Policy, model, templates
from reconciler.policy.model import FULL_ROLLOUT, Rule
from reconciler.policy.templates import Subject, location_name


def for_resource(policy: Policy, resource: Resource) -> Desired:
    """Return what the rules that match the resource want of it, each thing once."""
    subject = Subject(resource.id, resource.location, resource.tags)
    attach: list[Wanted[ResourceId]] = []
    ensured: list[Wanted[NewIdentity]] = []
    systems: list[Wanted[None]] = []
    grants: list[Wanted[model.Grant]] = []
    for rule in matching_rules(policy.rules, resource):
        mode = mode_for(rule, resource.id)
        # A mode other than the rule's own means: not yet in the share of its rollout.
        rollout, by = mode is not rule.mode, (f"rule {rule.name}",)
        allowed = (rule.allow_default_change, rule.allow_restart, rollout)
        for name in rule.attach:
            entry = policy.identities[name]
            # An id with `{location}` cannot be resolved without a location. Azure has no resource
            # without one that carries identities.
            with contextlib.suppress(ResourceIdError):
                identity = entry.id.resolve(subject)
                attach.append(Wanted(identity, mode, by, *allowed))
                if entry.ensure:
                    location = entry.location or ""
                    if location == "{location}":
                        location = subject.value("location")
                    new = NewIdentity(identity, location, tuple(sorted(entry.tags.items())))
                    # An identity is created only if both the rule and its own entry are in repair
                    # mode.
                    both = Mode.REPAIR if mode is entry.mode is Mode.REPAIR else Mode.AUDIT
                    waits = rollout and entry.mode is Mode.REPAIR
                    ensured.append(Wanted(new, both, (*by, f"identity {name}"), rollout=waits))
        if rule.system:
            systems.append(Wanted(None, mode, by, *allowed))
            grants += [Wanted(grant, mode, by, rollout=rollout) for grant in rule.system.grants]
    attached = {wanted.what for wanted in attach}
    unwelcome = [
        Wanted(carried.id, entry.mode, (f"identity {name}",))
        for name, entry in policy.identities.items()
        # Without a location nobody knows which of a template's identities rules attach.
        if entry.exclusive and (entry.id.exact or resource.location)
        for carried in resource.identities.attached
        if entry.id.may_be(carried.id) and carried.id not in attached
    ]
    resolved, unresolved = _resolved(policy, grants, subject)
    return Desired(
        _aggregate(attach),
        next(iter(_aggregate(systems)), None),
        resolved,
        unresolved,
        _aggregate(ensured),
        _aggregate(unwelcome),
    )


def for_identity(policy: Policy, identity: UserIdentity) -> Desired:
    """Return what policy grants to a user-assigned identity."""
    subject = Subject(identity.id, identity.location)
    grants = [
        Wanted(grant, entry.mode, (f"identity {name}",))
        for name, entry in policy.identities.items()
        if entry.id.names(subject)
        for grant in entry.grants
    ]
    resolved, unresolved = _resolved(policy, grants, subject)
    return Desired(grants=resolved, unresolved=unresolved)


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
            (value := tags.get(fold(name))) is not None and fnmatch.fnmatchcase(value, glob)
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


def mode_for(rule: Rule, resource: ResourceId) -> Mode:
    """Return a rule's mode for a resource: audit where that is not in the share of its rollout.

    The share is drawn by a hash of the id, so a rebuilt machine stays in it or out of it, and of
    the rule's name, so that rules do not all begin with the same machines.
    """
    if rule.rollout == FULL_ROLLOUT:
        return rule.mode
    drawn = hashlib.sha256(f"{rule.name}\0{resource.key}".encode()).digest()
    return rule.mode if int.from_bytes(drawn) % FULL_ROLLOUT < rule.rollout else Mode.AUDIT


def is_exclusive(policy: Policy, identity: UserIdentity) -> bool:
    """Return whether an identity is one of those that an exclusive entry of policy stands for.

    Its real location must be the one in its id: another identity's name may fit a template, too.
    """
    subject = Subject(identity.id, identity.location)
    entries = policy.identities.values()
    return any(entry.exclusive and entry.id.names(subject) for entry in entries)


def scopes_from(policy: Policy, subject: ResourceId) -> tuple[ResourceId, ...]:
    """Return the scopes at which policy may grant the subject something, judged by its id alone.

    Scopes that only its tags or location would show are missing.
    """
    near = rules_near(policy.rules, subject)
    grants = [grant for rule in near if rule.system for grant in rule.system.grants]
    if subject.is_type(USER_ASSIGNED_IDENTITY):
        for identity in policy.identities.values():
            if identity.id.may_be(subject):
                grants += identity.grants
    scopes: set[ResourceId] = set()
    for grant in grants:
        with contextlib.suppress(ResourceIdError):
            scopes.add(templates.fill(grant.scope, Subject(subject), policy.maps))
    return tuple(sorted(scopes, key=lambda scope: scope.key))


def reaches(policy: Policy, scope: ResourceId) -> bool:
    """Return whether policy may concern anything in a scope.

    A policy with an exclusive identity concerns every scope: any resource could carry that one. So
    does one with an identity whose template has no fixed beginning.
    """
    places = [place for rule in policy.rules for place in rule.within]
    for identity in policy.identities.values():
        start = templates.beginning(identity.id.text)
        if start is None or identity.exclusive:
            return True
        places.append(start[0])
    return any(scope.contains(place) or place.contains(scope) for place in places)


def attaching_rules(policy: Policy, identity: ResourceId) -> tuple[Rule, ...]:
    """Return the rules that may attach the identity, judged by its id alone."""
    return tuple(
        rule
        for rule in policy.rules
        if any(policy.identities[name].id.may_be(identity) for name in rule.attach)
    )


def _resolved(
    policy: Policy, grants: Iterable[Wanted[model.Grant]], subject: Subject
) -> tuple[tuple[Wanted[Grant], ...], tuple[Wanted[Grant], ...]]:
    """Return the grants with their scopes, and those whose scope cannot be resolved, each once."""
    resolved: list[Wanted[Grant]] = []
    unresolved: list[Wanted[Grant]] = []
    for wanted in grants:
        role, template = wanted.what.role.guid, wanted.what.scope
        choices: set[ResourceId] = set()
        scope: ResourceId | Unresolved
        try:
            scope = templates.fill(template, subject, policy.maps)
        except ResourceIdError as error:
            scope = Unresolved(template, str(error))
        else:
            # The choices are the scopes that all entries of the map would give.
            if "{maps." in template:
                for text in templates.with_entries(template, policy.maps):
                    with contextlib.suppress(ResourceIdError):
                        choices.add(templates.parsed(text))
        grant = Grant(role, scope, wanted.what.condition)
        want = Wanted(
            grant, wanted.mode, wanted.by, rollout=wanted.rollout, choices=frozenset(choices)
        )
        (unresolved if isinstance(scope, Unresolved) else resolved).append(want)
    return _aggregate(resolved), _aggregate(unresolved)


def _aggregate(wanted: Iterable[Wanted[Any]]) -> tuple[Wanted[Any], ...]:
    """Return each thing once, to be repaired where any of those who want it repairs it."""
    together: dict[object, list[Wanted[Any]]] = {}
    for want in wanted:
        together.setdefault(want.what, []).append(want)
    for what, several in together.items():
        if len(several) > 1:
            mode = Mode.REPAIR if any(want.mode is Mode.REPAIR for want in several) else Mode.AUDIT
            # What a rule in audit mode allows must not loosen one that repairs.
            counting = [want for want in several if want.mode is mode]
            merged = Wanted(
                what,
                mode,
                tuple(name for want in several for name in want.by),
                any(want.default_change for want in counting),
                any(want.restart for want in counting),
                # What waits for a rollout in one rule is mended by another that repairs.
                rollout=mode is Mode.AUDIT and any(want.rollout for want in several),
                choices=frozenset(scope for want in counting for scope in want.choices),
            )
            together[what] = [merged]
    return tuple(several[0] for several in together.values())


# What policy writes is prepared once: there is one policy in a process, and it does not change.


@functools.cache
def _folded(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(map(fold, names))


@functools.cache
def _fits_any(globs: tuple[str, ...]) -> Callable[[str], object]:
    return re.compile("|".join(map(fnmatch.translate, map(fold, globs)))).match
