"""Retry: what one run of a request has come to, and when the request is looked at again.

A copy waits for as long as its request is old: after ten seconds ten more, after forty seconds
forty. So delays double, and no attempts have to be counted or stored. The loop fills a `Progress`
and asks it for the result; `failed_result` is for a request whose first read failed.
"""

from collections.abc import Sequence
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
from reconciler.model import MOST_SIGHTINGS, Observed, Request, Resource, Sight, Sighting
from reconciler.plan.context import FIRST_DELAY, GIVE_UP

LAST_DELAY: Final = timedelta(minutes=5)
# What has not been replicated after this long is not coming (facts: Errors).
GIVE_UP_ON_REPLICATION: Final = timedelta(minutes=10)
# A right that was granted a moment ago may need this long to be effective (facts: Rights).
LOOK_AT_RIGHTS_AGAIN: Final = timedelta(minutes=10)
# What a write event named, or what a grant or attach needs, may be invisible for this long.
INVISIBLE: Final = timedelta(minutes=15)
# After this long Resource Graph shows what it did not show at first, so its rows are read again.
REPEAT_AFTER: Final = timedelta(minutes=5)
EARLY: Final = timedelta(seconds=1)
"""A copy may come this much before it is due, and is answered all the same."""
_SHORTEST_DELAY: Final = timedelta(seconds=1)
_TO_REPEAT: Final = frozenset({Status.AGAIN, Status.CONFLICT})
# Outcomes after which the change is in Azure, whoever wrote it, so that a later list shows it.
_WRITTEN: Final = frozenset({Status.DONE, Status.PRESENT})


