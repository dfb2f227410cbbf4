"""Event Grid's deliveries: at least once, in no order, again and again, or to the dead letters.

Nothing here waits or runs by itself: ``due`` tells when there is something to do and ``run_until``
does what is due by then, from as many threads as one likes. ``sandbox.server`` runs it on the wall
clock, tests on theirs.
"""

import collections
import dataclasses
import datetime as dt
import heapq
import itertools
import json
import threading

from sandbox.eventgrid import filters, retry, schemas, sending
from sandbox.eventgrid.outlets import Outlets
from sandbox.eventgrid.settings import CLOUD_EVENTS
from sandbox.world.events import Event
from sandbox.world.state import EventSubscription
from sandbox.world.world import World

_KILOBYTE = 1024
_BATCH_SIZE = 64
"""Kilobytes that a batch may have unless the subscription says otherwise (documented)."""


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
    letter: Event = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(slots=True)
class _Endpoint:
    """How an event subscription's endpoint behaves."""

    failures: int = 0
    held_until: dt.datetime | None = None


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
        self._endpoints: collections.defaultdict[str, _Endpoint] = collections.defaultdict(
            _Endpoint
        )
        self._asking: set[str] = set()
        world.asks_webhooks = True
        world.feed.subscribe(lambda event: self._accept("", event))
        world.feed.listen(self._accept)

    def _accept(self, topic: str, event: Event) -> None:
        """Make a parcel for every event subscription that wants the event."""
        now = self._world.now()
        native = schemas.from_cloud(event) if schemas.is_cloud(event) else event
        sources = {topic: native} if topic else _sources(event)
        for subscription in list(self._world.event_subscriptions.values()):
            found = sources.get(subscription.source)
            properties = subscription.properties
            wanted = subscription.consent == "given" and found is not None
            if not wanted or not filters.matches(properties["filter"], found or {}):
                continue
            sent = found or {}
            if properties["eventDeliverySchema"] == CLOUD_EVENTS:
                sent = event if schemas.is_cloud(event) else schemas.to_cloud(sent)
            self._push(now, _Parcel(subscription.id.key, sent, now))

    def _push(self, moment: dt.datetime, *parcels: _Parcel) -> None:
        with self._lock:
            for parcel in parcels:
                heapq.heappush(self._heap, (moment, next(self._number), parcel))

    def due(self) -> dt.datetime | None:
        """Return when there is something to do next: the past means now, None nothing."""
        if self._unasked():
            return self._world.now()
        waiting = self._world.announce()
        with self._lock:
            first = self._heap[0][0] if self._heap else None
        return min((each for each in (waiting, first) if each), default=None)

    def run_until(self, moment: dt.datetime) -> None:
        """Do all that is due by then, in the order of time."""
        self._world.announce()
        while subscription := self._next_unasked():
            self._ask(subscription)
        while taken := self._take(moment):
            self._handle(*taken)

    # Consent.

    def _unasked(self) -> list[EventSubscription]:
        return [
            each
            for each in list(self._world.event_subscriptions.values())
            if each.consent == "pending" and each.operation.name not in self._asking
        ]

    def _next_unasked(self) -> EventSubscription | None:
        with self._lock:
            found = next(iter(self._unasked()), None)
            if found:
                self._asking.add(found.operation.name)
            return found

    def _ask(self, subscription: EventSubscription) -> None:
        refused = sending.consent(self._world, self._outlets, subscription)
        with self._world.transaction():
            subscription.consent = "refused" if refused else "given"
            error = {"code": "Url validation", "message": refused} if refused else None
            self._world.end(subscription.operation, error)

    # Parcels.

    def _take(self, moment: dt.datetime) -> tuple[dt.datetime, list[_Parcel]] | None:
        """Return the next due parcel, with others of its batch, and when they are due."""
        with self._lock:
            if not self._heap or self._heap[0][0] > moment:
                return None
            at, _, first = heapq.heappop(self._heap)
            subscription = self._world.event_subscriptions.get(first.subscription)
            batch = [first]
            if subscription is not None and not first.given_up:
                batch += self._rest(subscription, first, at)
            return at, batch

    def _rest(
        self, subscription: EventSubscription, first: _Parcel, at: dt.datetime
    ) -> list[_Parcel]:
        settings = subscription.properties["destination"]["properties"]
        most = settings.get("maxEventsPerBatch", 1)
        room = settings.get("preferredBatchSizeInKilobytes", _BATCH_SIZE) * _KILOBYTE
        found: list[_Parcel] = []
        if most == 1:
            return found
        room -= len(json.dumps(first.event))
        for entry in sorted(self._heap, key=lambda each: each[:2]):
            parcel = entry[2]
            if entry[0] > at or len(found) + 1 == most:
                break
            fits = parcel.subscription == first.subscription and not parcel.given_up
            size = len(json.dumps(parcel.event))
            if fits and size <= room:
                found.append(parcel)
                self._heap.remove(entry)
                room -= size
        heapq.heapify(self._heap)
        return found

    def _handle(self, at: dt.datetime, batch: list[_Parcel]) -> None:
        subscription = self._world.event_subscriptions.get(batch[0].subscription)
        if subscription is None:
            return
        if batch[0].given_up:
            self._bury(subscription, batch[0], at)
            return
        endpoint = self._endpoints[subscription.id.key]
        if endpoint.held_until and at < endpoint.held_until:
            self._push(endpoint.held_until, *batch)
            return
        fresh = [each for each in batch if at < self._expires(subscription, each)]
        for parcel in batch:
            if parcel not in fresh:
                self._give_up(subscription, parcel, at, "TimeToLiveExceeded")
        if fresh:
            self._try(subscription, fresh, at)

    def _try(self, subscription: EventSubscription, batch: list[_Parcel], at: dt.datetime) -> None:
        events = [each.event for each in batch]
        attempt = sending.send(self._world, self._outlets, subscription, events, batch[0].attempts)
        endpoint = self._endpoints[subscription.id.key]
        if retry.delivered(attempt.status):
            endpoint.failures = 0
            return
        ended = at + attempt.took
        endpoint.failures += 1
        endpoint.held_until = ended + retry.hold(endpoint.failures, attempt.status)
        for parcel in batch:
            parcel.attempts += 1
            parcel.attempted = at
            parcel.outcome = retry.outcome(attempt.status)
            self._again(subscription, parcel, ended, attempt.status)

    def _again(
        self, subscription: EventSubscription, parcel: _Parcel, at: dt.datetime, status: int
    ) -> None:
        """Decide what becomes of a parcel that was not taken."""
        policy = subscription.properties["retryPolicy"]
        kind = subscription.properties["destination"]["endpointType"]
        following = at + self._world.injector.retry_wait(
            retry.wait(parcel.attempts, status), retry.wait(parcel.attempts + 1, status)
        )
        expires = self._expires(subscription, parcel)
        if retry.hopeless(kind, status):
            self._give_up(subscription, parcel, at, retry.reason(status))
        elif parcel.attempts >= policy["maxDeliveryAttempts"]:
            self._give_up(subscription, parcel, at, "MaxDeliveryAttemptsExceeded")
        else:
            # What expires before its next attempt is given up when it does.
            self._push(min(following, expires), parcel)

    @staticmethod
    def _expires(subscription: EventSubscription, parcel: _Parcel) -> dt.datetime:
        minutes = subscription.properties["retryPolicy"]["eventTimeToLiveInMinutes"]
        return parcel.published + dt.timedelta(minutes=minutes)

    # Dead letters.

    def _give_up(
        self, subscription: EventSubscription, parcel: _Parcel, at: dt.datetime, reason: str
    ) -> None:
        if "deadLetterDestination" not in subscription.properties:
            self.dropped.append(parcel.event)
            return
        parcel.given_up = at
        parcel.letter = schemas.dead_letter(
            parcel.event,
            reason=reason,
            attempts=parcel.attempts,
            outcome=parcel.outcome,
            published=parcel.published,
            attempted=parcel.attempted,
        )
        last = parcel.attempted or at
        self._push(max(at, last + retry.DEAD_LETTER_DELAY), parcel)

    def _bury(self, subscription: EventSubscription, parcel: _Parcel, at: dt.datetime) -> None:
        """Write a dead letter; try again for hours where its container does not answer."""
        settings = subscription.properties["deadLetterDestination"]["properties"]
        # Date and hour have no leading zeros (documented).
        name = (
            f"{subscription.id.name.upper()}/{at.year}/{at.month}/{at.day}/{at.hour}"
            f"/{self._world.guid()}.json"
        )
        try:
            status = self._outlets.store(
                settings["resourceId"].lower(),
                settings["blobContainerName"],
                name,
                json.dumps([parcel.letter]).encode(),
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
    found = {event["topic"].lower(): event}
    segments = event["subject"].split("/")
    if len(segments) > 4 and segments[3].lower() == "resourcegroups":  # noqa: PLR2004 - positions
        group = "/".join([*segments[:3], "resourceGroups", segments[4]])
        found[group.lower()] = {**event, "topic": group}
    return found
