"""What faults do to the delivery of events: twice, late, or by another schedule."""

import datetime as dt
import itertools

import pytest

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


@pytest.mark.parametrize(("took", "tries"), [(20, 1), (45, 1), (149, 1), (151, 2), (400, 2)])
def test_a_late_answer_may_still_count(grid: Grid, took: float, tries: int) -> None:
    """Until the event is sent again, two minutes after the half minute that it had."""
    grid.subscribe()
    grid.world.faults = Faults(delivery_late_counts=1)
    grid.took = dt.timedelta(seconds=took)
    grid.write()
    grid.turn(60)
    grid.took = dt.timedelta()
    grid.turn(DAY)

    assert len(grid.attempts) == tries
    assert grid.delivery.dropped == []


def test_a_late_answer_does_not_count_without_its_switch(grid: Grid) -> None:
    """Nor does a late refusal say how to go on: it took too long."""
    grid.subscribe()
    grid.took = dt.timedelta(seconds=31)
    grid.write()
    grid.turn(1)
    grid.world.faults = Faults(delivery_late_counts=1)
    grid.status = 400
    grid.turn(150)
    grid.took, grid.status = dt.timedelta(), 200
    grid.turn(DAY)

    assert grid.attempts == [0, 150, 300]
    assert grid.delivery.dropped == []
