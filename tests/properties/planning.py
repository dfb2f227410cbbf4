"""Strategies for the planner: few places, roles and principals, so that they meet often."""

from hypothesis import strategies as st

from reconciler.ids import ResourceId
from reconciler.marker import Marker, assignment_name
from reconciler.model import (
    VIRTUAL_MACHINE,
    AttachedIdentity,
    Desired,
    Grant,
    IdentityBlock,
    Mode,
    Observed,
    Request,
    Resource,
    RoleAssignment,
    UserIdentity,
    Wanted,
)
from tests import strategies
from tests.unit.builders import (
    APP,
    BLOB_READER,
    CONTRIBUTOR,
    CROWN,
    DATA,
    ELSEWHERE,
    FAR_VM,
    HOME,
    LAB,
    LONG_AGO,
    MAKER,
    NEW,
    NOON,
    OF_APP,
    OLD,
    OTHER_VM,
    OURSELVES,
    READER,
    SECOND,
    STRANGER,
    SUB,
    TERMS,
    VM,
    below,
)

_subjects = st.sampled_from((VM, OTHER_VM, FAR_VM, APP, CROWN, OURSELVES))
_scopes = st.sampled_from((DATA, LAB, HOME, SUB, below(DATA, "providers/a.b/c/d")))
_roles = st.sampled_from((READER, BLOB_READER, CONTRIBUTOR))
_principals = st.sampled_from((OLD, NEW, OF_APP, MAKER))
_identities = st.sampled_from((APP, SECOND, CROWN, OURSELVES, ELSEWHERE))
_conditions = st.sampled_from((None, "@Resource[name] StringEquals 'a'"))
_modes = st.sampled_from(Mode)


@st.composite
def _assigned(draw: st.DrawFn, subject: ResourceId) -> RoleAssignment:
    """Draw one that is ours, or that lacks or forges any of the marks."""
    scope, role, principal = draw(_scopes), draw(_roles), draw(_principals)
    resource = draw(st.just(subject) | _subjects)
    mark = st.builds(Marker, st.sampled_from(("prod", "former", "other")), st.just(resource))
    name = assignment_name(scope, role, principal)
    path = "providers/Microsoft.Authorization/roleAssignments"
    return RoleAssignment(
        id=below(scope, f"{path}/{draw(st.just(name) | strategies.guids)}"),
        principal=principal,
        principal_type=draw(st.sampled_from(("ServicePrincipal", "ServicePrincipal", "User"))),
        role=role,
        scope=scope,
        condition=draw(_conditions),
        description=draw(mark.map(str) | mark.map(str) | st.none() | st.just("by hand")),
        created_by=draw(st.sampled_from((MAKER, MAKER, STRANGER, None))),
    )


def _wanted[T](what: st.SearchStrategy[T]) -> st.SearchStrategy[Wanted[T]]:
    return st.builds(Wanted, what, _modes, st.just(("rule r",)), st.booleans())


def _triple(one: RoleAssignment) -> tuple[object, ...]:
    return one.principal, one.role, one.scope


@st.composite
def observed(draw: st.DrawFn) -> Observed:
    """Draw what a look may find: any state of a machine or identity, with any rights."""
    subject = draw(_subjects)
    entries = st.builds(AttachedIdentity, _identities, st.sampled_from((None, OLD, OF_APP)))
    principal = draw(st.none() | _principals)
    block = IdentityBlock(
        system=principal is not None or draw(st.booleans()),
        principal=principal,
        attached=tuple(draw(st.lists(entries, max_size=3, unique_by=lambda one: one.id))),
        raw_type=draw(st.sampled_from((None, None, None, "Delegated"))),
    )
    machine = Resource(
        subject,
        identities=block,
        state=draw(st.sampled_from(("Succeeded", "Succeeded", "Updating"))),
        deploying=draw(st.booleans()),
        incarnation="first",
        created=draw(st.sampled_from((None, NOON, LONG_AGO))),
        etag=draw(st.sampled_from((None, '"1"'))),
        managed_by=draw(st.sampled_from((None, None, "/x/y"))),
    )
    alive = machine if subject.is_type(VIRTUAL_MACHINE) else UserIdentity(subject, principal or NEW)
    assigned = _assigned(subject)
    return Observed(
        id=subject,
        at=NOON,
        subject=draw(st.sampled_from((alive, alive, None))),
        assignments=tuple(draw(st.lists(assigned, max_size=6, unique_by=_triple))),
        identities={
            one: draw(st.sampled_from((UserIdentity(one, OF_APP), None)))
            for one in (APP, SECOND, CROWN, OURSELVES, ELSEWHERE)
        },
        carriers=draw(st.sampled_from(({}, {OLD: OTHER_VM}))),
    )


def _by_what(one: Wanted[ResourceId]) -> ResourceId:
    return one.what


desired = st.builds(
    Desired,
    attach=st.lists(_wanted(_identities), max_size=3, unique_by=_by_what).map(tuple),
    system=st.none() | _wanted(st.none()),
    grants=st.lists(
        _wanted(st.builds(Grant, _roles, _scopes, _conditions)),
        max_size=4,
        unique_by=lambda one: one.what,
    ).map(tuple),
    unresolved=st.lists(st.tuples(_wanted(_roles), st.just("{location}")), max_size=1).map(tuple),
)
"""What policy may want of a subject, also what its loader would not let through."""

requests = st.builds(
    Request,
    st.just(VM),
    removals=st.sampled_from((None, "another", TERMS.digest)),
    first=st.sampled_from((None, LONG_AGO, NOON)),
    seen=st.sampled_from(((), ("gone",), (f"{APP.key}={OLD}>{OF_APP}",))),
)
