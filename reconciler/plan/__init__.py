"""The pure diff: desired against observed, in a context, gives a sorted plan.

No clock, no environment, no input or output: the same arguments give the same plan. The
reconciler applies it, the command line prints it, the sweep nominates by it; nothing else in the
project compares what is wanted with what is there.
"""

from collections.abc import Iterator

from reconciler.changes import (
    AttachIdentity,
    Change,
    CreateAssignment,
    CreateIdentity,
    DeleteAssignment,
    DetachIdentity,
    Plan,
    UpdateAssignment,
    Withheld,
    describe,
)
from reconciler.ids import ResourceId, fold
from reconciler.model import (
    Desired,
    Observed,
    Request,
    Resource,
    Sight,
    Sighting,
)
from reconciler.plan import assignments, identities
from reconciler.plan.context import Case, Home, PlanContext
from reconciler.plan.evidence import dead_entry
from reconciler.plan.holds import first_hold
from reconciler.resource_types import is_passing

__all__ = ["Home", "PlanContext", "plan"]


def plan(desired: Desired, observed: Observed, request: Request, context: PlanContext) -> Plan:
    """Return what would have to change for the subject to be as policy wants it, and what may not.

    Both are sorted, so that equal arguments in any order give an equal plan.
    """
    subject = observed.subject
    proposals = [
        *assignments.for_wanted(desired, observed, context),
        *assignments.for_unwanted(desired, observed, context),
    ]
    if isinstance(subject, Resource):
        proposals += identities.for_wanted(subject, desired, observed)
        proposals += identities.for_unwanted(subject, desired, observed)
    passed: list[Change] = []
    withheld: list[Withheld] = []
    for proposal in sorted(proposals, key=lambda proposal: _rank(proposal.change)):
        identity, principal = _about(proposal.change, observed)
        case = Case(
            wanted=proposal.wanted,
            mode=proposal.wanted.mode if proposal.wanted else None,
            conflicting=proposal.conflicting,
            desired=desired,
            observed=observed,
            request=request,
            context=context,
            resource=subject if isinstance(subject, Resource) else Resource(observed.id),
            identity=identity,
            principal=principal,
            passed=passed,
            withheld=withheld,
        )
        held = first_hold(proposal.change, case)
        if held is None:
            passed.append(proposal.change)
        else:
            withheld.append(held)
    return Plan(
        observed.id,
        observed.at,
        observed.incarnation,
        tuple(passed),
        tuple(sorted(withheld, key=lambda held: (*_rank(held.change), held.hold))),
        tuple(sorted(_sightings(desired, observed))),
    )


def _rank(change: Change) -> tuple[int, str]:
    """Return the place of a change in a plan: the dead make room first, a live right goes last."""
    match change:
        case DeleteAssignment() if change.reason.dead:
            number = 0
        case DetachIdentity() if change.reason.dead:
            number = 1
        case CreateIdentity():
            number = 2
        case AttachIdentity():
            number = 3
        case CreateAssignment():
            number = 4
        case UpdateAssignment():
            number = 5
        case DeleteAssignment() | DetachIdentity():
            number = 6
    return number, fold(repr(sorted(describe(change).items())))


def _about(change: Change, observed: Observed) -> tuple[ResourceId | None, str | None]:
    """Return the identity, and its principal, that a change is about; see `Case`."""
    match change:
        case CreateIdentity(new):
            return new.id, None
        case AttachIdentity(_, None):
            return None, None
        case AttachIdentity(_, ResourceId() as identity) | DetachIdentity(_, identity):
            own = observed.identities.get(identity)
            return identity, own.principal if own else None
        case DeleteAssignment(assignment):
            return observed.id, assignment.principal
        case _:
            return observed.id, observed.principal


def _sightings(desired: Desired, observed: Observed) -> Iterator[Sighting]:
    """Yield what the next look must know: what is missing, or dead, is believed after some time."""
    subject, at = observed.subject, observed.at
    if subject is None:
        yield Sighting(at, Sight.GONE)
    if not isinstance(subject, Resource):
        return
    for wanted in desired.attach:
        own, entry = observed.identities.get(wanted.what), subject.identities.entry(wanted.what)
        if entry is not None and own is None:
            yield Sighting(at, Sight.GONE, wanted.what.key)
        elif entry and own and entry.principal != own.principal and not is_passing(subject.state):
            yield Sighting(at, Sight.DEAD_ENTRY, dead_entry(own, entry.principal))
