"""A part of the matrix of faults, drawn anew for each run of the suite; `make faults` plays all.

With every wrong answer once in each scenario, and twenty calls of each scenario with any of them.
"""

import dataclasses
import random
from collections.abc import Callable

import pytest

from reconciler.ids import ResourceId
from tests.faults.answers import FAULTS
from tests.faults.matrix import Broken, Run, broken
from tests.faults.scenarios import SCENARIOS

_CALLS = 20


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_wrong_answer_or_a_death_at_any_call_loses_nothing_that_lives(name: str) -> None:
    """Nothing live or foreign is touched at any moment, and the end is as it must be."""
    calls = Run(SCENARIOS[name]).play()
    chance = random.Random()
    drawn = [(chance.randint(1, calls), fault) for fault in FAULTS]
    drawn += [
        (chance.randint(1, calls), chance.choice(list(FAULTS))) for _ in range(min(_CALLS, calls))
    ]

    found = [broken((name, number, fault)) for number, fault in drawn]

    assert not any(found), "\n".join(filter(None, found))


def _during(run: Run, act: Callable[[], None]) -> None:
    """Play a scenario in which the app does something of its own accord once it is watched."""

    def happens(_: object) -> None:
        run.arm()
        act()

    run.scenario = dataclasses.replace(run.scenario, happens=happens)
    run.play()


def test_the_matrix_sees_a_live_right_that_is_taken_away() -> None:
    """The watch is no ornament: a deletion by the app of what policy wants is a violation."""
    run = Run(SCENARIOS["a right deleted by hand"])

    def taken() -> None:
        right = run.cloud.right(run.cloud.principal())
        run.cloud.app.arm.delete_assignment(ResourceId.parse(right.id))

    with pytest.raises(Broken, match="took a live right away"):
        _during(run, taken)


def test_the_matrix_sees_a_foreign_right_that_is_touched() -> None:
    """Whatever the app deletes must be its own."""
    run = Run(SCENARIOS["a right deleted by hand"])

    def taken() -> None:
        stranger = run.cloud.operator.principal("stranger").oid
        right = next(iter(run.cloud.world.assignments_of([stranger])))
        run.cloud.app.arm.delete_assignment(ResourceId.parse(right.id))

    with pytest.raises(Broken, match="that the app did not make"):
        _during(run, taken)
