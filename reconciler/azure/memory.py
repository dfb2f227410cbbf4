"""What one process remembers of Azure, and for how long; losing it costs calls and no more.

`reconciler.app` makes these once and asks them for every request: `Watched` for the subscriptions
in which it may act, `OwnPlaces` for the places that no grant of it may reach. `Remembered` holds
anything else that a later look may use again.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import Final

from reconciler.azure.client import Arm
from reconciler.azure.graph import Inventory
from reconciler.errors import Again, ArmError, Blocked, NotFound
from reconciler.ids import ResourceId
from reconciler.plan import Home
from reconciler.plan.context import STORAGE_ACCOUNT
from reconciler.policy.model import Guardrails
from reconciler.settings import Settings

_log = logging.getLogger(__name__)

REFRESH: Final = timedelta(hours=1)
"""How long management groups and the app's own places count as they were read."""
RETRY: Final = timedelta(minutes=5)
"""When a refresh that failed is tried again."""
PAUSE: Final = timedelta(seconds=5)
"""How long a failure counts for all that ask, so that they do not each wait for a call to fail."""
_ENTRIES: Final = 10_000
_SETTING: Final = "RECONCILER_MANAGEMENT_GROUPS"


@dataclass(slots=True)
class Remembered[K, V]:
    """Values by key, each with the time at which it was learned; safe to share between threads."""

    lasts: timedelta
    _entries: OrderedDict[K, tuple[datetime, V]] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def get(self, key: K, at: datetime) -> V | None:
        """Return what was learned of a key, none where that is too long ago."""
        with self._lock:
            entry = self._entries.get(key)
        return entry[1] if entry and at - entry[0] < self.lasts else None

    def age(self, key: K, at: datetime) -> timedelta | None:
        """Return how long ago a key was learned, none where that is too long ago."""
        with self._lock:
            entry = self._entries.get(key)
        return at - entry[0] if entry and at - entry[0] < self.lasts else None

    def put(self, key: K, value: V, at: datetime) -> None:
        """Remember a value; the oldest makes room."""
        with self._lock:
            self._entries[key] = at, value
            self._entries.move_to_end(key)
            while len(self._entries) > _ENTRIES:
                self._entries.popitem(last=False)


@dataclass(frozen=True, slots=True)
class _Resolution:
    """Which subscriptions are watched, or why none are, and when to ask again."""

    subscriptions: tuple[ResourceId, ...]
    due: datetime
    failure: ArmError | None = None


@dataclass(slots=True)
class Watched:
    """The watched subscriptions: those that settings name, and those of their management groups.

    Groups are resolved when that is first needed, and again every hour; until the next resolution
    a subscription that left a group is still watched. They are known completely or not at all.
    Safe to share between threads.
    """

    named: tuple[ResourceId, ...]
    groups: tuple[ResourceId, ...]
    arm: Arm
    now: Callable[[], datetime]
    # Replaced as one, so that events can be sorted out while another thread waits for Azure.
    _resolution: _Resolution | None = None
    _lock: Lock = field(default_factory=Lock)

    @property
    def known(self) -> tuple[ResourceId, ...] | None:
        """All of them, or none where a call would have to be made."""
        if not self.groups:
            return self.named
        resolution = self._resolution
        if resolution is None or self.now() >= resolution.due:
            return None
        return resolution.subscriptions or None

    @property
    def subscriptions(self) -> tuple[ResourceId, ...]:
        """All of them; raises `ArmError` where a group cannot be resolved."""
        known = self.known
        if known is not None:
            return known
        with self._lock:
            # Another thread may have asked while this one waited.
            resolution = self._resolution
            if resolution is None or self.now() >= resolution.due:
                resolution = self._resolution = self._resolve(resolution)
        if resolution.failure:
            raise resolution.failure.with_traceback(None)
        return resolution.subscriptions

    def contains(self, place: ResourceId) -> bool:
        """Return whether a place lies in a watched subscription; raises `ArmError`."""
        return any(subscription.contains(place) for subscription in self.subscriptions)

    def _resolve(self, last: _Resolution | None) -> _Resolution:
        """Read all groups; what was known stays where one cannot be read."""
        try:
            below = {group: self._below(group) for group in self.groups}
        except ArmError as error:
            if last is None or last.failure:
                return _Resolution((), self.now() + PAUSE, error)
            _log.warning("%s; what was watched stays watched, next try in %s", error, RETRY)
            return _Resolution(last.subscriptions, self.now() + RETRY)
        subscriptions = dict.fromkeys(self.named)
        for group, held in below.items():
            if not held:
                failure = Blocked(
                    f"{_SETTING}: the management group {group.name} does not exist or holds no "
                    "subscription; name another, or take it out of the setting",
                    code="EmptyManagementGroup",
                )
                return _Resolution((), self.now() + PAUSE, failure)
            subscriptions |= dict.fromkeys(held)
        return _Resolution(tuple(subscriptions), self.now() + REFRESH)

    def _below(self, group: ResourceId) -> tuple[ResourceId, ...]:
        """Return the subscriptions of a group, none of one that is not there; errors name it."""
        what = f"{_SETTING}: the management group {group.name} cannot be read"
        try:
            return self.arm.subscriptions_below(group)
        except NotFound:
            return ()
        except Again as error:
            error.about(what)
            raise
        except ArmError as error:
            raise Blocked(
                f"{what}: {error}",
                status=error.status,
                code=error.code,
                request_id=error.request_id,
            ) from error


@dataclass(slots=True)
class OwnPlaces:
    """Where this app itself lives: its group, identity and storage account, and what holds them.

    The storage account is sought by name in Resource Graph, and the management groups above are
    read there, once an hour; neither is asked for where settings and guardrails do not need it.
    """

    settings: Settings
    guardrails: Guardrails
    arm: Arm
    now: Callable[[], datetime]
    _read: tuple[datetime, Home] | None = None
    _lock: Lock = field(default_factory=Lock)

    def home(self, identity: ResourceId | None) -> Home:
        """Return the app's places, with the identity that signs in; raises `ArmError`."""
        with self._lock:
            now = self.now()
            if self._read and now - self._read[0] < REFRESH:
                return self._read[1]
            inventory, account = Inventory(self.arm, ()), self.settings.storage_account
            accounts = inventory.find(STORAGE_ACCOUNT, account) if account else ()
            places = (*self.settings.home, *((identity,) if identity else ()), *accounts)
            # Management groups matter only where guardrails allow grants outside subscriptions, and
            # count as not known where those above one of the places are not.
            ancestors: frozenset[str] | None = None
            subscriptions = {place.subscription for place in places if place.subscription}
            wide = any(not grant.scope.subscription for grant in self.guardrails.grants)
            if wide and subscriptions:
                chains = inventory.ancestors(subscriptions)
                if all(chains.get(subscription) for subscription in subscriptions):
                    ancestors = frozenset().union(*map(chains.__getitem__, subscriptions))
            home = Home(places, ancestors, account if account and not accounts else None)
            self._read = now, home
            return home
