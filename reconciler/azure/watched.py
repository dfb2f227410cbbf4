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

from reconciler.azure.client import Arm
from reconciler.errors import Again, ArmError, Blocked, NotFound
from reconciler.ids import ResourceId

_log = logging.getLogger(__name__)

REFRESH: Final = timedelta(hours=1)
RETRY: Final = timedelta(minutes=5)
"""When a refresh that failed is tried again."""

PAUSE: Final = timedelta(seconds=5)
"""Requests that wait for each other's call must not each make one that fails: that adds up."""

_SETTING: Final = "RECONCILER_MANAGEMENT_GROUPS"


@dataclass(frozen=True, slots=True)
class _Answer:
    """What is watched, or why nothing is, and when to ask again."""

    subscriptions: tuple[ResourceId, ...]
    due: datetime
    failure: ArmError | None = None


@dataclass(slots=True)
class Watched:
    """What is watched, complete or not at all; safe to share between threads."""

    named: tuple[ResourceId, ...]
    groups: tuple[ResourceId, ...]
    arm: Arm
    now: Callable[[], datetime]
    # Replaced as one, so that events can be sorted out while another thread waits for Azure.
    _answer: _Answer | None = None
    _lock: Lock = field(default_factory=Lock)

    @property
    def known(self) -> tuple[ResourceId, ...] | None:
        """Return all of them at once; none where only a call could tell."""
        if not self.groups:
            return self.named
        answer = self._answer
        if answer is None or self.now() >= answer.due:
            return None
        return answer.subscriptions or None

    @property
    def subscriptions(self) -> tuple[ResourceId, ...]:
        """Return all of them; raises `ArmError` where a group cannot be resolved."""
        known = self.known
        if known is not None:
            return known
        with self._lock:
            # Another thread may have asked while this one waited.
            answer = self._answer
            if answer is None or self.now() >= answer.due:
                answer = self._answer = self._asked(answer)
        if answer.failure:
            raise answer.failure.with_traceback(None)
        return answer.subscriptions

    def contains(self, place: ResourceId) -> bool:
        """Tell whether a place lies in a watched subscription; raises `ArmError`."""
        return any(subscription.contains(place) for subscription in self.subscriptions)

    def _asked(self, last: _Answer | None) -> _Answer:
        """Read all groups; what was known stays where one cannot be read."""
        try:
            held = {group: self._held(group) for group in self.groups}
        except ArmError as error:
            if last is None or last.failure:
                return _Answer((), self.now() + PAUSE, error)
            _log.warning("%s; what was watched stays watched, next try in %s", error, RETRY)
            return _Answer(last.subscriptions, self.now() + RETRY)
        for group, subscriptions in held.items():
            if not subscriptions:
                return _Answer((), self.now() + PAUSE, _empty(group))
        found = dict.fromkeys([*self.named, *(one for each in held.values() for one in each)])
        return _Answer(tuple(found), self.now() + REFRESH)

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


def _empty(group: ResourceId) -> ArmError:
    return Blocked(
        f"{_SETTING}: the management group {group.name} does not exist or holds no subscription; "
        "name another, or take it out of the setting",
        code="EmptyManagementGroup",
    )
