"""The planner on identities, case by case; the rows follow the table in `plan.identities`."""

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.changes import Hold, Reason
from reconciler.ids import ResourceId
from tests.unit.builders import (
    APP,
    IDS,
    NOON,
    NOTHING,
    OF_APP,
    OLD,
    SECOND,
    SETTLE,
    SUB,
    attached,
    bare,
    below,
    both,
    entry,
    machine,
    observed,
    switched_on,
)
from tests.unit.plan_cases import HERE, RECREATED_SEEN, Case, attach, check, detach

IDENTITIES = {
    "one that is there and not attached is attached": Case(
        attached(), observed(machine(), identities=HERE), (attach(),)
    ),
    "one that is attached with its principal is left alone": Case(
        attached(), observed(machine(entry()), identities=HERE)
    ),
    "an entry in other casing counts": Case(
        attached(),
        observed(machine(entry(ResourceId.parse(APP.text.upper()))), identities=HERE),
    ),
    "an entry with another principal, seen for the first time, waits": Case(
        attached(),
        observed(machine(entry(principal=OLD)), identities=HERE),
        withheld=((detach(), Hold.SETTLING),),
    ),
    "an entry with another principal, seen a moment ago, waits": Case(
        attached(),
        observed(machine(entry(principal=OLD)), identities=HERE),
        withheld=((detach(), Hold.SETTLING),),
        request=replace(RECREATED_SEEN, first=NOON - SETTLE + timedelta(seconds=1)),
    ),
    "an entry with another principal, seen for long enough, is detached": Case(
        attached(),
        observed(machine(entry(principal=OLD)), identities=HERE),
        (detach(),),
        request=RECREATED_SEEN,
    ),
    "an entry without principal, seen for long enough, is detached": Case(
        attached(),
        observed(machine(entry(principal=None)), identities=HERE),
        (detach(),),
        request=replace(RECREATED_SEEN, seen=(f"{APP.key}=->{OF_APP}",)),
    ),
    "another dead entry than the one seen waits anew": Case(
        attached(),
        observed(machine(entry(principal=None)), identities=HERE),
        withheld=((detach(), Hold.SETTLING),),
        request=RECREATED_SEEN,
    ),
    "an entry without principal while the machine is updated is an attach under way": Case(
        attached(), observed(machine(entry(principal=None), state="Updating"), identities=HERE)
    ),
    "one that is gone is detached": Case(
        attached(),
        observed(machine(entry(), entry(SECOND)), identities={APP: None}),
        (detach(Reason.IDENTITY_GONE),),
    ),
    "one that is gone and not attached is withheld": Case(
        attached(),
        observed(machine(), identities={APP: None}),
        withheld=((attach(), Hold.IDENTITY_ABSENT),),
    ),
    "the system-assigned one that is off is switched on": Case(
        switched_on(), observed(bare()), (attach(None),)
    ),
    "the system-assigned one that is on is left alone": Case(switched_on(), observed(machine())),
    "what nobody wants stays attached": Case(NOTHING, observed(machine(entry(principal=None)))),
    "both kinds are attached to a machine that has none": Case(
        both(attached(), switched_on()), observed(bare(), identities=HERE), (attach(), attach(None))
    ),
}


@pytest.mark.parametrize("case", IDENTITIES.values(), ids=list(IDENTITIES))
def test_identities_are_attached_and_freed(case: Case) -> None:
    """Every row of the table in `plan.identities`."""
    check(case)


def test_a_dead_entry_of_others_is_shown_beside_the_attach_that_it_makes_fail() -> None:
    """Only its owner may take it away; a machine that needs no attach is not spoken of."""
    found = observed(machine(entry(SECOND, None)), identities=HERE)

    check(
        Case(
            attached(),
            found,
            (attach(),),
            ((detach(Reason.IDENTITY_GONE, SECOND), Hold.DEAD_ENTRY),),
        )
    )


def test_two_dead_entries_that_are_all_there_is_need_an_etag() -> None:
    """Together they are the last identity, which only goes by a PATCH of the type."""
    desired = both(attached(), attached(SECOND))
    gone = {APP: None, SECOND: None}
    changes = (detach(Reason.IDENTITY_GONE), detach(Reason.IDENTITY_GONE, SECOND))
    pair = (entry(), entry(SECOND))

    check(Case(desired, observed(machine(*pair), identities=gone), changes))
    check(
        Case(
            desired,
            observed(machine(*pair, etag=None), identities=gone),
            withheld=tuple((change, Hold.NO_ETAG) for change in changes),
        )
    )


def test_the_default_identity_may_change_where_a_rule_says_so() -> None:
    """`allowDefaultChange` is the only thing that lifts that hold."""
    found = observed(bare(entry(SECOND)), identities=HERE)

    check(Case(attached(default_change=True), found, (attach(),)))
    check(Case(switched_on(default_change=True), found, (attach(None),)))


def test_an_identity_that_was_detached_to_be_healed_is_attached_again() -> None:
    """It was there before, so the default identity does not change by it."""
    found = observed(bare(entry(SECOND)), identities=HERE)

    check(Case(attached(), found, (attach(),), request=RECREATED_SEEN))


def test_identities_outside_the_place_for_them_are_not_freed_either() -> None:
    """The guardrails' places bound what policy may do with an identity, whatever it is."""
    outside = below(SUB, f"resourceGroups/rg-id2/{'/'.join(APP.text.split('/')[5:])}")
    assert not IDS.contains(outside)

    check(
        Case(
            attached(outside),
            observed(machine(entry(outside)), identities={outside: None}),
            withheld=((detach(Reason.IDENTITY_GONE, outside), Hold.IDENTITY_PLACE),),
        )
    )
