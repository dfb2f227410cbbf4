"""Event Grid's deliveries: at least once, in no order, again and again, or to the dead letters.

`Delivery` does not wait or run by itself: ``due`` says when there is something to do and
``run_until`` does what is due by then, from as many threads as one likes. Tests call it on their
clock; `Deliveries` does on the world's own, for ``python -m sandbox serve`` and the demo.
"""

import collections
import dataclasses
import datetime as dt
import heapq
import itertools
import json
import threading
import time
from typing import Self

from sandbox.eventgrid import filters, retry, sending
from sandbox.eventgrid.sending import Outlets
from sandbox.eventgrid.subscriptions import CLOUD_EVENTS
from sandbox.world.events import Event, stamp
from sandbox.world.state import EventSubscription
from sandbox.world.world import World

_THREADS = 4  # So that an endpoint that does not answer holds up no other.
_POLL = 0.02  # Seconds between two looks at what is due.
_GRACE = 2.0
"""Seconds that attempts under way have when all is to stop; who does not answer is left alone."""


@dataclasses.dataclass(slots=True)
class _Parcel:
    """An event on its way to one event subscription."""

    subscription: str
    event: Event
    published: dt.datetime
    attempts: int = 0
    attempted: dt.datetime | None = None
    outcome: str = ""
    given_up: dt.datetime | None = None
    """When it was: it is now a dead letter that waits for its container."""
    reason: str = ""  # Why it was given up.


class Delivery:
    """Delivers the events of a world; from then on its webhooks must consent."""

    def __init__(self, world: World, outlets: Outlets) -> None:
        """Take the world's events from now on."""
        self.dropped: list[Event] = []
        """What was given up and not kept as a dead letter."""
        self._world = world
        self._outlets = outlets
        self._lock = threading.Lock()
        self._number = itertools.count()
        self._heap: list[tuple[dt.datetime, int, _Parcel]] = []
        # Of each event subscription's endpoint: failures in a row, and until when it is spared.
        self._failures = collections.Counter[str]()
        self._spared: dict[str, dt.datetime] = {}
        self._asked: set[str] = set()
        world.asks_webhooks = True
        world.feed.subscribe(lambda event: self._accept(_sources(event)))
        world.feed.listen(lambda topic, event: self._accept({topic: event}))

    def _accept(self, sources: dict[str, Event]) -> None:
        """Make a parcel for each subscription that wants an event, as it looks from each source."""
        now = self._world.now()
        for subscription in list(self._world.event_subscriptions.values()):
            event, settings = sources.get(subscription.source), subscription.properties
            if event is None or subscription.consent != "given":
                continue
            if filters.matches(settings["filter"], event):
                cloud = settings["eventDeliverySchema"] == CLOUD_EVENTS
                sent = sending.to_cloud(event) if cloud else event
                self._push(now, _Parcel(subscription.id.key, sent, now))

    def _push(self, moment: dt.datetime, parcel: _Parcel) -> None:
        with self._lock:
            heapq.heappush(self._heap, (moment, next(self._number), parcel))

    def due(self) -> dt.datetime | None:
        """Return when there is something to do next: the past means now, None nothing."""
        if self._unasked():
            return self._world.now()
        waiting = self._world.announce()
        with self._lock:
            first = self._heap[0][0] if self._heap else None
        return min((moment for moment in (waiting, first) if moment), default=None)

    def run_until(self, moment: dt.datetime) -> None:
        """Do all that is due by then, in the order of time."""
        self._world.announce()
        while True:
            with self._lock:
                subscription = next(iter(self._unasked()), None)
                if subscription is None:
                    break
                self._asked.add(subscription.operation.name)
            refused = sending.consent(self._world, self._outlets, subscription)
            with self._world.transaction():
                subscription.consent = "refused" if refused else "given"
                error = {"code": "Url validation", "message": refused} if refused else None
                self._world.end(subscription.operation, error)
        while True:
            with self._lock:
                if not self._heap or self._heap[0][0] > moment:
                    return
                at, _, parcel = heapq.heappop(self._heap)
            owner = self._world.event_subscriptions.get(parcel.subscription)
            if owner is not None:
                self._handle(owner, parcel, at)

    def _unasked(self) -> list[EventSubscription]:
        return [
            subscription
            for subscription in list(self._world.event_subscriptions.values())
            if subscription.consent == "pending" and subscription.operation.name not in self._asked
        ]

    def _handle(self, subscription: EventSubscription, parcel: _Parcel, at: dt.datetime) -> None:
        """Try to deliver a parcel that is due, and decide what becomes of it."""
        if parcel.given_up:
            self._bury(subscription, parcel, at)
            return
        endpoint = subscription.id.key
        if at < self._spared.get(endpoint, at):
            self._push(self._spared[endpoint], parcel)
            return
        policy = subscription.properties["retryPolicy"]
        expires = parcel.published + dt.timedelta(minutes=policy["eventTimeToLiveInMinutes"])
        if at >= expires:
            self._give_up(subscription, parcel, at, "TimeToLiveExceeded")
            return
        answer = sending.send(
            self._world, self._outlets, subscription, parcel.event, parcel.attempts
        )
        if retry.delivered(answer.status):
            self._failures[endpoint] = 0
            return
        ended = at + answer.took
        self._failures[endpoint] += 1
        self._spared[endpoint] = ended + retry.hold(self._failures[endpoint], answer.status)
        parcel.attempts += 1
        parcel.attempted = at
        parcel.outcome = retry.outcome(answer.status)
        following = ended + self._world.injector.retry_wait(
            retry.wait(parcel.attempts, answer.status),
            retry.wait(parcel.attempts + 1, answer.status),
        )
        if retry.hopeless(subscription.properties["destination"]["endpointType"], answer.status):
            # The name of the reason is known from issues.
            reason = f"UndeliverableDueToHttp{parcel.outcome}"
            self._give_up(subscription, parcel, ended, reason)
        elif parcel.attempts >= policy["maxDeliveryAttempts"]:
            self._give_up(subscription, parcel, ended, "MaxDeliveryAttemptsExceeded")
        else:
            # What expires before its next attempt is given up when it does.
            self._push(min(following, expires), parcel)

    # Dead letters.

    def _give_up(
        self, subscription: EventSubscription, parcel: _Parcel, at: dt.datetime, reason: str
    ) -> None:
        if "deadLetterDestination" not in subscription.properties:
            self.dropped.append(parcel.event)
            return
        parcel.given_up, parcel.reason = at, reason
        self._push(max(at, (parcel.attempted or at) + retry.DEAD_LETTER_DELAY), parcel)

    def _bury(self, subscription: EventSubscription, parcel: _Parcel, at: dt.datetime) -> None:
        """Write a dead letter; try again for hours where its container does not answer."""
        container = subscription.properties["deadLetterDestination"]["properties"]
        # Date and hour have no leading zeros (documented).
        name = (
            f"{subscription.id.name.upper()}/{at.year}/{at.month}/{at.day}/{at.hour}"
            f"/{self._world.guid()}.json"
        )
        try:
            status = self._outlets.store(
                container["resourceId"].lower(),
                container["blobContainerName"],
                name,
                json.dumps([_dead_letter(parcel)]).encode(),
            )
        except OSError:
            status = retry.UNREACHABLE
        if retry.delivered(status):
            return
        following = at + retry.DEAD_LETTER_DELAY
        if following > (parcel.given_up or at) + retry.DEAD_LETTER_PATIENCE:
            self.dropped.append(parcel.event)
        else:
            self._push(following, parcel)


