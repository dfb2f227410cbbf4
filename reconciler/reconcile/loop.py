"""The loop around one resource or identity: read everything, decide, write, look again.

`Reconciler.reconcile` answers one request; `reconciler.app` calls it. A run is one such answer, in
at most three passes; a pass is one look (a complete read), the plan for it, and the writes. A run
never waits: what cannot be done yet ends it, and the result says when a copy of the request is due.
Converged means that the last plan is empty.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from reconciler.apply import Applier
from reconciler.azure.failures import LIMIT_REACHED
from reconciler.azure.throttle import DEFERRED
from reconciler.changes import (
    NOT_YET,
    PLAN_CHANGED,
    AttachIdentity,
    Change,
    CreateAssignment,
    CreateIdentity,
    DeleteAssignment,
    Hold,
    Outcome,
    Plan,
    Result,
    Status,
)
from reconciler.errors import Again, Blocked
from reconciler.ids import ResourceId
from reconciler.model import (
    USER_ASSIGNED_IDENTITY,
    Mode,
    Observed,
    Request,
    Resource,
    Sight,
    Sighting,
)
from reconciler.observe import Observer, desired_of
from reconciler.plan import PlanContext, plan
from reconciler.policy import Policy
from reconciler.policy import desired as wanted
from reconciler.reconcile.contention import Contention, blocked_outcomes, is_only_unlisted
from reconciler.reconcile.recent import HOUR, RecentRuns
from reconciler.reconcile.retry import INVISIBLE, Progress
from reconciler.render.text import log_lines, outcome_line
from reconciler.resource_types import is_reconciled
from reconciler.wording import printable

_log = logging.getLogger(__name__)

MAX_PASSES: Final = 3


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Brings one resource or user-assigned identity to what policy asks, or says what it takes.

    `observer`, `recent` and `contention` hold what the process remembers.
    """

    observer: Observer
    policy: Policy
    context: PlanContext
    mode: Mode
    now: Callable[[], datetime]
    recent: RecentRuns
    contention: Contention

    def reconcile(self, request: Request, expect: str = "") -> Result:
        """Return what became of a request, after as many passes as can show something new.

        Nothing is written in audit mode or, with `expect`, unless the first plan has that
        fingerprint. Raises `Rejected` where Azure says that a call of ours is wrong.
        """
        if self.recent.cover(request, self.now()):
            return Result()
        progress = Progress(request, self.now(), self.recent.soon)
        try:
            # The run before did not find the id: one GET shows whether a look is worth its calls.
            hidden = (
                request.sighted(Sight.NOT_YET) is not None
                and self.observer.subject(request.id) is None
                and self._may_be_hidden(progress)
            )
            for number in range(0 if hidden else MAX_PASSES):
                if not self._pass(progress, expect if number == 0 else ""):
                    break
            if request.id.is_type(USER_ASSIGNED_IDENTITY) and progress.plans:
                progress.requests += self._lacking_resources(progress)
        except (Again, Blocked) as error:
            progress.add_failure(error)
        # What was written leads on, whatever failed after it: the copy will not write it again.
        progress.requests += self._follow_ups(progress)
        requests = tuple(dict.fromkeys(progress.requests))
        result = progress.result(self.now(), writes=self.mode is Mode.REPAIR, requests=requests)
        blocked = any(outcome.status is Status.BLOCKED for outcome in result.outcomes)
        if result.again_after is None and not blocked and progress.looked:
            self.recent.finished(request, progress.looked, leads_on=bool(requests))
        else:
            self.recent.unfinished(request, result.again)
        last = progress.plans[-1] if progress.plans else None
        if last and any(held.hold is Hold.GONE_UNPROVED for held in last.withheld):
            self.recent.unproved.put(request.id, None, self.now())
        _log_result(request.id, result, self.mode)
        return result

    def plan(self, request: Request) -> tuple[Observed, Plan]:
        """Return what one look found and the plan for it, without writing; raises `ArmError`."""
        observed = self.observer.look(request, self.now())
        return observed, self.decide(observed, request)

    def decide(self, observed: Observed, request: Request) -> Plan:
        """Return the plan for what a look found: a pure function of look, policy and context."""
        desired = desired_of(self.policy, observed.subject)
        return plan(desired, observed, request, self.context)

    def _pass(self, progress: Progress, expect: str) -> bool:
        """Read, decide and write once; return whether to look again right away."""
        # 1. Read everything, or raise: nothing is decided from half a look. The observer lists
        #    rights before it reads the resource that explains them, and never the other way round.
        # 2. Decide, purely: the same look gives the same plan to the loop, a person and a sweep.
        observed, todo = self.plan(progress.request)
        progress.alive = observed.subject is not None
        if progress.alive:
            self.recent.found(observed.id, observed.at)
        elif self._may_be_hidden(progress):
            return False
        elif observed.traces is None:
            # Whether the id is gone could not be asked yet: the activity log is late.
            first_missed = progress.request.sighted(Sight.GONE) or observed.at
            progress.ask_at = first_missed + self.context.gone_after
        progress.add_look(observed, todo)
        if expect and todo.fingerprint != expect:
            detail = (
                f"the plan is another one by now (fingerprint {todo.fingerprint}); nothing was done"
            )
            step = "look at the new plan, and apply that"
            outcome = Outcome(None, Status.BLOCKED, detail, PLAN_CHANGED, next_step=step)
            progress.outcomes.append(outcome)
            return False

        # 3. Write, each change once in a run: that the next list lacks it proves nothing, since
        #    lists lag behind writes. One refusal stops no other change.
        changes = progress.untried(todo.changes)
        if self.mode is Mode.AUDIT or not changes:
            return False
        answer = self._write(changes, observed, progress)
        if answer and answer.incarnation == observed.incarnation:
            # The PATCH's answer is a look at the resource: it shows the new system principal, so
            # that its grants follow at once. It is not believed where another writer undid a write.
            left = tuple(one for one in observed.assignments if one.id not in progress.deleted)
            patched = replace(observed, subject=answer, assignments=left)
            after = self.decide(patched, progress.request)
            created = [change for change in after.changes if isinstance(change, CreateAssignment)]
            grants = progress.untried(created)
            repeated = any(
                self.contention.repetition(observed.id, change, observed.incarnation).times > 1
                for change in (outcome.change for outcome in progress.outcomes)
                if change
            )
            if not grants and progress.only_patched() and not repeated:
                progress.plans.append(after)
                return False
            self._write(grants, patched, progress)
            progress.plans.append(replace(after, changes=progress.untried(after.changes)))

        # 4. Look again where that can show something new. The answer to a write does not show the
        #    rights at a scope: the run has converged when the plan for a fresh look is empty.
        return progress.may_look_again() or self._make_room(progress)

    def _write(
        self, changes: Sequence[Change], observed: Observed, progress: Progress
    ) -> Resource | None:
        """Apply changes, except those that another writer keeps undoing; return a PATCH's answer.

        Raises `Rejected` once everything else is done and noted.
        """
        arm, subject, incarnation = self.observer.arm, observed.subject, observed.incarnation
        contended: list[Change] = []
        now: list[Change] = []
        for change in changes:
            repetition = self.contention.repetition(observed.id, change, incarnation)
            if repetition.times and is_only_unlisted(change, arm):
                detail = "it was written, but the list of its scope does not show it yet"
                progress.outcomes.append(Outcome(change, Status.AGAIN, detail))
            elif repetition.contended:
                contended.append(change)
            elif repetition.wait:
                detail = "another writer undid it a moment ago"
                outcome = Outcome(change, Status.AGAIN, detail, retry_after=repetition.wait)
                progress.outcomes.append(outcome)
            else:
                now.append(change)
        if contended:
            makers = self.context.ownership.makers
            progress.outcomes += blocked_outcomes(contended, arm, makers, self.now())
        resource = subject if isinstance(subject, Resource) else None
        applier = Applier(arm, resource, observed.confirmed)
        applier.apply(now)
        progress.outcomes += applier.outcomes
        for outcome in applier.outcomes:
            if outcome.status is Status.DONE and outcome.change:
                self.contention.record(observed.id, outcome.change, incarnation)
                if isinstance(outcome.change, DeleteAssignment):
                    progress.deleted.add(outcome.change.assignment.id)
        if applier.rejected:
            raise applier.rejected
        return applier.answer

    def _may_be_hidden(self, progress: Progress) -> bool:
        """Return whether an id that is not found may only be invisible, and note that if so.

        Resource Manager's index lags behind writes (facts: Visibility), so a 404 is no end where a
        write event named the id a moment ago.
        """
        asked = progress.request.first or progress.began
        if not progress.request.expected or self.now() - asked >= INVISIBLE:
            progress.request = replace(progress.request, expected=False)
            return False
        detail = "an event or the index named it, but Resource Manager does not show it yet"
        progress.outcomes.append(Outcome(None, Status.AGAIN, detail, NOT_YET))
        progress.sightings.append(Sighting(progress.began, Sight.NOT_YET))
        return True

    def _make_room(self, progress: Progress) -> bool:
        """Remove what is unwanted where a subscription holds no more assignments.

        The order turns there, once in a run: what is unwanted goes before what replaces it.
        """
        full = {
            outcome.change.grant.place.subscription_id
            for outcome in progress.outcomes
            if outcome.code == LIMIT_REACHED and isinstance(outcome.change, CreateAssignment)
        }
        if not full or progress.made_room:
            return False
        progress.made_room = True
        observed, _ = self.plan(progress.request)
        todo = self.decide(replace(observed, limit_reached=True), progress.request)
        unwanted = [
            change
            for change in progress.untried(todo.changes)
            if isinstance(change, DeleteAssignment)
            and change.assignment.scope.subscription_id in full
        ]
        self._write(unwanted, observed, progress)
        if progress.deleted.isdisjoint(change.assignment.id for change in unwanted):
            return False
        progress.outcomes = [one for one in progress.outcomes if one.code != LIMIT_REACHED]
        return True

    def _follow_ups(self, progress: Progress) -> Iterator[Request]:
        """Yield what should be looked at because of what this run did or found."""
        began = progress.began
        for outcome in progress.outcomes:
            if outcome.status is not Status.DONE:
                continue
            if isinstance(outcome.change, CreateIdentity):
                yield Request(outcome.change.new.id, since=began)
            if isinstance(outcome.change, AttachIdentity) and (identity := outcome.change.identity):
                # Its own rights are looked at once an hour, by a request that leads to no others.
                looked = self.recent.last_began(identity)
                recently = looked is not None and began - looked < HOUR
                if not recently and self.recent.attached.age(identity, began) is None:
                    self.recent.attached.put(identity, None, began)
                    attached = Sighting(began, Sight.ATTACHED)
                    yield Request(identity, since=began, sightings=(attached,))
        withheld = progress.plans[-1].withheld if progress.plans else ()
        for text in sorted({held.detail for held in withheld if held.hold is Hold.CARRIED}):
            # Whatever carries a principal today decides about its rights.
            holder = ResourceId.parse(text)
            if is_reconciled(holder) and self.context.watches(holder):
                yield Request(holder, since=began, expected=True)

    def _lacking_resources(self, progress: Progress) -> Iterator[Request]:
        """Yield a request for each resource whose entry of this identity is missing or stale.

        Only an event of the identity itself leads there. The index decides whom to ask; each is
        then reconciled from fresh reads.
        """
        identity = progress.request.id
        rules = wanted.attaching_rules(self.policy, identity)
        if not rules or progress.request.sighted(Sight.ATTACHED):
            return
        principal = progress.plans[-1].incarnation
        types = {name for rule in rules for name in rule.match.type}
        for resource in self.observer.inventory.resources(types):
            attach = wanted.for_resource(self.policy, resource).attach
            if any(one.what == identity for one in attach):
                entry = resource.identities.entry(identity)
                dead = entry is not None and (not principal or entry.principal != principal)
                if dead or (principal and entry is None):
                    yield Request(resource.id, since=progress.began, expected=True)


def _log_result(subject: ResourceId, result: Result, mode: Mode) -> None:
    """Write one structured record for the request, and a line for each change and outcome.

    The log is where audit mode shows what would change. It holds no token and no body.
    """
    last = result.plans[-1] if result.plans else None
    _log.info(
        "%s: %d to change, %d withheld, %d done",
        subject,
        len(last.changes) if last else 0,
        len(last.withheld) if last else 0,
        sum(outcome.status is Status.DONE for outcome in result.outcomes),
        extra={
            "resource": subject.key,
            "mode": mode.value,
            "fingerprint": last.fingerprint if last else None,
            "outcomes": [
                f"{outcome.status}: {outcome.code or outcome.detail}" for outcome in result.outcomes
            ],
        },
    )
    for line in log_lines(last) if last else ():
        _log.info("%s: %s", subject, line)
    for outcome in result.outcomes:
        level = logging.WARNING if outcome.status is Status.BLOCKED else logging.INFO
        # What a bucket puts off is logged once, by its own line.
        level = logging.DEBUG if outcome.code == DEFERRED else level
        _log.log(level, "%s: %s", subject, printable(outcome_line(outcome, subject)))
