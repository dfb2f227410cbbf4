"""One request on its way: what was planned and done so far, and when to look again.

Delays are derived from when the request was first asked, so that nothing has to be counted or
stored: a copy that is ten seconds old waits ten seconds, one that is forty waits forty.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from reconciler.arm.failures import AUTHORIZATION_FAILED, PRINCIPAL_NOT_FOUND, SIGN_IN
from reconciler.changes import (
    Change,
    CreateAssignment,
    Outcome,
    Plan,
    Result,
    Status,
    Withheld,
)
from reconciler.errors import Again, Blocked
from reconciler.model import Request
from reconciler.plan.assignments import GONE

FIRST_DELAY: Final = timedelta(seconds=10)
LAST_DELAY: Final = timedelta(minutes=5)
GIVE_UP: Final = timedelta(hours=1)
# An identity that Entra has not replicated after this long is not coming (facts B6).
GIVE_UP_ON_PRINCIPAL: Final = timedelta(minutes=10)
# A right that was granted a moment ago may need this long to be effective (facts B4).
LOOK_AT_RIGHTS_AGAIN: Final = timedelta(minutes=10)
# What the index does not show at first it shows by then.
ONCE_MORE: Final = timedelta(minutes=5)
_SHORTEST: Final = timedelta(seconds=1)
_TO_REPEAT: Final = frozenset({Status.AGAIN, Status.CONFLICT})
# After these the next list must show it, whoever wrote it.
_WRITTEN: Final = frozenset({Status.DONE, Status.PRESENT})


@dataclass(slots=True)
class Run:
    """What one request has come to so far; `began` is when its first look began."""

    request: Request
    began: datetime
    gone: bool = False
    plans: list[Plan] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)

    def untried(self, changes: Sequence[Change]) -> tuple[Change, ...]:
        """Return the changes that no outcome speaks of yet: a write is not repeated in a run."""
        return tuple(change for change in changes if self._outcome(change) is None)

    @property
    def may_look_again(self) -> bool:
        """Whether looking again at once can show something new: only time mends the others."""
        met = {outcome.status for outcome in self.outcomes}
        return Status.AGAIN not in met and bool(met & {*_WRITTEN, Status.CONFLICT})

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
                str(error),
                error.code,
                error.retry_after if isinstance(error, Again) else None,
            )
        )

    def result(
        self, now: datetime, *, writes: bool = False, requests: tuple[Request, ...] = ()
    ) -> Result:
        """Return what the request came to; with `writes`, what time may settle is looked at again.

        What has been tried for too long is blocked, so that a person sees it.
        """
        waited = timedelta() if self._progress else now - self._first
        self.outcomes = [_given_up(outcome, waited) for outcome in self.outcomes]
        if writes and waited >= GIVE_UP:
            self.outcomes += [_stuck(held, waited) for held in self._passing if not held.until]
        delays = list(self._delays(now, waited, writes=writes))
        wait = max(min(delays), _SHORTEST) if delays else None
        return Result(
            plans=tuple(self.plans),
            outcomes=tuple(self.outcomes),
            requests=requests,
            again_after=wait,
            again=self._copy(now, wait) if wait is not None else None,
        )

    def _copy(self, now: datetime, wait: timedelta) -> Request:
        """Return the request to be looked at again after the wait."""
        sights = {sight for plan in self.plans for sight in plan.seen}
        known = set(self.request.seen)
        if self.plans and not self.gone:
            # A look that failed says nothing either way.
            known.discard(GONE)
        fresh = self._progress or bool(sights - known)
        return replace(
            self.request,
            since=now + wait,
            first=self.began if fresh else self._first,
            seen=tuple(sorted(sights | known)),
        )

    @property
    def _progress(self) -> bool:
        return any(outcome.status is Status.DONE for outcome in self.outcomes)

    @property
    def _first(self) -> datetime:
        return self.request.first or self.began

    @property
    def _passing(self) -> list[Withheld]:
        return [held for plan in self.plans[-1:] for held in plan.withheld if held.hold.passing]

    def _outcome(self, change: Change) -> Outcome | None:
        return next((one for one in self.outcomes if _same(one.change, change)), None)

    def _delays(self, now: datetime, waited: timedelta, *, writes: bool) -> Iterator[timedelta]:
        usual = min(max(FIRST_DELAY, waited), LAST_DELAY)
        for outcome in self.outcomes:
            if outcome.status in _TO_REPEAT:
                yield outcome.retry_after or usual
            elif outcome.code == AUTHORIZATION_FAILED and waited < LOOK_AT_RIGHTS_AGAIN:
                yield LOOK_AT_RIGHTS_AGAIN
            elif outcome.code == SIGN_IN and waited < GIVE_UP:
                # A person may have to act, but the identity endpoint may also just be down.
                yield usual
        if not writes or not self.plans:
            return
        for held in self._passing:
            if held.until:
                yield held.until - now
            elif waited < GIVE_UP:
                yield usual
        # A copy that is due anyway will also see what may have come until then.
        tried = any(outcome.status in _TO_REPEAT for outcome in self.outcomes)
        changes = () if tried or waited >= GIVE_UP else self.plans[-1].changes
        if any(self._may_come(change) for change in changes):
            yield usual

    def _may_come(self, change: Change) -> bool:
        """Tell whether time may settle a change that the last look still wanted.

        Lists lag behind writes, and a principal may be missing because its identity is only just
        being switched on.
        """
        outcome = self._outcome(change)
        if outcome:
            return outcome.status in _WRITTEN
        blocked = any(one.status is Status.BLOCKED for one in self.outcomes)
        waiting = isinstance(change, CreateAssignment) and change.principal is None
        return not (waiting and blocked)


def once_more(result: Result, request: Request, now: datetime, *seen: str) -> Result:
    """Return a result after which the request comes once more, with what was seen by now."""
    copy = replace(request, since=now + ONCE_MORE, seen=seen)
    return replace(result, again_after=ONCE_MORE, again=copy)


def _same(one: Change | None, other: Change) -> bool:
    """Tell whether two changes are one: a later look may show the same thing anew."""
    if isinstance(one, CreateAssignment) and isinstance(other, CreateAssignment):
        return (one.grant, one.principal) == (other.grant, other.principal)
    return one == other


def _stuck(held: Withheld, waited: timedelta) -> Outcome:
    detail = f"given up after {waited}: {held.hold}"
    return Outcome(held.change, Status.BLOCKED, detail, "Stuck")


def _given_up(outcome: Outcome, waited: timedelta) -> Outcome:
    limit = GIVE_UP_ON_PRINCIPAL if outcome.code == PRINCIPAL_NOT_FOUND else GIVE_UP
    if outcome.status not in _TO_REPEAT or waited < limit:
        return outcome
    detail = f"given up after {waited}: {outcome.detail}"
    return replace(outcome, status=Status.BLOCKED, detail=detail, retry_after=None)
