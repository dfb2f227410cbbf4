"""What may happen to resource events on their way; the feed and the delivery ask for each one.

Event Grid promises at least once and no order (facts: Delivery, documented). That it loses events
is not documented; whoever watches it must bear it nevertheless.
"""

import datetime as dt
import json

from sandbox.eventgrid import retry
from sandbox.eventgrid.events import Event
from sandbox.world.climate import Climate

_PARTS = ("authorization", "claims", "httpRequest")
"""Members that old events have in other forms (facts: Resource events)."""


def delays(climate: Climate) -> list[dt.timedelta]:
    """Return for each copy of the next event how long it takes; none: it is lost."""
    weather, happens = climate.weather, climate.happens
    if happens(weather.events_lost):
        return []
    found: list[dt.timedelta] = []
    for _ in range(2 if happens(weather.events_duplicate) else 1):
        seconds = weather.events_late_by if happens(weather.events_late) else 0.0
        if happens(weather.events_reordered):
            seconds += climate.chance.uniform(0, weather.events_reordered_by)
        found.append(dt.timedelta(seconds=seconds))
    return found


def formed(climate: Climate, event: Event) -> Event:
    """Return an event in the form that it comes in, which is an old one by chance."""
    weather, data = climate.weather, dict(event["data"])
    parts = [name for name in _PARTS if name in data]
    if climate.happens(weather.events_pascal_case):
        # A claim's name is the token's own.
        data |= {name: _capitals(data[name]) for name in parts if name != "claims"}
    if not climate.happens(weather.events_textual):
        return {**event, "data": data}
    data |= {name: json.dumps(data[name]) for name in parts}
    return {**event, "data": data, "dataVersion": ""}


def _capitals(value: object) -> object:
    if not isinstance(value, dict):
        return value
    return {name[:1].upper() + name[1:]: _capitals(each) for name, each in value.items()}


def wait(climate: Climate, attempts: int, status: int) -> dt.timedelta:
    """Return how long a delivery waits for its next attempt, after so many that ended so."""
    weather = climate.weather
    found = retry.wait(attempts, status)
    if climate.happens(weather.delivery_skips):
        found += retry.wait(attempts + 1, status)
    jitter = weather.delivery_jitter
    return found * (1 + (climate.chance.uniform(0, jitter) if jitter else 0))
