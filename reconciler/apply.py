"""Carries out a plan's changes and reports what became of each; the loop calls it.

The order of the plan is safe to follow: assignments of dead principals go first, because they fill
the subscription's quota, then identities are patched and rights granted, and what a live principal
no longer needs goes last. One refusal never stops the others; nothing here waits or repeats.
"""

import contextlib
import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, assert_never

from reconciler.azure.client import Arm
from reconciler.azure.failures import NAME_TAKEN
from reconciler.changes import (
    CHANGED,
    AttachIdentity,
    Change,
    CreateAssignment,
    CreateIdentity,
    DeleteAssignment,
    DetachIdentity,
    Hold,
    Outcome,
    Status,
    UpdateAssignment,
)
from reconciler.errors import (
    Again,
    AlreadyExists,
    ArmError,
    Conflict,
    NotFound,
    Rejected,
)
from reconciler.ids import ResourceId
from reconciler.marker import assignment_id
from reconciler.model import Grant, Resource, RoleAssignment

_log = logging.getLogger(__name__)

_MAY_BE_ONE_OF_THEM: Final = frozenset({400, 403})
"""Statuses by which Azure refuses a PATCH of several identities because of one."""

_PRECONDITION_FAILED: Final = 412

type IdentityChange = AttachIdentity | DetachIdentity
"""Changes of a resource's identity block, which one PATCH carries."""

type SingleChange = CreateIdentity | CreateAssignment | UpdateAssignment | DeleteAssignment
"""Changes that are one call each."""


