"""The world's clock, its faults, and what lags behind; the feed builds on it, the world on that."""

import datetime as dt

from sandbox.world.buckets import Buckets
from sandbox.world.clock import Clock
from sandbox.world.faults import FaultInjector, Faults
from sandbox.world.past import Past
from sandbox.world.state import Assignment, Resource


class Climate:
    """Time, faults, and the past that late lists still show."""

    def __init__(self, clock: Clock, seed: int, faults: Faults) -> None:
        """Begin at the clock's time, with the seed's chance."""
        self.now = self.clock = clock
        self.injector = FaultInjector(seed, faults)
        self.buckets = Buckets(clock)
        self.changes = 0
        """Counts what was noted of resources and role assignments."""
        self.past_assignments: Past[Assignment] = Past()
        self.past_resources: Past[Resource] = Past()

    @property
    def faults(self) -> Faults:
        """The switches as they are; a change fills all buckets and counts all faults anew."""
        return self.injector.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self.injector.faults = faults
        self.buckets = Buckets(self.clock)

    def retry(self, wait: int) -> dict[str, str]:
        """Return the header of a 429 that says when to come again, unless a switch hides it."""
        return {"Retry-After": str(wait)} if self.faults.retry_after else {}

    def _note_resource(self, key: str, resource: Resource | None) -> None:
        self.changes += 1
        keep = dt.timedelta(seconds=self.faults.graph_delay)
        state = resource.snapshot() if resource else None
        self.past_resources.note(key, state, self.now(), keep)

    def _note_assignment(self, name: str, assignment: Assignment | None) -> None:
        self.changes += 1
        seconds = max(self.faults.assignment_lag, self.faults.graph_delay)
        keep = dt.timedelta(seconds=seconds)
        self.past_assignments.note(name.lower(), assignment, self.now(), keep)
