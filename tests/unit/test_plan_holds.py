"""Every hold of the planner, at each kind of change that it can stop."""

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.changes import (
    Change,
    Hold,
    Reason,
)
from reconciler.model import (
    Desired,
    IdentityBlock,
    Mode,
    Observed,
    Request,
    Wanted,
)
from tests.unit.builders import (
    APP,
    BLOB_READER,
    CONTRIBUTOR,
    CROWN,
    ELSEWHERE,
    FAR_VM,
    HOME,
    LAB,
    LONG_AGO,
    LOOK,
    MAKER,
    NOON,
    NOTHING,
    OF_APP,
    OLD,
    OTHER_VM,
    OURSELVES,
    SECOND,
    SETTLE,
    SUB,
    VM,
    assignment,
    attached,
    bare,
    below,
    both,
    entry,
    granted,
    machine,
    observed,
    switched_on,
    user_identity,
)
from tests.unit.plan_cases import (
    AUDIT,
    CONDITION,
    GONE_SEEN,
    HERE,
    LONG,
    RECREATED_SEEN,
    Case,
    attach,
    check,
    create,
    delete,
    detach,
    update,
)


def held(
    change: Change,
    hold: Hold,
    desired: Desired,
    found: Observed,
    request: Request = LOOK,
) -> Case:
    """Return a row in which one change is withheld and nothing else is planned."""
    return Case(desired, found, (), ((change, hold),), request)


INSIDE = below(HOME, "providers/Microsoft.Storage/storageAccounts/queues")
FAR = machine(id=FAR_VM)
MANAGED = machine(managed_by=str(OTHER_VM))
PRIVILEGED = granted(CONTRIBUTOR, LAB)

