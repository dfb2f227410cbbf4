"""Composes settings, policy and clients once, and answers requests by the kind of their id.

The function app and the command line both stand on `App`; neither knows how it is made.
"""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from azure.core.credentials import TokenCredential
from azure.core.pipeline.transport import HttpTransport
from azure.identity import (
    AzureAuthorityHosts,
    DefaultAzureCredential,
    ManagedIdentityCredential,
)

from reconciler import messages
from reconciler.azure.client import Arm
from reconciler.azure.graph import Inventory
from reconciler.azure.memory import OwnPlaces, Remembered, Watched
from reconciler.azure.throttle import DEFERRED
from reconciler.changes import NOT_WATCHED, Outcome, Result, Status
from reconciler.errors import Again, Blocked, SettingsError
from reconciler.events import Event, EventRouter
from reconciler.ids import ResourceId
from reconciler.marker import Ownership
from reconciler.model import ROLE_ASSIGNMENT, Mode, Request
from reconciler.notify import Topic
from reconciler.observe import MOVES_SERVE, SCOPES_SERVE, Moves, Observer
from reconciler.plan import PlanContext
from reconciler.plan.context import FIRST_DELAY
from reconciler.policy import Policy, load
from reconciler.reconcile.assignment_owner import AssignmentSearch
from reconciler.reconcile.contention import Contention
from reconciler.reconcile.loop import Reconciler
from reconciler.reconcile.recent import RecentRuns
from reconciler.reconcile.retry import EARLY, failed_result
from reconciler.resource_types import is_reconciled
from reconciler.settings import Settings, from_environment
from reconciler.sweep import EVERYTHING, Sweep

_log = logging.getLogger(__name__)

_AUTHORITIES = frozenset(
    {
        AzureAuthorityHosts.AZURE_PUBLIC_CLOUD,
        AzureAuthorityHosts.AZURE_GOVERNMENT,
        AzureAuthorityHosts.AZURE_CHINA,
    }
)

QUEUE = "reconcile-requests"
"""The storage queue that carries requests."""

EVENT_QUEUE = "reconcile-events"
"""The storage queue to which Event Grid delivers where it cannot post to the app."""

utc_now = partial(datetime.now, UTC)
"""The one clock of the deployed app."""


