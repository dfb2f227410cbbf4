"""The one clock of the local Azure and of whoever is tested against it.

A clock that stands still is turned by `forward`, by ``sandbox.transport`` whenever a client sleeps,
and by the control routes. One with a speed goes by the wall.
"""

import datetime as dt
import threading
import time
from collections.abc import Callable

START = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
"""When a clock begins by default, so that runs repeat."""

FASTEST = 86400  # The most seconds that may pass in one, a day: the calendar has an end.


class Clock:
    """Gives the time in UTC when called; safe to share between threads."""

    def __init__(
        self,
        start: dt.datetime = START,
        *,
        speed: float = 0.0,
        wall: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin at a time in UTC, of which so many seconds pass in one of the wall."""
        self._wall = wall
        self._lock = threading.Lock()
        self._speed = speed
        self._moment, self._since = start, wall()

    def __call__(self) -> dt.datetime:
        """Return the time."""
        if not self._speed:
            return self._moment
        with self._lock:
            passed = (self._wall() - self._since) * self._speed
            return self._moment + dt.timedelta(seconds=passed)

    @property
    def moment(self) -> dt.datetime:
        """The time, which may be set."""
        return self()

    @moment.setter
    def moment(self, moment: dt.datetime) -> None:
        with self._lock:
            self._moment, self._since = moment, self._wall()

    @property
    def speed(self) -> float:
        """Seconds that pass in a second of the wall, which may be set; 0 stands still."""
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        self.moment = self()
        self._speed = speed

    def forward(self, seconds: float) -> None:
        """Let time pass at once."""
        with self._lock:
            self._moment += dt.timedelta(seconds=seconds)


def wall_clock(speed: float = 1.0) -> Clock:
    """Return a clock that begins now and goes by the wall, or faster."""
    return Clock(dt.datetime.now(dt.UTC), speed=speed)
