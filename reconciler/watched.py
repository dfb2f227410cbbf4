"""The subscriptions that are watched: those that settings name, and those of management groups.

`reconciler.app` asks before anything is done. Groups are resolved when that is first needed, and
again every hour; until the next resolution a subscription that left a group is still watched.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import Final

from reconciler.arm import Arm
from reconciler.errors import Again, ArmError, Blocked, NotFound
from reconciler.ids import ResourceId

_log = logging.getLogger(__name__)

REFRESH: Final = timedelta(hours=1)
RETRY: Final = timedelta(minutes=5)
"""When a refresh that failed is tried again."""

_SETTING: Final = "RECONCILER_MANAGEMENT_GROUPS"


@dataclass(slots=True)
class Watched:
    """What is watched, complete or not at all; safe to share between threads."""

    named: tuple[ResourceId, ...]
    groups: tuple[ResourceId, ...]
    arm: Arm
    now: Callable[[], datetime]
    _known: tuple[ResourceId, ...] = ()
    _due: datetime | None = None
    _lock: Lock = field(default_factory=Lock)

    @property
    def subscriptions(self) -> tuple[ResourceId, ...]:
        """Return all of them; raises `ArmError` where a group cannot be resolved."""
        if not self.groups:
            return self.named
        with self._lock:
            if self._due is None or self.now() >= self._due:
                self._resolve()
            return self._known

    @property
    def known(self) -> tuple[ResourceId, ...] | None:
        """Return all of them without a call; none where only a call could tell."""
        if not self.groups:
            return self.named
        with self._lock:
            return self._known if self._due and self.now() < self._due else None

    def contains(self, place: ResourceId) -> bool:
        """Tell whether a place lies in a watched subscription; raises `ArmError`."""
        return any(subscription.contains(place) for subscription in self.subscriptions)

    def _resolve(self) -> None:
        """Read all groups; what was known stays where one cannot be read."""
        try:
            held = {group: self._held(group) for group in self.groups}
        except ArmError as error:
            if not self._known:
                raise
            _log.warning("%s; what was known of the groups stays watched until then", error)
            self._due = self.now() + RETRY
            return
        self._known, self._due = (), None
        for group, subscriptions in held.items():
            if not subscriptions:
                raise Blocked(
                    f"{_SETTING}: the management group {group.name} does not exist or holds no "
                    "subscription; name another, or take it out of the setting",
                    code="EmptyManagementGroup",
                )
        found = dict.fromkeys([*self.named, *(one for each in held.values() for one in each)])
        self._known, self._due = tuple(found), self.now() + REFRESH

    def _held(self, group: ResourceId) -> tuple[ResourceId, ...]:
        """Return the subscriptions of a group; none of one that is not there."""
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
