"""One request on its way: what was planned and done so far, and when to look again.

Delays are derived from when the request was first asked, so that nothing has to be counted or
stored: a copy that is ten seconds old waits ten seconds, one that is forty waits forty.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from reconciler.azure import failures
from reconciler.changes import (
    PLAN_CHANGED,
    STUCK,
    AttachIdentity,
    Change,
    CreateAssignment,
    DeleteAssignment,
    DetachIdentity,
    Hold,
    Outcome,
    Plan,
    Result,
    Status,
    Withheld,
)
from reconciler.errors import Again, Blocked, Conflict
from reconciler.ids import ResourceId
from reconciler.messages import MOST_SIGHTINGS
from reconciler.model import Request, Sight, Sighting
from reconciler.plan.context import FIRST_DELAY, GIVE_UP

LAST_DELAY: Final = timedelta(minutes=5)
# What has not been replicated after this long is not coming (facts: Errors).
GIVE_UP_ON_REPLICATION: Final = timedelta(minutes=10)
# A right that was granted a moment ago may need this long to be effective (facts: Rights).
LOOK_AT_RIGHTS_AGAIN: Final = timedelta(minutes=10)
# What a write event named, or what a grant or attach needs, may be invisible for this long.
INVISIBLE: Final = timedelta(minutes=15)
# What the index does not show at first it shows by then.
ONCE_MORE: Final = timedelta(minutes=5)
_SHORTEST: Final = timedelta(seconds=1)
_TO_REPEAT: Final = frozenset({Status.AGAIN, Status.CONFLICT})
# After these the next list must show it, whoever wrote it.
_WRITTEN: Final = frozenset({Status.DONE, Status.PRESENT})


@dataclass(slots=True)
class Run:
    """What one request has come to so far; `began` is when its first look began.

    `alive` says what the last complete look found, none before there was one; `looked` is when that
    began. `ask_at` is when it may be asked whether the id is gone. `full`: room was made once in a
    subscription that holds no more assignments. `soon`: a copy that is due by then is the look
    after a write. `young`: the index may not show the resource to the event of what it lacks.
    """

    request: Request
    began: datetime
    soon: timedelta = FIRST_DELAY
    alive: bool | None = None
    ask_at: datetime | None = None
    looked: datetime | None = None
    full: bool = False
    young: bool = False
    sightings: list[Sighting] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def untried(self, changes: Sequence[Change]) -> tuple[Change, ...]:
        """Return the changes that no outcome speaks of yet: a write is not repeated in a run."""
        return tuple(change for change in changes if self._outcome(change) is None)

    @property
    def may_look_again(self) -> bool:
        """Whether looking again at once can show something new: only time mends the others.

        A deletion's answer needs no look; where a copy is due anyway, that copy is the look.
        """
        met = {one.status for one in self.outcomes if not _is_dead(one.change)}
        fruitless = Status.AGAIN in met or self._copy_is_due
        return not fruitless and bool(met & {*_WRITTEN, Status.CONFLICT})

    @property
    def only_patched(self) -> bool:
        """Whether nothing but identities was written, so that the PATCH's answer is the look.

        The answer to a deletion of what was dead needs no look either.
        """
        return all(
            one.status is Status.DONE
            and (isinstance(one.change, AttachIdentity | DetachIdentity) or _is_dead(one.change))
            for one in self.outcomes
        )

    @property
    def deleted(self) -> frozenset[ResourceId]:
        """The assignments that were deleted so far."""
        return frozenset(
            one.change.assignment.id
            for one in self.outcomes
            if one.status is Status.DONE and isinstance(one.change, DeleteAssignment)
        )

    def forget_conflicts(self) -> None:
        """Drop outcomes of writes that another writer overtook: the next look decides anew."""
        self.outcomes = [one for one in self.outcomes if one.status is not Status.CONFLICT]

    def failed(self, error: Again | Blocked) -> None:
        """Note that a look, or what came with it, could not be done."""
        passing = isinstance(error, Again)
        self.outcomes.append(
            Outcome(
                None,
                Status.AGAIN if passing else Status.BLOCKED,
                error.reason,
                error.code,
                error.retry_after if isinstance(error, Again) else None,
                last_try=isinstance(error, Conflict) and not error.known,
                next_step=error.next_step,
            )
        )

    def result(
        self, now: datetime, *, writes: bool = False, requests: tuple[Request, ...] = ()
    ) -> Result:
        """Return what the request came to; with `writes`, what time may settle is looked at again.

        What has been tried for too long is blocked, so that a person sees it.
        """
        waited = timedelta() if self._progress else now - self._first
        refused = frozenset(one.code for one in self.outcomes if one.last_try)
        self.outcomes = [self._given_up(outcome, waited) for outcome in self.outcomes]
        if writes and waited >= GIVE_UP:
            self.outcomes += [_stuck(held, waited) for held in self._passing if not held.until]
        # What was not confirmed is not done by a copy either.
        changed = any(one.code == PLAN_CHANGED for one in self.outcomes)
        delays = [] if changed else list(self._delays(now, waited, writes=writes))
        wait = max(min(delays), _SHORTEST) if delays else None
        return Result(
            plans=tuple(self._left()),
            outcomes=tuple(self.outcomes),
            requests=requests,
            again_after=wait,
            again=self._copy(now, wait, refused) if wait is not None else None,
        )

    def _left(self) -> Iterator[Plan]:
        """Yield the plans; what is gone since the last look is no longer to be done."""
        gone = self.deleted
        yield from self.plans[:-1]
        for last in self.plans[-1:]:
            left = [
                change
                for change in last.changes
                if not (isinstance(change, DeleteAssignment) and change.assignment.id in gone)
            ]
            yield replace(last, changes=tuple(left))

    def _copy(self, now: datetime, wait: timedelta, refused: frozenset[str]) -> Request:
        """Return the request to be looked at again after the wait."""
        known = {(one.what, one.about): one for one in self.request.sightings}
        if self.alive:
            # A look that failed says nothing either way.
            known.pop((Sight.GONE, ""), None)
            known.pop((Sight.NOT_YET, ""), None)
        met = [*self.sightings, *(sight for plan in self.plans for sight in plan.sightings)]
        met += [Sighting(now, Sight.REFUSED, code) for code in sorted(refused)]
        fresh = [one for one in met if (one.what, one.about) not in known]
        for one in fresh:
            known.setdefault((one.what, one.about), one)
        # Of more than can be kept some are always new, which would never come to an end.
        began_anew = self._progress or (fresh and len(known) <= MOST_SIGHTINGS)
        return replace(
            self.request,
            since=now + wait,
            expected=self.request.expected and not self.alive,
            first=self.began if began_anew else self._first,
            sightings=tuple(sorted(known.values()))[-MOST_SIGHTINGS:],
        )

    @property
    def _progress(self) -> bool:
        return any(outcome.status is Status.DONE for outcome in self.outcomes)

    @property
    def _first(self) -> datetime:
        return self.request.first or self.began

    @property
    def _passing(self) -> list[Withheld]:
        """What time may lift; what waits for its replacement hangs on that."""
        last = self.plans[-1].waiting if self.plans else ()
        return [held for held in last if held.hold is not Hold.REPLACING]

    @property
    def _copy_is_due(self) -> bool:
        """Whether a copy will soon look anyway, since something passes by then."""
        by = (self.looked or self.began) + self.soon
        return any(held.until is None or held.until <= by for held in self._passing)

    def _given_up(self, outcome: Outcome, waited: timedelta) -> Outcome:
        """Return an outcome as blocked where it was repeated for too long, or refused twice."""
        if outcome.status not in _TO_REPEAT:
            return outcome
        if outcome.last_try and self.request.sighted(Sight.REFUSED, outcome.code):
            return replace(outcome, status=Status.BLOCKED, retry_after=None)
        replicating = outcome.code in failures.TEN_MINUTES
        if waited < (GIVE_UP_ON_REPLICATION if replicating else GIVE_UP):
            return outcome
        detail = f"given up after {waited}: {outcome.detail}"
        return replace(outcome, status=Status.BLOCKED, detail=detail, retry_after=None)

    def _outcome(self, change: Change) -> Outcome | None:
        return next((one for one in self.outcomes if _same(one.change, change)), None)

    def _delays(self, now: datetime, waited: timedelta, *, writes: bool) -> Iterator[timedelta]:
        usual = min(max(FIRST_DELAY, waited), LAST_DELAY)
        for outcome in self.outcomes:
            if outcome.status in _TO_REPEAT:
                yield outcome.retry_after or usual
            elif outcome.code in failures.LOOK_AGAIN_AT_RIGHTS and waited < LOOK_AT_RIGHTS_AGAIN:
                yield LOOK_AT_RIGHTS_AGAIN
            elif outcome.code == failures.SIGN_IN and waited < GIVE_UP:
                # A person may have to act, but the identity endpoint may also just be down.
                yield usual
        if writes and self.plans:
            yield from self._delays_of_plan(now, waited, usual)

    def _delays_of_plan(
        self, now: datetime, waited: timedelta, usual: timedelta
    ) -> Iterator[timedelta]:
        """Yield when what the last look still wanted, or withheld, may have come."""
        if self.ask_at:
            yield self.ask_at - now
        for held in self._passing:
            if held.until:
                yield held.until - now
            elif waited < GIVE_UP:
                yield usual
        holds = {one.hold for one in self.plans[-1].withheld}
        # An identity's own event asks for whoever the index shows.
        absent = Hold.SCOPE_ABSENT in holds or (self.young and Hold.IDENTITY_ABSENT in holds)
        if absent and now - self._first < INVISIBLE:
            yield usual
        # A copy that is due anyway will also see what may have come until then.
        tried = any(outcome.status in _TO_REPEAT for outcome in self.outcomes)
        changes = [] if tried or waited >= GIVE_UP else [*self.plans[-1].changes]
        if self._copy_is_due:
            changes = [change for change in changes if not self._outcome(change)]
        if any(self._may_come(change) for change in changes):
            yield usual

    def _may_come(self, change: Change) -> bool:
        """Tell whether time may settle a change that the last look still wanted.

        Lists lag behind writes, and a principal may be missing because its identity is only just
        being switched on.
        """
        outcome = self._outcome(change)
        if outcome:
            return outcome.status in _WRITTEN and not _is_dead(change)
        blocked = any(one.status is Status.BLOCKED for one in self.outcomes)
        waiting = isinstance(change, CreateAssignment) and change.principal is None
        return not (waiting and blocked)


def once_more(result: Result, request: Request, now: datetime, what: Sight) -> Result:
    """Return a result after which the request comes once more, with what was seen by now."""
    seen = tuple(one for one in request.sightings if one.what is not what)
    copy = replace(request, since=now + ONCE_MORE, sightings=(*seen, Sighting(now, what)))
    return replace(result, again_after=ONCE_MORE, again=copy)


def _same(one: Change | None, other: Change) -> bool:
    """Return whether two changes are one: a later look may show the same thing anew."""
    if isinstance(one, CreateAssignment) and isinstance(other, CreateAssignment):
        return (one.grant, one.principal) == (other.grant, other.principal)
    return one == other


def _is_dead(change: Change | None) -> bool:
    """Return whether a change takes away what belonged to a principal that is no more."""
    return isinstance(change, DeleteAssignment) and change.reason.dead


def _stuck(held: Withheld, waited: timedelta) -> Outcome:
    detail = f"given up after {waited}: {held.hold}"
    return Outcome(held.change, Status.BLOCKED, detail, STUCK)
