"""The loop around one resource or identity: read everything, decide, write, look again.

`Reconciler.reconcile` answers one request; `reconciler.app` calls it. A run is one such answer, in
at most three passes; a pass is one look (a complete read), the plan for it, and the writes. A run
never waits: where something cannot be done yet, the run ends, and its result holds a copy of the
request and when that is due. Converged means that the last plan is empty.
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
    """Brings one resource or user-assigned identity in line with policy; audit mode only plans.

    `observer`, `recent` and `contention` remember facts from one request to the next.
    """

    observer: Observer
    policy: Policy
    context: PlanContext
    mode: Mode
    now: Callable[[], datetime]
    recent: RecentRuns
    contention: Contention

    def reconcile(self, request: Request, expect: str = "") -> Result:
        """Answer a request in up to three passes, and return what they came to.

        The result is empty where a recent run covers the request. Nothing is written in audit mode,
        or where `expect` is given and the first plan has another fingerprint. Raises `Rejected`
        where Azure refuses a call of ours as wrong.
        """
        if self.recent.cover(request, self.now()):
            return Result()
        progress = Progress(request, self.now(), self.recent.soon)
        try:
            # The previous run did not find the id. If one GET does not find it now, a complete look
            # is not worth its calls.
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
        # The writes of this run lead to further requests even if a later step failed: the copy of
        # the request will not repeat the writes, so it would not lead there.
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
            # The sweep requests such an id again only after a day.
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
        # 2. Decide, by a pure function that the command line and the sweep use, too: the same look
        #    gives the same plan to all of them.
        observed, todo = self.plan(progress.request)
        progress.alive = observed.subject is not None
        if progress.alive:
            self.recent.found(observed.id, observed.at)
        elif self._may_be_hidden(progress):
            return False
        elif observed.traces is None:
            # No evidence of the id's end was read yet, because the activity log is late. It is
            # asked `gone_after` after the id was first not found.
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

        # 3. Write each change at most once in a run. Lists lag behind writes, so a list that lacks
        #    the change does not show that the write was lost. One refusal stops no other change.
        changes = progress.untried(todo.changes)
        if self.mode is Mode.AUDIT or not changes:
            return False
        answer = self._write(changes, observed, progress)
        if answer and answer.incarnation == observed.incarnation:
            # The PATCH's answer shows the resource with its new system-assigned principal, so the
            # grants to that principal follow at once. An answer of another incarnation is about
            # another machine, which this look has not read.
            left = tuple(
                right for right in observed.assignments if right.id not in progress.deleted
            )
            patched = replace(observed, subject=answer, assignments=left)
            after = self.decide(patched, progress.request)
            created = [change for change in after.changes if isinstance(change, CreateAssignment)]
            grants = progress.untried(created)
            # A change made twice within the hour may have been undone by another writer: then the
            # answer does not end the run, and everything is read again.
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

        # 4. Look again where that can show something new. No answer shows which rights a scope has,
        #    so once rights were written only a fresh look can show that the run has converged.
        return progress.may_look_again() or self._make_room(progress)

    def _write(
        self, changes: Sequence[Change], observed: Observed, progress: Progress
    ) -> Resource | None:
        """Apply changes, except those that another writer keeps undoing.

        Returns the resource as the last PATCH of its identities answered, none where no PATCH went
        through. Raises `Rejected` once every other change is made and its outcome noted.
        """
        arm, subject, incarnation = self.observer.arm, observed.subject, observed.incarnation
        contended: list[Change] = []
        due: list[Change] = []
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
                due.append(change)
        if contended:
            makers = self.context.ownership.makers
            progress.outcomes += blocked_outcomes(contended, arm, makers, self.now())
        resource = subject if isinstance(subject, Resource) else None
        applier = Applier(arm, resource, observed.confirmed)
        applier.apply(due)
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
        """Return whether an id that was not found may exist and be invisible; note it if so.

        Resource Manager's index lags behind writes (facts: Visibility). So a 404 means "not yet"
        for 15 minutes where a write event or the index named the id; after that, and for any other
        request, it means "not found".
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
        """Delete unwanted rights in a subscription that holds no more; return whether one went.

        An unwanted right usually stays until its replacement is there. Here, once in a run, the
        order is reversed: the replacement cannot be created before something is deleted.
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
        # Without their outcomes the refused grants count as untried, so the next pass makes them.
        progress.outcomes = [
            outcome for outcome in progress.outcomes if outcome.code != LIMIT_REACHED
        ]
        return True

    def _follow_ups(self, progress: Progress) -> Iterator[Request]:
        """Yield requests for the other ids that this run's writes or findings concern."""
        began = progress.began
        for outcome in progress.outcomes:
            if outcome.status is not Status.DONE:
                continue
            if isinstance(outcome.change, CreateIdentity):
                yield Request(outcome.change.new.id, since=began)
            if isinstance(outcome.change, AttachIdentity) and (identity := outcome.change.identity):
                # The rights of an attached identity are looked at once an hour at most. With the
                # sighting ATTACHED that request does not lead back to those that carry it.
                looked = self.recent.last_began(identity)
                recently = looked is not None and began - looked < HOUR
                if not recently and self.recent.attached.age(identity, began) is None:
                    self.recent.attached.put(identity, None, began)
                    attached = Sighting(began, Sight.ATTACHED)
                    yield Request(identity, since=began, sightings=(attached,))
        withheld = progress.plans[-1].withheld if progress.plans else ()
        for text in sorted({held.detail for held in withheld if held.hold is Hold.CARRIED}):
            # The detail of CARRIED is the id of the resource that carries the principal today. The
            # plan for that resource decides about the principal's rights.
            holder = ResourceId.parse(text)
            if is_reconciled(holder) and self.context.watches(holder):
                yield Request(holder, since=began, expected=True)

    def _lacking_resources(self, progress: Progress) -> Iterator[Request]:
        """Yield a request for each resource whose entry of this identity is missing or stale.

        Resource Graph's rows only select the resources; each is then reconciled from fresh reads.
        A request with the sighting ATTACHED came from such a resource, or from a sweep that read
        the same rows, so it yields none.
        """
        identity = progress.request.id
        rules = wanted.attaching_rules(self.policy, identity)
        if not rules or progress.request.sighted(Sight.ATTACHED):
            return
        # The incarnation of an identity is its principal, none where the identity is gone.
        principal = progress.plans[-1].incarnation
        types = {name for rule in rules for name in rule.match.type}
        for resource in self.observer.inventory.resources(types):
            attach = wanted.for_resource(self.policy, resource).attach
            if any(attached.what == identity for attached in attach):
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
        # `Throttle` logs one line for all the calls that it puts off in one bucket.
        level = logging.DEBUG if outcome.code == DEFERRED else level
        _log.log(level, "%s: %s", subject, printable(outcome_line(outcome, subject)))
