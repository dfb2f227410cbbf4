"""Composes settings, policy and clients once, and answers requests by the kind of their id.

The function app and the command line both stand on `App`; neither knows how it is made.
"""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from azure.core.credentials import TokenCredential
from azure.core.pipeline.transport import HttpTransport
from azure.identity import (
    AzureAuthorityHosts,
    DefaultAzureCredential,
    ManagedIdentityCredential,
)

from reconciler import messages, settings
from reconciler.azure.client import Arm
from reconciler.azure.graph import Inventory
from reconciler.azure.home import OwnPlaces
from reconciler.azure.throttle import DEFERRED
from reconciler.azure.watched import Watched
from reconciler.changes import NOT_WATCHED, Outcome, Result, Status
from reconciler.errors import Again, Blocked, SettingsError
from reconciler.events import Event, EventRouter
from reconciler.ids import ResourceId
from reconciler.marker import Ownership
from reconciler.model import ROLE_ASSIGNMENT, Mode, Request, Sight, is_reconciled
from reconciler.notify import Topic
from reconciler.observe import MOVES_SERVE, SCOPES_SERVE, Moves, Observer
from reconciler.plan import PlanContext
from reconciler.plan.context import FIRST_DELAY
from reconciler.policy import Policy, load
from reconciler.reconcile.assignment_owner import AssignmentSearch
from reconciler.reconcile.loop import Controller
from reconciler.reconcile.recent import Contention, Recent
from reconciler.reconcile.retry import ONCE_MORE, Run, once_more
from reconciler.remembered import Remembered
from reconciler.settings import Settings
from reconciler.sweep import Sweep

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

_EARLY = timedelta(seconds=1)
"""So much earlier than it is due a copy may come."""

_SWEPT_EVERY = timedelta(minutes=1)
"""How often a scope is swept at most; its quota at Resource Graph is everybody's."""

_LEFT_TO_LOOKS = 5
"""Of the 15 queries of each window (documented), how many sweeps leave to looks."""

_LONGEST_TURN = timedelta(seconds=20)
"""How long a sweep of everything waits for its turn at a page; the bucket fills in five seconds."""

EVERYTHING = ResourceId.parse("/")
"""What a request for a sweep of all that is watched names."""


def utc_now() -> datetime:
    """Return the time now; the one clock of the deployed app."""
    return datetime.now(UTC)


