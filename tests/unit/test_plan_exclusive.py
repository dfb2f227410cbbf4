"""Exclusive identities, and types whose apps restart: what rules must allow by name."""

from dataclasses import replace

import pytest

from reconciler.changes import (
    AttachIdentity,
    DetachIdentity,
    Hold,
    Plan,
    Reason,
    Withheld,
)
from reconciler.ids import ResourceId
from reconciler.model import Desired, Mode, Removals, Request, Resource, Wanted
from reconciler.plan import plan
from tests.unit.plan_cases import AUDIT
from tests.world.builders import (
    APP,
    CONTEXT,
    CROWN,
    ELSEWHERE,
    LOOK,
    SECOND,
    SUB,
    VM,
    WITH_REMOVALS,
    attached,
    bare,
    below,
    both,
    entry,
    machine,
    observed,
    removing,
    switched_on,
    user_identity,
)
from tests.world.ids import NOON

DETACH = DetachIdentity(VM, APP, Reason.NOT_ALLOWED)
SITE = below(SUB, "resourceGroups/rg/providers/Microsoft.Web/sites/app")


def unwelcome(id_: ResourceId = APP, mode: Mode = Mode.REPAIR) -> Desired:
    """Want an identity to be carried by others only."""
    return Desired(unwelcome=(Wanted(id_, mode, ("identity app",)),))


def planned(
    desired: Desired, resource: Resource | None = None, request: Request = WITH_REMOVALS
) -> Plan:
    """Return the plan of a machine that carries the identity, under removals."""
    found = {one.what: user_identity(one.what) for one in desired.unwelcome}
    return plan(desired, observed(resource or machine(entry()), identities=found), request, CONTEXT)


def test_an_exclusive_identity_is_detached_where_no_rule_attaches_it() -> None:
    """Whoever attached it would hold its rights."""
    assert planned(unwelcome()).changes == (DETACH,)


@pytest.mark.parametrize(
    "request_",
    [
        LOOK,
        Request(VM, removals=Removals(CONTEXT.digest)),
        Request(VM, removals=removing(SECOND, VM)),
        Request(VM, removals=Removals("another policy's digest", frozenset({APP}))),
    ],
    ids=["an event", "no names", "other names", "another policy"],
)
def test_an_exclusive_identity_is_detached_only_where_removals_are_allowed(
    request_: Request,
) -> None:
    """As rights that nobody asks for: a sweep within its limits, or a person, removes them."""
    found = planned(unwelcome(), request=request_)

    assert found.changes == ()
    assert found.withheld == (Withheld(DETACH, Hold.REMOVALS),)


@pytest.mark.parametrize("resource", [machine(entry()), machine(entry(), managed_by="somebody")])
def test_an_exclusive_identity_is_detached_from_a_managed_resource_too(resource: Resource) -> None:
    """What may not be there is unwanted wherever it is."""
    request = Request(VM, removals=removing(APP))

    assert planned(unwelcome(), resource, request).changes == (DETACH,)


@pytest.mark.parametrize(
    ("desired", "resource", "hold"),
    [
        (unwelcome(mode=AUDIT), machine(entry()), Hold.AUDIT),
        (unwelcome(), machine(entry(), created=NOON), Hold.SETTLING),
        (unwelcome(CROWN), machine(entry(CROWN)), Hold.PROTECTED),
        (unwelcome(ELSEWHERE), machine(entry(ELSEWHERE)), Hold.IDENTITY_PLACE),
        (unwelcome(), machine(entry(), state="Updating"), Hold.BUSY),
        (unwelcome(), machine(entry(), etag=None), Hold.NO_ETAG),
    ],
)
def test_every_hold_on_an_identity_holds_the_detach_of_an_exclusive_one(
    desired: Desired, resource: Resource, hold: Hold
) -> None:
    """As for any other change of identities; the last one goes only under an etag."""
    found = planned(desired, resource)

    assert not found.changes
    assert [one.hold for one in found.withheld] == [hold]


def test_an_identity_whose_name_only_fits_the_template_stays_attached() -> None:
    """What its own GET did not show to be the one that policy means is nobody's to detach."""
    found = plan(unwelcome(), observed(machine(entry()), identities={}), WITH_REMOVALS, CONTEXT)

    assert found.compliant


def test_the_app_s_own_identity_stays_attached() -> None:
    """Where a person signed in, only the principal shows that it is the app's."""
    ours = user_identity(principal=next(iter(CONTEXT.ownership.makers)))
    looked = observed(machine(entry(principal=None)), identities={APP: ours})
    found = plan(unwelcome(), looked, WITH_REMOVALS, CONTEXT)

    assert [one.hold for one in found.withheld] == [Hold.OWN_IDENTITY]


def test_an_exclusive_identity_is_detached_after_every_other_change() -> None:
    """What a live workload may still use is taken away after everything else is in place."""
    wants = both(replace(attached(SECOND, default_change=True)), switched_on(default_change=True))
    wants = replace(wants, unwelcome=unwelcome().unwelcome)
    known = {SECOND: user_identity(SECOND), APP: user_identity()}
    looked = observed(bare(entry()), identities=known)
    found = plan(wants, looked, WITH_REMOVALS, CONTEXT)

    assert [type(one) for one in found.changes] == [
        AttachIdentity,
        AttachIdentity,
        DetachIdentity,
    ]


@pytest.mark.parametrize("restart", [True, False])
def test_a_type_whose_apps_restart_is_changed_only_where_a_rule_allows_it(
    restart: bool,  # noqa: FBT001 (a row of the table)
) -> None:
    """Attaching, too, restarts them."""
    site = replace(bare(), id=SITE)
    desired = attached(restart=restart)
    looked = observed(site, identities={APP: user_identity()})
    found = plan(desired, looked, Request(SITE), CONTEXT)

    assert bool(found.changes) is restart
    assert [one.hold for one in found.withheld] == ([] if restart else [Hold.RESTART])