@dataclass
class App:
    """One deployment: its settings and clients, what the process remembers, and its answers.

    `create` makes it. `credential` signs in to Azure as the app; `queue_credential` opens the queue
    as the host's own identity, where that is another. `granted` are the subscriptions in which the
    guardrails allow grants.
    """

    settings: Settings
    policy: Policy
    mode: Mode
    arm: Arm
    credential: TokenCredential
    queue_credential: TokenCredential
    now: Callable[[], datetime]
    topic: Topic | None
    watched: Watched
    own_places: OwnPlaces
    granted: tuple[ResourceId, ...]
    recent: RecentRuns
    contention: Contention
    moves: Remembered[ResourceId, Moves] = field(default_factory=lambda: Remembered(MOVES_SERVE))
    scopes: Remembered[ResourceId, None] = field(default_factory=lambda: Remembered(SCOPES_SERVE))

    def requests(self, event: Event) -> tuple[Request, ...]:
        """Return what should be looked at because of an event; makes no call."""
        # The `appid` of our own writes is a setting, or was read from the token of an earlier call.
        own_client = self.settings.client_id or self.arm.known_client
        router = EventRouter(self.policy, self.watched.known, own_client, self.settings.settle)
        return router.requests(event, self.now())

    def handle(self, request: Request, expect: str = "") -> Result:
        """Return what became of one request; it is put back without a call where it is not yet due.

        With `expect`, nothing is written unless the first plan has that fingerprint. Raises
        `Rejected` where Azure says that a call of ours is wrong.
        """
        now = self.now()
        request = request.bounded(now)
        if request.since and request.since - now > EARLY:
            return Result(again_after=request.since - now, again=request)
        try:
            if refusal := self.refusal(request.id):
                _log.warning("%s", refusal)
                blocked = Outcome(None, Status.BLOCKED, refusal, NOT_WATCHED)
                result = Result(outcomes=(blocked,))
            elif request.id.is_type(ROLE_ASSIGNMENT):
                search = AssignmentSearch(self.reconciler.observer, self.recent, self.now)
                result = search.reconcile(request)
            elif is_reconciled(request.id):
                result = self.reconciler.reconcile(request, expect)
            else:
                result = self._sweep.answer(request)
        except (Again, Blocked) as error:
            result = self._failed(request, error)
        if self.topic:
            self.topic.publish(request.id, result)
        return result

    def sweep(self, *, scheduled: bool = True) -> Result:
        """Return requests for whatever is not as it should be, everywhere.

        Only the schedule's own sweep lets unwanted rights go; what a restart or a person asks for
        could be repeated past the limit of one sweep.
        """
        request = Request(EVERYTHING)
        try:
            result = self._sweep.run(request, removing=scheduled)
        except (Again, Blocked) as error:
            result = self._failed(request, error)
        if self.topic:
            self.topic.publish(request.id, result)
        return result

    def refusal(self, subject: ResourceId) -> str | None:
        """Return why an id is not for us to look at, or none; an id may come from anybody.

        Raises `ArmError` where the watched subscriptions cannot be read.
        """
        if subject == EVERYTHING:
            return None
        watched = self.watched.contains(subject)
        if watched and (is_reconciled(subject) or not subject.blocks):
            return None
        # A scope at or in which policy may grant something is swept wherever it lies: that only
        # reads.
        scope = subject.scope if subject.is_type(ROLE_ASSIGNMENT) else subject
        rails = self.policy.guardrails
        granted = rails.covers(scope) or any(scope.contains(rail.scope) for rail in rails.grants)
        if granted and not is_reconciled(subject):
            return None
        if watched:
            return f"{subject}: resources of type {subject.type} are not supported"
        return (
            f"{subject} lies in no watched subscription; see RECONCILER_SUBSCRIPTIONS and "
            "RECONCILER_MANAGEMENT_GROUPS"
        )

    def defer(self, request: Request, delay: timedelta) -> None:
        """Put a request into the queue, to be seen when the delay is over.

        Raises `SettingsError` where no queue is known, and whatever the queue's library raises.
        """
        try:
            self._send(request, delay)
        except Exception:
            # No request may be answered by a copy that is not there.
            self.recent.copy_lost(request)
            raise

    def _send(self, request: Request, delay: timedelta) -> None:
        # Imported only when something is deferred: it costs a third of a cold start.
        from azure.storage.queue import QueueClient, TextBase64EncodePolicy  # noqa: PLC0415

        connection, service = self.settings.queue_connection, self.settings.queue_service
        encoding = TextBase64EncodePolicy()
        if connection:
            client = QueueClient.from_connection_string(
                connection, QUEUE, message_encode_policy=encoding
            )
        elif service:
            client = QueueClient(
                service, QUEUE, credential=self.queue_credential, message_encode_policy=encoding
            )
        else:
            raise SettingsError("AzureWebJobsStorage is not set, so nothing can be deferred")
        with client:
            client.send_message(
                messages.encode(request), visibility_timeout=math.ceil(delay.total_seconds())
            )

    # What is watched may change, so the following are made anew for each request.

    @property
    def context(self) -> PlanContext:
        """The context of every plan; the first use reads who we are from our token."""
        caller = self.arm.caller
        return PlanContext(
            ownership=Ownership(
                self.settings.owner,
                self.settings.makers | {caller.principal},
                self.settings.former_owners,
            ),
            guardrails=self.policy.guardrails,
            digest=self.policy.digest,
            settle=self.settings.settle,
            gone_after=self.settings.gone_after,
            own_identity=caller.identity,
            home=self.own_places.home(caller.identity),
            watched=self.watched.subscriptions,
            exemptions=self.policy.exemptions,
        )

    @property
    def reconciler(self) -> Reconciler:
        """The loop around one resource or identity."""
        context = self.context
        inventory = Inventory(self.arm, context.watched, self.granted)
        return Reconciler(
            Observer(self.arm, inventory, self.policy, context, self.moves, self.scopes),
            self.policy,
            context,
            self.mode,
            self.now,
            self.recent,
            self.contention,
        )

    @property
    def _sweep(self) -> Sweep:
        observer = self.reconciler.observer
        return Sweep(observer.inventory, self.policy, observer.context, self.now, self.recent)

    def _failed(self, request: Request, error: Again | Blocked) -> Result:
        """Return that nothing could be read; the request is asked again where that may pass."""
        # What a bucket puts off is logged once, by its own line.
        level = logging.DEBUG if error.code == DEFERRED else logging.WARNING
        _log.log(level, "%s: %s", request.id, error)
        now = self.now()
        return failed_result(request, error, now, now)


def create(
    settings: Settings | None = None,
    *,
    root: Path | None = None,
    credential: TokenCredential | None = None,
    http: HttpTransport[Any, Any] | None = None,
    now: Callable[[], datetime] = utc_now,
) -> App:
    """Make the app from settings (by default the environment's) and the policy that they name.

    A relative policy folder is looked for under `root`. Raises `SettingsError` and `PolicyError`.
    """
    settings = settings or from_environment()
    policy = load.load((root or Path()) / settings.policies)
    mode = Mode.REPAIR if settings.repair else Mode.AUDIT
    credential = queue_credential = credential or sign_in(settings)
    if settings.queue_client_id is not None:
        queue_credential = ManagedIdentityCredential(client_id=settings.queue_client_id or None)
    arm = Arm(credential, settings.arm_endpoint, now, http)
    topic = None
    if endpoint := settings.topic_endpoint:
        topic = Topic(endpoint, credential, settings.owner, policy.digest, mode, now)
    subscriptions = (rail.scope.subscription_id for rail in policy.guardrails.grants)
    return App(
        settings,
        policy,
        mode,
        arm,
        credential,
        queue_credential,
        now,
        topic,
        watched=Watched(settings.subscriptions, settings.management_groups, arm, now),
        own_places=OwnPlaces(settings, policy.guardrails, arm, now),
        granted=tuple(dict.fromkeys(one for one in subscriptions if one)),
        # No copy answers for longer than a new machine may wait anyway.
        recent=RecentRuns(soon=max(settings.settle, FIRST_DELAY)),
        contention=Contention(now),
    )


def sign_in(settings: Settings) -> DefaultAzureCredential:
    """Return the credential that finds whoever we are: an identity in Azure, a person at a desk.

    Only Microsoft's own authorities are known to its instance discovery, which would ask the public
    cloud about any other.
    """
    host = settings.authority.removeprefix("https://")
    return DefaultAzureCredential(
        managed_identity_client_id=settings.client_id,
        disable_instance_discovery=host not in _AUTHORITIES,
    )
