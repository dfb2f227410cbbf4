"""When a timer fires: six-field NCRONTAB expressions, read and evaluated in UTC.

`triggers` asks. Only what function apps here use is understood: `*`, `*/n`, numbers, ranges and
lists. Anything else is an error rather than a guess.
"""

import itertools
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

# The fields in their order, with their lowest and highest values (documented: NCRONTAB).
FIELDS = (
    ("second", 0, 59),
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day", 1, 31),
    ("month", 1, 12),
    ("day of week", 0, 6),
)
# Four years and a day see every date there is, 29 February included.
HORIZON = 4 * 366

type Values = frozenset[int]


@dataclass(frozen=True)
class Schedule:
    """The allowed values of each field; a moment fits when all of them fit."""

    seconds: Values
    minutes: Values
    hours: Values
    days: Values
    months: Values
    weekdays: Values

    def after(self, moment: datetime) -> datetime:
        """Return the first moment of the schedule that is later than `moment`.

        Raises:
            ValueError: there is none, such as on 31 February.
        """
        moment = moment.astimezone(UTC)
        for offset in range(HORIZON):
            day = moment.date() + timedelta(days=offset)
            if not self._includes(day):
                continue
            clock = (sorted(self.hours), sorted(self.minutes), sorted(self.seconds))
            for hour, minute, second in itertools.product(*clock):
                found = datetime.combine(day, time(hour, minute, second), UTC)
                if found > moment:
                    return found
        raise ValueError("the schedule never fires")

    def _includes(self, day: date) -> bool:
        # A week starts with Sunday as 0 here, with Monday as 1 in ISO.
        weekday = day.isoweekday() % 7
        return day.month in self.months and day.day in self.days and weekday in self.weekdays


def parse(expression: str) -> Schedule:
    """Read an expression such as `0 */15 * * * *`.

    Raises:
        ValueError: it is not one of six fields in the understood syntax; the text says where.
    """
    parts = expression.split()
    if len(parts) != len(FIELDS):
        raise ValueError(f"schedule {expression!r} has {len(parts)} fields instead of six")
    return Schedule(*(_field(part, *field) for part, field in zip(parts, FIELDS, strict=True)))


def _field(text: str, name: str, low: int, high: int) -> Values:
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
