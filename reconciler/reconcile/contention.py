"""What is said of changes that another writer keeps undoing, and who that is.

The loop asks once a change is contended. The activity log is late by minutes, so it
tells of the times before, and it is not needed: where it cannot be read, nobody is named.
"""

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from reconciler.azure.client import Arm
from reconciler.changes import (
    CONTENDED,
    AttachIdentity,
    Change,
    CreateAssignment,
    CreateIdentity,
    DeleteAssignment,
    DetachIdentity,
    Outcome,
    Status,
    UpdateAssignment,
)
from reconciler.errors import ArmError
from reconciler.ids import ResourceId, fold
from reconciler.marker import assignment_id
from reconciler.model import Written
from reconciler.reconcile.recent import HOUR

_log = logging.getLogger(__name__)

_DETAIL: Final = "made three times within an hour, and undone each time by another writer"


def blocked(
    changes: Sequence[Change], arm: Arm, ours: frozenset[str], now: datetime
) -> list[Outcome]:
    """Return the outcomes of contended changes; `ours` are the principals that we are.

    Asks the activity log once, about the first of them.
    """
    places = [_place(change) for change in changes]
    asked = next((place for place in places if place.subscription), None)
    last = _last(asked, arm, ours, now) if asked else None
    by = f", last by {last.caller} ({last.operation}, {last.at:%H:%M:%S} UTC)" if last else ""
    return [
        Outcome(change, Status.BLOCKED, _DETAIL + (by if place == asked else ""), CONTENDED)
        for change, place in zip(changes, places, strict=True)
    ]


def _last(place: ResourceId, arm: Arm, ours: frozenset[str], now: datetime) -> Written | None:
    """Return what another writer did last to a place in the past hour, as far as can be told."""
    try:
        log, _ = arm.written(place, now - HOUR, now)
    except ArmError as error:
        _log.warning("who undoes what we do at %s cannot be told: %s", place, error)
        return None
    writes = {fold(f"{place.type}/{what}") for what in ("write", "delete")}
    theirs = [
        one
        for one in log
        if one.succeeded
        and fold(one.operation) in writes
        and not {fold(one.caller), fold(one.principal or "")} & ours
    ]
    return max(theirs, key=lambda one: one.at, default=None)


def _place(change: Change) -> ResourceId:
    """Return the id under which the activity log tells of a change."""
    match change:
        case CreateIdentity(new):
            return new.id
        case AttachIdentity(resource) | DetachIdentity(resource):
            return resource
        case CreateAssignment(grant, principal):
            return assignment_id(grant.place, grant.role, principal or "")
        case UpdateAssignment(assignment) | DeleteAssignment(assignment):
            return assignment.id
