"""From event to requests: a pure function of event, policy and watched subscriptions.

The event is a hint that something changed at an id; nothing in it is trusted, and no event, be it
malformed or forged, may raise. Both Event Grid schema and CloudEvents come here as an `Event`.
"""

import contextlib
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from reconciler.errors import MessageError, ResourceIdError
from reconciler.ids import ResourceId, fold
from reconciler.model import (
    ROLE_ASSIGNMENT,
    USER_ASSIGNED_IDENTITY,
    Request,
    Sight,
    Sighting,
    is_reconciled,
)
from reconciler.policy import Policy
from reconciler.policy.model import Grant
from reconciler.policy.templates import with_entries

_log = logging.getLogger(__name__)

_WRITE: Final = "microsoft.resources.resourcewritesuccess"
_DELETE: Final = "microsoft.resources.resourcedeletesuccess"
_ACTION: Final = "microsoft.resources.resourceactionsuccess"
_SUCCESS: Final = frozenset({_WRITE, _DELETE, _ACTION})
_FAILED: Final = frozenset(
    f"microsoft.resources.resource{what}{how}"
    for what in ("write", "delete", "action")
    for how in ("failure", "cancel")
)
_LOCK: Final = "Microsoft.Authorization/locks"
_OLDEST: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Event:
    """What both schemas have in common; `data` is what the publisher sent, of any shape."""

    type: str
    subject: str
    time: datetime | None = None
    data: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True)
class EventRouter:
    """Which places concern us, and the `appid` under which our own writes are announced.

    Where `subscriptions` is none, nobody knows yet what is watched, and everything passes: whoever
    answers a request asks again. What a deletion names is looked at `settle` later, so that a
    rebuild's own look answers it.
    """

    policy: Policy
    subscriptions: tuple[ResourceId, ...] | None
    own_client: str | None = None
    settle: timedelta = timedelta()

    def requests(self, event: Event, now: datetime) -> tuple[Request, ...]:
        """Return what should be looked at because of an event; nothing for what is not ours.

        `now` bounds the event's time, which may be anything.
        """
        kind = fold(event.type)
        own = self._own(event)
        if (kind in _SUCCESS and own) or (kind not in _SUCCESS and not (own and kind in _FAILED)):
            # What we wrote was looked at after the write; what of it failed was not.
            return ()
        place = _place(event)
        if place is None:
            return ()
        since = min(max(event.time or now, now - _OLDEST), now)
        return tuple(
            self._request(one, place, event, since)
            for one in dict.fromkeys(self._named(place, event))
        )

    def _request(
        self, named: ResourceId, place: ResourceId, event: Event, since: datetime
    ) -> Request:
        if not is_reconciled(named):
            moved = (Sighting(since, Sight.MOVED),) if _moves(event) else ()
            return Request(named, since=since, sightings=moved)
        if named == place and fold(event.type) == _DELETE:
            return Request(named, since=since + self.settle)
        # What has a child that was written is there itself.
        return Request(named, since=since, expected=fold(event.type) == _WRITE)

    def _named(self, place: ResourceId, event: Event) -> Iterator[ResourceId]:
        if fold(event.type) in _FAILED:
            if is_reconciled(place) and self._watches(place):
                yield place
            return
        if place.is_type(ROLE_ASSIGNMENT):
            if self.policy.guardrails.covers(place.scope):
                yield place
            return
        if place.is_type(_LOCK) and fold(event.type) == _DELETE:
            # What the lock held back may go on.
            yield from self._unlocked(place.scope)
            return
        if _may_change_scopes(event) and self._is_scope(place):
            # Asked for itself, a machine or an identity would be reconciled.
            yield place.group_id or place
        if not self._watches(place):
            return
        if place.is_type(USER_ASSIGNED_IDENTITY):
            if any(identity.id.may_be(place) for identity in self.policy.identities.values()):
                yield place
        else:
            yield from self._governed(place)

    def _unlocked(self, scope: ResourceId) -> Iterator[ResourceId]:
        # Nothing that an event says has everything swept.
        if scope.parent and (self._watches(scope) or self.policy.guardrails.covers(scope)):
            yield scope.group_id or scope.subscription_id or scope

    def _governed(self, place: ResourceId) -> Iterator[ResourceId]:
        """Yield the resource of a type in some rule that the place is, or is a child of."""
        types = {fold(name) for rule in self.policy.rules for name in rule.match.type}
        one: ResourceId | None = place
        while one is not None and one.blocks:
            if fold(one.type) in types:
                yield one
            one = one.parent

    def _is_scope(self, place: ResourceId) -> bool:
        """Tell whether a place is to be swept: what was granted in it may have gone with it.

        What a placeholder stands for is near its subject, whose own events name it.
        """
        if place.parent is None:
            # Nobody tells of the tenant; a sweep of everything has its own time.
            return False
        if not place.blocks and self._watches(place):
            return True
        rails = self.policy.guardrails
        return any(place.contains(scope) and rails.covers(scope) for scope in self._scopes())

    def _scopes(self) -> Iterator[ResourceId]:
        """Yield the scopes that policy names, be it in a map."""
        for grant in self._grants():
            for scope in with_entries(grant.scope, self.policy.maps):
                if "{" not in scope:
                    with contextlib.suppress(ResourceIdError):
                        yield ResourceId.parse(scope)

    def _grants(self) -> Iterator[Grant]:
        for rule in self.policy.rules:
            if rule.system:
                yield from rule.system.grants
        for identity in self.policy.identities.values():
            yield from identity.grants

    def _watches(self, place: ResourceId) -> bool:
        watched = self.subscriptions
        return watched is None or any(subscription.contains(place) for subscription in watched)

    def _own(self, event: Event) -> bool:
        """Tell whether we made the write; a forged `appid` hides nothing but itself."""
        claims = _object(event.data.get("claims"))
        client = claims.get("appid")
        return isinstance(client, str) and self.own_client == fold(client)


