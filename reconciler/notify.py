"""Outcome events: tells subscribers of a custom Event Grid topic what a reconcile came to.

`reconciler.app` calls it after each answer where RECONCILER_TOPIC_ENDPOINT is set; the fields are
in docs/outcomes.md. The events have Event Grid's own schema: a topic takes it unless it was created
otherwise, and only out of it can Event Grid deliver either schema (facts: Functions). The
publisher, too, cannot be told its timeouts beside a CloudEvent without a warning in the log
(tried).
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

from azure.core.credentials import AccessToken, TokenCredential
from azure.core.exceptions import AzureError, ResourceNotFoundError

from reconciler.azure import failures
from reconciler.azure.parsing import Json
from reconciler.changes import CONTENDED, NOT_WATCHED, Hold, Plan, Result, Status
from reconciler.ids import ResourceId
from reconciler.model import Mode
from reconciler.render import json

_log = logging.getLogger(__name__)

DATA_VERSION: Final = "1"
# By code or status. A missing right is answered with 401, a closed network with 403 (facts:
# Functions).
_ADVICE: Final[dict[str | int, str]] = {
    failures.SIGN_IN: "the app needs the role EventGrid Data Sender on the topic",
    400: "the input schema of the topic must be Event Grid's, which is the default",
    403: "let the app through the topic's firewall, or by its private endpoint",
    404: "name a topic that exists in RECONCILER_TOPIC_ENDPOINT",
}
_PASSING: Final = "if this goes on, look at RECONCILER_TOPIC_ENDPOINT and the topic"
# Event Grid's own audience in each cloud (facts: Functions); a topic elsewhere is the public
# cloud's.
_AUDIENCES: Final = ("eventgrid.azure.us", "eventgrid.azure.cn")
_PUBLIC_AUDIENCE: Final = "eventgrid.azure.net"
_CONNECT_SECONDS: Final = 5
_READ_SECONDS: Final = 10


class Kind(StrEnum):
    """The types of outcome events."""

    CHANGED = "IdentityReconciler.Changed"
    BLOCKED = "IdentityReconciler.Blocked"
    CONTENDED = "IdentityReconciler.Contended"
    WOULD_CHANGE = "IdentityReconciler.WouldChange"


@dataclass(frozen=True, slots=True)
class _Audience:
    """A credential for one audience, since the publisher asks for the public cloud's in each."""

    credential: TokenCredential
    scope: str

    def get_token(self, *_: str, **options: Any) -> AccessToken:  # noqa: ANN401 (the SDK's own)
        """Return a token for the audience, whatever is asked for."""
        return self.credential.get_token(self.scope, **options)


@dataclass(frozen=True, slots=True)
class Topic:
    """A custom topic, and who publishes there."""

    endpoint: str
    credential: TokenCredential
    owner: str
    digest: str
    mode: Mode
    now: Callable[[], datetime]

    def tell(self, subject: ResourceId, result: Result) -> None:
        """Publish what a request came to, if that is news to anybody.

        What was done is done: whatever keeps the topic from taking it is logged and forgotten.
        """
        kind = kind_of(result, self.mode)
        if kind is None:
            return
        try:
            self._publish(kind, subject, self._data(result))
        except AzureError as error:
            failure = failures.from_exception("publishing the outcome event", _answered(error))
            advice = _ADVICE.get(failure.code) or _ADVICE.get(failure.status, _PASSING)
            _log.warning("%s: %s; only the event is lost; %s", subject, failure, advice)

    def _publish(self, kind: Kind, subject: ResourceId, data: Json) -> None:
        # Imported only when there is something to tell: it would lengthen every cold start.
        from azure.eventgrid import EventGridEvent, EventGridPublisherClient  # noqa: PLC0415

        event = EventGridEvent(str(subject), kind, data, DATA_VERSION, event_time=self.now())
        credential = _Audience(self.credential, audience(self.endpoint))
        with EventGridPublisherClient(self.endpoint, credential) as client:
            # One attempt: a worker that waits is paid for.
            client.send(
                event,
                retry_total=0,
                connection_timeout=_CONNECT_SECONDS,
                read_timeout=_READ_SECONDS,
            )

    def _data(self, result: Result) -> Json:
        """Return what the event says: our own words, and nothing of the event that led here."""
        return {
            "owner": self.owner,
            "mode": self.mode.value,
            "digest": self.digest,
            "outcomes": [json.outcome(one) for one in result.outcomes],
            "plan": json.look(result.plans[-1]) if result.plans else None,
        }


def audience(endpoint: str) -> str:
    """Return what a token for a topic must be asked for, by the cloud that the topic is in."""
    host = (urlsplit(endpoint).hostname or "").rstrip(".")
    found = (each for each in _AUDIENCES if host.endswith(f".{each}"))
    return f"https://{next(found, _PUBLIC_AUDIENCE)}/.default"


def kind_of(result: Result, mode: Mode) -> Kind | None:
    """Return what a result is news of; none for a look after which nothing was or would be done."""
    # Any id may be asked for, and for a while each is where management groups are not resolved.
    blocked = [
        one for one in result.outcomes if one.status is Status.BLOCKED and one.code != NOT_WATCHED
    ]
    if blocked:
        contended = all(one.code == CONTENDED for one in blocked)
        return Kind.CONTENDED if contended else Kind.BLOCKED
    if any(one.status is Status.DONE for one in result.outcomes):
        return Kind.CHANGED
    finished = result.again_after is None
    if finished and any(_would_change(plan, mode) for plan in result.plans[-1:]):
        return Kind.WOULD_CHANGE
    return None


def _would_change(plan: Plan, mode: Mode) -> bool:
    """Tell whether only audit, by the setting or by policy, keeps a change from being made."""
    by_policy = any(held.hold is Hold.AUDIT for held in plan.withheld)
    return by_policy or (mode is Mode.AUDIT and bool(plan.todo))


def _answered(error: AzureError) -> AzureError:
    """Return the topic's own 404, which the publisher hides behind a text about namespaces."""
    if isinstance(error, ResourceNotFoundError) and isinstance(error.__cause__, AzureError):
        return error.__cause__
    return error
