"""Changes that what lies there forbids, for good or for now."""

from dataclasses import replace
from datetime import timedelta

from reconciler.changes import Hold, Reason
from reconciler.model import Desired, IdentityBlock, Mode, Request, Wanted
from tests.unit.builders import (
    APP,
    BLOB_READER,
    LONG_AGO,
    NOON,
    NOTHING,
    OLD,
    OTHER_VM,
    SECOND,
    SETTLE,
    VM,
    assignment,
    attached,
    bare,
    both,
    entry,
    granted,
    machine,
    observed,
    switched_on,
)
from tests.unit.plan_cases import (
    CONDITION,
    GONE_SEEN,
    HERE,
    LONG,
    attach,
    create,
    delete,
    detach,
    held,
)

HOLDS = {
    "absent: grant": held(create(principal=None), Hold.IDENTITY_ABSENT, granted(), observed(None)),
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
