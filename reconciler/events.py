"""From event to requests: a pure function of event, policy and watched subscriptions.

The event is a hint that something changed at an id; nothing in it is trusted, and no event, be it
malformed or forged, may raise. Both Event Grid schema and CloudEvents come here as an `Event`.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from reconciler.errors import MessageError, ResourceIdError
from reconciler.ids import ResourceId, fold
from reconciler.model import MOVED, ROLE_ASSIGNMENT, USER_ASSIGNED_IDENTITY, Request
from reconciler.policy.language import Grant, Policy
from reconciler.policy.language.templates import with_entries

_SUCCESS: Final = frozenset(
    f"microsoft.resources.resource{what}success" for what in ("write", "delete", "action")
)
_ACTION: Final = "microsoft.resources.resourceactionsuccess"


@dataclass(frozen=True, slots=True)
class Event:
    """What both schemas have in common; `data` is what the publisher sent, of any shape."""

    type: str
    subject: str
    time: datetime | None = None
    data: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True)
class Watch:
    """Which places concern us, and the `appid` under which our own writes are announced.

    Where `subscriptions` is none, nobody knows yet what is watched, and everything passes: whoever
    answers a request asks again.
    """

    policy: Policy
    subscriptions: tuple[ResourceId, ...] | None
    own_client: str | None = None

    def requests(self, event: Event) -> tuple[Request, ...]:
        """Return what should be looked at because of an event; nothing for what is not ours."""
        if fold(event.type) not in _SUCCESS:
            return ()
        place = _place(event)
        if place is None:
            return ()
        named = dict.fromkeys(self._named(place, event))
        since = _aware(event.time)
        seen = (MOVED,) if _moves(event) else ()
        return tuple(Request(one, since=since, seen=seen) for one in named)

    def _named(self, place: ResourceId, event: Event) -> Iterator[ResourceId]:
        if place.is_type(ROLE_ASSIGNMENT):
            if self.policy.guardrails.covers(place.scope) and not self._own(event):
                yield place
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


def read(text: bytes) -> Event:
    """Read an event as Event Grid puts it into a queue; raises `MessageError` where it is none.

    A person sees then, in the poison queue, that something else is delivered there.
    """
    try:
        event = decode(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise MessageError(f"the message is not JSON: {error}") from error
    if event is None:
        raise MessageError("the message is no event: it has neither `eventType` nor `type`")
    return event


def _place(event: Event) -> ResourceId | None:
    """Return the id that the event is about: `resourceUri`, else the subject.

    The subject of a POST ends in its action, as in `.../virtualMachines/vm/restart` (facts A1).
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
    try:
        time = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return _aware(time)


def _aware(time: datetime | None) -> datetime | None:
    """Take a time without zone for UTC; the trigger's own decoder hands such times over."""
    return time.replace(tzinfo=time.tzinfo or UTC) if time else None