HOLDS = {
    "audit: attach": held(
        attach(), Hold.AUDIT, attached(mode=AUDIT), observed(machine(), identities=HERE)
    ),
    "audit: switch on": held(attach(None), Hold.AUDIT, switched_on(AUDIT), observed(bare())),
    "audit: grant": held(create(), Hold.AUDIT, granted(mode=AUDIT), observed(machine())),
    "audit: heal": held(
        detach(),
        Hold.AUDIT,
        attached(mode=AUDIT),
        observed(machine(entry(principal=OLD)), identities=HERE),
        RECREATED_SEEN,
    ),
    "audit: update": held(
        update(assignment(), Reason.CONDITION_DIFFERS, CONDITION),
        Hold.AUDIT,
        granted(condition=CONDITION, mode=AUDIT),
        observed(machine(), assignment()),
    ),
    "protected: attach": held(
        attach(CROWN),
        Hold.PROTECTED,
        attached(CROWN),
        observed(machine(), identities={CROWN: user_identity(CROWN)}),
    ),
    "protected: detach": held(
        detach(Reason.IDENTITY_GONE, CROWN),
        Hold.PROTECTED,
        attached(CROWN),
        observed(machine(entry(CROWN)), identities={CROWN: None}),
    ),
    "protected: grant": held(
        create(principal=OF_APP, resource=CROWN),
        Hold.PROTECTED,
        granted(),
        observed(user_identity(CROWN)),
    ),
    "protected: take a right away": held(
        delete(assignment(OLD, resource=CROWN), Reason.PRINCIPAL_REPLACED),
        Hold.PROTECTED,
        NOTHING,
        observed(user_identity(CROWN), assignment(OLD, resource=CROWN)),
    ),
    "own identity: attach": held(
        attach(OURSELVES),
        Hold.OWN_IDENTITY,
        attached(OURSELVES),
        observed(machine(), identities={OURSELVES: user_identity(OURSELVES)}),
    ),
    "own identity by its principal: attach": held(
        attach(),
        Hold.OWN_IDENTITY,
        attached(),
        observed(machine(), identities={APP: user_identity(principal=MAKER)}),
    ),
    "own identity: grant": held(
        create(principal=MAKER),
        Hold.OWN_IDENTITY,
        granted(),
        observed(machine(identities=IdentityBlock(system=True, principal=MAKER))),
    ),
    "guardrails: another role": held(
        create(CONTRIBUTOR), Hold.GUARDRAILS, granted(CONTRIBUTOR), observed(machine())
    ),
    "home: the subscription around it": held(
        create(scope=SUB), Hold.HOME, granted(scope=SUB), observed(machine())
    ),
    "home: what lies in it": held(
        create(scope=INSIDE), Hold.HOME, granted(scope=INSIDE), observed(machine())
    ),
    "guardrails: a group whose name begins alike": held(
        create(scope=below(SUB, "resourceGroups/rg-data2")),
        Hold.GUARDRAILS,
        granted(scope=below(SUB, "resourceGroups/rg-data2")),
        observed(machine()),
    ),
    "guardrails: a privileged role where it does not say so": held(
        create(CONTRIBUTOR, LAB), Hold.GUARDRAILS, PRIVILEGED, observed(machine())
    ),
    "guardrails: an old right where nothing may be written any more": held(
        delete(assignment(OLD, scope=SUB), Reason.PRINCIPAL_REPLACED),
        Hold.GUARDRAILS,
        NOTHING,
        observed(machine(), assignment(OLD, scope=SUB)),
    ),
    "place of an identity: attach": held(
        attach(ELSEWHERE),
        Hold.IDENTITY_PLACE,
        attached(ELSEWHERE),
        observed(machine(), identities={ELSEWHERE: user_identity(ELSEWHERE)}),
    ),
    "place of an identity: grant": held(
        create(principal=OF_APP, resource=ELSEWHERE),
        Hold.IDENTITY_PLACE,
        granted(),
        observed(user_identity(ELSEWHERE)),
    ),
    "absent: grant": held(create(principal=None), Hold.IDENTITY_ABSENT, granted(), observed(None)),
    "home: grant": held(create(scope=HOME), Hold.HOME, granted(scope=HOME), observed(machine())),
    "not watched: attach": held(
        attach(resource=FAR_VM), Hold.NOT_WATCHED, attached(), observed(FAR, identities=HERE)
    ),
    "not watched: grant": held(create(resource=FAR_VM), Hold.NOT_WATCHED, granted(), observed(FAR)),
    "not watched: take a right away": held(
        delete(assignment(OLD, resource=FAR_VM), Reason.PRINCIPAL_REPLACED),
        Hold.NOT_WATCHED,
        NOTHING,
        observed(FAR, assignment(OLD, resource=FAR_VM)),
    ),
    "not watched: take a gone one's right away": held(
        delete(assignment(OLD, resource=FAR_VM), Reason.RESOURCE_GONE),
        Hold.NOT_WATCHED,
        NOTHING,
        observed(None, assignment(OLD, resource=FAR_VM), id_=FAR_VM),
        GONE_SEEN,
    ),
    "managed: attach": held(attach(), Hold.MANAGED, attached(), observed(MANAGED, identities=HERE)),
    "managed: grant": held(create(), Hold.MANAGED, granted(), observed(MANAGED)),
    "managed: take a right away": held(
        delete(assignment(OLD), Reason.PRINCIPAL_REPLACED),
        Hold.MANAGED,
        NOTHING,
        observed(MANAGED, assignment(OLD)),
    ),
    "default identity: a second user-assigned one": held(
        attach(),
        Hold.DEFAULT_IDENTITY,
        attached(),
        observed(bare(entry(SECOND)), identities=HERE),
    ),
    "default identity: a system-assigned one beside a user-assigned one": held(
        attach(None), Hold.DEFAULT_IDENTITY, switched_on(), observed(bare(entry(SECOND)))
    ),
    "unknown identity type": held(
        attach(),
        Hold.UNKNOWN_IDENTITY_TYPE,
        attached(),
        observed(machine(identities=IdentityBlock(raw_type="Delegated")), identities=HERE),
    ),
    "no etag: the last identity": held(
        detach(Reason.IDENTITY_GONE),
        Hold.NO_ETAG,
        attached(),
        observed(machine(entry(), etag=None), identities={APP: None}),
    ),
    "no room for the marker": held(
        create(resource=LONG), Hold.NO_ROOM_FOR_MARKER, granted(), observed(machine(id=LONG))
    ),
    "conflicting": held(
        create(),
        Hold.CONFLICTING,
        both(granted(), granted(condition=CONDITION)),
        observed(machine()),
    ),
    "unresolved": held(
        create(BLOB_READER, VM),
        Hold.UNRESOLVED,
        Desired(unresolved=((Wanted(BLOB_READER, Mode.REPAIR, ()), "{resourceGroup}/x"),)),
        observed(machine()),
    ),
    "removals under another policy's digest": held(
        delete(assignment()),
        Hold.REMOVALS,
        NOTHING,
        observed(machine(), assignment()),
        Request(VM, removals="another"),
    ),
    "carried by a machine that was moved": held(
        delete(assignment(OLD), Reason.RESOURCE_GONE),
        Hold.CARRIED,
        NOTHING,
        observed(None, assignment(OLD), carriers={OLD: OTHER_VM}),
        GONE_SEEN,
    ),
    "settling: a machine that was just made": held(
        attach(),
        Hold.SETTLING,
        attached(),
        observed(machine(created=NOON - timedelta(seconds=59)), identities=HERE),
    ),
    "settling: an extension is being provisioned": held(
        attach(), Hold.SETTLING, attached(), observed(machine(deploying=True), identities=HERE)
    ),
    "busy: attach": held(
        attach(), Hold.BUSY, attached(), observed(machine(state="Updating"), identities=HERE)
    ),
    "busy: detach": held(
        detach(Reason.IDENTITY_GONE),
        Hold.BUSY,
        attached(),
        observed(machine(entry(), state="creating"), identities={APP: None}),
    ),
    "busy: a principal that is not shown yet is not a replaced one": held(
        delete(assignment(OLD), Reason.PRINCIPAL_REPLACED),
        Hold.BUSY,
        NOTHING,
        observed(bare(state="Creating"), assignment(OLD)),
    ),
    "unknown identity type: a block that cannot be read replaces nobody": held(
        delete(assignment(OLD), Reason.PRINCIPAL_REPLACED),
        Hold.UNKNOWN_IDENTITY_TYPE,
        NOTHING,
        observed(machine(identities=IdentityBlock(raw_type="Delegated")), assignment(OLD)),
    ),
    "unconfirmed: gone for the first time": held(
        delete(assignment(OLD), Reason.RESOURCE_GONE),
        Hold.UNCONFIRMED,
        NOTHING,
        observed(None, assignment(OLD)),
    ),
    "unconfirmed: gone for too short a time": held(
        delete(assignment(OLD), Reason.RESOURCE_GONE),
        Hold.UNCONFIRMED,
        NOTHING,
        observed(None, assignment(OLD)),
        replace(GONE_SEEN, first=NOON - 5 * SETTLE + timedelta(seconds=1)),
    ),
    "unconfirmed: asked long ago, but seen alive then": held(
        delete(assignment(OLD), Reason.RESOURCE_GONE),
        Hold.UNCONFIRMED,
        NOTHING,
        observed(None, assignment(OLD)),
        Request(VM, first=LONG_AGO),
    ),
}
# These come with a change or a second row of their own, so they are tested below, or by file.
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
    """A hold that is added needs a row above."""
    assert {case.withheld[0][1] for case in HOLDS.values()} | ELSEWHERE_TESTED == set(Hold)
