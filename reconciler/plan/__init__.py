"""The pure diff: desired against observed, under the terms, gives a sorted plan.

No clock, no environment, no input or output: the same arguments give the same plan. The
controller applies it, the command line prints it, the sweep nominates by it; nothing else in the
project compares what is wanted with what is there.
"""

from reconciler.changes import (
    AttachIdentity,
    Change,
    CreateAssignment,
    CreateIdentity,
    DeleteAssignment,
    DetachIdentity,
    Hold,
    Plan,
    Reason,
    UpdateAssignment,
    Withheld,
    describe,
)
from reconciler.ids import fold
from reconciler.model import Desired, Observed, Request, Resource
from reconciler.plan.assignments import AssignmentPlanner
from reconciler.plan.identities import IdentityPlanner
from reconciler.plan.terms import Terms

__all__ = ["Terms", "plan"]


def plan(desired: Desired, observed: Observed, request: Request, terms: Terms) -> Plan:
    """Return what would have to change for the subject to be as policy wants it."""
    steps: list[Change | Withheld] = []
    seen: list[str] = []
    system = None
    if isinstance(observed.subject, Resource):
        identities = IdentityPlanner(observed.subject, observed, request, terms)
        steps += identities.steps(desired)
        seen += identities.seen
        system = next(
            (
                step
                for step in steps
                if isinstance(step, Withheld)
                and isinstance(step.change, AttachIdentity)
                and step.change.identity is None
            ),
            None,
        )
    assignments = AssignmentPlanner(observed, request, terms, system)
    steps += assignments.steps(desired)
    seen += assignments.seen
    steps = [_unless_exempt(step, observed, terms) for step in steps]
    changes = [step for step in steps if not isinstance(step, Withheld)]
    withheld = [step for step in steps if isinstance(step, Withheld)]
    return Plan(
        observed.id,
        observed.at,
        observed.incarnation,
        tuple(sorted(changes, key=_order)),
        tuple(sorted(withheld, key=lambda held: (*_order(held.change), held.hold))),
        tuple(sorted(seen)),
    )


def _unless_exempt(step: Change | Withheld, observed: Observed, terms: Terms) -> Change | Withheld:
    """Keep hands off what policy exempts: a machine, or the identity that it would carry."""
    change = step.change if isinstance(step, Withheld) else step
    places = [observed.id]
    if isinstance(change, CreateIdentity):
        places.append(change.new.id)
    elif isinstance(change, AttachIdentity | DetachIdentity) and change.identity:
        places.append(change.identity)
    found = (terms.exemption(place, observed.at) for place in places)
    exemption = next(filter(None, found), None)
    if exemption is None or (isinstance(step, Withheld) and not step.hold.passing):
        return step
    return Withheld(change, Hold.EXEMPT, f"{exemption.reason} (until {exemption.expires})")


def _order(change: Change) -> tuple[int, str]:
    """Rank a change: the dead make room first, a live right goes last."""
    match change:
        case DeleteAssignment(_, Reason.UNWANTED) | DetachIdentity(_, _, Reason.NOT_ALLOWED):
            rank = 6
        case DeleteAssignment():
            rank = 0
        case DetachIdentity():
            rank = 1
        case CreateIdentity():
            rank = 2
        case AttachIdentity():
            rank = 3
        case CreateAssignment():
            rank = 4
        case UpdateAssignment():
            rank = 5
    return rank, fold(repr(sorted(describe(change).items(), key=lambda item: item[0])))
