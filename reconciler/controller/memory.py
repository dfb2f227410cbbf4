"""What one process remembers, to save calls and to notice a quarrel; losing it costs nothing."""

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import Final

from reconciler.changes import Change, Plan, describe
from reconciler.ids import ResourceId
from reconciler.model import Request

_ENTRIES: Final = 10_000
_MOST_IN_AN_HOUR: Final = 3
HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class _Look:
    """When a look began, for which request, and whether it asked for others."""

    began: datetime
    request: Request
    leads_on: bool

    def answers(self, request: Request) -> bool:
        """Tell whether it began late enough, and allowed at least the same removals.

        The very request that asked for others comes again only where those may have been lost:
        its message is completed after they are in the queue.
        """
        if request.since is None or (self.leads_on and request == self.request):
            return False
        return self.began > request.since and request.removals in {None, self.request.removals}


@dataclass(slots=True)
class Looks:
    """When a look at each id last began that left nothing to do; our own echoes end here."""

    _latest: OrderedDict[ResourceId, _Look] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def answer(self, request: Request) -> bool:
        """Tell whether an earlier look answers the request, so that no call is needed."""
        with self._lock:
            known = self._latest.get(request.id)
        return known is not None and known.answers(request)

    def remember(self, request: Request, began: datetime, *, leads_on: bool = False) -> None:
        """Remember a look that ended with nothing left to do, except what it `leads_on` to."""
        with self._lock:
            self._latest[request.id] = _Look(began, request, leads_on)
            self._latest.move_to_end(request.id)
            while len(self._latest) > _ENTRIES:
                self._latest.popitem(last=False)

    def forget(self, request: Request) -> None:
        """Forget an id that was looked at and is not yet as it should be."""
        with self._lock:
            self._latest.pop(request.id, None)


@dataclass(slots=True)
class _Made:
    """When a change was made of late, and whether a look has shown it fulfilled since."""

    times: deque[datetime] = field(default_factory=lambda: deque(maxlen=_MOST_IN_AN_HOUR))
    fulfilled: bool = True


@dataclass(slots=True)
class Contention:
    """How often each change was made and undone of late: three times in an hour is a quarrel."""

    now: Callable[[], datetime]
    _places: OrderedDict[ResourceId, dict[str, _Made]] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def contended(self, place: ResourceId, change: Change, incarnation: str | None = None) -> bool:
        """Tell whether the change was undone so often that another writer must be at work.

        A machine that was rebuilt is another one: what it is given is no repetition.
        """
        with self._lock:
            made = self._places.get(place, {}).get(_key(change, incarnation), _Made())
            while made.times and self.now() - made.times[0] > HOUR:
                made.times.popleft()
            return made.fulfilled and len(made.times) >= _MOST_IN_AN_HOUR

    def made(self, place: ResourceId, change: Change, incarnation: str | None = None) -> None:
        """Remember a change that was made.

        Made again before a look has shown it fulfilled, it is still the same time: lists lag.
        """
        with self._lock:
            changes = self._places.setdefault(place, {})
            made = changes.setdefault(_key(change, incarnation), _Made())
            if made.fulfilled:
                made.times.append(self.now())
                made.fulfilled = False
            self._places.move_to_end(place)
            while len(self._places) > _ENTRIES:
                self._places.popitem(last=False)

    def saw(self, plan: Plan) -> None:
        """Take note of a look: what it does not want again was fulfilled."""
        with self._lock:
            wanted = {_key(change, plan.incarnation) for change in plan.todo}
            for key, made in self._places.get(plan.id, {}).items():
                made.fulfilled = made.fulfilled or key not in wanted


def _key(change: Change, incarnation: str | None) -> str:
    described = sorted(describe(change).items(), key=lambda item: item[0])
    return repr((incarnation, described)).lower()
