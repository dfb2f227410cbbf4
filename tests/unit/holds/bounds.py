"""Changes that policy and settings forbid: audit, guardrails, places, and whose a resource is."""

from reconciler.changes import Hold, Reason
from reconciler.model import IdentityBlock
from tests.unit.builders import (
    APP,
    CONTRIBUTOR,
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
    assignment,
    attached,
    bare,
    below,
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
    RECREATED_SEEN,
    attach,
    create,
    delete,
    detach,
    held,
    update,
)

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
}