def _sources(event: Event) -> dict[str, Event]:
    """Return where a resource event may be subscribed to, and how it looks from there."""
    sources = {event["topic"].lower(): event}
    segments = event["subject"].split("/")
    if len(segments) > 4 and segments[3].lower() == "resourcegroups":  # noqa: PLR2004 - positions
        group = "/".join([*segments[:3], "resourceGroups", segments[4]])
        sources[group.lower()] = {**event, "topic": group}
    return sources


def _dead_letter(parcel: _Parcel) -> Event:
    """Return the record of an event that was given up (facts: Delivery, documented).

    In CloudEvents the added names are in lower case; the documented sample has no time of the last
    attempt there, and shows ``dataversion`` in place of ``specversion``.
    """
    record = {
        "deadLetterReason": parcel.reason,
        "deliveryAttempts": parcel.attempts,
        "lastDeliveryOutcome": parcel.outcome,
        "publishTime": stamp(parcel.published),
    }
    if "specversion" not in parcel.event:
        last = {"lastDeliveryAttemptTime": stamp(parcel.attempted)} if parcel.attempted else {}
        return {**parcel.event, **record, **last}
    kept = {name: value for name, value in parcel.event.items() if name != "specversion"}
    return {**kept, "dataversion": "", **{name.lower(): value for name, value in record.items()}}


class Deliveries:
    """Delivers a world's events on the world's own clock while the context lasts."""

    def __init__(self, world: World, outlets: Outlets | None = None) -> None:
        """Prepare the deliveries; by default, queues and dead letters are kept in memory."""
        self._world = world
        self._delivery = Delivery(world, outlets or Outlets())
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, name=f"event-grid-{number}", daemon=True)
            for number in range(_THREADS)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop after the attempts that are under way and end soon; what is still due is lost."""
        self._stopped.set()
        end = time.monotonic() + _GRACE
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _run(self) -> None:
        while not self._stopped.wait(_POLL):
            self._delivery.run_until(self._world.now())
