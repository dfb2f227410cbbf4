"""Changes that what lies there forbids, for good or for now."""

from datetime import timedelta
from typing import Any

from reconciler.changes import CreateAssignment, Hold, Reason
from reconciler.model import (
    Desired,
    Ending,
    IdentityBlock,
    Removals,
    Request,
    Sight,
    Sighting,
    Traces,
)
from tests.unit.plan_cases import (
    CONDITION,
    GONE_SEEN,
    HERE,
    LONG,
    RECREATED_SEEN,
    REPLACED,
    Case,
    attach,
    create,
    delete,
    detach,
    held,
)
from tests.world.builders import (
    APP,
    DATA,
    LONG_AGO,
    NEW,
    NOTHING,
    OLD,
    OTHER_VM,
    OWNERSHIP,
    SECOND,
    STRANGER,
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
from tests.world.ids import BLOB_READER, NOON

GONE_APP: dict[str, Any] = {
    "identities": {APP: None, SECOND: user_identity(SECOND)},
    "traces": Traces(),
    "endings": {APP: Ending(LONG_AGO)},
}

HOLDS = {
    "absent: grant": held(create(principal=None), Hold.IDENTITY_ABSENT, granted(), observed(None)),
    "absent: attach": held(
        attach(), Hold.IDENTITY_ABSENT, attached(), observed(machine(), identities={APP: None})
    ),
    "absent scope: grant": held(
        create(), Hold.SCOPE_ABSENT, granted(), observed(machine(), absent={DATA: ()})
    ),
    "dead entry: another's": Case(
        attached(),
        observed(machine(entry(SECOND, None)), identities=HERE),
        withheld=(
            (detach(Reason.IDENTITY_GONE, SECOND), Hold.DEAD_ENTRY),
            (attach(), Hold.DEAD_ENTRY),
        ),
    ),
    "default identity: an entry in the way that would change it": Case(
        both(attached(), attached(SECOND)),
        observed(bare(entry()), **GONE_APP),
        withheld=(
            (detach(Reason.IDENTITY_GONE), Hold.DEFAULT_IDENTITY),
            (attach(SECOND), Hold.DEAD_ENTRY),
        ),
    ),
    "waiting for the system-assigned identity: grant": Case(
        both(switched_on(), granted()),
        observed(bare(entry(SECOND))),
        withheld=(
            (attach(None), Hold.DEFAULT_IDENTITY),
            (create(principal=None), Hold.DEFAULT_IDENTITY),
        ),
    ),
    "no marker: what another wrote last": held(
        delete(assignment(updated_by=STRANGER)),
        Hold.NO_MARKER,
        NOTHING,
        observed(machine(), assignment(updated_by=STRANGER)),
        WITH_REMOVALS,
    ),
    "replacing": Case(
        granted(BLOB_READER),
        observed(machine(), assignment()),
        (create(BLOB_READER),),
        ((delete(assignment()), Hold.REPLACING),),
        WITH_REMOVALS,
    ),
    "replacement": Case(
        granted(BLOB_READER),
        observed(machine(), assignment(), roles={}, absent={DATA: ()}),
        withheld=(
            (create(BLOB_READER), Hold.SCOPE_ABSENT),
            (delete(assignment()), Hold.REPLACEMENT),
        ),
        request=WITH_REMOVALS,
    ),
    "removals: an exclusive identity": held(
        detach(Reason.NOT_ALLOWED),
        Hold.REMOVALS,
        Desired(unwelcome=attached().attach),
        observed(machine(entry()), identities=HERE),
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
        detach(),
        Hold.NO_ETAG,
        attached(),
        observed(machine(entry(principal=OLD), etag=None), identities=HERE),
        RECREATED_SEEN,
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
        CreateAssignment(unresolved().unresolved[0].what, NEW, OWNERSHIP.marker_for(VM)),
        Hold.UNRESOLVED,
        unresolved(),
        observed(machine()),
    ),
    "removals under another policy's digest": held(
        delete(assignment()),
        Hold.REMOVALS,
        NOTHING,
        observed(machine(), assignment()),
        Request(VM, removals=Removals("another", None)),
    ),
    "carried by a machine that was moved": held(
        delete(assignment(OLD), Reason.RESOURCE_GONE),
        Hold.CARRIED,
        NOTHING,
        observed(None, assignment(OLD), traces=Traces({OTHER_VM: OLD})),
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
        detach(Reason.NOT_ALLOWED),
        Hold.BUSY,
        Desired(unwelcome=attached().attach),
        observed(machine(entry(), state="creating"), identities=HERE),
        WITH_REMOVALS,
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
    "unconfirmed: another principal, read once": held(
        delete(assignment(OLD), Reason.PRINCIPAL_REPLACED),
        Hold.UNCONFIRMED,
        NOTHING,
        observed(machine(), assignment(OLD), traces=Traces({VM: NEW})),
    ),
    "unconfirmed: a dead entry, seen once": held(
        detach(),
        Hold.UNCONFIRMED,
        attached(),
        observed(machine(entry(principal=OLD)), identities=HERE),
    ),
    "unconfirmed: the entry of an identity that is gone": Case(
        both(attached(), attached(SECOND)),
        observed(machine(entry()), identities=GONE_APP["identities"]),
        withheld=(
            (detach(Reason.IDENTITY_GONE), Hold.UNCONFIRMED),
            (attach(SECOND), Hold.UNCONFIRMED),
        ),
    ),
    "gone, unproved": held(
        delete(assignment(OLD), Reason.RESOURCE_GONE),
        Hold.GONE_UNPROVED,
        NOTHING,
        observed(None, assignment(OLD), traces=Traces()),
        Request(VM, sightings=(Sighting(LONG_AGO, Sight.GONE),)),
    ),
    "replaced, unproved: no principal": held(
        delete(assignment(OLD), Reason.PRINCIPAL_REPLACED),
        Hold.REPLACED_UNPROVED,
        NOTHING,
        observed(bare(), assignment(OLD), **REPLACED),
    ),
}
