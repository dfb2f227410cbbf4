"""docs/fidelity.md tells what the routes say."""

import re

from pydantic.alias_generators import to_camel

from sandbox.arm.app import SERVICES
from sandbox.arm.routing import Evidence
from sandbox.world.faults import Faults
from tools import fidelity

OTHER = {
    "client_id_required",
    "page_size",
    "empty_pages",
    "graph_truncated",
    "throttling",
    "retry_after",
    "authorization_limit",
    "events_lost",
    "events_duplicate",
    "events_textual",
    "events_pascal_case",
    "requests",
}
"""Switches that are about something else than time."""


def test_the_page_is_current() -> None:
    """`make docs` has been run since a route changed."""
    assert fidelity.PAGE.read_text("utf-8") == fidelity.page(), "run: make docs"


def test_every_route_says_where_it_is_known_from() -> None:
    """The table has no empty cell."""
    for route in (route for each in SERVICES for route in each):
        assert route.source.strip(), route.rule


def test_every_switch_of_time_has_its_row() -> None:
    """And every row its evidence, and its place among visible, effective and told."""
    lines = fidelity.BEHAVIOUR_IN_TIME.read_text("utf-8").splitlines()[2:]
    rows = [line.strip("|").split(" | ") for line in lines]
    moments, _, _, evidence, _, switches = (list(column) for column in zip(*rows, strict=True))

    assert {switch for cell in switches for switch in re.findall(r"`(\w+)`", cell)} == {
        to_camel(switch) for switch in Faults.model_fields if switch not in OTHER
    }
    assert list(dict.fromkeys(map(str.strip, moments))) == [
        "visible when",
        "effective when",
        "told when",
    ]
    assert set(evidence) <= {each.value for each in Evidence}
    assert all(cell.strip() for row in rows for cell in row[:5])