@dataclass
class Applier:
    """Applies the changes of one plan and collects their outcomes.

    `confirmed`: a second read of the resource agreed with the first. `answer` is the resource as
    the last PATCH showed it; `rejected` is the first refusal that is a mistake of ours, which the
    caller raises once everything else is done and told.
    """

    arm: Arm
    resource: Resource | None
    confirmed: bool = False
    outcomes: list[Outcome] = field(default_factory=list)
    answer: Resource | None = None
    overtaken: bool = False
    rejected: Rejected | None = None

    def apply(self, changes: Sequence[Change]) -> None:
        """Apply changes in the plan's order, and stop where another writer voids the plan."""
        identity_changes = [
            change for change in changes if isinstance(change, AttachIdentity | DetachIdentity)
        ]
        for change in changes:
            if not isinstance(change, AttachIdentity | DetachIdentity):
                self._write(change)
                continue
            if identity_changes:
                # The first of them has all patched together.
                self._patch(identity_changes)
                identity_changes = []
            before, after = self.resource, self.answer
            if self.overtaken or (before and after and before.incarnation != after.incarnation):
                # The plan was made for another machine, or for another state of it.
                return

    def _write(self, change: SingleChange) -> None:
        """Make the one call that a change is, and note its outcome."""
        try:
            match change:
                case CreateIdentity(new):
                    self.arm.create_identity(new)
                case CreateAssignment(grant, str(principal), marker):
                    self._grant(grant, principal, marker)
                case CreateAssignment():
                    # The identity that receives it has no principal yet.
                    return
                case UpdateAssignment(assignment, grant, marker):
                    name = assignment.id.name
                    self.arm.put_assignment(grant, assignment.principal, marker, name)
                case DeleteAssignment(assignment):
                    self.arm.delete_assignment(assignment.id)
                case _:
                    assert_never(change)
        except ArmError as error:
            self.outcomes.append(self._refused(change, error))
        else:
            self.outcomes.append(Outcome(change, Status.DONE))

    def _grant(self, grant: Grant, principal: str, marker: str) -> None:
        """Create an assignment, under a random name where its own is taken elsewhere.

        Names are unique in the tenant (documented), and ours can be computed by anybody who may
        write assignments anywhere. The list finds ours again, whatever its name.
        """
        try:
            self.arm.put_assignment(grant, principal, marker)
        except ArmError as error:
            if error.code != NAME_TAKEN:
                raise
            # Not found: the assignment of that name lies at another scope.
            taken: RoleAssignment | None = None
            with contextlib.suppress(NotFound):
                taken = self.arm.assignment(assignment_id(grant.place, grant.role, principal))
            triple = principal, grant.role, grant.place
            if taken and (taken.principal, taken.role, taken.scope) == triple:
                raise
            self.arm.put_assignment(grant, principal, marker, str(uuid.uuid4()))

    def _patch(self, changes: Sequence[IdentityChange]) -> None:
        """Patch identities together; what must wait for the resource is to be done again later."""
        assert self.resource is not None, "identities are only planned on a resource"  # noqa: S101 (the planner's promise)
        # Dead entries go first and alone, since they make every attach fail (facts: Dead entries).
        dead: list[IdentityChange] = [
            change
            for change in changes
            if isinstance(change, DetachIdentity) and change.reason.dead
        ]
        now = dead or list(changes)
        later = [change for change in changes if change not in now]
        refusal = self._patch_once(self.resource, now)
        if refusal and refusal.status in _MAY_BE_ONE_OF_THEM and len(now) > 1:
            # One bad identity must not keep the others off. Tried alone, each shows whether it is
            # the one; after a PATCH that went through, the resource is updating and the rest waits.
            for position, change in enumerate(now):
                refusal = self._patch_once(self.resource, [change])
                if refusal is None:
                    later = [*now[position + 1 :], *later]
                    break
                self.outcomes.append(self._refused(change, refusal))
        elif refusal:
            self.outcomes += [self._refused(change, refusal) for change in now]
        detail = "the resource is being updated by the change before"
        self.outcomes += [Outcome(change, Status.AGAIN, detail) for change in later]

    def _patch_once(self, resource: Resource, changes: Sequence[IdentityChange]) -> ArmError | None:
        """Return what kept one PATCH from going through, or none."""
        # 1. The smallest block: only our keys, so that others' identities stay (facts: Machines).
        block = resource.identities
        system, attached = block.system, {entry.id for entry in block.attached}
        entries: dict[str, dict[str, str] | None] = {}
        for change in changes:
            match change:
                case AttachIdentity(_, None):
                    system = True
                case AttachIdentity(_, ResourceId() as identity):
                    attached.add(identity)
                    entries[str(identity)] = {}
                case DetachIdentity(_, identity):
                    attached.discard(identity)
                    # The key is matched as Azure spells it.
                    entry = block.entry(identity)
                    entries[str(entry.id if entry else identity)] = None
        # What we cannot read stays attached, so the type keeps saying that there is something.
        left = bool(attached or block.unknown)
        types = [*(["SystemAssigned"] if system else []), *(["UserAssigned"] if left else [])]
        body: dict[str, object] = {"type": ", ".join(types) or "None"}
        if entries and left:
            # Without any left, the type alone takes them all away; a map would be refused.
            body["userAssignedIdentities"] = entries
        try:
            # 2. A type switches off what it leaves out. What one torn or early answer did not show
            #    must not end so, and an etag says nothing about it.
            if not self.confirmed and not (system and left):
                again = self.arm.resource(resource.id)
                shown = again.incarnation, again.identities
                if shown != (resource.incarnation, resource.identities):
                    self.overtaken = True
                    return Conflict(f"{resource.id} changed while it was being read", code=CHANGED)
                self.confirmed = True
            self.answer = self.arm.patch_identities(resource, body)
        except NotFound as error:
            self.overtaken = True
            return Conflict(f"{error} (it went away meanwhile)", code=error.code)
        except ArmError as error:
            # What was seen is no longer there, and nothing more is written because of it.
            self.overtaken = self.overtaken or error.status == _PRECONDITION_FAILED
            return error
        self.outcomes += [Outcome(change, Status.DONE) for change in changes]
        return None

    def _refused(self, change: Change, error: ArmError) -> Outcome:
        """Return the outcome of a change that Azure refused."""
        next_step, last_try = error.next_step, False
        match error:
            case AlreadyExists():
                status = Status.PRESENT
            case Conflict():
                # Nobody knows whether an unknown one passes: it is tried once more, after a while.
                # Where Azure names a wait, another look before that would meet the same refusal.
                last_try = not error.known
                waits = last_try or error.retry_after is not None
                status = Status.AGAIN if waits else Status.CONFLICT
            case Again():
                status = Status.AGAIN
            case NotFound():
                status, next_step = Status.BLOCKED, Hold.SCOPE_ABSENT.next_step
            case _:
                status = Status.BLOCKED
        if isinstance(error, Rejected):
            _log.error("Azure says that a call of ours is wrong: %s", error)
            self.rejected = self.rejected or error
        return Outcome(
            change,
            status,
            error.reason,
            error.code,
            error.retry_after if isinstance(error, Again) else None,
            last_try=last_try,
            next_step=next_step,
        )
