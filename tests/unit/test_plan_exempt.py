"""Exemptions: while one is in force nothing is added and nothing removed, and plans say why."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from reconciler.changes import (
    AttachIdentity,
    CreateIdentity,
    DetachIdentity,
    Hold,
    Plan,
    Reason,
    Withheld,
)
from reconciler.ids import ResourceId
from reconciler.model import Desired, Mode, NewIdentity, Observed, Request, Wanted
from reconciler.plan import plan
from reconciler.policy.model import Exemption
from tests.unit.plan_cases import AUDIT, ENDED, GONE_SEEN, HERE, RECREATED_SEEN, REPLACED
from tests.world.builders import (
    APP,
    CONTEXT,
    DATA,
    IDS,
    LOOK,
    NOTHING,
    OLD,
    OTHER_VM,
    SUB,
    VM,
    WITH_REMOVALS,
    assignment,
    attached,
    bare,
    both,
    entry,
    granted,
    machine,
    observed,
    switched_on,
    unresolved,
    user_identity,
)
from tests.world.ids import NOON

WHY = "forensics (until 2026-03-01)"


def exemption(scope: ResourceId = VM, **changes: str) -> Exemption:
    """Return an exemption whose last day is that of the look."""
    content = {"scope": str(scope), "reason": "forensics", "expires": "2026-03-01"}
    return Exemption.model_validate(content | changes)


def planned(
    desired: Desired, found: Observed, *exemptions: Exemption, request: Request = LOOK
) -> Plan:
    """Return the plan under exemptions; by default the machine's own."""
    context = replace(CONTEXT, exemptions=exemptions or (exemption(),))
    return plan(desired, found, request, context)


@pytest.mark.parametrize(
    ("desired", "found", "request_"),
    [
        (attached(), observed(machine(), identities=HERE), LOOK),
        (switched_on(), observed(bare()), LOOK),
        (granted(), observed(machine()), LOOK),
        (NOTHING, observed(machine(), assignment(OLD), **REPLACED), LOOK),
        (NOTHING, observed(machine(), assignment()), WITH_REMOVALS),
        (NOTHING, observed(None, assignment(OLD), **ENDED), GONE_SEEN),
        (NOTHING, observed(None, assignment(OLD)), LOOK),
        (attached(), observed(machine(state="Updating"), identities=HERE), LOOK),
        (
            attached(),
            observed(machine(entry(principal=OLD)), identities=HERE),
            RECREATED_SEEN,
        ),
    ],
    ids=[
        *("attach", "switch on", "grant", "replaced", "unwanted", "gone", "gone just now"),
        *("busy", "heal"),
    ],
)
def test_an_exempt_machine_is_left_as_it_is(
    desired: Desired, found: Observed, request_: Request
) -> None:
    """Whatever would be done now or later is withheld, with the reason and the last day."""
    without = plan(desired, found, request_, CONTEXT)
    held = planned(desired, found, request=request_)

    assert held.changes == ()
    assert {(one.hold, one.detail) for one in held.withheld} == {(Hold.EXEMPT, WHY)}
    assert {one.change for one in held.withheld} == {
        *without.changes,
        *(one.change for one in without.withheld),
    }


@pytest.mark.parametrize(
    ("desired", "found", "hold"),
    [
        (granted(mode=AUDIT), observed(machine()), Hold.AUDIT),
        (granted(mode=AUDIT, rollout=True), observed(machine()), Hold.ROLLOUT),
        (granted(scope=SUB), observed(machine()), Hold.HOME),
        (granted(), observed(machine(managed_by="somebody")), Hold.MANAGED),
        (unresolved(), observed(machine()), Hold.UNRESOLVED),
        (attached(), observed(machine(), identities={APP: None}), Hold.IDENTITY_ABSENT),
        (NOTHING, observed(machine(), assignment(description=None)), Hold.NO_MARKER),
        (NOTHING, observed(machine(), assignment()), Hold.REMOVALS),
    ],
)
def test_an_exemption_is_named_before_any_other_hold(
    desired: Desired, found: Observed, hold: Hold
) -> None:
    """Policy asks for hands off, so what it holds back is neither drift nor an error."""
    without = plan(desired, found, LOOK, CONTEXT)
    exempt = planned(desired, found)

    assert [one.hold for one in without.withheld] == [hold]
    assert [one.hold for one in exempt.withheld] == [Hold.EXEMPT]
    assert exempt.settled


