"""Strategies for what a look finds."""

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from reconciler.ids import ResourceId
from reconciler.marker import Marker
from reconciler.model import (
    USER_ASSIGNED_IDENTITY,
    AttachedIdentity,
    Ending,
    IdentityBlock,
    Observed,
    Resource,
    RoleAssignment,
    Traces,
    UserIdentity,
)
from tests.properties.samples import (
    CUSTOM,
    booleans,
    conditions,
    identities,
    principals,
    roles,
    scopes,
)
from tests.world.builders import (
    APP,
    CROWN,
    DATA,
    ELSEWHERE,
    FAR_VM,
    LONG_AGO,
    MADE,
    NEW,
    OF_APP,
    OLD,
    OTHER_VM,
    OURSELVES,
    SECOND,
    STRANGER,
    SUB,
    VM,
    assignment,
    below,
)
from tests.world.ids import NOON

SITE = below(SUB, "resourceGroups/rg-app/providers/Microsoft.Web/sites/app")
"""Of a type whose apps restart when its identities change."""

_subjects = st.sampled_from((VM, VM, VM, VM, SITE, APP, APP, FAR_VM, CROWN, OURSELVES))

_FORGED: tuple[dict[str, Any], ...] = (
    {},
    {"id": below(DATA, "providers/Microsoft.Authorization/roleAssignments/by-hand")},
    {"principal_type": "User"},
    {"created_by": STRANGER},
    {"created_by": None},
    {"updated_by": STRANGER},
    {"updated_by": None},
    {"created": None},
    {"created": NOON},
    {"description": None},
    {"description": "by hand"},
    {"description": str(Marker("other", VM))},
    {"description": str(Marker("former", VM))},
    {"description": str(Marker("prod", OTHER_VM))},
)
"""What an assignment of ours may have lost, or another's may pretend."""
_marks = st.just(_FORGED[0]) | st.sampled_from(_FORGED)


@st.composite
def _assigned(draw: st.DrawFn, subject: ResourceId, principal: str) -> RoleAssignment:
    """Draw one of the subject's, ours or but for one mark, held by it or by an earlier one."""
    holder = draw(st.just(principal) | principals)
    made = assignment(holder, draw(roles), draw(scopes), subject, condition=draw(conditions))
    return replace(made, **draw(_marks))


def _triple(one: RoleAssignment) -> tuple[object, ...]:
    return one.principal, one.role, one.scope


# Made once, since Hypothesis checks every strategy that it has not met before.
_entries = st.lists(
    st.builds(AttachedIdentity, identities, st.sampled_from((None, OLD, OF_APP))),
    max_size=3,
    unique_by=lambda one: one.id,
).map(tuple)
_machines: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "state": st.sampled_from((*["Succeeded"] * 5, "Updating")),
        "deploying": st.sampled_from((False, False, False, True)),
        "created": st.sampled_from((None, NOON, LONG_AGO, LONG_AGO)),
        "etag": st.sampled_from((None, '"1"', '"1"')),
        "managed_by": st.sampled_from((*[None] * 7, "/x/y")),
    }
)
_holders = st.none() | principals
_kinds = st.sampled_from((*[None] * 7, "Delegated"))
_alive = st.sampled_from((True, True, True, True, False))
_there = st.fixed_dictionaries(
    {
        one: st.sampled_from((*[UserIdentity(one, OF_APP)] * 3, None))
        for one in (APP, SECOND, CROWN, OURSELVES, ELSEWHERE)
    }
)
_carried: st.SearchStrategy[dict[ResourceId, str | None]] = st.sampled_from(
    ({}, {}, {OTHER_VM: OLD}, {OTHER_VM: NEW}, {OTHER_VM: OF_APP})
)
_ends = st.sampled_from(
    (
        None,
        Ending(),
        Ending(LONG_AGO),
        Ending(LONG_AGO),
        Ending(MADE),
        Ending(LONG_AGO, complete=False),
        Ending(LONG_AGO, moves=(MADE,)),
    )
)
_absent: st.SearchStrategy[dict[ResourceId, tuple[str, ...]]] = st.sampled_from(
    (*[{}] * 4, {DATA: ()}, {DATA: ("near",)})
)
_rarely = st.sampled_from((*[False] * 9, True))
_asked = st.sampled_from((True, True, True, False))
_own_row = st.sampled_from(("agrees", "agrees", "stale", "none"))
_judged = st.sampled_from((None, True, False))


@st.composite
def observed(draw: st.DrawFn) -> Observed:
    """Draw what a look may find: any state of a machine or identity, with any rights."""
    subject = draw(_subjects)
    principal = draw(_holders)
    block = IdentityBlock(
        system=principal is not None or draw(booleans),
        principal=principal,
        attached=draw(_entries),
        raw_type=draw(_kinds),
    )
    machine = Resource(subject, identities=block, incarnation="first", **draw(_machines))
    is_identity = subject.is_type(USER_ASSIGNED_IDENTITY)
    alive = UserIdentity(subject, principal or NEW) if is_identity else machine
    assigned = _assigned(subject, principal or OLD)
    there, row = draw(_alive), draw(_own_row)
    shown = dict(draw(_carried))
    if row == "stale" or (there and row == "agrees"):
        shown[subject] = OLD if row == "stale" else alive.principal
    return Observed(
        id=subject,
        at=NOON,
        subject=alive if there else None,
        assignments=tuple(draw(st.lists(assigned, max_size=6, unique_by=_triple))),
        identities=draw(_there),
        roles={CUSTOM: draw(_judged)},
        confirmed=draw(_asked),
        traces=Traces(shown) if draw(_asked) else None,
        endings={one: end for one in (subject, APP, SECOND) if (end := draw(_ends))},
        absent=draw(_absent),
        limit_reached=draw(_rarely),
    )
