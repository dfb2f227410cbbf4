"""What every write passes: one lock, one clock, one source of chance, and the news of it.

The world builds on it. Events reach the subscribers after the write is done; the activity log
keeps the same changes for those who ask.
"""

import collections
import contextlib
import dataclasses
import datetime as dt
import random
import threading
import uuid
from collections.abc import Callable, Iterator

from sandbox.azure import eventgrid, ids
from sandbox.azure.eventgrid import Change, Context, Event
from sandbox.azure.state import Assignment

_GROUP_DELETE = "Microsoft.Resources/subscriptions/resourcegroups/delete"
_LOG_LENGTH = 100_000


class Feed:
    """Holds the world for one piece of work at a time, and tells what it wrote."""

    _context: Context
    """Who writes; the world sets it as soon as it has an operator."""

    def __init__(self, clock: Callable[[], dt.datetime], seed: int) -> None:
        """Start with nothing told, at the clock's time and with the seed's chance."""
        self.now = clock
        self.random = random.Random(seed)
        self.tenant = self.guid()
        self.activity: collections.deque[Change] = collections.deque(maxlen=_LOG_LENGTH)
        """The last writes below a subscription, oldest first."""
        self._lock = threading.RLock()
        self._depth = 0
        self._cascading = False
        self._outbox: collections.deque[Event] = collections.deque()
        self._subscribers: list[Callable[[Event], None]] = []

    def guid(self) -> str:
        """Return a new GUID from the seeded source."""
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def subscribe(self, callback: Callable[[Event], None]) -> None:
        """Call back with every event, after the write is done and the lock released.

        The writer's answer waits for it, so a callback should only take the event and return.
        """
        self._subscribers.append(callback)

    @contextlib.contextmanager
    def transaction(self, context: Context | None = None) -> Iterator[None]:
        """Hold the world for one piece of work; its events are delivered afterwards."""
        with self._lock:
            outer = self._context
            self._context = context or outer
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                self._context = outer
                outermost = self._depth == 0
        if outermost:
            self._deliver()

    def _deliver(self) -> None:
        while self._outbox:
            try:
                event = self._outbox.popleft()
            except IndexError:  # Another thread was faster.
                return
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
    ) -> None:
        # Topics are subscriptions: what happens above them reaches nobody.
        if not resource.subscription:
            return
        operation = f"{kind}/{action or verb.lower()}"
        change = Change(
            id=self.guid(),
            verb=verb,
            resource=resource,
            operation=operation,
            action=_GROUP_DELETE if self._cascading else operation,
            context=self._context,
            at=self.now(),
            update=update,
            gone=gone,
        )
        self.activity.append(change)
        if self._subscribers:
            self._outbox.append(eventgrid.resource_event(change, self.tenant))
