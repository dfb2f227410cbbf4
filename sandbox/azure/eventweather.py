"""What may happen to resource events before Event Grid has them; the feed asks for each one.

Event Grid promises at least once and no order (facts B2, documented). That it loses events is not
documented; whoever watches it must bear it nevertheless.
"""

import datetime as dt
import random

from sandbox.azure.weather import Weather


def delays(weather: Weather, chance: random.Random) -> list[dt.timedelta]:
    """Return for each copy of the next event how long it takes; none: it is lost."""

    def happens(probability: float) -> bool:
        # Fair weather draws nothing, so that a switch does not move the chance of others.
        return probability > 0 and chance.random() < probability

    if happens(weather.events_lost):
        return []
    found: list[dt.timedelta] = []
    for _ in range(2 if happens(weather.events_duplicate) else 1):
        seconds = weather.events_late_by if happens(weather.events_late) else 0.0
        if happens(weather.events_reordered):
            seconds += chance.uniform(0, weather.events_reordered_by)
        found.append(dt.timedelta(seconds=seconds))
    return found
