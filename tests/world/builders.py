"""Small builders of domain values for the tests of the pure core.

One machine, one identity, one data scope; each builder takes only what a test is about.
"""

from dataclasses import replace
from datetime import timedelta

from reconciler import marker
from reconciler.ids import ResourceId
from reconciler.model import (
    AttachedIdentity,
    Desired,
    Grant,
    IdentityBlock,
    Mode,
    Observed,
    Removals,
    Request,
    Resource,
    RoleAssignment,
    Unresolved,
    UserIdentity,
    Wanted,
)
from reconciler.plan import Home, PlanContext
from reconciler.policy.model import Guardrails
from tests.world import ids
from tests.world.ids import NOON, READER

SETTLE = timedelta(minutes=1)
LONG_AGO = NOON - timedelta(hours=1)
MADE = NOON - timedelta(days=2)
"""When what is ours was granted: before the machine of today was made."""


OLD = "00000000-0000-4000-8000-00000000000a"
NEW = "00000000-0000-4000-8000-00000000000b"
OF_APP = "00000000-0000-4000-8000-00000000000c"
MAKER = "00000000-0000-4000-8000-00000000000d"
STRANGER = "00000000-0000-4000-8000-00000000000e"

SUB = ResourceId.parse(ids.SUB)
UNWATCHED = ResourceId.parse("/subscriptions/99999999-9999-9999-9999-999999999999")


def below(scope: ResourceId, path: str) -> ResourceId:
    """Return an id below another."""
    return ResourceId.parse(f"{str(scope).rstrip('/')}/{path}")


DATA = ResourceId.parse(ids.DATA)
LAB = below(SUB, "resourceGroups/rg-lab")
HOME = ResourceId.parse(ids.HOME)
IDS = ResourceId.parse(ids.IDENTITIES)
VM = ResourceId.parse(ids.VM)
OTHER_VM = ResourceId.parse(ids.machine("vm2"))
FAR_VM = ResourceId.parse(ids.machine(group=f"{UNWATCHED}/resourceGroups/rg-app"))
APP = ResourceId.parse(ids.SHARED)
SECOND = ResourceId.parse(ids.identity("spare"))
CROWN = ResourceId.parse(ids.identity("crown"))
OURSELVES = ResourceId.parse(ids.identity("reconciler"))
ELSEWHERE = below(DATA, "providers/Microsoft.ManagedIdentity/userAssignedIdentities/shared")

OWNERSHIP = marker.Ownership("prod", frozenset({MAKER}), frozenset({"former"}))
CONTEXT = PlanContext(
    ownership=OWNERSHIP,
    guardrails=Guardrails.model_validate(
        {
            "version": 1,
            "grants": [
                {"scope": str(DATA), "roles": ["Reader", "Storage Blob Data Reader"]},
                {"scope": str(HOME), "roles": ["Reader"]},
                {"scope": str(LAB), "roles": ["Contributor"]},
            ],
            "identities": [str(IDS)],
            "protected": [str(CROWN)],
        }
    ),
    digest="digest",
    settle=SETTLE,
    own_identity=OURSELVES,
    home=Home((HOME,)),
    watched=(SUB,),
)


def machine(*attached: AttachedIdentity, **changes: object) -> Resource:
    """Return a machine whose system-assigned identity is on, and which has long been there."""
    block = IdentityBlock(system=True, principal=NEW, attached=attached)
    built = Resource(VM, "westeurope", {}, block, incarnation="first", created=LONG_AGO, etag='"1"')
    return replace(built, **changes)  # type: ignore[arg-type]


def bare(*attached: AttachedIdentity, **changes: object) -> Resource:
    """Return a machine whose system-assigned identity is off."""
    return machine(identities=IdentityBlock(attached=attached), **changes)


def entry(id_: ResourceId = APP, principal: str | None = OF_APP) -> AttachedIdentity:
    """Return a resource's entry of a user-assigned identity."""
    return AttachedIdentity(id_, principal)


def user_identity(id_: ResourceId = APP, principal: str = OF_APP) -> UserIdentity:
    """Return a user-assigned identity as its own GET shows it."""
    return UserIdentity(id_, principal, "", "westeurope")


def observed(
    subject: Resource | UserIdentity | None,
    *assignments: RoleAssignment,
    id_: ResourceId = VM,
    **changes: object,
) -> Observed:
    """Return what one look found; `id_` counts where the subject is gone."""
    found = Observed(subject.id if subject else id_, NOON, subject, assignments)
    return replace(found, **changes)  # type: ignore[arg-type]


def assignment(
    principal: str = NEW,
    role: str = READER,
    scope: ResourceId = DATA,
    resource: ResourceId = VM,
    **changes: object,
) -> RoleAssignment:
    """Return a role assignment of ours, by all four marks unless they are changed."""
    name = marker.assignment_name(scope, role, principal)
    made = RoleAssignment(
        id=below(scope, f"providers/Microsoft.Authorization/roleAssignments/{name}"),
        principal=principal,
        principal_type=marker.SERVICE_PRINCIPAL,
        role=role,
        scope=scope,
        description=OWNERSHIP.marker_for(resource),
        created_by=MAKER,
        created=MADE,
        updated_by=MAKER,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def foreign(principal: str = NEW, **changes: object) -> RoleAssignment:
    """Return a role assignment that somebody else made by hand."""
    name = "99999999-0000-4000-8000-000000000000"
    path = f"providers/Microsoft.Authorization/roleAssignments/{name}"
    marks: dict[str, object] = {"id": below(DATA, path), "description": None}
    marks |= {"created_by": STRANGER, "updated_by": STRANGER}
    return assignment(principal, **(marks | changes))  # type: ignore[arg-type]


def attached(id_: ResourceId = APP, mode: Mode = Mode.REPAIR, **changes: object) -> Desired:
    """Want a user-assigned identity attached."""
    wanted = replace(Wanted(id_, mode, ("rule r",)), **changes)  # type: ignore[arg-type]
    return Desired(attach=(wanted,))


def switched_on(mode: Mode = Mode.REPAIR, *, default_change: bool = False) -> Desired:
    """Want the system-assigned identity switched on."""
    return Desired(system=Wanted(None, mode, ("rule r",), default_change))


def granted(
    role: str = READER,
    scope: ResourceId = DATA,
    condition: str | None = None,
    mode: Mode = Mode.REPAIR,
    **changes: object,
) -> Desired:
    """Want one right."""
    wanted = Wanted(Grant(role, scope, condition), mode, ("rule r",))
    return Desired(grants=(replace(wanted, **changes),))  # type: ignore[arg-type]


def unresolved(role: str = READER, mode: Mode = Mode.REPAIR) -> Desired:
    """Want one right whose scope has no name for the subject."""
    grant = Grant(role, Unresolved("{location}", "nothing is known for '{location}'"))
    return Desired(unresolved=(Wanted(grant, mode, ("rule r",)),))


def both(one: Desired, other: Desired) -> Desired:
    """Want what two say."""
    return Desired(
        one.attach + other.attach,
        one.system or other.system,
        one.grants + other.grants,
        one.unresolved + other.unresolved,
    )


def removing(*unwanted: ResourceId, at_once: bool = False) -> Removals:
    """Let some unwanted things go under the policy of the tests; all where none is named."""
    return Removals(CONTEXT.digest, frozenset(unwanted) if unwanted else None, at_once)


NOTHING = Desired()
LOOK = Request(VM)
WITH_REMOVALS = Request(VM, removals=removing())
