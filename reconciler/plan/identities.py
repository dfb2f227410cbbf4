"""Which identities a resource must be given, or freed of; what stands in the way is for the holds.

Case by case, for an identity that policy wants on the resource:

    identity itself   | entry on the resource      | outcome
    ------------------|----------------------------|-----------------------------------------
    there             | none                       | attach
    there             | with its principal         | nothing
    there             | none or another principal  | detach once seen for long enough, then attach
    not found         | none                       | attach, withheld
    not found         | any, nothing else missing  | attach, withheld: nobody needs it gone now
    not found         | any, another is missing    | detach once it is proved gone
    not found, ensured| any                        | create as well; the next look attaches it

For an exclusive identity that no rule attaches: detach, only under `removals`.
"""

from collections.abc import Iterator

from reconciler.changes import (
    AttachIdentity,
    CreateIdentity,
    DetachIdentity,
    Reason,
)
from reconciler.ids import ResourceId
from reconciler.model import (
    Desired,
    Observed,
    Resource,
    Sight,
    Sighting,
    UserIdentity,
    Wanted,
)
from reconciler.plan.steps import Step
from reconciler.resource_types import PASSING_STATES


def is_busy(resource: Resource) -> bool:
    """Return whether another write to the resource is under way, so that a PATCH would collide."""
    return resource.state.lower() in PASSING_STATES


def steps(resource: Resource, desired: Desired, observed: Observed) -> Iterator[Step]:
    """Yield what the identities of a resource lack or have too much."""
    block = resource.identities
    if block.raw_type is not None:
        for wanted in wanted_identities(desired):
            yield Step(AttachIdentity(resource.id, wanted.what), wanted)
        return
    for new in desired.ensured:
        if observed.identities.get(new.what.id) is None:
            yield Step(CreateIdentity(new.what), new)
    # Only its own GET tells an exclusive one from a neighbour whose name fits the template.
    for extra in (one for one in desired.unwelcome if observed.identities.get(one.what)):
        yield Step(DetachIdentity(resource.id, extra.what, Reason.NOT_ALLOWED), extra)
    missing = missing_identities(resource, desired)
    attachable = any(one is None or observed.identities.get(one) for one in missing)
    for wanted in wanted_identities(desired):
        if wanted.what in missing:
            yield Step(AttachIdentity(resource.id, wanted.what), wanted)
        else:
            yield from _of_entry(resource, wanted, observed, in_the_way=attachable)
    if attachable and not is_busy(resource):
        yield from _dead_entries_of_others(resource, desired)


def wanted_identities(desired: Desired) -> Iterator[Wanted[ResourceId | None]]:
    """Yield all that a resource is to carry; the system-assigned identity (none) comes first."""
    wanted = (desired.system, *desired.attach) if desired.system else desired.attach
    for one in wanted:
        yield Wanted(one.what, one.mode, one.by, one.default_change, one.restart, one.rollout)


def missing_identities(resource: Resource, desired: Desired) -> frozenset[ResourceId | None]:
    """Return what policy wants on the resource and has no entry there; none is the system's."""
    block = resource.identities
    return frozenset(
        wanted.what
        for wanted in wanted_identities(desired)
        if (not block.system if wanted.what is None else block.entry(wanted.what) is None)
    )


def sightings(resource: Resource, desired: Desired, observed: Observed) -> Iterator[Sighting]:
    """Yield dead entries that were met: only what is met twice, with time between, is healed."""
    for wanted in desired.attach:
        own, entry = observed.identities.get(wanted.what), resource.identities.entry(wanted.what)
        if entry is None:
            continue
        if own is None:
            yield Sighting(observed.at, Sight.GONE, wanted.what.key)
        elif entry.principal != own.principal and not is_busy(resource):
            yield Sighting(observed.at, Sight.DEAD_ENTRY, about_entry(own, entry.principal))


def about_entry(own: UserIdentity, stale: str | None) -> str:
    """Return how a sighting names a dead entry: identity, what it shows, what it should show."""
    return f"{own.id.key}={stale or '-'}>{own.principal}"


def _of_entry(
    resource: Resource,
    wanted: Wanted[ResourceId | None],
    observed: Observed,
    *,
    in_the_way: bool,
) -> Iterator[Step]:
    """Yield what is to be done about an entry that the resource has."""
    if wanted.what is None:
        return
    own, entry = observed.identities.get(wanted.what), resource.identities.entry(wanted.what)
    if own is None:
        if in_the_way:
            yield Step(DetachIdentity(resource.id, wanted.what, Reason.IDENTITY_GONE), wanted)
        else:
            yield Step(AttachIdentity(resource.id, wanted.what), wanted)
    elif entry and entry.principal != own.principal and not is_busy(resource):
        yield Step(DetachIdentity(resource.id, own.id, Reason.IDENTITY_RECREATED), wanted)


def _dead_entries_of_others(resource: Resource, desired: Desired) -> Iterator[Step]:
    """Yield entries without principal that no policy speaks of: only their owner may act."""
    ours = {wanted.what for wanted in desired.attach}
    for entry in resource.identities.attached:
        if entry.principal is None and entry.id not in ours:
            yield Step(DetachIdentity(resource.id, entry.id, Reason.IDENTITY_GONE))