def decode(body: object) -> Event | None:
    """Read one event in Event Grid schema or CloudEvents 1.0; none where it is neither."""
    if not isinstance(body, Mapping):
        return None
    kind = body.get("eventType") or body.get("type")
    if not isinstance(kind, str):
        return None
    subject = body.get("subject")
    return Event(
        type=kind,
        subject=subject if isinstance(subject, str) else "",
        time=_time(body.get("eventTime") or body.get("time")),
        data=_object(body.get("data")),
    )


def read(text: bytes) -> tuple[Event, ...]:
    """Read the events of a queue message, one or an array of them.

    Raises `MessageError` where there is none: a person sees then, in the poison queue, that
    something else is delivered there.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MessageError(f"the message is not JSON: {error}") from error
    bodies = content if isinstance(content, list) else [content]
    events = tuple(event for body in bodies if (event := decode(body)))
    if len(events) < len(bodies):
        _log.warning(
            "%d of %d events in a message cannot be read", len(bodies) - len(events), len(bodies)
        )
    if not events:
        raise MessageError("the message is no event: it has neither `eventType` nor `type`")
    return events


def _place(event: Event) -> ResourceId | None:
    """Return the id that the event is about: `resourceUri`, else the subject.

    The subject of a POST ends in its action, as in `.../virtualMachines/vm/restart` (facts:
    Resource events).
    """
    for text in (event.data.get("resourceUri"), event.subject, event.subject.rpartition("/")[0]):
        if isinstance(text, str):
            try:
                return ResourceId.parse(text)
            except ResourceIdError:
                continue
    return None


def _may_change_scopes(event: Event) -> bool:
    """Tell a write, a delete and a move from the many actions that leave a scope as it is."""
    return _moves(event) or fold(event.type) != _ACTION


def _moves(event: Event) -> bool:
    """Tell whether resources are moved out of the place, which goes on after it was announced."""
    operation = event.data.get("operationName")
    return isinstance(operation, str) and "/moveresources/" in fold(operation)


def _object(value: object) -> Mapping[str, object]:
    """Return a part that may be an object or, in old schema versions, JSON in a string."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, Mapping) else {}


def _time(text: object) -> datetime | None:
    """Read a time, none where it is not one; without a zone it is UTC, as Azure's own are."""
    try:
        time = datetime.fromisoformat(text) if isinstance(text, str) else None
        return time.replace(tzinfo=time.tzinfo or UTC).astimezone(UTC) if time else None
    except (ValueError, OverflowError):
        return None
