"""Every hold of the planner is tested, at each kind of change that it can stop."""

from dataclasses import replace

import pytest

from reconciler.changes import Hold, Withheld
from reconciler.plan import holds, plan
from reconciler.policy.model import Exemption
from tests.unit.holds import HOLDS
from tests.unit.plan_cases import Case, check, create
from tests.world.builders import CONTEXT, VM, granted, machine, observed
from tests.world.ids import NOON

_FORENSICS = Exemption.model_validate(
    {"scope": str(VM), "reason": "forensics", "expires": "2026-12-31"}
)
ROWS = HOLDS | {
    "exempt": Case(
        granted(),
        observed(machine()),
        withheld=((create(), Hold.EXEMPT),),
        context=replace(CONTEXT, exemptions=(_FORENSICS,)),
    )
}


@pytest.mark.parametrize("case", ROWS.values(), ids=list(ROWS))
def test_a_forbidden_change_is_withheld_with_its_hold(case: Case) -> None:
    """Each hold, at each kind of change that it can stop."""
    check(case)


def test_every_hold_is_tested() -> None:
    """A hold that is added needs a row of its own."""
    assert {hold for case in ROWS.values() for _, hold in case.withheld} == set(Hold)


@pytest.mark.parametrize("position", range(len(holds.HOLDS)))
def test_no_row_of_the_table_can_be_left_out(
    position: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it, at least one of the cases above would come out otherwise."""
    hold = holds.HOLDS[position].hold
    table = (*holds.HOLDS[:position], *holds.HOLDS[position + 1 :])
    monkeypatch.setattr(holds, "HOLDS", table)

    assert any(_outcome(case) != tuple(case.withheld) for case in ROWS.values()), hold.name


def _outcome(case: Case) -> object:
    try:
        planned = plan(case.desired, case.observed, case.request, case.context)
    except (TypeError, AssertionError):
        # A row behind the missing one relies on it.
        return None
    return tuple((held.change, held.hold) for held in planned.withheld)


@pytest.mark.parametrize("hold", Hold)
def test_every_hold_says_why_and_what_to_do_next(hold: Hold) -> None:
    """Its value is the reason; whoever reads a plan must not have to guess."""
    assert str(hold) == hold.value
    assert hold.value.strip()
    assert hold.next_step.strip()


def test_only_what_time_lifts_says_to_wait() -> None:
    """Everything else needs a person, who is told what to do."""
    waiting = {hold for hold in Hold if hold.next_step.startswith("wait")}

    # The scheduled sweep is no more than a wait either, but it may set the removal aside.
    assert waiting == {hold for hold in Hold if hold.passing} | {Hold.REMOVALS}


def test_a_plan_held_back_by_policy_alone_is_settled() -> None:
    """A plan in which nothing else is left is settled, but not compliant."""
    assert {hold for hold in Hold if hold.agreed} == {Hold.EXEMPT, Hold.ROLLOUT}
    for hold in Hold:
        found = plan(granted(), observed(machine()), ROWS["exempt"].request, CONTEXT)
        shown = replace(found, changes=(), withheld=(Withheld(create(), hold, until=NOON),))
        assert shown.settled is hold.agreed
        assert not shown.compliant
    assert not plan(granted(), observed(machine()), ROWS["exempt"].request, CONTEXT).settled
