"""The loop around one resource or identity: read everything, decide, write, look again.

`Controller.reconcile` answers one request. It never waits: what cannot be done yet ends the run,
and the result says when a copy of the request is due. Converged means that the last plan is empty.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from reconciler.apply import Applier
from reconciler.azure.client import Arm
from reconciler.azure.failures import LIMIT_REACHED
from reconciler.azure.graph import Inventory
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
    UpdateAssignment,
)
from reconciler.errors import Again, Blocked, NotFound
from reconciler.ids import ResourceId
from reconciler.marker import assignment_id
from reconciler.model import (
    USER_ASSIGNED_IDENTITY,
    Mode,
    Observed,
    Request,
    Resource,
    Sight,
    Sighting,
    is_reconciled,
)
from reconciler.observe import Observer, desired_of
from reconciler.plan import PlanContext, plan
from reconciler.policy import Policy
from reconciler.policy import desired as wanted
from reconciler.reconcile import contention
from reconciler.reconcile.recent import HOUR, Contention, Recent
from reconciler.reconcile.retry import INVISIBLE, Run
from reconciler.render.text import log_lines, outcome_line, printable

_log = logging.getLogger(__name__)

MAX_PASSES: Final = 3


@dataclass(frozen=True, slots=True)
class Controller:
    """Brings one resource or user-assigned identity to what policy asks, or says what it takes.

    `observer`, `recent` and `contention` hold what the process remembers.
    """

    observer: Observer
    policy: Policy
    context: PlanContext
    mode: Mode
    now: Callable[[], datetime]
    recent: Recent
    contention: Contention

    @property
    def arm(self) -> Arm:
        """Azure Resource Manager, as the observer reads it."""
        return self.observer.arm

    @property
    def inventory(self) -> Inventory:
        """Resource Graph, as the observer asks it."""
        return self.observer.inventory

    def reconcile(self, request: Request, expect: str = "") -> Result:
        """Look, decide and, in repair mode, write until nothing is left to do for now.

        With `expect`, nothing is done unless the first plan has that fingerprint. Raises `Rejected`
        where Azure says that a call of ours is wrong.
        """
        if self.recent.answers(request, self.now()):
            return Result()
        run = Run(request, self.now(), self.recent.soon)
        try:
            if request.sighted(Sight.NOT_YET) and self._is_not_yet(run, alone=True):
                return self._result(run, request)
            for _ in range(MAX_PASSES):
                if not self._pass(run, expect):
                    break
                expect = ""
            run.requests += self._carriers_of(run)
        except (Again, Blocked) as error:
            run.failed(error)
        # What was written leads on, whatever failed after it: the copy will not write it again.
        run.requests += self._led_to(run)
        return self._result(run, request)

    def plan(self, request: Request) -> tuple[Observed, Plan]:
        """Look once and decide, without writing; raises `ArmError`."""
        observed = self.observer.look(request, self.now())
        return observed, self.decide(observed, request)

    def decide(self, observed: Observed, request: Request) -> Plan:
        """Return the plan for what a look found."""
        desired = desired_of(self.policy, observed.subject)
        return plan(desired, observed, request, self.context)

    def _is_not_yet(self, run: Run, *, alone: bool) -> bool:
        """Return whether an id that a write event named is not visible yet; `alone` asks first.

        Resource Manager's index lags behind writes (issue threads), so a 404 is no end.
        """
        if alone and self.observer.subject(run.request.id) is not None:
            return False
        if not run.request.expected or self.now() - (run.request.first or run.began) >= INVISIBLE:
            run.request = replace(run.request, expected=False)
            return False
        detail = "an event or the index named it, but Resource Manager does not show it yet"
        run.outcomes.append(Outcome(None, Status.AGAIN, detail, NOT_YET))
        run.sightings.append(Sighting(run.began, Sight.NOT_YET))
        return True

    def _pass(self, run: Run, expect: str) -> bool:
        """Do one pass; returns whether another look is due right away."""
        observed, todo = self.plan(run.request)
        run.alive = observed.subject is not None
        if run.alive:
            self.recent.alive(observed.id, observed.at)
        elif self._is_not_yet(run, alone=False):
            return False
        elif observed.traces is None:
            since = run.request.sighted(Sight.GONE) or observed.at
            run.ask_at = since + self.context.gone_after
        run.looked = observed.at
        subject = observed.subject
        made = subject.created if isinstance(subject, Resource) else None
        run.young = made is not None and observed.at - made < INVISIBLE
        run.plans.append(todo)
        run.forget_conflicts()
        if expect and todo.fingerprint != expect:
            run.outcomes.append(_plan_changed(todo))
            return False
        changes = run.untried(todo.changes)
        if self.mode is Mode.AUDIT or not changes:
            return False
        applier = self._write(changes, observed, run)
        answer = applier.answer
        if answer and answer.incarnation == observed.incarnation:
            # The PATCH's answer carries the system principal, so its grants follow at once.
            left = tuple(one for one in observed.assignments if one.id not in run.deleted)
            seen = replace(observed, subject=answer, assignments=left)
            after = self.decide(seen, run.request)
            grants = run.untried([one for one in after.changes if _is_grant(one)])
            if not grants and run.only_patched and not self._repeated(run, observed):
                run.plans.append(after)
                return False
            self._write(grants, seen, run)
            run.plans.append(replace(after, changes=run.untried(after.changes)))
        return run.may_look_again or self._makes_room(run)

    def _repeated(self, run: Run, observed: Observed) -> bool:
        """Return whether anything was written again within the hour: its answer is not believed."""
        place, incarnation = observed.id, observed.incarnation
        made = [one.change for one in run.outcomes if one.change]
        return any(self.contention.times(place, one, incarnation) > 1 for one in made)

    def _makes_room(self, run: Run) -> bool:
        """Remove what is unwanted first where the subscription holds no more assignments."""
        full = {
            one.change.grant.place.subscription_id
            for one in run.outcomes
            if one.code == LIMIT_REACHED and isinstance(one.change, CreateAssignment)
        }
        if not full or run.full:
            return False
        run.full = True
        observed, _ = self.plan(run.request)
        todo = self.decide(replace(observed, limit_reached=True), run.request)
        unwanted = [
            one
            for one in run.untried(todo.changes)
            if isinstance(one, DeleteAssignment) and one.assignment.scope.subscription_id in full
        ]
        self._write(unwanted, observed, run)
        removed = any(_is_done(one.change, run) for one in run.outcomes if one.change in unwanted)
        if removed:
            run.outcomes = [one for one in run.outcomes if one.code != LIMIT_REACHED]
        return removed

    def _write(self, changes: Sequence[Change], observed: Observed, run: Run) -> Applier:
        """Apply changes, except those that another writer keeps undoing."""
        place, incarnation = observed.id, observed.incarnation
        contended, now = [], []
        for change in changes:
            known = place, change, incarnation
            if self.contention.times(*known) and self._is_only_unlisted(change):
                detail = "it was written, but the list of its scope does not show it yet"
                run.outcomes.append(Outcome(change, Status.AGAIN, detail))
            elif self.contention.contended(*known):
                contended.append(change)
            elif wait := self.contention.wait(*known):
                detail = "another writer undid it a moment ago"
                run.outcomes.append(Outcome(change, Status.AGAIN, detail, retry_after=wait))
            else:
                now.append(change)
        if contended:
            makers = self.context.ownership.makers
            run.outcomes += contention.blocked(contended, self.arm, makers, self.now())
        subject = observed.subject
        machine = subject if isinstance(subject, Resource) else None
        applier = Applier(self.arm, machine, observed.confirmed)
        applier.apply(now)
        run.outcomes += applier.outcomes
        for outcome in applier.outcomes:
            if outcome.status is Status.DONE and outcome.change:
                self.contention.made(place, outcome.change, incarnation)
        if applier.rejected:
            raise applier.rejected
        return applier

    def _is_only_unlisted(self, change: Change) -> bool:
        """Return whether a right that the list still lacks is there by its own id: lists lag."""
        match change:
            case CreateAssignment(grant, str(principal), marker):
                place = assignment_id(grant.place, grant.role, principal)
            case UpdateAssignment(assignment, grant, marker):
                place = assignment.id
            case _:
                return False
        try:
            found = self.arm.assignment(place)
        except NotFound:
            return False
        return (found.condition, found.description) == (grant.condition, marker)

    def _led_to(self, run: Run) -> Iterator[Request]:
        """Yield what should be looked at because of what this request did or found."""
        for outcome in run.outcomes:
            if outcome.status is not Status.DONE:
                continue
            if isinstance(outcome.change, CreateIdentity):
                yield Request(outcome.change.new.id, since=run.began)
            if isinstance(outcome.change, AttachIdentity) and outcome.change.identity:
                yield from self._attached(outcome.change.identity, run)
        withheld = run.plans[-1].withheld if run.plans else ()
        for holder in sorted({one.detail for one in withheld if one.hold is Hold.CARRIED}):
            yield from self._holder(ResourceId.parse(holder), run)

    def _attached(self, identity: ResourceId, run: Run) -> Iterator[Request]:
        """Look at the rights of an identity that was given to a resource, once an hour."""
        looked = self.recent.began(identity)
        known = looked is not None and run.began - looked < HOUR
        if not known and self.recent.attached.age(identity, run.began) is None:
            self.recent.attached.put(identity, None, run.began)
            seen = (Sighting(run.began, Sight.ATTACHED),)
            yield Request(identity, since=run.began, sightings=seen)

    def _holder(self, holder: ResourceId, run: Run) -> Iterator[Request]:
        """What carries a principal today decides about its rights."""
        if is_reconciled(holder) and self.context.watches(holder):
            yield Request(holder, since=run.began, expected=True)

    def _carriers_of(self, run: Run) -> Iterator[Request]:
        """After an identity's own event, request the resources whose entry is missing or stale.

        The index decides only whom to ask; each is then reconciled from fresh reads.
        """
        identity = run.request.id
        rules = wanted.attaching_rules(self.policy, identity)
        attached = run.request.sighted(Sight.ATTACHED)
        if attached or not rules or not run.plans or not identity.is_type(USER_ASSIGNED_IDENTITY):
            return
        principal = run.plans[-1].incarnation
        types = {name for rule in rules for name in rule.match.type}
        for resource in self.inventory.resources(types):
            attach = wanted.for_resource(self.policy, resource).attach
            if any(one.what == identity for one in attach):
                entry = resource.identities.entry(identity)
                dead = entry is not None and (not principal or entry.principal != principal)
                if dead or (principal and entry is None):
                    yield Request(resource.id, since=run.began, expected=True)

    def _result(self, run: Run, request: Request) -> Result:
        led = tuple(dict.fromkeys(run.requests))
        result = run.result(self.now(), writes=self.mode is Mode.REPAIR, requests=led)
        blocked = any(one.status is Status.BLOCKED for one in result.outcomes)
        if result.again_after is None and not blocked and run.looked:
            self.recent.done(request, run.looked, leads_on=bool(result.requests))
        else:
            self.recent.not_done(request, result.again)
        held = {one.hold for one in run.plans[-1].withheld} if run.plans else set()
        if Hold.GONE_UNPROVED in held:
            self.recent.unproved.put(run.request.id, None, self.now())
        _log_result(result, run, self.mode)
        return result


def _is_grant(change: Change) -> bool:
    return isinstance(change, CreateAssignment)


def _is_done(change: Change | None, run: Run) -> bool:
    return any(one.status is Status.DONE for one in run.outcomes if one.change == change)


def _plan_changed(todo: Plan) -> Outcome:
    detail = f"the plan is another one by now (fingerprint {todo.fingerprint}); nothing was done"
    step = "look at the new plan, and apply that"
    return Outcome(None, Status.BLOCKED, detail, PLAN_CHANGED, next_step=step)


def _log_result(result: Result, run: Run, mode: Mode) -> None:
    """Write one structured record for the request, and a line for each change and outcome.

    The log is where audit mode tells what would change. It has no token and no body.
    """
    last = result.plans[-1] if result.plans else None
    _log.info(
        "%s: %d to change, %d withheld, %d done",
        run.request.id,
        len(last.changes) if last else 0,
        len(last.withheld) if last else 0,
        sum(one.status is Status.DONE for one in result.outcomes),
        extra={
            "resource": run.request.id.key,
            "mode": mode.value,
            "fingerprint": last.fingerprint if last else None,
            "outcomes": [f"{one.status}: {one.code or one.detail}" for one in result.outcomes],
        },
    )
    for line in log_lines(last) if last else ():
        _log.info("%s: %s", run.request.id, line)
    for outcome in result.outcomes:
        level = logging.WARNING if outcome.status is Status.BLOCKED else logging.INFO
        # What a bucket puts off is told once, by its own line.
        level = logging.DEBUG if outcome.code == DEFERRED else level
        _log.log(level, "%s: %s", run.request.id, printable(outcome_line(outcome, run.request.id)))
