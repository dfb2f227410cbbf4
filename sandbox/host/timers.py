"""Rings an app's timers when the clock says so, and remembers over a restart when each is due.

`triggers` starts it and calls `ring` in a thread of its own. As documented for the timer trigger, a
timer that was missed while no host ran rings at the start, as past due; one
whose times are less than a minute apart is not watched that closely. A schedule is a six-field
NCRONTAB expression in UTC, of which only what function apps here use is understood: `*`, `*/n`,
numbers, ranges and lists. Anything else is an error rather than a guess.
"""

import itertools
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

from sandbox.host.blobs import Blobs

# Where the real host keeps the same (read in its published source).
CONTAINER = "azure-webjobs-hosts"
_SHORTEST = timedelta(minutes=1)
# The fields in their order, with their lowest and highest values (documented: NCRONTAB).
_FIELDS = (
    ("second", 0, 59),
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day", 1, 31),
    ("month", 1, 12),
    ("day of week", 0, 6),
)
# Four years and a day see every date there is, 29 February included.
_HORIZON = 4 * 366


def now() -> datetime:
    """Return the time of the real clock, in UTC."""
    return datetime.now(UTC)


def information(*, late: bool) -> dict[str, Any]:
    """Return what a timer's function is given."""
    return {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": {}, "IsPastDue": late}


@dataclass(frozen=True)
class Schedule:
    """The allowed values of the six fields; a moment fits when all of them fit."""

    fields: tuple[frozenset[int], ...]

    def after(self, moment: datetime) -> datetime:
        """Return the first moment later than `moment`; raises `ValueError` where there is none."""
        moment = moment.astimezone(UTC)
        seconds, minutes, hours, days, months, weekdays = map(sorted, self.fields)
        for offset in range(_HORIZON):
            day = moment.date() + timedelta(days=offset)
            # A week starts with Sunday as 0 here, with Monday as 1 in ISO.
            fits = day.day in days and day.isoweekday() % 7 in weekdays
            if not fits or day.month not in months:
                continue
            for hour, minute, second in itertools.product(hours, minutes, seconds):
                candidate = datetime.combine(day, time(hour, minute, second), UTC)
                if candidate > moment:
                    return candidate
        raise ValueError("the schedule never fires")


def parse(expression: str) -> Schedule:
    """Read an expression such as `0 */15 * * * *`; raises `ValueError`, which says where."""
    parts = expression.split()
    if len(parts) != len(_FIELDS):
        raise ValueError(f"schedule {expression!r} has {len(parts)} fields instead of six")
    fields = (_field(part, *field) for part, field in zip(parts, _FIELDS, strict=True))
    return Schedule(tuple(fields))


def _field(text: str, name: str, low: int, high: int) -> frozenset[int]:
    values: set[int] = set()
    for part in text.split(","):
        if match := re.fullmatch(r"\*(?:/([1-9]\d*))?", part):
            values.update(range(low, high + 1, int(match[1] or 1)))
        elif match := re.fullmatch(r"(\d+)(?:-(\d+))?", part):
            values.update(range(int(match[1]), int(match[2] or match[1]) + 1))
        else:
            raise ValueError(f"{name} {part!r} is not a form that this host understands")
    if not values or min(values) < low or max(values) > high:
        raise ValueError(f"{name} {text!r} is not within {low} to {high}")
    return frozenset(values)


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

        Raises `BlobError` where what is remembered cannot be read.
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
        content = self.blobs.read(CONTAINER, f"timers/{self.app}/{timer.name}/status")
        if content is None:
            return False
        status = json.loads(content)
        last, following = map(datetime.fromisoformat, (status["Last"], status["Next"]))
        # With another schedule than was remembered, nothing was missed.
        return following < now and following == timer.schedule.after(last)

    def _remember(self, timer: Timer, last: datetime, following: datetime) -> None:
        status = {"Last": last.isoformat(), "Next": following.isoformat()}
        name = f"timers/{self.app}/{timer.name}/status"
        self.blobs.write(CONTAINER, name, json.dumps(status).encode())
