"""docs/fidelity.md tells what the routes say."""

from sandbox.arm.app import SERVICES
from sandbox.world.switches import Weather
from sandbox.world.timing import TIMINGS, Moment
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
    "faults",
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
    """And every row its switch, evidence, and place among visible, effective and told."""
    named = {switch for row in TIMINGS for switch in row.switches}

    assert named == set(Weather.model_fields) - OTHER
    assert {row.moment for row in TIMINGS} == set(Moment)
    for row in TIMINGS:
        assert row.source.strip(), row.what
        assert row.when.strip(), row.what
    assert [row.moment for row in TIMINGS] == sorted(
        (row.moment for row in TIMINGS), key=list(Moment).index
    )
