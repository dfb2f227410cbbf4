"""What the planners hand to the holds: changes that policy leads to, not yet allowed to anybody."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from reconciler.changes import (
    AttachIdentity,
    Change,
    CreateAssignment,
    CreateIdentity,
    DeleteAssignment,
    DetachIdentity,
    Hold,
    Reason,
    UpdateAssignment,
    Withheld,
    describe,
)
from reconciler.ids import fold
from reconciler.model import Desired, Observed, Request, Resource, Wanted
from reconciler.plan.context import PlanContext


@dataclass(frozen=True, slots=True)
class Step:
    """A change, and what in policy asks for it or speaks of the same right; none where nothing."""

    change: Change
    wanted: Wanted[Any] | None = None
    conflicting: bool = False


class Why(NamedTuple):
    """What a hold says beyond its own text, and when a passing one may lift.

    `hold` is set where one check can come to several holds.
    """

    detail: str = ""
    until: datetime | None = None
    hold: Hold | None = None


@dataclass(slots=True)
class Case:
    """What the checks may know; `passed` and `withheld` grow as the plan's steps are decided."""

    desired: Desired
    observed: Observed
    request: Request
    context: PlanContext
    passed: list[Change] = field(default_factory=list)
    withheld: list[Withheld] = field(default_factory=list)

    @property
    def resource(self) -> Resource | None:
        """The subject, where it is a resource."""
        subject = self.observed.subject
        return subject if isinstance(subject, Resource) else None


def rank(change: Change) -> tuple[int, str]:
    """Return the place of a change in a plan: the dead make room first, a live right goes last."""
    match change:
        case DeleteAssignment(_, Reason.RESOURCE_GONE | Reason.PRINCIPAL_REPLACED):
            number = 0
        case DetachIdentity(_, _, Reason.IDENTITY_GONE | Reason.IDENTITY_RECREATED):
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
    return number, fold(repr(sorted(describe(change).items(), key=lambda item: item[0])))
