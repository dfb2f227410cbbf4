"""What faults do to the delivery of events: twice, late, or by another schedule."""

import datetime as dt
import itertools

from sandbox.world.faults import Faults
from tests.sandbox.grid import DAY, SCHEDULE, Grid, moments


def test_an_event_may_come_twice(grid: Grid) -> None:
    """At least once is all that is promised."""
    grid.world.faults = grid.world.faults.changed({"events_duplicate": 1.0})
    grid.subscribe()
    grid.write()
    grid.turn(1)

    first, second = grid.delivered()
    assert first == second


def test_retries_jitter_if_told_so(grid: Grid) -> None:
    """Each comes later by up to a part of its wait; by how much, the seed says."""
    grid.world.faults = Faults(delivery_jitter=0.5)
    grid.deliver(500, DAY / 4)
    steps = [after - before for before, after in itertools.pairwise(grid.attempts)]

    assert len(steps) > 5
    assert all(exact < step < 1.5 * exact for exact, step in zip(SCHEDULE, steps, strict=False))


def test_retries_are_left_out_if_told_so(grid: Grid) -> None:
    """Then the step after it is waited for as well."""
    grid.world.faults = Faults(delivery_skips=1)
    grid.deliver(500, DAY / 4)
    steps = [sum(each) for each in itertools.pairwise(SCHEDULE)]

    assert grid.attempts == moments(steps)[: len(grid.attempts)]
    assert len(grid.attempts) > 5


def test_a_late_answer_is_none(grid: Grid) -> None:
    """Neither a success nor a refusal counts after half a minute: the event is sent again."""
    grid.subscribe()
    grid.took = dt.timedelta(seconds=31)
    grid.write()
    grid.turn(1)
    grid.status = 400
    grid.turn(150)
    grid.took, grid.status = dt.timedelta(), 200
    grid.turn(DAY)

    assert grid.attempts == [0, 150, 300]
    assert grid.delivery.dropped == []
