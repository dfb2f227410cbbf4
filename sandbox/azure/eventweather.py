"""What may happen to resource events before Event Grid has them; the feed asks for each one."""

import dataclasses
import datetime as dt
import random


@dataclasses.dataclass
class EventWeather:
    """Switches, each the probability of one mishap; all are off at first.

    Event Grid promises at least once and no order (facts B2, documented). That it loses events is
    not documented; whoever watches it must bear it nevertheless.
    """

    random: random.Random
    lost: float = 0.0
    duplicate: float = 0.0
    late: float = 0.0
    late_by: float = 300.0
    """Seconds that a late event is late."""
    reordered: float = 0.0
    """An event that waits a moment, so that others overtake it."""
    reordered_by: float = 5.0
    """Seconds that it waits at most."""

    def delays(self) -> list[dt.timedelta]:
        """Return for each copy of the next event how long it takes; none: it is lost."""
        if self._happens(self.lost):
            return []
        copies = 2 if self._happens(self.duplicate) else 1
        return [dt.timedelta(seconds=self._delay()) for _ in range(copies)]

    def _delay(self) -> float:
        seconds = self.late_by if self._happens(self.late) else 0.0
        if self._happens(self.reordered):
            seconds += self.random.uniform(0, self.reordered_by)
        return seconds

    def _happens(self, probability: float) -> bool:
        # Fair weather draws nothing, so that a switch does not move the chance of others.
        return probability > 0 and self.random.random() < probability
