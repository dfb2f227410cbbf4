"""Contention: changes that another writer keeps undoing, how often we made them, and who that is.

The loop asks before each write, records each write that went through, and has what is contended
reported here. The memory is of one process, and losing it costs a few more writes.
"""

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
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
    Reason,
    Status,
    UpdateAssignment,
    describe,
)
from reconciler.errors import ArmError, NotFound
from reconciler.ids import ResourceId, fold
from reconciler.marker import assignment_id
from reconciler.plan.context import FIRST_DELAY

_log = logging.getLogger(__name__)

_WINDOW: Final = timedelta(hours=1)
"""How long a write counts as a recent one."""

_MOST_WRITES: Final = 3
"""So many writes of one change within the hour are contended."""

_LONGEST_WAIT: Final = timedelta(minutes=5)
_MOST_CHANGES: Final = 10_000
_DETAIL: Final = "made three times within an hour, and undone each time by another writer"


@dataclass(frozen=True, slots=True)
class Repetition:
    """How often a change was made within the hour, and what follows for the next time.

    `contended`: so often that another writer must be undoing it. `wait`: how long the change is
    left alone before it is made again, none where it may be made now.
    """

    times: int = 0
    contended: bool = False
    wait: timedelta | None = None


@dataclass(slots=True)
class Contention:
    """When each change was made of late; safe to share between threads.

    A change is known by its subject, the subject's incarnation and all that it would write: what a
    rebuilt machine is given is no repetition.
    """

    now: Callable[[], datetime]
    _made: OrderedDict[bytes, list[datetime]] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def repetition(
        self, subject: ResourceId, change: Change, incarnation: str | None = None
    ) -> Repetition:
        """Return how often a change was made within the hour, and whether it may be made now."""
        now = self.now()
        with self._lock:
            made = self._made.get(_key(subject, change, incarnation), [])
            made = [time for time in made if now - time <= _WINDOW]
        if not made:
            return Repetition()
        match change:
            case DeleteAssignment() | DetachIdentity(_, _, Reason.NOT_ALLOWED):
                narrows = True
            case UpdateAssignment(_, grant, _, Reason.CONDITION_DIFFERS):
                narrows = grant.condition is not None
            case _:
                narrows = False
        # Ten seconds, doubling. What narrows a right waits as well, but is never given up:
        # whoever widens it for an hour must not have it for good.
        pause = min(FIRST_DELAY * 2 ** (len(made) - 1), _LONGEST_WAIT)
        left = made[-1] + pause - now
        return Repetition(
            times=len(made),
            contended=len(made) >= _MOST_WRITES and not narrows,
            wait=left if left > timedelta() else None,
        )

    def record(self, subject: ResourceId, change: Change, incarnation: str | None = None) -> None:
        """Remember that a change was made just now."""
        key = _key(subject, change, incarnation)
        with self._lock:
            self._made.setdefault(key, []).append(self.now())
            # Whoever undoes it all day fills no memory: the latest times decide.
            del self._made[key][: -_MOST_WRITES * 3]
            self._made.move_to_end(key)
            while len(self._made) > _MOST_CHANGES:
                self._made.popitem(last=False)


def is_only_unlisted(change: Change, arm: Arm) -> bool:
    """Return whether a right that was written is there, though its scope's list lacks it yet.

    Lists lag behind writes; a read by the assignment's own id does not, so it tells a list that is
    late from a writer that undoes. Raises `ArmError`.
    """
    match change:
        case CreateAssignment(grant, str(principal), marker):
            written = assignment_id(grant.place, grant.role, principal)
        case UpdateAssignment(assignment, grant, marker):
            written = assignment.id
        case _:
            return False
    try:
        found = arm.assignment(written)
    except NotFound:
        return False
    return (found.condition, found.description) == (grant.condition, marker)


def blocked_outcomes(
    changes: Sequence[Change], arm: Arm, makers: frozenset[str], now: datetime
) -> list[Outcome]:
    """Return contended changes as blocked, naming the other writer where the activity log does.

    One call serves all: about the first change that lies in a subscription. The log is late by
    minutes, so it knows of the times before. Where it cannot be read, nobody is named. `makers`
    are the principals that are ours.
    """
    logged_ids = [_logged_id(change) for change in changes]
    asked = next((logged for logged in logged_ids if logged.subscription), None)
    by = ""
    if asked:
        try:
            entries, _ = arm.written(asked, now - _WINDOW, now)
        except ArmError as error:
            _log.warning("who undoes what we do at %s cannot be told: %s", asked, error)
            entries = ()
        operations = {fold(f"{asked.type}/{verb}") for verb in ("write", "delete")}
        writes_of_others = [
            entry
            for entry in entries
            if entry.succeeded
            and fold(entry.operation) in operations
            and not {fold(entry.caller), fold(entry.principal or "")} & makers
        ]
        if last := max(writes_of_others, key=lambda entry: entry.at, default=None):
            by = f", last by {last.caller} ({last.operation}, {last.at:%H:%M:%S} UTC)"
    return [
        Outcome(change, Status.BLOCKED, _DETAIL + (by if logged == asked else ""), CONTENDED)
        for change, logged in zip(changes, logged_ids, strict=True)
    ]


def _logged_id(change: Change) -> ResourceId:
    """Return the id under which the activity log files a change."""
    match change:
        case CreateIdentity(new):
            return new.id
        case AttachIdentity(resource) | DetachIdentity(resource):
            return resource
        case CreateAssignment(grant, principal):
            return assignment_id(grant.place, grant.role, principal or "")
        case UpdateAssignment(assignment) | DeleteAssignment(assignment):
            return assignment.id


def _key(subject: ResourceId, change: Change, incarnation: str | None) -> bytes:
    described = sorted(describe(change).items(), key=lambda item: item[0])
    text = repr((subject.key, incarnation, described)).lower()
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()
