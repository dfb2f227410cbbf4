"""From event to requests: a pure function of event, policy and watched subscriptions.

`function_app` decodes what Event Grid delivers, in its own schema or as a CloudEvent, and enqueues
the requests of `EventRouter`. The event is a hint that something changed at an id; nothing in it is
trusted, and no event raises, be it malformed or forged.
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
)
from reconciler.policy import Policy
from reconciler.policy.templates import with_entries
from reconciler.resource_types import is_reconciled

_log = logging.getLogger(__name__)

_WRITE: Final = "microsoft.resources.resourcewritesuccess"
_DELETE: Final = "microsoft.resources.resourcedeletesuccess"
_ACTION: Final = "microsoft.resources.resourceactionsuccess"
_SUCCESS: Final = frozenset({_WRITE, _DELETE, _ACTION})
_FAILURE: Final = frozenset(
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

    @property
    def changed(self) -> ResourceId | None:
        """The id that the event is about: `resourceUri`, else the subject.

        The subject of a POST ends in its action, as in `.../virtualMachines/vm/restart` (facts:
        Resource events).
        """
        for text in (self.data.get("resourceUri"), self.subject, self.subject.rpartition("/")[0]):
            if isinstance(text, str):
                with contextlib.suppress(ResourceIdError):
                    return ResourceId.parse(text)
        return None


@dataclass(frozen=True, slots=True)
class EventRouter:
    """Turns an event into requests by this table.

    An assignment, a lock and a failure lead to their own row alone; the other rows add up.

        event                     about                                           requests
        ------------------------  ----------------------------------------------  -----------------
        success                   a resource of a type in some rule, or its child  that resource
        success                   a user-assigned identity that policy may name    that identity
        success                   an assignment at a scope where policy can grant  that assignment
        write, delete, move       a group or a subscription that is watched        that scope
        write, delete, move       what is or contains a grant's scope              its group
        delete                    a lock                                           the locked scope
        failure of our own write  a resource or user-assigned identity             that id
        success of our own write  anything                                         nothing

    `subscriptions` are those watched, none while they are not known. Then every id passes, and
    `App.handle` refuses what is not watched. `own_client` is the `appid` in the events of our own
    writes. A deleted id is requested `settle` later: if it is rebuilt meanwhile, the look at the
    rebuilt one covers that request.
    """

    policy: Policy
    subscriptions: tuple[ResourceId, ...] | None
    own_client: str | None = None
    settle: timedelta = timedelta()

    def requests(self, event: Event, now: datetime) -> tuple[Request, ...]:
        """Return the requests that an event leads to; `now` bounds the event's time."""
        event_type = fold(event.type)
        client = _object(event.data.get("claims")).get("appid")
        own = isinstance(client, str) and self.own_client == fold(client)
        # A success of our own write is covered by the look that followed the write. Where an
        # operation fails after Azure's answer, only the event shows it. A forged `appid` hides only
        # its own event.
        relevant = event_type in (_FAILURE if own else _SUCCESS)
        changed = event.changed if relevant else None
        if changed is None:
            return ()
        operation = event.data.get("operationName")
        moves = isinstance(operation, str) and "/moveresources/" in fold(operation)
        since = min(max(event.time or now, now - _OLDEST), now)
        requests: list[Request] = []
        for requested in dict.fromkeys(self._requested_ids(changed, event_type, moves=moves)):
            if not is_reconciled(requested):
                # A move is announced when it begins, so MOVED has its scope swept once more later.
                moved = (Sighting(since, Sight.MOVED),) if moves else ()
                requests.append(Request(requested, since=since, sightings=moved))
            elif requested == changed and event_type == _DELETE:
                requests.append(Request(requested, since=since + self.settle))
            else:
                # A written resource is there, and so is the parent of a written child.
                requests.append(Request(requested, since=since, expected=event_type == _WRITE))
        return tuple(requests)

    def _requested_ids(
        self, changed: ResourceId, event_type: str, *, moves: bool
    ) -> Iterator[ResourceId]:
        rails, watched = self.policy.guardrails, self._watches(changed)
        if event_type in _FAILURE:
            if watched and is_reconciled(changed):
                yield changed
        elif changed.is_type(ROLE_ASSIGNMENT):
            if rails.covers(changed.scope):
                yield changed
        elif changed.is_type(_LOCK) and event_type == _DELETE:
            # Changes that the lock held back may go on. A lock at the tenant is ignored: no event
            # leads to a sweep of everything.
            locked = changed.scope
            if locked.parent and (self._watches(locked) or rails.covers(locked)):
                yield locked.group_id or locked.subscription_id or locked
        else:
            # Of the many actions, only moves change what lies in a scope. A request for a machine's
            # or identity's own id would reconcile that one, so its group is requested and swept.
            if (moves or event_type != _ACTION) and self._is_scope(changed):
                yield changed.group_id or changed
            if watched:
                yield from self._governed(changed)

    def _governed(self, changed: ResourceId) -> Iterator[ResourceId]:
        """Yield the changed identity if policy may name it, or each resource of a rule's type.

        The changed resource is tried, and then each of its parents.
        """
        if changed.is_type(USER_ASSIGNED_IDENTITY):
            if any(entry.id.may_be(changed) for entry in self.policy.identities.values()):
                yield changed
            return
        types = {fold(name) for rule in self.policy.rules for name in rule.match.type}
        resource: ResourceId | None = changed
        while resource is not None and resource.blocks:
            if fold(resource.type) in types:
                yield resource
            resource = resource.parent

    def _is_scope(self, changed: ResourceId) -> bool:
        """Return whether policy may grant rights at or in an id, which its change may have removed.

        Any watched group or subscription counts as one.
        """
        if changed.parent is None:
            # Tenant-level scopes have no events; the timer sweep covers them.
            return False
        if not changed.blocks and self._watches(changed):
            return True
        policy = self.policy
        of_rules = [grant for rule in policy.rules if rule.system for grant in rule.system.grants]
        of_identities = [grant for entry in policy.identities.values() for grant in entry.grants]
        for grant in (*of_rules, *of_identities):
            for text in with_entries(grant.scope, policy.maps):
                # A scope with a placeholder is near its subject, whose own events lead to it.
                if "{" not in text:
                    with contextlib.suppress(ResourceIdError):
                        scope = ResourceId.parse(text)
                        if changed.contains(scope) and policy.guardrails.covers(scope):
                            return True
        return False

    def _watches(self, subject: ResourceId) -> bool:
        watched = self.subscriptions
        return watched is None or any(subscription.contains(subject) for subscription in watched)


def decode(body: object) -> Event | None:
    """Return one event in Event Grid schema or CloudEvents 1.0; none where it is neither."""
    if not isinstance(body, Mapping):
        return None
    event_type = body.get("eventType") or body.get("type")
    if not isinstance(event_type, str):
        return None
    subject, text = body.get("subject"), body.get("eventTime") or body.get("time")
    try:
        parsed = datetime.fromisoformat(text) if isinstance(text, str) else None
        # A time without a zone is UTC, as Azure's own times are.
        time = parsed and parsed.replace(tzinfo=parsed.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        time = None
    return Event(
        type=event_type,
        subject=subject if isinstance(subject, str) else "",
        time=time,
        data=_object(body.get("data")),
    )


def decode_message(text: bytes) -> tuple[Event, ...]:
    """Return the events of a queue message, which holds one or an array of them.

    Raises `MessageError` where it holds none. Such a message ends in the poison queue, where a
    person sees that something else than events is delivered.
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


def _object(value: object) -> Mapping[str, object]:
    """Return a part of an event as an object; old schema versions have it as JSON in a string."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, Mapping) else {}