def test_an_exempt_identity_is_neither_attached_nor_healed_nor_created() -> None:
    """It is left alone also where a machine that is not exempt would carry it."""
    new = NewIdentity(APP, "westeurope")
    ensured = replace(attached(), ensured=(Wanted(new, Mode.REPAIR, ("rule r",)),))
    exempt = exemption(IDS)
    stale = observed(machine(entry(principal=OLD)), identities=HERE)

    missing = planned(ensured, observed(machine(), identities={APP: None}), exempt)
    assert Withheld(CreateIdentity(new), Hold.EXEMPT, WHY) in missing.withheld
    there = planned(attached(), observed(machine(), identities=HERE), exempt)
    assert there.withheld == (Withheld(AttachIdentity(VM, APP), Hold.EXEMPT, WHY),)
    healed = planned(attached(), stale, exempt, request=RECREATED_SEEN)
    detach = DetachIdentity(VM, APP, Reason.IDENTITY_RECREATED)
    assert healed.withheld == (Withheld(detach, Hold.EXEMPT, WHY),)


def test_an_exempt_identity_s_rights_stay_and_others_do_not_suffer() -> None:
    """What is not about it goes on."""
    rights = observed(user_identity(), assignment(OLD, resource=APP))
    held = planned(granted(), rights, exemption(IDS))
    assert not held.changes
    assert len(held.withheld) == 2

    wants = both(attached(), granted())
    mixed = planned(wants, observed(machine(), identities=HERE), exemption(IDS))
    assert [type(one).__name__ for one in mixed.changes] == ["CreateAssignment"]


@pytest.mark.parametrize("scope", [OTHER_VM, DATA], ids=["another machine", "where it is granted"])
def test_an_exemption_is_about_its_scope_s_resources_alone(scope: ResourceId) -> None:
    """What others hold there is theirs."""
    assert planned(granted(), observed(machine()), exemption(scope)).changes


@pytest.mark.parametrize("scope", [VM, VM.group_id, SUB])
def test_an_exemption_covers_what_lies_in_it(scope: ResourceId) -> None:
    """A resource, a group, a whole subscription."""
    assert not planned(granted(), observed(machine()), exemption(scope)).changes


@pytest.mark.parametrize(
    ("at", "in_force"),
    [
        (datetime(2026, 3, 1, 23, 59, tzinfo=UTC), True),
        (datetime(2026, 3, 2, tzinfo=UTC), False),
        (datetime.fromisoformat("2026-03-02T00:30+01:00"), True),
    ],
)
def test_an_exemption_ends_with_its_last_day_in_utc(at: datetime, in_force: object) -> None:
    """The time of the look decides, and what has ended holds nothing."""
    found = planned(granted(), replace(observed(machine()), at=at))

    assert (not found.changes) is in_force


def test_of_several_exemptions_the_longest_is_named() -> None:
    """One that has ended does not end the others."""
    more = [exemption(expires="2026-02-01"), exemption(SUB, expires="2026-06-01", reason="freeze")]
    (held,) = planned(granted(), observed(machine()), *more, exemption()).withheld

    assert held.detail == "freeze (until 2026-06-01)"


def test_an_exemption_is_no_passing_hold() -> None:
    """An exemption lasts; the sweep after its end finds what it held."""
    held = planned(attached(), observed(machine(created=NOON), identities=HERE))

    assert not Hold.EXEMPT.passing
    assert [one.until for one in held.withheld] == [None]
