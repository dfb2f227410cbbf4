"""Every hold of the planner is tested, at each kind of change that it can stop."""

import pytest

from reconciler.changes import Hold
from tests.unit.holds import HOLDS
from tests.unit.plan_cases import Case, check

# These come with a change or a second row of their own, so they are tested by other modules.
ELSEWHERE_TESTED = {
    Hold.DEAD_ENTRY,
    Hold.IDENTITY_ABSENT,
    Hold.FOREIGN_CONDITION,
    Hold.NO_MARKER,
    Hold.EXEMPT,
    Hold.RESTART,
    Hold.ROLE_UNREAD,
}


@pytest.mark.parametrize("case", HOLDS.values(), ids=list(HOLDS))
def test_what_may_not_be_done_is_withheld_and_shown(case: Case) -> None:
    """Each hold, at each kind of change that it can stop."""
    check(case)


def test_every_hold_is_tested() -> None:
    """A hold that is added needs a row of its own."""
    assert {case.withheld[0][1] for case in HOLDS.values()} | ELSEWHERE_TESTED == set(Hold)