@dataclass(slots=True)
class Progress:
    """What one run of a request has come to so far; `began` is when the run began.

    `soon`: a copy that is due within this time of the last look replaces the look after a write.
    `looked`: when the last complete look began; `alive`: whether the last look found the id. Both
    are none before there was one. `ask_at`: when the activity log may show that the id is gone.
    `young`: the resource was just made, so the index may not show it yet when an identity that it
    lacks is created. `deleted`: the assignments that this run deleted. `made_room`: this run
    already deleted unwanted rights in a subscription that held no more assignments.
    """

    request: Request
    began: datetime
    soon: timedelta = FIRST_DELAY
    looked: datetime | None = None
    alive: bool | None = None
    ask_at: datetime | None = None
    young: bool = False
    deleted: set[ResourceId] = field(default_factory=set)
    made_room: bool = False
    sightings: list[Sighting] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def add_look(self, observed: Observed, plan: Plan) -> None:
        """Note a complete look and its plan."""
        subject = observed.subject
        created = subject.created if isinstance(subject, Resource) else None
        self.young = created is not None and observed.at - created < INVISIBLE
        self.looked = observed.at
        self.plans.append(plan)
        # A change that met another writer is decided again from this look. Without its outcome it
        # counts as untried.
        self.outcomes = [
            outcome for outcome in self.outcomes if outcome.status is not Status.CONFLICT
        ]

    def untried(self, changes: Sequence[Change]) -> tuple[Change, ...]:
        """Return the changes that have no outcome yet: a write is not repeated in a run."""
        tried = {_key(outcome.change) for outcome in self.outcomes if outcome.change}
        return tuple(change for change in changes if _key(change) not in tried)

    def may_look_again(self) -> bool:
        """Return whether looking again at once can show something new.

        It cannot where Azure put a change off, since only time helps, nor where only dead rights
        were deleted, since the answer to a deletion is proof enough. Where a copy is due soon, the
        copy looks instead.
        """
        statuses = {
            outcome.status
            for outcome in self.outcomes
            if not (isinstance(outcome.change, DeleteAssignment) and outcome.change.reason.dead)
        }
        if Status.AGAIN in statuses or self._lifting(soon=True):
            return False
        return bool(statuses & {*_WRITTEN, Status.CONFLICT})

    def only_patched(self) -> bool:
        """Return whether all changes so far went through and need no look but their answers.

        That holds for identities, which the PATCH's answer shows, and for deletions of dead rights.
        """
        return all(
            outcome.status is Status.DONE
            and outcome.change is not None
            and (
                isinstance(outcome.change, AttachIdentity | DetachIdentity)
                or outcome.change.reason.dead
            )
            for outcome in self.outcomes
        )

    def add_failure(self, error: Again | Blocked) -> None:
        """Note the error that ended the run: a read failed, in a look or after it."""
        self.outcomes.append(
            Outcome(
                None,
                Status.AGAIN if isinstance(error, Again) else Status.BLOCKED,
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
        """Return what the run came to, with a copy of the request where something is left to do.

        `writes` is false in audit mode: then only a failed read is left to do. With it, so are the
        changes and holds of the last plan that time may settle. What has been tried for too long
        becomes blocked, so that a person sees it.
        """
        done = any(outcome.status is Status.DONE for outcome in self.outcomes)
        # Any change that was made restarts the wait: the hour of giving up counts from it.
        waited = timedelta() if done else now - (self.request.first or self.began)
        refused = {outcome.code for outcome in self.outcomes if outcome.last_try}
        delays = self._outcome_delays(waited)
        if writes and self.plans:
            delays += self._plan_delays(now, waited)
        if any(outcome.code == PLAN_CHANGED for outcome in self.outcomes):
            # A person confirmed another plan, so no copy may carry this one out.
            delays = []
        wait = max(min(delays), _SHORTEST_DELAY) if delays else None
        plans = list(self.plans)
        if plans:
            # Deletions that were made after the last look are no longer to be done.
            left = [
                change
                for change in plans[-1].changes
                if not (
                    isinstance(change, DeleteAssignment) and change.assignment.id in self.deleted
                )
            ]
            plans[-1] = replace(plans[-1], changes=tuple(left))
        return Result(
            plans=tuple(plans),
            outcomes=tuple(self.outcomes),
            requests=requests,
            again_after=wait,
            again=self._copy(now, wait, refused, done=done) if wait is not None else None,
        )

    def _outcome_delays(self, waited: timedelta) -> list[timedelta]:
        """Return the delays after which to retry what Azure put off or refused for now.

        An outcome that was put off for too long becomes blocked. So does a `last_try` that the
        request met before.
        """
        usual = min(max(FIRST_DELAY, waited), LAST_DELAY)
        delays: list[timedelta] = []
        for index, outcome in enumerate(self.outcomes):
            replicating = outcome.code in failures.TEN_MINUTES
            if outcome.status in _TO_REPEAT:
                blocked = replace(outcome, status=Status.BLOCKED, retry_after=None)
                if outcome.last_try and self.request.sighted(Sight.REFUSED, outcome.code):
                    self.outcomes[index] = blocked
                elif waited >= (GIVE_UP_ON_REPLICATION if replicating else GIVE_UP):
                    detail = f"given up after {waited}: {outcome.detail}"
                    self.outcomes[index] = replace(blocked, detail=detail)
                else:
                    delays.append(outcome.retry_after or usual)
            elif outcome.code in failures.LOOK_AGAIN_AT_RIGHTS and waited < LOOK_AT_RIGHTS_AGAIN:
                delays.append(LOOK_AT_RIGHTS_AGAIN)
            elif outcome.code == failures.SIGN_IN and waited < GIVE_UP:
                # A person may have to act, but the identity endpoint may also just be down.
                delays.append(usual)
        return delays

    def _plan_delays(self, now: datetime, waited: timedelta) -> list[timedelta]:
        """Return the delays after which the last plan's changes and holds may be settled.

        A hold that should pass by itself and has not within an hour becomes a blocked outcome.
        """
        usual = min(max(FIRST_DELAY, waited), LAST_DELAY)
        delays = [self.ask_at - now] if self.ask_at else []
        for held in self._lifting():
            if held.until:
                delays.append(held.until - now)
            elif waited < GIVE_UP:
                delays.append(usual)
            else:
                detail = f"given up after {waited}: {held.hold}"
                self.outcomes.append(Outcome(held.change, Status.BLOCKED, detail, STUCK))
        # A scope may exist and not be visible yet, and so may an identity that a young machine
        # lacks. An older machine needs no copy for that: the index shows it, so the event of the
        # identity's creation leads to it.
        last = self.plans[-1]
        holds = {held.hold for held in last.withheld}
        absent = Hold.SCOPE_ABSENT in holds or (self.young and Hold.IDENTITY_ABSENT in holds)
        if absent and now - (self.request.first or self.began) < INVISIBLE:
            delays.append(usual)
        # What the last plan still wants may show up in a later look. Where a change is retried
        # anyway, or a copy is due anyway, that leads to this look, and no delay is added.
        outcomes = {
            _key(outcome.change): outcome.status for outcome in self.outcomes if outcome.change
        }
        statuses = {outcome.status for outcome in self.outcomes}
        may_wait = statuses.isdisjoint(_TO_REPEAT) and waited < GIVE_UP
        copy_is_due = bool(self._lifting(soon=True))
        for change in last.changes if may_wait else ():
            status = outcomes.get(_key(change))
            if status is not None:
                # It was written, but the list lacks it: lists lag behind writes. For the deletion
                # of a dead right the answer is proof enough.
                dead = isinstance(change, DeleteAssignment) and change.reason.dead
                may_settle = status in _WRITTEN and not dead and not copy_is_due
            else:
                # A grant without a principal waits until its identity is switched on. Where
                # anything was blocked, that may never happen, so it is not waited for.
                waiting = isinstance(change, CreateAssignment) and change.principal is None
                may_settle = not (waiting and Status.BLOCKED in statuses)
            if may_settle:
                delays.append(usual)
        return delays

    def _lifting(self, *, soon: bool = False) -> list[Withheld]:
        """Return the withheld changes whose hold time alone may lift.

        With `soon`, only those whose hold a copy that is due soon may find lifted. A right that
        waits for its replacement is left out: the replacement lifts its hold, and not time.
        """
        waiting = self.plans[-1].waiting if self.plans else ()
        passing = [held for held in waiting if held.hold is not Hold.REPLACING]
        if not soon:
            return passing
        by = (self.looked or self.began) + self.soon
        return [held for held in passing if held.until is None or held.until <= by]

    def _copy(self, now: datetime, wait: timedelta, refused: set[str], *, done: bool) -> Request:
        """Return the copy of the request, due after the wait, with all sightings up to now."""
        known = {(sighting.what, sighting.about): sighting for sighting in self.request.sightings}
        if self.alive:
            # The id was found, so it is no longer missing. A failed look (`alive` none) keeps both.
            known.pop((Sight.GONE, ""), None)
            known.pop((Sight.NOT_YET, ""), None)
        seen = [*self.sightings, *(sighting for plan in self.plans for sighting in plan.sightings)]
        seen += [Sighting(now, Sight.REFUSED, code) for code in sorted(refused)]
        fresh = [sighting for sighting in seen if (sighting.what, sighting.about) not in known]
        for sighting in fresh:
            # Of several sightings of the same, the first counts.
            known.setdefault((sighting.what, sighting.about), sighting)
        # A new sighting restarts the wait. With more sightings than a copy can keep, one of them
        # would count as new each time, and the waiting would never end.
        began_anew = done or (fresh and len(known) <= MOST_SIGHTINGS)
        return replace(
            self.request,
            since=now + wait,
            expected=self.request.expected and not self.alive,
            first=self.began if began_anew else self.request.first or self.began,
            sightings=tuple(sorted(known.values()))[-MOST_SIGHTINGS:],
        )


def failed_result(
    request: Request, error: Again | Blocked, began: datetime, now: datetime
) -> Result:
    """Return the result of a request whose reads failed, with a copy where that may pass."""
    progress = Progress(request, began)
    progress.add_failure(error)
    return progress.result(now)


def schedule_repeat(result: Result, request: Request, now: datetime, what: Sight) -> Result:
    """Return the result with a copy of the request due in five minutes, with the sighting `what`.

    It is for what Resource Graph shows late: a young machine, or the end of a move.
    """
    sightings = tuple(sighting for sighting in request.sightings if sighting.what is not what)
    due = now + REPEAT_AFTER
    copy = replace(request, since=due, sightings=(*sightings, Sighting(now, what)))
    return replace(result, again_after=REPEAT_AFTER, again=copy)


def _key(change: Change) -> object:
    """Return the key by which two changes count as the same one.

    The marker of a grant is not part of it: a later look may show the grant with another marker.
    """
    if isinstance(change, CreateAssignment):
        return change.grant, change.principal
    return change
