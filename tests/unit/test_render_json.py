"""Plans and outcomes as JSON values; tests/cli checks the keys of the whole answers."""

import pytest

from reconciler.changes import (
    AttachIdentity,
    CreateAssignment,
    DeleteAssignment,
    Hold,
    Outcome,
    Plan,
    Reason,
    Status,
    Withheld,
)
from reconciler.model import Grant, Unresolved
from reconciler.render import json
from reconciler.render.text import outcome_line
from tests.world.builders import STRANGER, VM, assignment
from tests.world.ids import BLOB_READER, NOON

TEMPLATE = "{maps.m[tags.env]}"


@pytest.mark.parametrize("hold", Hold)
def test_every_hold_carries_its_next_step(hold: Hold) -> None:
    held = Withheld(DeleteAssignment(assignment(), Reason.UNWANTED), hold)

    (described,) = json.subject_plan(Plan(VM, NOON, withheld=(held,)))["withheld"]

    assert (described["hold"], described["nextStep"]) == (hold.name, hold.next_step)


@pytest.mark.parametrize("code", ["", "Contended", "NotWatched", "Stuck", "SomethingNew"])
def test_a_blocked_outcome_carries_the_next_step_that_its_line_shows(code: str) -> None:
    """There is one for each code."""
    blocked = Outcome(None, Status.BLOCKED, "refused", code)

    step = json.outcome(blocked)["nextStep"]

    assert step
    assert outcome_line(blocked, VM) == f"blocked: refused; next: {step}"


def test_an_outcome_with_a_next_step_of_its_own_carries_that() -> None:
    own = Outcome(None, Status.BLOCKED, "refused", "Stuck", next_step="ask")

    assert json.outcome(own)["nextStep"] == "ask"


@pytest.mark.parametrize("code", ["", "Contended", "Stuck"])
def test_an_outcome_that_is_not_blocked_has_no_next_step(code: str) -> None:
    assert json.outcome(Outcome(None, Status.AGAIN, "throttled", code))["nextStep"] == ""


@pytest.mark.parametrize("hold", [Hold.UNRESOLVED, Hold.EXEMPT, Hold.ROLLOUT, Hold.AUDIT])
def test_a_grant_without_scope_carries_its_template_instead(hold: Hold) -> None:
    grant = Grant(BLOB_READER, Unresolved(TEMPLATE, "no tag"))
    held = Withheld(CreateAssignment(grant, STRANGER, ""), hold)

    (described,) = json.subject_plan(Plan(VM, NOON, withheld=(held,)))["withheld"]

    assert described["change"]["scope"] is None
    assert described["change"]["template"] == TEMPLATE


def test_a_role_is_named_beside_its_guid() -> None:
    change = DeleteAssignment(assignment(), Reason.UNWANTED)
    attach = AttachIdentity(VM, None)

    removed, attached = json.subject_plan(Plan(VM, NOON, changes=(change, attach)))["changes"]

    assert (removed["role"], removed["roleName"]) == (assignment().role, "Reader")
    assert "roleName" not in attached
