"""The news of a world's writes: its activity log, and the events on their way to subscribers.

Only the world adds to it. Events reach the subscribers after the write is done, those of an
asynchronous operation once it has ended; the activity log keeps the same changes for those who ask.
"""

import collections
import dataclasses
import datetime as dt
import heapq
import itertools
from collections.abc import Callable

from sandbox.world import events
from sandbox.world.clock import Clock
from sandbox.world.events import Change, Entry, Event
from sandbox.world.faults import FaultInjector
from sandbox.world.state import Operation

_LOG_LENGTH = 200_000


class Feed:
    """What was written, and what of it nobody was sent yet."""

    def __init__(self, clock: Clock, injector: FaultInjector, tenant: str) -> None:
        """Start with nothing written."""
        self._now, self._injector, self._tenant = clock, injector, tenant
        self.activity: collections.deque[Entry] = collections.deque(maxlen=_LOG_LENGTH)
        """The last writes below a subscription, about in their order."""
        self.published: dict[str, list[Event]] = {}
        """What clients published, by the lower-case id of their topic."""
        self._later: list[tuple[dt.datetime, int, Change]] = []
        """A heap of what running operations wrote, by the time of their end."""
        self._ready: list[tuple[dt.datetime, int, Event]] = []
        """A heap of events that are not sent yet, by the time that they are."""
        self._number = itertools.count()
        self._outbox: collections.deque[tuple[str, Event]] = collections.deque()
        self._subscribers: list[Callable[[Event], None]] = []
        self._listeners: list[Callable[[str, Event], None]] = []

    def subscribe(self, callback: Callable[[Event], None]) -> None:
        """Call back with every event, after the write is done and the lock released.

        The writer's answer waits for it, so a callback should only take the event and return.
        """
        self._subscribers.append(callback)

    def listen(self, callback: Callable[[str, Event], None]) -> None:
        """Call back as ``subscribe`` does, with what is published to topics: id and event."""
        self._listeners.append(callback)

    def publish(self, topic: str, published: list[Event]) -> None:
        """Take what a client publishes to the topic of a lower-case id."""
        self.published.setdefault(topic, []).extend(published)
        self._outbox.extend((topic, event) for event in published)

    def add(self, change: Change) -> None:
        """Take a change of the world, at once or when its operation has ended."""
        cascades = change.action != change.operation
        if change.context.method and not (cascades or change.gone or change.silent):
            # What follows from another's deletion begins with that (recorded).
            self.activity.append(Entry(change, self._now(), begins=True))
        if change.at > self._now():
            heapq.heappush(self._later, (change.at, next(self._number), change))
        else:
            self._end(change)

    def hasten(self, operation: Operation) -> None:
        """Bring forward the events of what an operation wrote to its end, which has changed."""
        self._later = [
            (operation.ends if change.context.operation is operation else at, number, change)
            for at, number, change in self._later
        ]
        heapq.heapify(self._later)

    def next_due(self) -> dt.datetime | None:
        """Return when an operation ends or an event is sent next, none where nothing is left."""
        return min((heap[0][0] for heap in (self._later, self._ready) if heap), default=None)

    def release(self) -> None:
        """Move to the outbox what is due by now; the world holds its lock meanwhile."""
        now = self._now()
        while self._later and self._later[0][0] <= now:
            _, number, change = heapq.heappop(self._later)
            operation = change.context.operation
            if operation and operation.ends > now:
                heapq.heappush(self._later, (operation.ends, number, change))
                continue
            failed = operation is not None and operation.error is not None
            self._end(dataclasses.replace(change, failed=failed))
        while self._ready and self._ready[0][0] <= now:
            self._outbox.append(("", heapq.heappop(self._ready)[2]))

    def _end(self, change: Change) -> None:
        self.activity.append(Entry(change, change.at))
        if self._subscribers and not change.silent:
            event = self._injector.formed(events.resource_event(change, self._tenant))
            for delay in self._injector.event_delays():
                heapq.heappush(self._ready, (self._now() + delay, next(self._number), event))

    def deliver(self) -> None:
        """Hand what is in the outbox to the subscribers, in the caller's thread."""
        while self._outbox:
            try:
                topic, event = self._outbox.popleft()
            except IndexError:  # Another thread was faster.
                return
            if topic:
                for listener in self._listeners:
                    listener(topic, event)
            else:
                for callback in self._subscribers:
                    callback(event)
