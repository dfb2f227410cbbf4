"""Outcome events: published to a custom Event Grid topic, with what a request came to.

`reconciler.app` publishes after each request where RECONCILER_TOPIC_ENDPOINT is set; the fields are
in docs/outcomes.md. The events have Event Grid's own schema: a topic takes it unless it was created
otherwise, and only from it can Event Grid deliver either schema (facts: Functions). With
CloudEvents the publisher also writes a warning to the log where it is given timeouts (tried).
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
from reconciler.changes import CONTENDED, NOT_WATCHED, Hold, Result, Status
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
    """A credential for one audience; the publisher asks for the public cloud's in every cloud."""

    credential: TokenCredential
    scope: str

    def get_token(self, *_: str, **options: Any) -> AccessToken:  # noqa: ANN401 (the SDK's own)
        """Return a token for the audience, whatever scopes are given."""
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

    def publish(self, subject: ResourceId, result: Result) -> None:
        """Publish what a request came to, if that is news to anybody.

        What was done is done: whatever keeps the topic from taking the event is logged, and the
        event is lost.
        """
        kind = kind_of(result, self.mode)
        if kind is None:
            return
        # Imported only when there is news: it would lengthen every cold start.
        from azure.eventgrid import EventGridEvent, EventGridPublisherClient  # noqa: PLC0415

        # Our own words, and nothing of the event that led here.
        data = {
            "owner": self.owner,
            "mode": self.mode.value,
            "digest": self.digest,
            "outcomes": [json.outcome(outcome) for outcome in result.outcomes],
            "plan": json.subject_plan(result.plans[-1]) if result.plans else None,
        }
        event = EventGridEvent(str(subject), kind, data, DATA_VERSION, event_time=self.now())
        credential = _Audience(self.credential, audience(self.endpoint))
        try:
            with EventGridPublisherClient(self.endpoint, credential) as client:
                # One attempt: a worker that waits is paid for.
                client.send(
                    event,
                    retry_total=0,
                    connection_timeout=_CONNECT_SECONDS,
                    read_timeout=_READ_SECONDS,
                )
        except AzureError as error:
            # The publisher hides the topic's own 404 behind a text about namespaces.
            cause = error.__cause__ if isinstance(error, ResourceNotFoundError) else None
            answered = cause if isinstance(cause, AzureError) else error
            failure = failures.from_exception("publishing the outcome event", answered)
            advice = _ADVICE.get(failure.code) or _ADVICE.get(failure.status, _PASSING)
            _log.warning("%s: %s; only the event is lost; %s", subject, failure, advice)


def audience(endpoint: str) -> str:
    """Return the scope of a topic's tokens, by the cloud that its endpoint is in."""
    host = (urlsplit(endpoint).hostname or "").rstrip(".")
    audiences = (name for name in _AUDIENCES if host.endswith(f".{name}"))
    return f"https://{next(audiences, _PUBLIC_AUDIENCE)}/.default"


def kind_of(result: Result, mode: Mode) -> Kind | None:
    """Return what a result is news of; none for a look after which nothing was or would be done."""
    # An id that is not watched is no news: any may be asked for, and for a while each is such an id
    # where management groups are not resolved.
    blocked = [
        outcome
        for outcome in result.outcomes
        if outcome.status is Status.BLOCKED and outcome.code != NOT_WATCHED
    ]
    if blocked:
        contended = all(outcome.code == CONTENDED for outcome in blocked)
        return Kind.CONTENDED if contended else Kind.BLOCKED
    if any(outcome.status is Status.DONE for outcome in result.outcomes):
        return Kind.CHANGED
    if result.again_after is None and result.plans:
        # Only audit, by policy or by the setting, keeps a change from being made.
        plan = result.plans[-1]
        by_policy = any(held.hold is Hold.AUDIT for held in plan.withheld)
        if by_policy or (mode is Mode.AUDIT and plan.todo):
            return Kind.WOULD_CHANGE
    return None
