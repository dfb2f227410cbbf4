"""Rings an app's timers when the clock says so, and remembers over a restart when each is due.

`triggers` starts it and calls `ring` in a thread of its own. As documented for the timer trigger, a
timer that was missed while no host ran rings at the start, and is told that it is past due; one
whose times are less than a minute apart is not watched that closely.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.host.blobs import Blobs
from sandbox.host.schedule import Schedule

# Where the real host keeps the same (read in its published source).
CONTAINER = "azure-webjobs-hosts"
_SHORTEST = timedelta(minutes=1)


def now() -> datetime:
    """Read the real clock, in UTC."""
    return datetime.now(UTC)


@dataclass
class Timer:
    """One function's timer."""

    name: str
    schedule: Schedule
    on_start: bool = False
    watched: bool = True
    due: datetime | None = None
    late: bool = False


@dataclass
class Timers:
    """The timers of the app that is called `app`; `fire` runs one."""

    app: str
    timers: tuple[Timer, ...]
    blobs: Blobs
    clock: Callable[[], datetime]
    fire: Callable[[str, Mapping[str, Any]], None]

    def start(self) -> None:
        """Find out when each is due first: at once, if it was missed or asks for it.

        Raises:
            BlobError: what is remembered cannot be read.
        """
        now = self.clock()
        for timer in self.timers:
            following = timer.schedule.after(now)
            timer.watched &= timer.schedule.after(following) - following >= _SHORTEST
            timer.late = timer.watched and self._missed(timer, now)
            timer.due = now if timer.late or timer.on_start else following
            if timer.watched and not timer.late:
                self._remember(timer, now, following)

    def ring(self) -> None:
        """Run what is due, each once however often it was due meanwhile."""
        for timer in self.timers:
            if timer.due and self.clock() >= timer.due:
                late, timer.late = timer.late, False
                now = self.clock()
                timer.due = timer.schedule.after(now)
                self.fire(timer.name, information(late=late))
                # In this order a store that does not answer costs no ring.
                if timer.watched:
                    self._remember(timer, now, timer.due)

    def _missed(self, timer: Timer, now: datetime) -> bool:
        content = self.blobs.read(CONTAINER, self._place(timer))
        if content is None:
            return False
        status = json.loads(content)
        last, following = map(datetime.fromisoformat, (status["Last"], status["Next"]))
        # With another schedule than was remembered, nothing was missed.
        return following < now and following == timer.schedule.after(last)

    def _remember(self, timer: Timer, last: datetime, following: datetime) -> None:
        status = {"Last": last.isoformat(), "Next": following.isoformat()}
        self.blobs.write(CONTAINER, self._place(timer), json.dumps(status).encode())

    def _place(self, timer: Timer) -> str:
        return f"timers/{self.app}/{timer.name}/status"


def information(*, late: bool) -> dict[str, Any]:
    """Return what a timer's function is told."""
    return {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": {}, "IsPastDue": late}
