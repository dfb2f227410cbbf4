"""docs/fidelity.md tells what the routes say."""

from sandbox.azure.app import SERVICES
from tools import fidelity


def test_the_page_is_current() -> None:
    """`make docs` has been run since a route changed."""
    assert fidelity.PAGE.read_text("utf-8") == fidelity.page(), "run: make docs"


def test_every_route_says_where_it_is_known_from() -> None:
    """The table has no empty cell."""
    for route in (route for each in SERVICES for route in each):
        assert route.source.strip(), route.rule
