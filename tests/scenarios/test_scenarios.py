"""Every scenario of this folder, played; `docs/scenarios.md` shows them to people."""

from pathlib import Path

import pytest

from tests.scenarios import steps
from tests.scenarios.player import Player
from tests.scenarios.scenario import Scenario, scenarios

ALL = scenarios()


@pytest.mark.parametrize("scenario", ALL, ids=lambda scenario: scenario.name)
def test_a_scenario_ends_as_it_says(scenario: Scenario, tmp_path: Path) -> None:
    Player(scenario, tmp_path).play()


def test_each_failure_mode_has_its_scenario() -> None:
    assert sorted(scenario.mode for scenario in ALL if scenario.mode) == list(range(1, 21))


def test_each_sentence_is_in_some_scenario() -> None:
    used = {pattern for scenario in ALL for pattern in steps.patterns(scenario.steps)}

    assert used == {pattern for pattern, _ in steps.SENTENCES}
