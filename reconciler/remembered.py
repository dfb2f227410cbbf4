"""A bounded memory of one process: what it costs a call to know, and losing it costs no more."""

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import Final

_ENTRIES: Final = 10_000


@dataclass(slots=True)
class Remembered[K, V]:
    """Values by key, each with the time at which it was learned; safe to share between threads."""

    lasts: timedelta
    _known: OrderedDict[K, tuple[datetime, V]] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def get(self, key: K, at: datetime) -> V | None:
        """Return what was learned of a key, none where that is too long ago."""
        with self._lock:
            known = self._known.get(key)
        return known[1] if known and at - known[0] < self.lasts else None

    def age(self, key: K, at: datetime) -> timedelta | None:
        """Return how long ago a key was learned, none where that is too long ago."""
        with self._lock:
            known = self._known.get(key)
        return at - known[0] if known and at - known[0] < self.lasts else None

    def put(self, key: K, value: V, at: datetime) -> None:
        """Remember a value; the oldest makes room."""
        with self._lock:
            self._known[key] = at, value
            self._known.move_to_end(key)
            while len(self._known) > _ENTRIES:
                self._known.popitem(last=False)
