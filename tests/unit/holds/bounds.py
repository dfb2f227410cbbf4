"""Changes that policy and settings forbid: audit, guardrails, places, and whose a resource is."""

from dataclasses import replace

from reconciler.changes import CreateIdentity, Hold, Reason
from reconciler.ids import ResourceId
from reconciler.model import IdentityBlock, Mode, NewIdentity, Wanted
from tests.unit.plan_cases import (
    AUDIT,
    CONDITION,
    ENDED,
    GONE_SEEN,
    HERE,
    RECREATED_SEEN,
    REPLACED,
    Case,
    attach,
    create,
    delete,
    detach,
    held,
    update,
)
from tests.world.builders import (
    APP,
    CROWN,
    ELSEWHERE,
    FAR_VM,
    HOME,
    LAB,
    MAKER,
    NOTHING,
    OF_APP,
    OLD,
    OTHER_VM,
    OURSELVES,
    SUB,
    UNWATCHED,
    assignment,
    attached,
    bare,
    below,
    entry,
    foreign,
    granted,
    machine,
    observed,
    switched_on,
    user_identity,
)
from tests.world.ids import CONTRIBUTOR

CUSTOM = "11111111-2222-3333-4444-555555555555"
SITE = below(SUB, "resourceGroups/rg-app/providers/Microsoft.Web/sites/app")
HOUSE = below(HOME, "providers/Microsoft.ManagedIdentity/userAssignedIdentities/house")
INDOORS = below(HOME, "providers/Microsoft.Compute/virtualMachines/vm-1")
INSIDE = below(HOME, "providers/Microsoft.Storage/storageAccounts/queues")
FAR = machine(id=FAR_VM)
FAR_ID = below(UNWATCHED, "/".join(APP.text.split("/")[3:]))
NEW_FAR = NewIdentity(FAR_ID, "westeurope")
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
        detach(id_=CROWN),
        Hold.PROTECTED,
        attached(CROWN),
        observed(machine(entry(CROWN, OLD)), identities={CROWN: user_identity(CROWN)}),
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
        observed(user_identity(CROWN), assignment(OLD, resource=CROWN), **REPLACED),
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
    "guardrails: a right that policy wants and that was allowed once": held(
        delete(assignment(role=CONTRIBUTOR), Reason.FORBIDDEN),
        Hold.GUARDRAILS,
        granted(CONTRIBUTOR),
        observed(machine(), assignment(role=CONTRIBUTOR)),
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
    "home: grant": held(create(scope=HOME), Hold.HOME, granted(scope=HOME), observed(machine())),
    "not watched: attach": held(
        attach(resource=FAR_VM), Hold.NOT_WATCHED, attached(), observed(FAR, identities=HERE)
    ),
    "not watched: grant": held(create(resource=FAR_VM), Hold.NOT_WATCHED, granted(), observed(FAR)),
    "not watched: take a right away": held(
        delete(assignment(OLD, resource=FAR_VM), Reason.PRINCIPAL_REPLACED),
        Hold.NOT_WATCHED,
        NOTHING,
        observed(FAR, assignment(OLD, resource=FAR_VM), **REPLACED),
    ),
    "not watched: take a gone one's right away": held(
        delete(assignment(OLD, resource=FAR_VM), Reason.RESOURCE_GONE),
        Hold.NOT_WATCHED,
        NOTHING,
        observed(None, assignment(OLD, resource=FAR_VM), id_=FAR_VM, **ENDED),
        GONE_SEEN,
    ),
    "not watched: create an identity for a machine that is": Case(
        replace(attached(FAR_ID), ensured=(Wanted(NEW_FAR, Mode.REPAIR, ("rule r",)),)),
        observed(machine(), identities={FAR_ID: None}),
        withheld=(
            (CreateIdentity(NEW_FAR), Hold.NOT_WATCHED),
            (attach(FAR_ID), Hold.IDENTITY_PLACE),
        ),
    ),
    "managed: attach": held(attach(), Hold.MANAGED, attached(), observed(MANAGED, identities=HERE)),
    "managed: grant": held(create(), Hold.MANAGED, granted(), observed(MANAGED)),
    "managed: update": held(
        update(assignment(), Reason.CONDITION_DIFFERS, CONDITION),
        Hold.MANAGED,
        granted(condition=CONDITION),
        observed(MANAGED, assignment()),
    ),
    "rollout: attach": held(
        attach(),
        Hold.ROLLOUT,
        attached(mode=AUDIT, rollout=True),
        observed(machine(), identities=HERE),
    ),
    "rollout: grant": held(
        create(), Hold.ROLLOUT, granted(mode=AUDIT, rollout=True), observed(machine())
    ),
    "rollout: a right of the principal before": Case(
        granted(mode=AUDIT, rollout=True),
        observed(machine(), assignment(OLD), **REPLACED),
        withheld=(
            (delete(assignment(OLD), Reason.PRINCIPAL_REPLACED), Hold.ROLLOUT),
            (create(), Hold.ROLLOUT),
        ),
    ),
    "home: an identity that lies in it": held(
        attach(HOUSE),
        Hold.HOME,
        attached(HOUSE),
        observed(machine(), identities={HOUSE: user_identity(HOUSE)}),
    ),
    "home: a right of an identity that lies in it": held(
        create(principal=OF_APP, resource=HOUSE),
        Hold.HOME,
        granted(),
        observed(user_identity(HOUSE)),
    ),
    "home: a machine that lies in it": held(
        attach(resource=INDOORS),
        Hold.HOME,
        attached(),
        observed(machine(id=INDOORS), identities=HERE),
    ),
    "home: a right in it whose machine is gone": held(
        delete(assignment(OLD, scope=HOME), Reason.RESOURCE_GONE),
        Hold.HOME,
        NOTHING,
        observed(None, assignment(OLD, scope=HOME), **ENDED),
        GONE_SEEN,
    ),
    "home: the tenant": held(
        create(scope=ResourceId.parse("/")),
        Hold.HOME,
        granted(scope=ResourceId.parse("/")),
        observed(machine()),
    ),
    "role unread": held(
        create(CUSTOM), Hold.ROLE_UNREAD, granted(CUSTOM), observed(machine(), roles={CUSTOM: None})
    ),
    "restart: attach": held(
        attach(resource=SITE),
        Hold.RESTART,
        attached(),
        observed(machine(id=SITE), identities=HERE),
    ),
    "foreign condition": held(
        update(foreign(), Reason.CONDITION_DIFFERS, CONDITION),
        Hold.FOREIGN_CONDITION,
        granted(condition=CONDITION),
        observed(machine(), foreign()),
    ),
}
