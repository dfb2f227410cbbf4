"""docs/scenarios.md shows every scenario as its file has it."""

import re

from tests.scenarios.scenario import scenarios
from tools import scenarios as docs


def test_the_page_is_current() -> None:
    """`make docs` has been run since a scenario changed."""
    assert docs.PAGE.read_text("utf-8") == docs.page(), "run: make docs"


def test_every_scenario_has_a_heading_of_its_own() -> None:
    headings = re.findall(r"^## (.+)$", docs.page(), re.MULTILINE)

    assert headings == ["Twenty ways to fail", *(scenario.title for scenario in scenarios())]
    assert len(set(map(docs.slug, headings))) == len(headings)


def test_every_way_to_fail_leads_to_its_scenario() -> None:
    rows = re.findall(r"^\| (\d+) \| .+ \| \[(.+)\]\(#(.+)\) \|$", docs.page(), re.MULTILINE)

    assert [(int(number), title) for number, title, _ in rows] == [
        (scenario.mode, scenario.title) for scenario in scenarios() if scenario.mode
    ]
    assert all(anchor == docs.slug(title) for _, title, anchor in rows)
