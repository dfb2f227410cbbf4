"""Under what weather the world is: its clock, its switches, its chance, and what lags behind.

The feed builds on it, and the world on the feed.
"""

import datetime as dt
import random

from sandbox.world.buckets import Buckets
from sandbox.world.clock import Clock
from sandbox.world.faults import Script
from sandbox.world.past import Past
from sandbox.world.state import Assignment, Resource
from sandbox.world.switches import Span, Weather


class Climate:
    """Time, weather, and the past that late lists still show."""

    def __init__(self, clock: Clock, seed: int, weather: Weather) -> None:
        """Begin at the clock's time, with the seed's chance."""
        self.now = self.clock = clock
        self._seed = seed
        self.chance = random.Random(seed)
        """The weather's source, so that bad luck does not change the GUIDs."""
        self.weather = weather
        self.changes = 0
        """Counts what was noted of resources and role assignments."""
        self.past_assignments: Past[Assignment] = Past()
        self.past_resources: Past[Resource] = Past()

    @property
    def weather(self) -> Weather:
        """The switches as they are; a change fills all buckets and begins all faults anew."""
        return self._weather

    @weather.setter
    def weather(self, weather: Weather) -> None:
        self._weather = weather
        self.buckets = Buckets(self.clock)
        self.faults = Script(weather.faults, self.chance)

    def happens(self, probability: float) -> bool:
        """Tell by the weather's chance whether something happens; certain things draw nothing."""
        return probability > 0 and (probability >= 1 or self.chance.random() < probability)

    def delay(self, span: Span, key: str) -> dt.timedelta:
        """Return the delay that a thing has of a span: always the same, by its key and the seed."""
        if isinstance(span, tuple):
            span = random.Random(f"{self._seed} {key}").uniform(*span)
        return dt.timedelta(seconds=span)

    def retry(self, wait: int) -> dict[str, str]:
        """Return the header of a 429 that says when to come again, unless the weather hides it."""
        return {"Retry-After": str(wait)} if self.weather.retry_after else {}

    def operation_time(self) -> dt.timedelta:
        """Return how long an operation takes that starts now."""
        jitter = self.weather.operation_jitter
        more = self.chance.uniform(0, jitter) if jitter else 0.0
        return dt.timedelta(seconds=self.weather.operation_delay + more)

    def _note_resource(self, key: str, resource: Resource | None) -> None:
        self.changes += 1
        keep = dt.timedelta(seconds=self.weather.graph_delay)
        state = resource.snapshot() if resource else None
        self.past_resources.note(key, state, self.now(), keep)

    def _note_assignment(self, name: str, assignment: Assignment | None) -> None:
        self.changes += 1
        seconds = max(self.weather.assignment_lag, self.weather.graph_delay)
        keep = dt.timedelta(seconds=seconds)
        self.past_assignments.note(name.lower(), assignment, self.now(), keep)
