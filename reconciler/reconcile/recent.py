"""Recent runs: which requests an earlier run, or a copy that is due, covers without any call.

`reconciler.reconcile.loop`, `assignment_owner` and `reconciler.sweep` ask before they read, and
report what a run came to. The memory is of one process and losing it costs calls, never
correctness. It keeps ids, times and hashes of requests, never whole messages, each up to a bound.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import Final

from reconciler.azure.memory import Remembered
from reconciler.ids import ResourceId
from reconciler.model import Removals, Request, Sight

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
_MOST_IDS: Final = 10_000
_MOST_LETTERS: Final = 4_000
"""Removals are kept while their ids have no more letters than this in all."""


@dataclass(frozen=True, slots=True)
class _Run:
    """A run that left nothing to do, or a copy that is due, and what it does not cover.

    `at`: when the run began, or when the copy is due. `request`: the hash of its request.
    `excluded`: hashes of requests that it never covers. `rights_only`: it reads an identity's own
    rights, and does not lead to the resources that should carry the identity. `asks_end`: its
    request had missed the id before, and asks whether the id is gone.
    """

    at: datetime
    request: int
    excluded: frozenset[int]
    removals: Removals | None
    rights_only: bool
    asks_end: bool


@dataclass(slots=True)
class _Known:
    """The last finished run about one id, and the copy that is due, if any.

    `alive` is when the last run that found the id began, finished or not.
    """

    finished: _Run | None = None
    coming: _Run | None = None
    alive: datetime | None = None


@dataclass(slots=True)
class RecentRuns:
    """Which requests recent and coming runs cover; safe to share between threads.

    `soon`: a copy that is due within this time covers what is requested meanwhile. `attached`:
    identities whose rights were looked at because they were attached. `unproved`: ids that are not
    found and whose end nothing proves. `compared`: scopes whose rights were compared with policy,
    each with the time and the hash of the request that asked for it.
    """

    soon: timedelta
    attached: Remembered[ResourceId, None] = field(default_factory=lambda: Remembered(HOUR))
    unproved: Remembered[ResourceId, None] = field(default_factory=lambda: Remembered(DAY))
    compared: Remembered[ResourceId, tuple[datetime, int]] = field(
        default_factory=lambda: Remembered(timedelta(minutes=1))
    )
    _known: OrderedDict[ResourceId, _Known] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def cover(self, request: Request, now: datetime) -> bool:
        """Return whether a recent run, or a copy that is due soon, already covers this request."""
        since, gone = request.since, request.sighted(Sight.GONE)
        rights_only = request.sighted(Sight.ATTACHED) is not None
        with self._lock:
            known = self._known.get(request.id)
            if known is None:
                return False
            if gone and known.alive and known.alive > gone and not request.removals:
                # Any run that found the id answers whether it is gone.
                return True
            changed = {Sight.WRITTEN, Sight.DELETED}
            if since is None or any(sighting.what in changed for sighting in request.sightings):
                # Another run may have read in a list what an event says is no longer so.
                return False
            covering: list[_Run] = []
            run = known.finished
            if run and run.at > since:
                # Resource Manager's index lags (facts: Visibility): a run that did not find the id
                # does not cover a write event, which shows that the id is there. It does cover a
                # copy that was put off for that lag (NOT_YET).
                found = known.alive is not None and known.alive >= run.at
                if found or not request.expected or request.sighted(Sight.NOT_YET):
                    covering.append(run)
            copy = known.coming
            is_due = copy and since <= copy.at and now < copy.at <= now + self.soon
            # A copy that asks whether the id is gone does not expect the id: to it a 404 means
            # "gone", and to a request that a write event made it means "not yet".
            if copy and is_due and not (copy.asks_end and request.expected):
                covering.append(copy)
            return any(
                hash(request) not in run.excluded
                and (rights_only or not run.rights_only)
                and (
                    request.removals is None
                    or (run.removals is not None and run.removals.cover(request.removals))
                )
                for run in covering
            )

    def last_began(self, subject: ResourceId) -> datetime | None:
        """Return when the last finished run about an id began; finished: it left nothing to do."""
        with self._lock:
            known = self._known.get(subject)
            return known.finished.at if known and known.finished else None

    def found(self, subject: ResourceId, began: datetime) -> None:
        """Remember a run that found the id: it answers every request that asks for its end."""
        with self._lock:
            known = self._entry(subject)
            known.alive = began
            if known.coming and known.coming.asks_end:
                # This run covers that copy, which will read nothing, so it can cover no request.
                known.coming = None

    def finished(self, request: Request, began: datetime, *, leads_on: bool = False) -> None:
        """Remember a run that left nothing to do.

        `leads_on`: it returned further requests. These are put into the queue before the message of
        this one is completed. So where the very same request comes again they may have been lost,
        and it is not covered.
        """
        excluded = frozenset({hash(request)} if leads_on else ())
        with self._lock:
            self._entry(request.id).finished = _run(request, began, excluded)

    def unfinished(self, request: Request, copy: Request | None = None) -> None:
        """Remember that something is left to do, and the copy that will see to it."""
        with self._lock:
            known = self._entry(request.id)
            known.finished = None
            known.coming = _coming(copy, request) if copy else None

    def copy_due(self, copy: Request, request: Request) -> None:
        """Remember a copy that is due, and keep the last finished run about its id."""
        with self._lock:
            self._entry(copy.id).coming = _coming(copy, request)

    def copy_lost(self, copy: Request) -> None:
        """Forget a copy that did not reach the queue: it covers nobody."""
        with self._lock:
            known = self._known.get(copy.id)
            if known and known.coming and known.coming.request == hash(copy):
                known.coming = None

    def _entry(self, subject: ResourceId) -> _Known:
        known = self._known.setdefault(subject, _Known())
        self._known.move_to_end(subject)
        while len(self._known) > _MOST_IDS:
            self._known.popitem(last=False)
        return known


def _coming(copy: Request, request: Request) -> _Run | None:
    # A copy does not cover itself. Where its request comes again, the copy may have been lost.
    excluded = frozenset({hash(copy), hash(request)})
    return _run(copy, copy.since, excluded) if copy.since else None


def _run(request: Request, at: datetime, excluded: frozenset[int]) -> _Run:
    # A message may name very many ids. Without its removals, a run covers only requests that ask
    # for none.
    ids = request.removals.ids if request.removals else None
    few = ids is not None and sum(len(removed.key) for removed in ids) <= _MOST_LETTERS
    return _Run(
        at,
        hash(request),
        excluded,
        request.removals if few else None,
        rights_only=request.sighted(Sight.ATTACHED) is not None,
        asks_end=request.sighted(Sight.GONE) is not None,
    )