@dataclass
class App:
    """One deployment: what it was told, what it may, and how it answers a request."""

    settings: Settings
    policy: Policy
    arm: Arm
    credential: TokenCredential
    now: Callable[[], datetime] = utc_now
    recent: Recent = field(init=False)
    contention: Contention = field(init=False)
    watched: Watched = field(init=False)
    own_places: OwnPlaces = field(init=False)
    moves: Remembered[ResourceId, Moves] = field(
        init=False, default_factory=lambda: Remembered(MOVES_SERVE)
    )
    scopes: Remembered[ResourceId, None] = field(
        init=False, default_factory=lambda: Remembered(SCOPES_SERVE)
    )

    def __post_init__(self) -> None:
        """Share clock and connection with what lasts as long as the process."""
        self.contention = Contention(self.now)
        # No copy answers for longer than a new machine may wait anyway.
        self.recent = Recent(soon=max(self.settings.settle, FIRST_DELAY))
        named, groups = self.settings.subscriptions, self.settings.management_groups
        self.watched = Watched(named, groups, self.arm, self.now)
        self.own_places = OwnPlaces(self.settings, self.policy.guardrails, self.arm, self.now)

    def requests(self, event: Event) -> tuple[Request, ...]:
        """Return what should be looked at because of an event; makes no call."""
        watch = EventRouter(self.policy, self.watched.known, self._own_client, self.settings.settle)
        return watch.requests(event, self.now())

    @property
    def _own_client(self) -> str | None:
        """Return the `appid` of our own writes, as settings or an earlier call told; no call."""
        return self.settings.client_id or self.arm.known_client

    def handle(self, request: Request, expect: str = "") -> Result:
        """Answer one request; raises `Rejected` where Azure says that a call of ours is wrong.

        With `expect`, nothing is written unless the first plan has that fingerprint.
        """
        now = self.now()
        request = messages.bounded(request, now)
        if request.since and request.since - now > _EARLY:
            return Result(again_after=request.since - now, again=request)
        try:
            result = self._answer(request, expect)
        except (Again, Blocked) as error:
            result = self._failed(request, error)
        if self._topic:
            self._topic.tell(request.id, result)
        return result

    def _answer(self, request: Request, expect: str) -> Result:
        refusal = self.refusal(request.id)
        if refusal:
            _log.warning("%s", refusal)
            return Result(outcomes=(Outcome(None, Status.BLOCKED, refusal, NOT_WATCHED),))
        if request.id.is_type(ROLE_ASSIGNMENT):
            return AssignmentSearch(self.controller).reconcile(request)
        if is_reconciled(request.id):
            return self.controller.reconcile(request, expect)
        return self._sweep(request)

    def refusal(self, place: ResourceId) -> str | None:
        """Return why an id is not for us to look at, or none; an id may come from anybody.

        Raises `ArmError` where it cannot be told.
        """
        if place == EVERYTHING:
            return None
        watched = self.watched.contains(place)
        if watched and (is_reconciled(place) or not place.blocks):
            return None
        # What policy may grant something at or in is swept, wherever it lies: that only reads.
        scope = place.scope if place.is_type(ROLE_ASSIGNMENT) else place
        if not is_reconciled(place) and self._has_grants(scope):
            return None
        if watched:
            return f"{place}: resources of type {place.type} are not supported"
        return (
            f"{place} lies in no watched subscription; see RECONCILER_SUBSCRIPTIONS and "
            "RECONCILER_MANAGEMENT_GROUPS"
        )

    def _has_grants(self, scope: ResourceId) -> bool:
        """Tell whether policy may grant anything at or in a scope."""
        rails = self.policy.guardrails
        return rails.covers(scope) or any(scope.contains(rail.scope) for rail in rails.grants)

    def sweep(self, *, scheduled: bool = True) -> Result:
        """Nominate what is not as it should be, everywhere.

        Only the schedule's own sweep lets unwanted rights go; what a restart or a person asks for
        could be repeated past the limit of one sweep.
        """
        result = self._swept(Request(EVERYTHING), removing=scheduled)
        if self._topic:
            self._topic.tell(EVERYTHING, result)
        return result

    def _sweep(self, request: Request) -> Result:
        """Nominate what is about a scope, at most once a minute; after a move once more."""
        now = self.now()
        if self.recent.answers(request, now):
            # Whoever looked a moment ago saw no more of a move than we would.
            return self._after_move(Result(), request, now)
        began = self.recent.began(request.id)
        if began and now - began < _SWEPT_EVERY:
            copy = replace(request, since=began + _SWEPT_EVERY)
            self.recent.copy_due(copy, request)
            return Result(again_after=began + _SWEPT_EVERY - now, again=copy)
        return self._swept(request)

    def _swept(self, request: Request, *, removing: bool = False) -> Result:
        moved = request.sighted(Sight.MOVED) is not None
        now = self.now()
        try:
            # Of many pages none would be the last, if each that is refused began anew.
            patience = _LONGEST_TURN if request.id == EVERYTHING else timedelta()
            inventory = replace(self.inventory, leave=_LEFT_TO_LOOKS, patience=patience)
            sweep = Sweep(inventory, self.policy, self.context, self.now, self.recent.unproved)
            result = sweep.nominate(request.id, removing=removing, everywhere=moved)
        except (Again, Blocked) as error:
            if isinstance(error, Again) and error.retry_after:
                # It begins anew with all its queries, not with the one that was refused.
                error.retry_after = max(error.retry_after, FIRST_DELAY)
            return self._failed(request, error)
        self.recent.done(request, now, leads_on=bool(result.requests))
        return self._after_move(result, request, now)

    def _after_move(self, result: Result, request: Request, now: datetime) -> Result:
        """Return the result, with one more sweep where a move was told less than that ago."""
        moved = request.sighted(Sight.MOVED)
        if moved is None or now - moved >= ONCE_MORE - _EARLY:
            return result
        return once_more(result, request, now, Sight.MOVED)

    def _failed(self, request: Request, error: Again | Blocked) -> Result:
        """Say that nothing could be read; the request is asked again where that may pass."""
        # What a bucket puts off is told once, by its own line.
        level = logging.DEBUG if error.code == DEFERRED else logging.WARNING
        _log.log(level, "%s: %s", request.id, error)
        run = Run(request, self.now())
        run.failed(error)
        return run.result(self.now())

    def later(self, request: Request, delay: timedelta) -> None:
        """Put a request into the queue, to be seen when the delay is over."""
        try:
            self._put(request, delay)
        except Exception:
            self.recent.copy_lost(request)
            raise

    def _put(self, request: Request, delay: timedelta) -> None:
        # Imported only when something is deferred: it costs a third of a cold start.
        from azure.storage.queue import QueueClient, TextBase64EncodePolicy  # noqa: PLC0415

        encoding = TextBase64EncodePolicy()
        connection, service = self.settings.queue_connection, self.settings.queue_service
        if connection:
            client = QueueClient.from_connection_string(
                connection, QUEUE, message_encode_policy=encoding
            )
        elif service:
            client = QueueClient(
                service, QUEUE, credential=self._queue_credential, message_encode_policy=encoding
            )
        else:
            raise SettingsError("AzureWebJobsStorage is not set, so nothing can be deferred")
        with client:
            client.send_message(
                messages.encode(request), visibility_timeout=math.ceil(delay.total_seconds())
            )

    @cached_property
    def _queue_credential(self) -> TokenCredential:
        """Return who opens the queue: the host's own identity, where it is another than ours."""
        client = self.settings.queue_client_id
        if client is None:
            return self.credential
        return ManagedIdentityCredential(client_id=client or None)

    # What is watched may change, so these three are made anew for each request.

    @property
    def context(self) -> PlanContext:
        """Return the context of every plan; the first use reads who we are from our token."""
        ours = self.arm.caller
        return PlanContext(
            ownership=Ownership(
                self.settings.owner,
                self.settings.makers | {ours.principal},
                self.settings.former_owners,
            ),
            guardrails=self.policy.guardrails,
            digest=self.policy.digest,
            settle=self.settings.settle,
            gone_after=self.settings.gone_after,
            own_identity=ours.identity,
            home=self.own_places.home(ours.identity),
            watched=self.watched.subscriptions,
            exemptions=self.policy.exemptions,
        )

    @property
    def inventory(self) -> Inventory:
        """Return Resource Graph over what is watched, and over where rights may be granted."""
        return Inventory(self.arm, self.watched.subscriptions, self._granted)

    @property
    def controller(self) -> Controller:
        """Return the loop around one resource or identity."""
        context = self.context
        return Controller(
            Observer(self.arm, self.inventory, self.policy, context, self.moves, self.scopes),
            self.policy,
            context,
            self._mode,
            self.now,
            self.recent,
            self.contention,
        )

    @property
    def _mode(self) -> Mode:
        return Mode.REPAIR if self.settings.repair else Mode.AUDIT

    @cached_property
    def _granted(self) -> tuple[ResourceId, ...]:
        scopes = (rail.scope.subscription_id for rail in self.policy.guardrails.grants)
        return tuple(dict.fromkeys(scope for scope in scopes if scope))

    @cached_property
    def _topic(self) -> Topic | None:
        """Return where outcomes are told, if anywhere."""
        endpoint, owner = self.settings.topic_endpoint, self.settings.owner
        if not endpoint:
            return None
        return Topic(endpoint, self.credential, owner, self.policy.digest, self._mode, self.now)


def create(
    told: Settings | None = None,
    *,
    root: Path | None = None,
    credential: TokenCredential | None = None,
    http: HttpTransport[Any, Any] | None = None,
    now: Callable[[], datetime] = utc_now,
) -> App:
    """Make the app from settings (by default the environment's) and the policy that they name.

    A relative policy folder is looked for under `root`. Raises `SettingsError` and `PolicyError`.
    """
    told = told or settings.from_environment()
    policy = load.load((root or Path()) / told.policies)
    credential = credential or sign_in(told)
    arm = Arm(credential, told.arm_endpoint, now, http)
    return App(told, policy, arm, credential, now)


def sign_in(told: Settings) -> DefaultAzureCredential:
    """Return the credential that finds whoever we are: an identity in Azure, a person at a desk.

    Only Microsoft's own authorities are known to its instance discovery, which would ask the public
    cloud about any other.
    """
    return DefaultAzureCredential(
        managed_identity_client_id=told.client_id,
        disable_instance_discovery=told.authority.removeprefix("https://") not in _AUTHORITIES,
    )
