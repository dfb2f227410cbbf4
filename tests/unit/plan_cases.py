"""What a row of the planner's tables is, and the changes that rows expect."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from reconciler.changes import (
    AttachIdentity,
    Change,
    CreateAssignment,
    DeleteAssignment,
    DetachIdentity,
    Hold,
    Reason,
    UpdateAssignment,
)
from reconciler.ids import ResourceId
from reconciler.model import (
    Desired,
    Ending,
    Grant,
    Mode,
    Observed,
    Request,
    RoleAssignment,
    Sight,
    Sighting,
    Traces,
)
from reconciler.plan import PlanContext, plan
from tests.world.builders import (
    APP,
    CONTEXT,
    DATA,
    LONG_AGO,
    LOOK,
    NEW,
    OF_APP,
    OLD,
    OWNERSHIP,
    SETTLE,
    SUB,
    VM,
    below,
    user_identity,
)
from tests.world.ids import NOON, READER

CONDITION = "@Resource[name] StringEquals 'images'"
AUDIT = Mode.AUDIT
HERE = {APP: user_identity()}
DEAD = f"{APP.key}={OLD}>{OF_APP}"
RECREATED_SEEN = Request(VM, sightings=(Sighting(NOON - SETTLE, Sight.DEAD_ENTRY, DEAD),))
GONE_SEEN = Request(VM, sightings=(Sighting(NOON - timedelta(minutes=10), Sight.GONE),))
"""Asked again after the machine was first not found, when its end may be asked for."""
REPLACED: dict[str, Any] = {
    "confirmed": True,
    "traces": Traces({VM: NEW}),
    "endings": {VM: Ending()},
}
"""What proves that the principal that the machine had before is dead."""
ENDED: dict[str, Any] = {"traces": Traces(), "endings": {VM: Ending(LONG_AGO)}}
"""What proves that the machine is gone."""
LONG = below(SUB, f"resourceGroups/{'g' * 500}/{'/'.join(VM.text.split('/')[5:])}")


@dataclass(frozen=True)
class Case:
    """One row: what is wanted and found, and what the plan must be, in its order."""

    desired: Desired
    observed: Observed
    changes: tuple[Change, ...] = ()
    withheld: tuple[tuple[Change, Hold], ...] = ()
    request: Request = LOOK
    context: PlanContext = CONTEXT


def held(
    change: Change,
    hold: Hold,
    desired: Desired,
    found: Observed,
    request: Request = LOOK,
) -> Case:
    """Return a row in which one change is withheld and nothing else is planned."""
    return Case(desired, found, (), ((change, hold),), request)


def attach(identity: ResourceId | None = APP, resource: ResourceId = VM) -> AttachIdentity:
    """Expect an identity to be attached."""
    return AttachIdentity(resource, identity)


def detach(reason: Reason = Reason.IDENTITY_RECREATED, id_: ResourceId = APP) -> DetachIdentity:
    """Expect an entry to be taken away."""
    return DetachIdentity(VM, id_, reason)


def create(
    role: str = READER,
    scope: ResourceId = DATA,
    principal: str | None = NEW,
    resource: ResourceId = VM,
    condition: str | None = None,
) -> CreateAssignment:
    """Expect a right to be granted."""
    marker = OWNERSHIP.marker_for(resource)
    return CreateAssignment(Grant(role, scope, condition), principal, marker)


def update(
    found: RoleAssignment, reason: Reason = Reason.MARKER_DIFFERS, condition: str | None = None
) -> UpdateAssignment:
    """Expect condition and marker to be written anew."""
    grant = Grant(found.role, found.scope, condition)
    return UpdateAssignment(found, grant, OWNERSHIP.marker_for(VM), reason)


def delete(found: RoleAssignment, reason: Reason = Reason.UNWANTED) -> DeleteAssignment:
    """Expect an assignment to be taken away."""
    return DeleteAssignment(found, reason)


def check(case: Case) -> None:
    """Plan a row and compare."""
    planned = plan(case.desired, case.observed, case.request, case.context)

    assert planned.changes == case.changes
    assert tuple((held.change, held.hold) for held in planned.withheld) == case.withheld
