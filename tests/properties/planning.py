"""Strategies for the planner: few places, roles and principals, so that they meet often."""

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from reconciler.ids import ResourceId
from reconciler.marker import Marker
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
    assignment,
    below,
)

_subjects = st.just(VM) | st.sampled_from((FAR_VM, APP, CROWN, OURSELVES))
_scopes = st.just(DATA) | st.sampled_from((DATA, LAB, HOME, SUB, below(DATA, "providers/a.b/c/d")))
_roles = st.sampled_from((READER, BLOB_READER, CONTRIBUTOR))
_principals = st.sampled_from((OLD, NEW, OF_APP, MAKER))
_identities = st.sampled_from((APP, SECOND, CROWN, OURSELVES, ELSEWHERE))
_conditions = st.sampled_from((None, "@Resource[name] StringEquals 'a'"))
_modes = st.sampled_from(Mode)


_FORGED: tuple[dict[str, Any], ...] = (
    {},
    {"id": below(DATA, "providers/Microsoft.Authorization/roleAssignments/by-hand")},
    {"principal_type": "User"},
    {"created_by": STRANGER},
    {"created_by": None},
    {"description": None},
    {"description": "by hand"},
    {"description": str(Marker("other", VM))},
    {"description": str(Marker("former", VM))},
    {"description": str(Marker("prod", OTHER_VM))},
)
"""What an assignment of ours may have lost, or another's may pretend."""


@st.composite
def _assigned(draw: st.DrawFn, subject: ResourceId, principal: str) -> RoleAssignment:
    """Draw one of the subject's, ours or but for one mark, held by it or by an earlier one."""
    holder = draw(st.just(principal) | _principals)
    made = assignment(holder, draw(_roles), draw(_scopes), subject, condition=draw(_conditions))
    return replace(made, **draw(st.just(_FORGED[0]) | st.sampled_from(_FORGED)))


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
    assigned = _assigned(subject, principal or OLD)
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
