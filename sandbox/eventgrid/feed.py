"""What every write passes: one lock, one source of GUIDs, and the news of it.

The world builds on it. Events reach the subscribers after the write is done, those of an
asynchronous operation once it has ended; the activity log keeps the same changes for those who ask.
"""

import collections
import contextlib
import dataclasses
import datetime as dt
import heapq
import itertools
import random
import threading
import uuid
from collections.abc import Callable, Iterator

from sandbox.arm import ids
from sandbox.eventgrid import events
from sandbox.eventgrid.events import Change, Context, Entry, Event
from sandbox.world.climate import Climate
from sandbox.world.clock import Clock
from sandbox.world.faults import Faults
from sandbox.world.state import Assignment, EventSubscription, Operation

_GROUP_DELETE = "Microsoft.Resources/subscriptions/resourcegroups/delete"
_LOG_LENGTH = 200_000


class Feed(Climate):
    """Holds the world for one piece of work at a time, and tells what it wrote."""

    _context: Context
    """Who writes; the world sets it as soon as it has an operator."""

    def __init__(self, clock: Clock, seed: int, faults: Faults) -> None:
        """Start with nothing told, at the clock's time and with the seed's chance."""
        super().__init__(clock, seed, faults)
        self.random = random.Random(seed)
        self.tenant = self.guid()
        self.activity: collections.deque[Entry] = collections.deque(maxlen=_LOG_LENGTH)
        """The last writes below a subscription, about in their order."""
        self._lock = threading.RLock()
        self._depth = 0
        self._cascading = False
        self._later: list[tuple[dt.datetime, int, Change]] = []
        """A heap of what running operations wrote, by the time of their end."""
        self._ready: list[tuple[dt.datetime, int, Event]] = []
        """A heap of events that are not sent yet, by the time that they are."""
        self._number = itertools.count()
        self.event_subscriptions: dict[str, EventSubscription] = {}
        """Event subscriptions by lower-case id."""
        self.asks_webhooks = False
        """Whether webhooks must consent to an event subscription; who delivers sets it."""
        self.published: dict[str, list[Event]] = {}
        """What clients published, by the lower-case id of their topic."""
        self._outbox: collections.deque[tuple[str, Event]] = collections.deque()
        self._subscribers: list[Callable[[Event], None]] = []
        self._listeners: list[Callable[[str, Event], None]] = []

    def guid(self) -> str:
        """Return a new GUID from the seeded source."""
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def subscribe(self, callback: Callable[[Event], None]) -> None:
        """Call back with every event, after the write is done and the lock released.

        The writer's answer waits for it, so a callback should only take the event and return.
        """
        self._subscribers.append(callback)

    def listen(self, callback: Callable[[str, Event], None]) -> None:
        """Call back as ``subscribe`` does, with what is published to topics: id and event."""
        self._listeners.append(callback)

    def publish(self, topic: str, events: list[Event]) -> None:
        """Take what a client publishes to the topic of a lower-case id."""
        self.published.setdefault(topic, []).extend(events)
        self._outbox.extend((topic, event) for event in events)

    def put_event_subscription(self, subscription: EventSubscription) -> None:
        """Create or change an event subscription."""
        key = subscription.id.key
        update = key in self.event_subscriptions
        self.event_subscriptions[key] = subscription
        self._emit("Write", subscription.id, subscription.id.type, update=update)

    def remove_event_subscription(self, subscription: EventSubscription) -> None:
        """Delete an event subscription."""
        del self.event_subscriptions[subscription.id.key]
        self._emit("Delete", subscription.id, subscription.id.type)

    def end(self, operation: Operation, error: dict[str, str] | None = None) -> None:
        """End an operation now, with an error or well; what it wrote is told at once."""
        operation.ends, operation.error = self.now(), error
        self._later = [
            (operation.ends if each.context.operation is operation else at, number, each)
            for at, number, each in self._later
        ]
        heapq.heapify(self._later)

    @contextlib.contextmanager
    def transaction(self, context: Context | None = None) -> Iterator[None]:
        """Hold the world for one piece of work; its events are delivered afterwards."""
        with self._lock:
            outer = self._context
            self._context = context or outer
            self._depth += 1
            self._release()
            try:
                yield
            finally:
                self._depth -= 1
                self._context = outer
                outermost = self._depth == 0
                self._release()
        if outermost:
            self._deliver()

    def announce(self) -> dt.datetime | None:
        """Tell of operations that have ended by now; return when there will be more to tell.

        Every transaction does it as well, so only who waits for events need call it.
        """
        with self.transaction():
            waiting = [heap[0][0] for heap in (self._later, self._ready) if heap]
            return min(waiting, default=None)

    def _release(self) -> None:
        now = self.now()
        while self._later and self._later[0][0] <= now:
            _, number, change = heapq.heappop(self._later)
            operation = change.context.operation
            if operation and operation.ends > now:
                heapq.heappush(self._later, (operation.ends, number, change))
                continue
            failed = operation is not None and operation.error is not None
            self._tell(dataclasses.replace(change, failed=failed))
        while self._ready and self._ready[0][0] <= now:
            self._outbox.append(("", heapq.heappop(self._ready)[2]))

    def _tell(self, change: Change) -> None:
        self.activity.append(Entry(change, change.at))
        if self._subscribers and not change.silent:
            event = self.injector.formed(events.resource_event(change, self.tenant))
            for delay in self.injector.event_delays():
                heapq.heappush(self._ready, (self.now() + delay, next(self._number), event))

    def _deliver(self) -> None:
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

    def authorize(self, right: Assignment, role_name: str) -> None:
        """Note in the running transaction which assignment allowed it; events show it."""
        self._context = dataclasses.replace(self._context, right=right, role_name=role_name)

    @contextlib.contextmanager
    def _cascade(self) -> Iterator[None]:
        """Tell of all that is written inside as a consequence of a group's deletion."""
        self._cascading = True
        try:
            yield
        finally:
            self._cascading = False

    def _emit(  # noqa: PLR0913 - the variable parts of a change
        self,
        verb: str,
        resource: ids.ArmId,
        kind: str,
        *,
        action: str = "",
        update: bool = True,
        gone: Assignment | None = None,
        silent: bool = False,
    ) -> None:
        # Topics are subscriptions: what happens above them reaches nobody.
        if not resource.subscription:
            return
        operation = f"{kind}/{action or verb.lower()}"
        running = self._context.operation if self.faults.events_at_end else None
        change = Change(
            id=self.guid(),
            verb=verb,
            resource=resource,
            operation=operation,
            action=_GROUP_DELETE if self._cascading else operation,
            context=self._context,
            at=running.ends if running else self.now(),
            update=update,
            gone=gone,
            silent=silent,
        )
        if self._context.method and not (self._cascading or gone or silent):
            # What follows from another's deletion begins with that (recorded).
            self.activity.append(Entry(change, self.now(), begins=True))
        if change.at > self.now():
            heapq.heappush(self._later, (change.at, next(self._number), change))
        else:
            self._tell(change)
