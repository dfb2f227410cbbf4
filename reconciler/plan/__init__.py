"""The pure diff: desired against observed, under the terms, gives a sorted plan.

No clock, no environment, no input or output: the same arguments give the same plan. The
controller applies it, the command line prints it, the sweep nominates by it; nothing else in the
project compares what is wanted with what is there.
"""

from collections.abc import Iterator

from reconciler.changes import Plan
from reconciler.model import Desired, Observed, Request, Resource, Sight, Sighting
from reconciler.plan import assignments, identities
from reconciler.plan.context import Home, PlanContext
from reconciler.plan.holds import decide
from reconciler.plan.steps import Case, rank

__all__ = ["Home", "PlanContext", "plan"]


def plan(desired: Desired, observed: Observed, request: Request, context: PlanContext) -> Plan:
    """Return what would have to change for the subject to be as policy wants it."""
    steps = list(assignments.steps(desired, observed, context))
    if isinstance(observed.subject, Resource):
        steps += identities.steps(observed.subject, desired, observed)
    case = Case(desired, observed, request, context)
    for step in sorted(steps, key=lambda step: rank(step.change)):
        decide(step, case)
    return Plan(
        observed.id,
        observed.at,
        observed.incarnation,
        tuple(case.passed),
        tuple(sorted(case.withheld, key=lambda held: (*rank(held.change), held.hold))),
        tuple(sorted(_sightings(desired, observed))),
    )


def _sightings(desired: Desired, observed: Observed) -> Iterator[Sighting]:
    """Yield what the next look must know; only time between two looks tells the dead."""
    if observed.subject is None:
        yield Sighting(observed.at, Sight.GONE)
    elif isinstance(observed.subject, Resource):
        yield from identities.sightings(observed.subject, desired, observed)
