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
from reconciler.arm import Arm
from reconciler.changes import (
    Change,
    CreateAssignment,
    CreateIdentity,
    Plan,
    Result,
    Status,
)
from reconciler.controller import quarrel
from reconciler.controller.memory import Contention, Looks
from reconciler.controller.run import Run
from reconciler.errors import Again, Blocked
from reconciler.ids import ResourceId
from reconciler.inventory import Inventory
from reconciler.model import USER_ASSIGNED_IDENTITY, Mode, Observed, Request, Resource
from reconciler.observe import Observer, desired_of
from reconciler.plan import Terms, plan
from reconciler.policy import desired as wanted
from reconciler.policy.language import Policy
from reconciler.report import log_lines, outcome_line, printable

_log = logging.getLogger(__name__)

MAX_PASSES: Final = 3


@dataclass(frozen=True, slots=True)
class Controller:
    """Brings one resource or user-assigned identity to what policy asks, or says what it takes.

    `looks` and `contention` are what the process remembers; they outlive it.
    """

    arm: Arm
    inventory: Inventory
    policy: Policy
    terms: Terms
    mode: Mode
    now: Callable[[], datetime]
    looks: Looks
    contention: Contention

    def reconcile(self, request: Request) -> Result:
        """Look, decide and, in repair mode, write until nothing is left to do for now.

        Raises `Rejected` where Azure says that a call of ours is wrong.
        """
        if self.looks.answer(request):
            return Result()
        run = Run(request, self.now())
        requests: tuple[Request, ...] = ()
        try:
            for _ in range(MAX_PASSES):
                if not self._pass(run):
                    break
            requests = (*_created_by(run), *self._carriers_of(run))
        except (Again, Blocked) as error:
            run.failed(error)
        return self._result(run, requests)

    def plan(self, request: Request) -> tuple[Observed, Plan]:
        """Look once and decide, without writing; raises `ArmError`."""
        observed = self._observer.look(request, self.now())
        return observed, self._decide(observed, request)

    def _pass(self, run: Run) -> bool:
        """Do one pass; tells whether another look is due right away."""
        observed, todo = self.plan(run.request)
        run.gone = observed.subject is None
        run.plans.append(todo)
        self.contention.saw(todo)
        run.forget_conflicts()
        changes = run.untried(todo.changes)
        if self.mode is Mode.AUDIT or not changes:
            return False
        applier = self._write(changes, observed, run)
        answer = applier.answer
        if answer and answer.incarnation == observed.incarnation:
            # The PATCH's answer carries the system principal, so its grants follow at once.
            seen = replace(observed, subject=answer)
            grants = self._decide(seen, run.request).changes
            grants = tuple(one for one in grants if isinstance(one, CreateAssignment))
            self._write(run.untried(grants), seen, run)
        return run.may_look_again

    def _write(self, changes: Sequence[Change], observed: Observed, run: Run) -> Applier:
        """Apply changes, except those that another writer keeps undoing."""
        place, incarnation = observed.id, observed.incarnation
        contended = [one for one in changes if self.contention.contended(place, one, incarnation)]
        if contended:
            makers = self.terms.ownership.makers
            run.outcomes += quarrel.blocked(contended, self.arm, makers, self.now())
        subject = observed.subject
        applier = Applier(self.arm, subject if isinstance(subject, Resource) else None)
        applier.apply([change for change in changes if change not in contended])
        run.outcomes += applier.outcomes
        for outcome in applier.outcomes:
            if outcome.status is Status.DONE and outcome.change:
                self.contention.made(place, outcome.change, incarnation)
        if applier.rejected:
            raise applier.rejected
        return applier

    def _decide(self, observed: Observed, request: Request) -> Plan:
        desired = desired_of(self.policy, observed.subject)
        return plan(desired, observed, request, self.terms)

    @property
    def _observer(self) -> Observer:
        return Observer(self.arm, self.inventory, self.policy, self.terms.ownership)

    def _carriers_of(self, run: Run) -> tuple[Request, ...]:
        """After an identity, request the resources whose entry of it is missing or stale.

        The index decides only whom to ask; each is then reconciled from fresh reads.
        """
        identity = run.request.id
        rules = wanted.bearers(self.policy, identity)
        if not identity.is_type(USER_ASSIGNED_IDENTITY) or not rules:
            return ()
        principal = run.plans[-1].incarnation
        types = {name for rule in rules for name in rule.match.type}
        found: dict[ResourceId, Request] = {}
        for resource in self.inventory.resources(types):
            attach = wanted.for_resource(self.policy, resource).attach
            if any(one.what == identity for one in attach):
                entry = resource.identities.entry(identity)
                dead = entry is not None and (not principal or entry.principal != principal)
                if dead or (principal and entry is None):
                    found[resource.id] = Request(resource.id, since=run.began)
        return tuple(found.values())

    def _result(self, run: Run, requests: tuple[Request, ...]) -> Result:
        result = run.result(self.now(), writes=self.mode is Mode.REPAIR, requests=requests)
        blocked = any(one.status is Status.BLOCKED for one in result.outcomes)
        if result.again_after is None and not blocked:
            leads_on = bool(result.requests)
            self.looks.remember(run.request, run.plans[-1].at, leads_on=leads_on)
        else:
            self.looks.forget(run.request)
        _log_result(result, run, self.mode)
        return result


def _created_by(run: Run) -> Iterator[Request]:
    """Request the identities that were created: their own rights come next."""
    for outcome in run.outcomes:
        if outcome.status is Status.DONE and isinstance(outcome.change, CreateIdentity):
            yield Request(outcome.change.new.id, since=run.began)


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
        _log.log(level, "%s: %s", run.request.id, printable(outcome_line(outcome, run.request.id)))
