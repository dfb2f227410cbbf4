"""Carries out a plan's changes and says what became of each.

First assignments of dead principals go, because they fill the subscription's quota, then
identities are patched and rights granted, and what a live principal no longer needs goes last.
One refusal never stops the others; nothing here waits or repeats.
"""

import logging
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, assert_never

from reconciler.azure.client import Arm
from reconciler.azure.failures import NAME_TAKEN
from reconciler.azure.parsing import Json
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
    Reason,
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
from reconciler.model import IdentityBlock, Resource

_log = logging.getLogger(__name__)

_REFUSED: Final = frozenset({400, 403})
_CHANGED: Final = 412

type IdentityChange = AttachIdentity | DetachIdentity


@dataclass
class Applier:
    """Applies changes of one plan; `answer` is the resource as the last PATCH showed it.

    `confirmed`: a second read of the resource agreed with the first.
    """

    arm: Arm
    resource: Resource | None
    confirmed: bool = False
    outcomes: list[Outcome] = field(default_factory=list)
    answer: Resource | None = None
    overtaken: bool = False
    rejected: Rejected | None = None

    def apply(self, changes: Sequence[Change]) -> None:
        """Apply changes in the plan's order; a call that is our own mistake raises at the end."""
        identities = [one for one in changes if isinstance(one, AttachIdentity | DetachIdentity)]
        for change in changes:
            match change:
                case AttachIdentity() | DetachIdentity():
                    if identities:
                        self._patch(identities)
                        identities = []
                    if self.overtaken or self._other_incarnation():
                        return
                case CreateIdentity(new):
                    self._try(change, self.arm.create_identity, new)
                case CreateAssignment(_, principal):
                    if principal:
                        self._try(change, self._create, change, principal)
                case UpdateAssignment(assignment, grant, marker):
                    arguments = grant, assignment.principal, marker, assignment.id.name
                    self._try(change, self.arm.put_assignment, *arguments)
                case DeleteAssignment(assignment):
                    self._try(change, self.arm.delete_assignment, assignment.id)
                case _:
                    assert_never(change)

    def _create(self, change: CreateAssignment, principal: str) -> None:
        """Grant a right, under a random name where another sits on ours elsewhere in the tenant.

        A name is unique in the tenant (facts: Role assignments), and anybody who may write
        assignments anywhere can compute ours. The list finds ours again, whatever its name.
        """
        try:
            self.arm.put_assignment(change.grant, principal, change.marker)
        except ArmError as error:
            if error.code != NAME_TAKEN or self._is_there(change, principal):
                raise
            name = str(uuid.uuid4())
            self.arm.put_assignment(change.grant, principal, change.marker, name)

    def _is_there(self, change: CreateAssignment, principal: str) -> bool:
        """Return whether the name is taken just where and for whom we would grant."""
        wanted = change.grant
        try:
            found = self.arm.assignment(assignment_id(wanted.place, wanted.role, principal))
        except NotFound:
            return False
        triple = (found.principal, found.role, found.scope)
        return triple == (principal, wanted.role, wanted.place)

    def _other_incarnation(self) -> bool:
        """Tell whether the PATCH met another machine under the same id: then the plan is void."""
        seen, met = self.resource, self.answer
        return bool(seen and met and seen.incarnation != met.incarnation)

    def _patch(self, changes: list[IdentityChange]) -> None:
        """Patch identities: dead entries first and alone, since they make every attach fail."""
        assert self.resource is not None, "identities are only planned on a resource"  # noqa: S101 (the planner's promise)
        dead: list[IdentityChange] = [
            one
            for one in changes
            if isinstance(one, DetachIdentity) and one.reason is not Reason.NOT_ALLOWED
        ]
        now = dead or changes
        later = [change for change in changes if change not in now]
        refused = self._patch_once(self.resource, now)
        if refused and refused.status in _REFUSED and len(now) > 1:
            self._patch_one_by_one(self.resource, now)
        elif refused:
            self.outcomes += [self._refused(change, refused) for change in now]
        self._defer(later)

    def _patch_one_by_one(self, resource: Resource, changes: list[IdentityChange]) -> None:
        """Find the one bad identity; after a PATCH that went through the rest must wait."""
        for position, change in enumerate(changes):
            refused = self._patch_once(resource, [change])
            if refused:
                self.outcomes.append(self._refused(change, refused))
            else:
                self._defer(changes[position + 1 :])
                return

    def _patch_once(self, resource: Resource, changes: Sequence[IdentityChange]) -> ArmError | None:
        delta = _delta(resource.identities, changes)
        try:
            if not self.confirmed and delta["type"] != _type(system=True, users=True):
                self._confirm(resource)
            self.answer = self.arm.patch_identities(resource, delta)
        except NotFound as error:
            self.overtaken = True
            return Conflict(f"{error} (it went away meanwhile)", code=error.code)
        except ArmError as error:
            # What was seen is no longer there, and nothing more is written because of it.
            changed = error.status == _CHANGED or error.code == CHANGED
            self.overtaken = self.overtaken or changed
            return error
        self.outcomes += [Outcome(change, Status.DONE) for change in changes]
        return None

    def _confirm(self, resource: Resource) -> None:
        """Read the resource once more; raise `Conflict` where it shows other identities.

        A type switches off what it leaves out. What one torn or early answer did not show must not
        end so, and an etag says nothing about it.
        """
        again = self.arm.resource(resource.id)
        if (again.incarnation, again.identities) != (resource.incarnation, resource.identities):
            raise Conflict(f"{resource.id} changed while it was being read", code=CHANGED)
        self.confirmed = True

    def _defer(self, changes: Iterable[IdentityChange]) -> None:
        detail = "the resource is being updated by the change before"
        self.outcomes += [Outcome(change, Status.AGAIN, detail) for change in changes]

    def _try[**P](
        self, change: Change, call: Callable[P, None], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        try:
            call(*args, **kwargs)
        except ArmError as error:
            self.outcomes.append(self._refused(change, error))
        else:
            self.outcomes.append(Outcome(change, Status.DONE))

    def _refused(self, change: Change, error: ArmError) -> Outcome:
        if isinstance(error, Rejected):
            _log.error("Azure says that a call of ours is wrong: %s", error)
            self.rejected = self.rejected or error
        return _failed(change, error)


def _failed(change: Change, error: ArmError) -> Outcome:
    next_step, unknown = error.next_step, False
    match error:
        case AlreadyExists():
            status = Status.PRESENT
        case Conflict():
            # Whether an unknown one passes nobody knows: once more, after a while.
            unknown = not error.known
            status = Status.AGAIN if unknown else Status.CONFLICT
        case Again():
            status = Status.AGAIN
        case NotFound():
            status, next_step = Status.BLOCKED, Hold.SCOPE_ABSENT.next_step
        case _:
            status = Status.BLOCKED
    return Outcome(
        change,
        status,
        error.reason,
        error.code,
        error.retry_after if isinstance(error, Again) else None,
        last_try=unknown,
        next_step=next_step,
    )


def _delta(block: IdentityBlock, changes: Sequence[IdentityChange]) -> Json:
    """Return the smallest PATCH: only our keys, so that others' identities stay.

    See facts: Machines.
    """
    system = block.system
    users = {entry.id for entry in block.attached}
    entries: dict[str, dict[str, str] | None] = {}
    for change in changes:
        match change:
            case AttachIdentity(_, identity):
                if identity is None:
                    system = True
                else:
                    users.add(identity)
                    entries[str(identity)] = {}
            case DetachIdentity(_, identity):
                users.discard(identity)
                entries[_as_azure_spells(block, identity)] = None
    # What we cannot read stays attached, so the type keeps saying that there is something.
    left = bool(users or block.unknown)
    delta: dict[str, object] = {"type": _type(system=system, users=left)}
    if entries and left:
        # Without any left, the type alone takes them all away; a map would be refused.
        delta["userAssignedIdentities"] = entries
    return delta


def _as_azure_spells(block: IdentityBlock, identity: ResourceId) -> str:
    entry = block.entry(identity)
    return str(entry.id if entry else identity)


def _type(*, system: bool, users: bool) -> str:
    names = [name for name, on in (("SystemAssigned", system), ("UserAssigned", users)) if on]
    return ", ".join(names) or "None"
