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

from reconciler.azure.memory import Remembered
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
from reconciler.plan.context import FIRST_DELAY

_ENTRIES: Final = 10_000
_LETTERS: Final = 4_000
"""How much is remembered of the ids that one request may remove."""
_MOST_IN_AN_HOUR: Final = 3
_LONGEST_WAIT: Final = timedelta(minutes=5)
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)


@dataclass(slots=True)
class _Known:
    """What is known of one id: the last look that left nothing to do, and what is still to come.

    `leads_on` is the hash of the very request that asked for others, `led` of that which asked for
    the copy: they come again only where those may have been lost, since a message is completed
    after they are in the queue. `copy` is the hash of the copy that is due, `asks_end` whether that
    asks if the id is gone. `own_only` and `copies_own_only`: the look, or the copy, is about an
    identity's own rights and leads to nobody who carries it.
    """

    done: datetime | None = None
    removals: Removals | None = None
    leads_on: int | None = None
    own_only: bool = False
    alive: datetime | None = None
    due: datetime | None = None
    copy: int | None = None
    led: int | None = None
    copied: Removals | None = None
    copies_own_only: bool = False
    asks_end: bool = False


@dataclass(slots=True)
class Recent:
    """Which requests earlier or coming looks answer, so that no call is needed.

    `soon` is how far ahead a copy may be due to answer what comes meanwhile. `attached`, `unproved`
    and `compared` remember identities whose rights were looked at because they were attached, ids
    whose end nothing proves, and scopes that were compared with policy, each with the hash of the
    request for which that was.
    """

    soon: timedelta
    attached: Remembered[ResourceId, None] = field(default_factory=lambda: Remembered(HOUR))
    unproved: Remembered[ResourceId, None] = field(default_factory=lambda: Remembered(DAY))
    compared: Remembered[ResourceId, tuple[datetime, int]] = field(
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
            if since is None or any(one.what is Sight.DELETED for one in request.sightings):
                # Another look may have seen in a list what is no longer there.
                return False
            done = known.done and known.done > since and hash(request) != known.leads_on
            coming = known.due and since <= known.due and now < known.due <= now + self.soon
            coming = coming and hash(request) not in {known.copy, known.led}
            if not _is_own_only(request):
                done = done and not known.own_only
                coming = coming and not known.copies_own_only
            if request.expected:
                # Resource Manager's index may lag: what asks or saw whether the id is gone says
                # nothing of one that a write event has just named, unless it came back to that.
                found = known.alive and known.done and known.alive >= known.done
                done = done and (found or request.sighted(Sight.NOT_YET))
                coming = coming and not known.asks_end
            return bool(
                (done and _cover(known.removals, request.removals))
                or (coming and _cover(known.copied, request.removals))
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
            known.done, known.removals = began, _kept(request.removals)
            known.leads_on = hash(request) if leads_on else None
            known.own_only = _is_own_only(request)

    def alive(self, place: ResourceId, began: datetime) -> None:
        """Remember a look that found the id: whoever wonders whether it is gone need not look."""
        with self._lock:
            known = self._of(place)
            known.alive = began
            if known.asks_end:
                # It is answered by this look, and so looks at nothing for anybody else.
                _forget_copy(known)

    def not_done(self, request: Request, copy: Request | None = None) -> None:
        """Remember that something is left to do, and the copy that will see to it."""
        with self._lock:
            known = self._of(request.id)
            known.done = known.removals = known.leads_on = None
            _forget_copy(known)
            if copy:
                _remember(known, copy, request)

    def copy_due(self, copy: Request, request: Request) -> None:
        """Remember a copy of a request that will see to an id, next to what is known of it."""
        with self._lock:
            _remember(self._of(copy.id), copy, request)

    def copy_lost(self, copy: Request) -> None:
        """Forget a copy that did not reach the queue: nobody is answered by it."""
        with self._lock:
            known = self._known.get(copy.id)
            if known and known.copy == hash(copy):
                _forget_copy(known)

    def _of(self, place: ResourceId) -> _Known:
        known = self._known.setdefault(place, _Known())
        self._known.move_to_end(place)
        while len(self._known) > _ENTRIES:
            self._known.popitem(last=False)
        return known


def _remember(known: _Known, copy: Request, request: Request) -> None:
    known.due, known.copy, known.copied = copy.since, hash(copy), _kept(copy.removals)
    known.led = hash(request)
    known.asks_end = copy.sighted(Sight.GONE) is not None
    known.copies_own_only = _is_own_only(copy)


def _forget_copy(known: _Known) -> None:
    known.due = known.copy = known.led = known.copied = None
    known.asks_end = known.copies_own_only = False


def _is_own_only(request: Request) -> bool:
    return request.sighted(Sight.ATTACHED) is not None


def _kept(removals: Removals | None) -> Removals | None:
    """Return removals to be remembered: none of many, since a message may name a great deal."""
    ids = removals.ids if removals else None
    return removals if ids is not None and sum(len(one.key) for one in ids) <= _LETTERS else None


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
