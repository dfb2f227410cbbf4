"""docs/holds.md names every hold as the code does."""

from reconciler.changes import Hold
from tools import holds


def test_the_page_is_current() -> None:
    """`make docs` has been run since a hold or the table of checks changed."""
    assert holds.PAGE.read_text("utf-8") == holds.page(), "run: make docs"


def test_every_hold_is_there_once_with_its_next_step() -> None:
    """A code that a plan shows can be looked up."""
    rows = [row for row in holds.page().splitlines() if row.startswith("| `")]

    assert sorted(row.split("`")[1] for row in rows) == sorted(hold.name for hold in Hold)
    for row in rows:
        hold = Hold[row.split("`")[1]]
        assert f"| {hold} |" in row
        assert f"| {hold.next_step} |" in row
