"""A move out of a group keeps what a machine there replaces: its principal may live elsewhere."""

from datetime import datetime, timedelta

import pytest

from reconciler.changes import DeleteAssignment, Hold, Reason
from reconciler.model import Ending, Request, Traces
from reconciler.plan import plan
from tests.world.builders import (
    APP,
    CONTEXT,
    LONG_AGO,
    LOOK,
    MADE,
    NEW,
    NOTHING,
    OF_APP,
    OLD,
    VM,
    assignment,
    machine,
    observed,
    user_identity,
)
from tests.world.ids import NOON

MINUTES = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("moves", "created", "hold"),
    [
        pytest.param((), LONG_AGO, None, id="none"),
        pytest.param((MADE,), LONG_AGO, Hold.REPLACED_UNPROVED, id="when the right was made"),
        pytest.param(
            (LONG_AGO + 4 * MINUTES,),
            LONG_AGO,
            Hold.REPLACED_UNPROVED,
            id="just after the rebuild, by a clock that is another one",
        ),
        pytest.param(
            (MADE - MINUTES, LONG_AGO + 6 * MINUTES),
            LONG_AGO,
            None,
            id="before the right was made, and after the rebuild",
        ),
        pytest.param(
            (NOON,), None, Hold.REPLACED_UNPROVED, id="where nobody knows when it was rebuilt"
        ),
    ],
)
def test_a_move_between_a_right_and_the_rebuild_keeps_the_right(
    moves: tuple[datetime, ...], created: datetime | None, hold: Hold | None
) -> None:
    """What was moved to where we cannot read still carries the principal, and shows nowhere."""
    old = assignment(OLD)
    found = observed(
        machine(created=created),
        old,
        confirmed=True,
        traces=Traces({VM: NEW}),
        endings={VM: Ending(moves=moves)},
    )
    planned = plan(NOTHING, found, LOOK, CONTEXT)

    assert [one.hold for one in planned.withheld] == ([hold] if hold else [])
    assert bool(planned.changes) is (hold is None)


def test_an_identity_s_old_right_goes_without_asking_for_moves() -> None:
    """Their old right goes without a word of the log (documented)."""
    old = assignment(OLD, resource=APP)
    found = observed(user_identity(), old, confirmed=True, traces=Traces({APP: OF_APP}))
    planned = plan(NOTHING, found, Request(APP), CONTEXT)

    assert planned.changes == (DeleteAssignment(old, Reason.PRINCIPAL_REPLACED),)
