"""Every scenario of this folder, played; `docs/scenarios.md` shows them to people."""

from pathlib import Path

import pytest

from tests.scenarios.player import Player
from tests.scenarios.scenario import Scenario, scenarios

ALL = scenarios()


@pytest.mark.parametrize("scenario", ALL, ids=lambda one: one.name)
def test_a_scenario_ends_as_it_says(scenario: Scenario, tmp_path: Path) -> None:
    """What must be true is true in the end, and nothing forbidden happened on the way."""
    Player(scenario, tmp_path).play()


def test_each_failure_mode_has_its_scenario() -> None:
    """Twenty are known to decide whether a reconciler works."""
    assert {one.mode for one in ALL if one.mode} == set(range(1, 21))
