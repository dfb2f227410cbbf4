"""Which identities a resource must be given, or freed of, and what stands in the way.

Case by case, for an identity that policy wants on the resource:

    identity itself   | entry on the resource      | outcome
    ------------------|----------------------------|-----------------------------------------
    there             | none                       | attach
    there             | with its principal         | nothing
    there             | none or another principal  | detach once seen for long enough, then attach
    gone              | any                        | detach: it makes every attach fail
    gone              | none                       | attach, withheld
    gone, ensured     | any                        | create as well; the next look attaches it

For an exclusive identity that no rule attaches: detach, only under `removals`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from reconciler.changes import (
    AttachIdentity,
    CreateIdentity,
    DetachIdentity,
    Hold,
    Reason,
    Withheld,
)
from reconciler.ids import ResourceId, fold
from reconciler.model import (
    RESTARTING,
    Desired,
    Mode,
    NewIdentity,
    Observed,
    Request,
    Resource,
    UserIdentity,
    Wanted,
)
from reconciler.plan.terms import Terms

type Step = CreateIdentity | AttachIdentity | DetachIdentity | Withheld

_BUSY = frozenset({"creating", "updating", "deleting"})


def is_busy(resource: Resource) -> bool:
    """Tell whether another write to the resource is under way, so that a PATCH would collide."""
    return resource.state.lower() in _BUSY


@dataclass
class IdentityPlanner:
    """Plans the identities of one resource; `seen` gathers the dead entries that it met."""

    resource: Resource
    observed: Observed
    request: Request
    terms: Terms
    seen: list[str] = field(default_factory=list)

    def steps(self, desired: Desired) -> Iterator[Step]:
        """Yield changes and what is withheld of them."""
        if self.resource.identities.raw_type is not None:
            for wanted in self._wanted(desired):
                attach = AttachIdentity(self.resource.id, wanted.what)
                yield Withheld(
                    attach, Hold.UNKNOWN_IDENTITY_TYPE, self.resource.identities.raw_type
                )
            return
        attaches: list[Wanted[ResourceId | None]] = []
        others: list[Step] = [*self._created(desired), *self._excluded(desired)]
        for wanted in self._wanted(desired):
            step = self._needed(wanted)
            if isinstance(step, AttachIdentity):
                attaches.append(wanted)
            elif step:
                others.append(step)
        yield from (one for one in others if not isinstance(one, DetachIdentity))
        yield from self._detached([one for one in others if isinstance(one, DetachIdentity)])
        yield from self._attached(attaches)
        if attaches:
            yield from self._dead_entries_of_others(desired)

    def _created(self, desired: Desired) -> Iterator[CreateIdentity | Withheld]:
        for wanted in desired.ensured:
            if self.observed.identities.get(wanted.what.id) is None:
                create, hold = CreateIdentity(wanted.what), self._hold_on_creation(wanted)
                yield Withheld(create, hold) if hold else create

    def _wanted(self, desired: Desired) -> Iterator[Wanted[ResourceId | None]]:
        if desired.system:
            system = desired.system
            yield Wanted(None, system.mode, system.by, system.default_change, system.restart)
        for one in desired.attach:
            yield Wanted(one.what, one.mode, one.by, one.default_change, one.restart)

    def _needed(self, wanted: Wanted[ResourceId | None]) -> Step | None:
        block = self.resource.identities
        identity = wanted.what
        if identity is None:
            return None if block.system else AttachIdentity(self.resource.id, None)
        own = self.observed.identities.get(identity)
        entry = block.entry(identity)
        if own is None and entry is None:
            attach = AttachIdentity(self.resource.id, identity)
            return Withheld(attach, self._hold(wanted) or Hold.IDENTITY_ABSENT)
        if own is None:
            return self._detach(wanted, identity, Reason.IDENTITY_GONE)
        if entry is None:
            return AttachIdentity(self.resource.id, identity)
        if entry.principal != own.principal and not is_busy(self.resource):
            return self._heal(wanted, own, entry.principal)
        return None

    def _heal(
        self, wanted: Wanted[ResourceId | None], own: UserIdentity, stale: str | None
    ) -> Step:
        """Detach an entry that outlived its identity, once it was seen twice with time between.

        An attach under way shows an entry without principal too (facts A2.1), so one sight of it
        proves nothing.
        """
        sight = f"{own.id.key}={stale or '-'}>{own.principal}"
        self.seen.append(sight)
        since = self.request.first if sight in self.request.seen else None
        due = (since or self.observed.at) + self.terms.settle
        detach = DetachIdentity(self.resource.id, own.id, Reason.IDENTITY_RECREATED)
        if hold := self._hold(wanted):
            return Withheld(detach, hold)
        if since is None or self.observed.at < due:
            return Withheld(detach, Hold.SETTLING, until=due)
        return self._detach(wanted, own.id, Reason.IDENTITY_RECREATED)

    def _detach(
        self, wanted: Wanted[ResourceId | None], identity: ResourceId, reason: Reason
    ) -> Step:
        detach = DetachIdentity(self.resource.id, identity, reason)
        hold = self._hold(wanted)
        return Withheld(detach, hold) if hold else self._timely(detach)

    def _excluded(self, desired: Desired) -> Iterator[DetachIdentity | Withheld]:
        """Take exclusive identities away that no rule attaches here, under `removals`."""
        for wanted in desired.unwelcome:
            # Only its own GET tells it from a neighbour whose name fits the template.
            if self.observed.identities.get(wanted.what) is None:
                continue
            detach = DetachIdentity(self.resource.id, wanted.what, Reason.NOT_ALLOWED)
            hold = self._hold(Wanted(wanted.what, wanted.mode, wanted.by))
            if hold is None and self.request.removals != self.terms.digest:
                hold = Hold.REMOVALS
            yield Withheld(detach, hold) if hold else self._timely(detach)

    def _detached(self, steps: list[DetachIdentity]) -> Iterator[Step]:
        """Take the last one away only under an etag: its PATCH would take away all there are."""
        last = len(steps) == len(self.resource.identities.attached)
        for step in steps:
            yield Withheld(step, Hold.NO_ETAG) if last and not self.resource.etag else step

    def _attached(self, wanted: list[Wanted[ResourceId | None]]) -> Iterator[Step]:
        """Attach what is missing, as long as the default identity stays what it is."""
        block = self.resource.identities
        system = block.system
        users = {entry.id for entry in block.attached}
        before = _default(system=system, users=users)
        for one in wanted:
            step = AttachIdentity(self.resource.id, one.what)
            if hold := self._hold(one):
                yield Withheld(step, hold)
                continue
            would = (system or one.what is None, users | ({one.what} if one.what else set()))
            changed = before is not None and before != _default(system=would[0], users=would[1])
            if changed and not one.default_change and not self._restores(one.what):
                yield Withheld(step, Hold.DEFAULT_IDENTITY)
                continue
            system, users = would
            yield self._timely(step)

    def _restores(self, identity: ResourceId | None) -> bool:
        """Tell whether we ourselves took a dead entry of the identity away a moment ago."""
        return identity is not None and any(
            sight.startswith(f"{identity.key}=") for sight in self.request.seen
        )

    def _timely[T: (AttachIdentity, DetachIdentity)](self, step: T) -> T | Withheld:
        """Leave a machine alone that is being built or changed."""
        if is_busy(self.resource):
            return Withheld(step, Hold.BUSY, self.resource.state)
        if self.resource.deploying:
            return Withheld(step, Hold.SETTLING, "an extension is being provisioned")
        ready = self._ready()
        if ready and self.observed.at < ready:
            return Withheld(step, Hold.SETTLING, until=ready)
        return step

    def _ready(self) -> datetime | None:
        created = self.resource.created
        return created + self.terms.settle if created else None

    def _hold(self, wanted: Wanted[ResourceId | None]) -> Hold | None:
        if wanted.mode is Mode.AUDIT:
            return Hold.AUDIT
        if self.resource.managed_by:
            return Hold.MANAGED
        if not self.terms.watches(self.resource.id):
            return Hold.NOT_WATCHED
        if fold(self.resource.id.type) in RESTARTING and not wanted.restart:
            return Hold.RESTART
        if wanted.what is None:
            return None
        own = self.observed.identities.get(wanted.what)
        hold = self.terms.hold_on_identity(wanted.what, own.principal if own else None)
        return hold or self.terms.hold_on_place(wanted.what)

    def _hold_on_creation(self, wanted: Wanted[NewIdentity]) -> Hold | None:
        identity = wanted.what.id
        # Only what attaches it changes the resource.
        hold = self._hold(Wanted(identity, wanted.mode, wanted.by, restart=True))
        return hold or (None if self.terms.watches(identity) else Hold.NOT_WATCHED)

    def _dead_entries_of_others(self, desired: Desired) -> Iterator[Withheld]:
        """Show entries without principal that no policy speaks of: only their owner may act."""
        ours = {wanted.what for wanted in desired.attach}
        if is_busy(self.resource):
            return
        for entry in self.resource.identities.attached:
            if entry.principal is None and entry.id not in ours:
                detach = DetachIdentity(self.resource.id, entry.id, Reason.IDENTITY_GONE)
                yield Withheld(detach, Hold.DEAD_ENTRY)


def _default(*, system: bool, users: set[ResourceId]) -> ResourceId | str | None:
    """Return what the metadata service picks when asked for no identity by name (facts B5)."""
    if system:
        return "system-assigned"
    return next(iter(users)) if len(users) == 1 else None
