"""The planner on identities, case by case; the rows follow the table in `plan.identities`."""

from datetime import timedelta
from typing import Any

import pytest

from reconciler.changes import Hold, Reason
from reconciler.ids import ResourceId
from reconciler.model import Ending, Request, Sight, Sighting, Traces
from reconciler.plan import plan
from tests.unit.plan_cases import DEAD, HERE, Case, attach, check, detach
from tests.world.builders import (
    APP,
    CONTEXT,
    IDS,
    LONG_AGO,
    LOOK,
    NEW,
    NOTHING,
    OF_APP,
    OLD,
    SECOND,
    SETTLE,
    SUB,
    VM,
    attached,
    bare,
    below,
    both,
    entry,
    machine,
    observed,
    switched_on,
    user_identity,
)
from tests.world.ids import NOON

SECONDS = timedelta(seconds=1)
IS_SECOND = {SECOND: user_identity(SECOND)}
WITH_SECOND = both(attached(), attached(SECOND))
APP_ENDED: dict[str, Any] = {
    "identities": {APP: None, **IS_SECOND},
    "traces": Traces({SECOND: OF_APP}),
    "endings": {APP: Ending(LONG_AGO)},
}
"""What a look finds where the first identity is gone for certain and the second one is there."""


def seen_dead(about: str = DEAD, *, ago: timedelta = SETTLE) -> Request:
    """Return a request whose dead entry was first seen some time ago."""
    return Request(VM, sightings=(Sighting(NOON - ago, Sight.DEAD_ENTRY, about),))


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
        withheld=((detach(), Hold.UNCONFIRMED),),
    ),
    "an entry with another principal, seen a moment ago, waits": Case(
        attached(),
        observed(machine(entry(principal=OLD)), identities=HERE),
        withheld=((detach(), Hold.UNCONFIRMED),),
        request=seen_dead(ago=SETTLE - SECONDS),
    ),
    "an entry with another principal, seen for long enough, is detached": Case(
        attached(),
        observed(machine(entry(principal=OLD)), identities=HERE),
        (detach(),),
        request=seen_dead(),
    ),
    "an entry without principal, seen for long enough, is detached": Case(
        attached(),
        observed(machine(entry(principal=None)), identities=HERE),
        (detach(),),
        request=seen_dead(f"{APP.key}=->{OF_APP}"),
    ),
    "another dead entry than the one seen waits anew": Case(
        attached(),
        observed(machine(entry(principal=None)), identities=HERE),
        withheld=((detach(), Hold.UNCONFIRMED),),
        request=seen_dead(),
    ),
    "an entry seen dead beside another principal of its identity waits anew": Case(
        attached(),
        observed(machine(entry(principal=OLD)), identities=HERE),
        withheld=((detach(), Hold.UNCONFIRMED),),
        request=seen_dead(f"{APP.key}={OLD}>{NEW}"),
    ),
    "an entry seen dead waits until the machine has settled": Case(
        attached(),
        observed(machine(entry(principal=OLD), deploying=True), identities=HERE),
        withheld=((detach(), Hold.SETTLING),),
        request=seen_dead(),
    ),
    "an entry without principal while the machine is updated is an attach under way": Case(
        attached(), observed(machine(entry(principal=None), state="Updating"), identities=HERE)
    ),
    "an entry with another principal while the machine is updated is one, too": Case(
        attached(),
        observed(machine(entry(principal=OLD), state="Updating"), identities=HERE),
        request=seen_dead(),
    ),
    "the entry of one that is gone stays where nothing else is missing": Case(
        attached(),
        observed(machine(entry(), entry(SECOND)), **APP_ENDED),
        withheld=((attach(), Hold.IDENTITY_ABSENT),),
    ),
    "the entry of one that is gone goes where another attach needs that": Case(
        WITH_SECOND,
        observed(machine(entry()), **APP_ENDED),
        (detach(Reason.IDENTITY_GONE), attach(SECOND)),
    ),
    "whatever principal it shows": Case(
        WITH_SECOND,
        observed(machine(entry(principal=None)), **APP_ENDED),
        (detach(Reason.IDENTITY_GONE), attach(SECOND)),
    ),
    "the entry of one that is gone stays where the other one is missing, too": Case(
        WITH_SECOND,
        observed(machine(entry()), **APP_ENDED | {"identities": {APP: None, SECOND: None}}),
        withheld=(
            (attach(), Hold.IDENTITY_ABSENT),
            (attach(SECOND), Hold.IDENTITY_ABSENT),
        ),
    ),
    "until its end is proved the other attach waits": Case(
        WITH_SECOND,
        observed(machine(entry()), identities={APP: None, SECOND: user_identity(SECOND)}),
        withheld=(
            (detach(Reason.IDENTITY_GONE), Hold.UNCONFIRMED),
            (attach(SECOND), Hold.UNCONFIRMED),
        ),
    ),
    "where nothing proves its end for an hour, the other attach is left to a person": Case(
        WITH_SECOND,
        observed(machine(entry()), **APP_ENDED | {"endings": {}}),
        withheld=(
            (detach(Reason.IDENTITY_GONE), Hold.GONE_UNPROVED),
            (attach(SECOND), Hold.DEAD_ENTRY),
        ),
        request=Request(VM, sightings=(Sighting(LONG_AGO, Sight.GONE, APP.key),)),
    ),
    "one that Resource Graph still shows is not gone": Case(
        WITH_SECOND,
        observed(machine(entry()), **APP_ENDED | {"traces": Traces({APP: OF_APP})}),
        withheld=(
            (detach(Reason.IDENTITY_GONE), Hold.UNCONFIRMED),
            (attach(SECOND), Hold.UNCONFIRMED),
        ),
    ),
    "where putting it back would change the default, its entry stays, and so does the attach": Case(
        WITH_SECOND,
        observed(bare(entry()), **APP_ENDED),
        withheld=(
            (detach(Reason.IDENTITY_GONE), Hold.DEFAULT_IDENTITY),
            (attach(SECOND), Hold.DEAD_ENTRY),
        ),
    ),
    "where the rule lets the default change, its entry goes": Case(
        both(attached(default_change=True), attached(SECOND, default_change=True)),
        observed(bare(entry()), **APP_ENDED),
        (detach(Reason.IDENTITY_GONE), attach(SECOND)),
    ),
    "where the machine has its own identity, the default stays whatever goes": Case(
        both(WITH_SECOND, switched_on()),
        observed(machine(entry()), **APP_ENDED),
        (detach(Reason.IDENTITY_GONE), attach(SECOND)),
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
def test_each_case_of_the_table_of_identities(case: Case) -> None:
    """Every row of the table in `plan.identities`."""
    check(case)


def test_an_attach_waits_for_another_s_dead_entry_to_go() -> None:
    """Only its owner may take it away; a machine that needs no attach is not spoken of."""
    dead = machine(entry(SECOND, None))
    shown = (
        (detach(Reason.IDENTITY_GONE, SECOND), Hold.DEAD_ENTRY),
        (attach(), Hold.DEAD_ENTRY),
    )

    check(Case(attached(), observed(dead, identities=HERE), withheld=shown))
    check(Case(NOTHING, observed(dead)))
    check(Case(attached(SECOND), observed(machine(entry(SECOND)), identities=IS_SECOND)))


@pytest.mark.parametrize("state", ["Creating", "Updating", "Deleting"])
def test_another_s_entry_on_a_changing_machine_is_not_dead(state: str) -> None:
    """A busy machine waits anyway, and says nothing of others' entries."""
    found = observed(machine(entry(SECOND, None), state=state), identities=HERE)

    check(Case(attached(), found, withheld=((attach(), Hold.BUSY),)))


def test_an_attach_that_a_dead_entry_keeps_back_names_both_ways_out() -> None:
    """The person has to choose."""
    planned = plan(WITH_SECOND, observed(bare(entry()), **APP_ENDED), LOOK, CONTEXT)
    words = planned.withheld[-1].detail

    assert "by hand" in words
    assert "allowDefaultChange" in words
    assert str(APP) in words


def test_the_last_entry_that_is_dead_goes_only_under_an_etag() -> None:
    """It only goes by a PATCH of the type, which would take away whatever is there."""
    desired = both(attached(default_change=True), switched_on(default_change=True))
    found = {**APP_ENDED, "identities": {APP: None}}
    gone = detach(Reason.IDENTITY_GONE)

    check(Case(desired, observed(bare(entry()), **found), (gone, attach(None))))
    held = ((gone, Hold.NO_ETAG), (attach(None), Hold.DEAD_ENTRY))
    check(Case(desired, observed(bare(entry(), etag=None), **found), withheld=held))


def test_the_default_identity_may_change_where_a_rule_says_so() -> None:
    """`allowDefaultChange` is the only thing that lifts that hold."""
    found = observed(bare(entry(SECOND)), identities=HERE)

    check(Case(attached(default_change=True), found, (attach(),)))
    check(Case(switched_on(default_change=True), found, (attach(None),)))


@pytest.mark.parametrize(
    ("request_", "attaches"),
    [
        pytest.param(seen_dead(), True, id="a minute ago"),
        pytest.param(seen_dead(ago=timedelta(hours=1)), True, id="an hour ago"),
        pytest.param(seen_dead(ago=timedelta(hours=1, seconds=1)), False, id="longer ago"),
        pytest.param(seen_dead(f"{APP.key}=->{OF_APP}"), True, id="without principal then"),
        pytest.param(seen_dead(f"{APP.key}={OLD}>{NEW}"), False, id="of another principal"),
        pytest.param(seen_dead(f"{SECOND.key}={OLD}>{OF_APP}"), False, id="another identity"),
        pytest.param(LOOK, False, id="never"),
        pytest.param(
            Request(VM, sightings=(Sighting(NOON, Sight.GONE, APP.key),)), False, id="gone"
        ),
    ],
)
def test_an_identity_that_was_detached_to_be_healed_is_attached_again(
    request_: Request,
    attaches: bool,  # noqa: FBT001 (a row of the table)
) -> None:
    """It was there a moment before, so the default identity does not change by it."""
    held = ((attach(), Hold.DEFAULT_IDENTITY),)

    check(
        Case(
            attached(),
            observed(bare(entry(SECOND)), identities=HERE),
            (attach(),) if attaches else (),
            () if attaches else held,
            request=request_,
        )
    )


def test_an_identity_outside_the_guardrails_places_is_not_detached() -> None:
    """The guardrails' places bound what policy may do with an identity, whatever it is."""
    outside = below(SUB, f"resourceGroups/rg-id2/{'/'.join(APP.text.split('/')[5:])}")
    assert not IDS.contains(outside)

    check(
        Case(
            attached(outside),
            observed(machine(entry(outside, OLD)), identities={outside: user_identity(outside)}),
            withheld=((detach(id_=outside), Hold.IDENTITY_PLACE),),
        )
    )


def test_a_plan_says_which_entries_were_seen_dead_or_gone() -> None:
    """A later look compares, and knows since when."""
    entries = (entry(principal=OLD), entry(SECOND))
    found = {APP: user_identity(), SECOND: None}
    wanted = both(attached(), attached(SECOND))
    busy = machine(*entries, state="Updating")
    dead, gone = (
        Sighting(NOON, Sight.DEAD_ENTRY, DEAD),
        Sighting(NOON, Sight.GONE, SECOND.key),
    )

    assert plan(wanted, observed(machine(*entries), identities=found), LOOK, CONTEXT).sightings == (
        dead,
        gone,
    )
    assert plan(wanted, observed(busy, identities=found), LOOK, CONTEXT).sightings == (gone,)
    assert plan(NOTHING, observed(machine(*entries)), LOOK, CONTEXT).sightings == ()
