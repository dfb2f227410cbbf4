"""What one process remembers, to save calls and to notice a fight; losing it costs nothing.

Ids and times are kept, never messages, and no more of them than a bound.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import Final

from reconciler.changes import (
    Change,
    DeleteAssignment,
    DetachIdentity,
    Reason,
    UpdateAssignment,
    describe,
)
from reconciler.ids import ResourceId
from reconciler.model import Removals, Request, Sight
from reconciler.plan.terms import FIRST_DELAY
from reconciler.remembered import Remembered

_ENTRIES: Final = 10_000
_MOST_IN_AN_HOUR: Final = 3
_LONGEST_WAIT: Final = timedelta(minutes=5)
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)


@dataclass(slots=True)
class _Known:
    """What is known of one id: the last look that left nothing to do, and what is still to come.

    `leads_on` is the hash of the very request that asked for others: it comes again only where
    those may have been lost, since its message is completed after they are in the queue. `copy` is
    the hash of the copy that is due, `asks_end` whether that asks if the id is gone.
    `leads_nowhere`, `copy_leads_nowhere`: it is a look at an identity's own rights, which requests
    no carriers.
    """

    done: datetime | None = None
    removals: Removals | None = None
    leads_on: int | None = None
    alive: datetime | None = None
    due: datetime | None = None
    copy: int | None = None
    copied: Removals | None = None
    asks_end: bool = False
    leads_nowhere: bool = False
    copy_leads_nowhere: bool = False


@dataclass(slots=True)
class Recent:
    """Which requests earlier or coming looks answer, so that no call is needed.

    `soon` is how far ahead a copy may be due to answer what comes meanwhile. `attached`, `unproved`
    and `compared` remember identities whose rights were looked at because they were attached, ids
    whose end nothing proves, and scopes that were compared with policy.
    """

    soon: timedelta
    attached: Remembered[ResourceId, None] = field(default_factory=lambda: Remembered(HOUR))
    unproved: Remembered[ResourceId, None] = field(default_factory=lambda: Remembered(DAY))
    compared: Remembered[ResourceId, datetime] = field(
        default_factory=lambda: Remembered(timedelta(minutes=1))
    )
    _known: OrderedDict[ResourceId, _Known] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def answers(self, request: Request, now: datetime) -> bool:
        """Return whether a look that began late enough, or a copy that is due soon, answers it."""
        with self._lock:
            known = self._known.get(request.id)
            if known is None:
                return False
            gone = request.sighted(Sight.GONE)
            if gone and known.alive and known.alive > gone and not request.removals:
                return True
            since = request.since
            if since is None:
                return False
            done = known.done and known.done > since and hash(request) != known.leads_on
            coming = known.due and since <= known.due and now < known.due <= now + self.soon
            if not _leads_nowhere(request):
                done = done and not known.leads_nowhere
                coming = coming and not known.copy_leads_nowhere
            if request.expected:
                # Resource Manager's index may lag: what asks or saw whether the id is gone says
                # nothing of one that a write event has just named, unless it came back to that.
                found = known.alive and known.done and known.alive >= known.done
                done = done and (found or request.sighted(Sight.NOT_YET))
                coming = coming and not known.asks_end
            return bool(
                (done and _cover(known.removals, request.removals))
                or (
                    coming
                    and hash(request) != known.copy
                    and _cover(known.copied, request.removals)
                )
            )

    def began(self, place: ResourceId) -> datetime | None:
        """Return when the last look at an id began that left nothing to do."""
        with self._lock:
            known = self._known.get(place)
        return known.done if known else None

    def done(self, request: Request, began: datetime, *, leads_on: bool = False) -> None:
        """Remember a look that left nothing to do, except what it `leads_on` to."""
        with self._lock:
            known = self._of(request.id)
            known.done, known.removals = began, request.removals
            known.leads_on = hash(request) if leads_on else None
            known.leads_nowhere = _leads_nowhere(request)

    def alive(self, place: ResourceId, began: datetime) -> None:
        """Remember a look that found the id: whoever wonders whether it is gone need not look."""
        with self._lock:
            self._of(place).alive = began

    def not_done(self, request: Request, copy: Request | None = None) -> None:
        """Remember that something is left to do, and the copy that will see to it."""
        with self._lock:
            known = self._of(request.id)
            known.done = known.removals = known.leads_on = None
            known.due = known.copy = known.copied = None
            if copy:
                _remember(known, copy)

    def copy_due(self, copy: Request) -> None:
        """Remember a copy that will see to an id, next to what is known of it."""
        with self._lock:
            _remember(self._of(copy.id), copy)

    def _of(self, place: ResourceId) -> _Known:
        known = self._known.setdefault(place, _Known())
        self._known.move_to_end(place)
        while len(self._known) > _ENTRIES:
            self._known.popitem(last=False)
        return known


def _remember(known: _Known, copy: Request) -> None:
    known.due, known.copy, known.copied = copy.since, hash(copy), copy.removals
    known.asks_end = copy.sighted(Sight.GONE) is not None
    known.copy_leads_nowhere = _leads_nowhere(copy)


def _leads_nowhere(request: Request) -> bool:
    return request.sighted(Sight.ATTACHED) is not None


def _cover(known: Removals | None, asked: Removals | None) -> bool:
    return asked is None or (known is not None and known.cover(asked))


@dataclass(slots=True)
class Contention:
    """How often each change was made of late: three times in an hour is a fight.

    A machine that was rebuilt is another one: what it is given is no repetition.
    """

    now: Callable[[], datetime]
    _made: OrderedDict[bytes, list[datetime]] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def times(self, place: ResourceId, change: Change, incarnation: str | None = None) -> int:
        """Return how often the change was made within the hour."""
        return len(self._of(place, change, incarnation))

    def contended(self, place: ResourceId, change: Change, incarnation: str | None = None) -> bool:
        """Return whether it was made so often that another writer must be undoing it.

        What narrows a right is never given up.
        """
        often = self.times(place, change, incarnation) >= _MOST_IN_AN_HOUR
        return often and not _narrows(change)

    def wait(
        self, place: ResourceId, change: Change, incarnation: str | None = None
    ) -> timedelta | None:
        """Return how long the change waits before it is made again; ten seconds, doubling."""
        made = self._of(place, change, incarnation)
        if not made:
            return None
        pause = min(FIRST_DELAY * 2 ** (len(made) - 1), _LONGEST_WAIT)
        left = made[-1] + pause - self.now()
        return left if left > timedelta() else None

    def made(self, place: ResourceId, change: Change, incarnation: str | None = None) -> None:
        """Remember a change that was made."""
        key = _key(place, change, incarnation)
        with self._lock:
            self._made.setdefault(key, []).append(self.now())
            del self._made[key][: -_MOST_IN_AN_HOUR * 3]
            self._made.move_to_end(key)
            while len(self._made) > _ENTRIES:
                self._made.popitem(last=False)

    def _of(self, place: ResourceId, change: Change, incarnation: str | None) -> list[datetime]:
        with self._lock:
            made = self._made.get(_key(place, change, incarnation), [])
            return [time for time in made if self.now() - time <= HOUR]


def _narrows(change: Change) -> bool:
    match change:
        case DeleteAssignment() | DetachIdentity(_, _, Reason.NOT_ALLOWED):
            return True
        case UpdateAssignment(_, grant, _, Reason.CONDITION_DIFFERS):
            return grant.condition is not None
        case _:
            return False


def _key(place: ResourceId, change: Change, incarnation: str | None) -> bytes:
    described = sorted(describe(change).items(), key=lambda item: item[0])
    text = repr((place.key, incarnation, described)).lower()
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()
