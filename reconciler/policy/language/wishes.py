"""What some rules want together at a subscription and location: added up once for all resources.

`reconciler.policy.desired` puts the rest of a resource's own values in. Many rules want much the
same of many resources, so this leaves it little to do for each.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from reconciler.errors import ResourceIdError
from reconciler.ids import ResourceId
from reconciler.model import Mode, NewIdentity, Wanted
from reconciler.policy.language.grants import Grant
from reconciler.policy.language.matching import Chosen
from reconciler.policy.language.rules import Identity, Rule
from reconciler.policy.language.templates import Place


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is wanted; the scopes of grants are as they are written."""

    attach: tuple[Wanted[ResourceId], ...]
    ensured: tuple[Wanted[NewIdentity], ...]
    system: Wanted[None] | None
    grants: tuple[Wanted[Grant], ...]

    @classmethod
    def of(
        cls,
        identities: Mapping[str, Identity],
        chosen: Chosen,
        modes: tuple[Mode, ...],
        subscription: str | None,
        location: str,
    ) -> Self:
        """Add up what rules want; `modes` are those of the rules that only a share is for."""
        around = f"/subscriptions/{subscription}" if subscription else "/"
        place = Place(ResourceId.parse(around), location)
        drawn = dict(zip((rule.name for rule in chosen.shared), modes, strict=True))
        rules = [(rule, drawn.get(rule.name, rule.mode)) for rule in chosen.rules]
        systems = [(rule, mode, rule.system) for rule, mode in rules if rule.system]
        switched_on = added_up(_change(rule, mode, None) for rule, mode, _ in systems)
        attached = [
            (rule, mode, name, id_)
            for rule, mode in rules
            for name in rule.attach
            for id_ in _of_place(identities[name], place)
        ]
        return cls(
            attach=added_up(_change(rule, mode, id_) for rule, mode, _, id_ in attached),
            ensured=added_up(
                _ensured(identities[name], id_, place, (rule, mode), f"identity {name}")
                for rule, mode, name, id_ in attached
                if identities[name].ensure
            ),
            system=switched_on[0] if switched_on else None,
            grants=added_up(
                Wanted(grant, mode, _by(rule), rollout=mode is not rule.mode)
                for rule, mode, system in systems
                for grant in system.grants
            ),
        )


def added_up[T](wanted: Iterable[Wanted[T]]) -> tuple[Wanted[T], ...]:
    """Make one of what several want: to be repaired where any of them says so."""
    merged: dict[T, Wanted[T]] = {}
    for one in wanted:
        known = merged.get(one.what)
        merged[one.what] = one if known is None else _both(known, one)
    return tuple(merged.values())


def _both[T](one: Wanted[T], other: Wanted[T]) -> Wanted[T]:
    mode = Mode.REPAIR if Mode.REPAIR in {one.mode, other.mode} else Mode.AUDIT
    # What a rule in audit mode allows must not loosen one that repairs.
    counting = [each for each in (one, other) if each.mode is mode]
    default_change = any(each.default_change for each in counting)
    restart = any(each.restart for each in counting)
    # What waits for a rollout in one rule will be mended, whatever another only audits.
    rollout = mode is Mode.AUDIT and (one.rollout or other.rollout)
    choices = frozenset[ResourceId]().union(*(each.choices for each in counting))
    return Wanted(one.what, mode, one.by + other.by, default_change, restart, rollout, choices)


def _change[T](rule: Rule, mode: Mode, what: T) -> Wanted[T]:
    return Wanted(
        what,
        mode,
        _by(rule),
        rule.allow_default_change,
        rule.allow_restart,
        rollout=mode is not rule.mode,
    )


def _of_place(identity: Identity, place: Place) -> Iterator[ResourceId]:
    # None only for a resource without a location, of which Azure has none that carries identities.
    with contextlib.suppress(ResourceIdError):
        yield identity.id.of(place)


def _ensured(
    entry: Identity, identity: ResourceId, place: Place, asked: tuple[Rule, Mode], name: str
) -> Wanted[NewIdentity]:
    rule, mode = asked
    own = entry.location == "{location}"
    location = place.value("location") if own else entry.location or ""
    new = NewIdentity(identity, location, tuple(sorted(entry.tags.items())))
    # What only one of rule and identity would repair is audited.
    both = Mode.REPAIR if mode is entry.mode is Mode.REPAIR else Mode.AUDIT
    rollout = mode is not rule.mode and entry.mode is Mode.REPAIR
    return Wanted(new, both, (*_by(rule), name), rollout=rollout)


def _by(rule: Rule) -> tuple[str, ...]:
    return (f"rule {rule.name}",)
