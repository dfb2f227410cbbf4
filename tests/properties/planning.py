"""Strategies for the planner: few places, roles and principals, so that they meet often."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from reconciler.changes import Plan
from reconciler.ids import ResourceId
from reconciler.marker import Marker
from reconciler.model import (
    USER_ASSIGNED_IDENTITY,
    VIRTUAL_MACHINE,
    AttachedIdentity,
    Desired,
    Grant,
    IdentityBlock,
    Mode,
    NewIdentity,
    Observed,
    Request,
    Resource,
    RoleAssignment,
    UserIdentity,
    Wanted,
)
from reconciler.observe import desired_of
from reconciler.plan import Terms, plan
from reconciler.policy.language import Exemption, GuardrailGrant, Identity, Policy, Rule
from tests.unit.builders import (
    APP,
    BLOB_READER,
    CONTRIBUTOR,
    CROWN,
    DATA,
    ELSEWHERE,
    FAR_VM,
    HOME,
    IDS,
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
    UNWATCHED,
    VM,
    assignment,
    below,
)

SITE = below(SUB, "resourceGroups/rg-vm/providers/Microsoft.Web/sites/app")
"""Of a type whose apps restart when its identities change."""

CUSTOM = "11111111-2222-4333-8444-555555555555"
_DEFINITION = f"/providers/Microsoft.Authorization/roleDefinitions/{CUSTOM}"
_MORE = GuardrailGrant.model_validate({"scope": str(DATA), "roles": [_DEFINITION]})
_RAILS = TERMS.guardrails.model_copy(update={"grants": (*TERMS.guardrails.grants, _MORE)})
"""Those of the builders, and a custom role."""

# Mostly what is sound and ours to change, so that much is changed, and now and then what is not.
_subjects = st.sampled_from((VM, VM, VM, VM, SITE, APP, APP, FAR_VM, CROWN, OURSELVES))
_scopes = st.just(DATA) | st.sampled_from((DATA, LAB, HOME, SUB, below(DATA, "providers/a.b/c/d")))
_roles = st.sampled_from((READER, BLOB_READER, CONTRIBUTOR, CUSTOM))
_principals = st.sampled_from((OLD, NEW, NEW, OF_APP, OF_APP, MAKER))
_identities = st.sampled_from((APP, APP, SECOND, SECOND, CROWN, OURSELVES, ELSEWHERE))
_conditions = st.sampled_from((None, "@Resource[name] StringEquals 'a'"))
_modes = st.sampled_from((Mode.REPAIR, Mode.REPAIR, Mode.REPAIR, Mode.AUDIT))


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
_marks = st.just(_FORGED[0]) | st.sampled_from(_FORGED)
_booleans = st.booleans()


@st.composite
def _assigned(draw: st.DrawFn, subject: ResourceId, principal: str) -> RoleAssignment:
    """Draw one of the subject's, ours or but for one mark, held by it or by an earlier one."""
    holder = draw(st.just(principal) | _principals)
    made = assignment(holder, draw(_roles), draw(_scopes), subject, condition=draw(_conditions))
    return replace(made, **draw(_marks))


def _wanted[T](what: st.SearchStrategy[T]) -> st.SearchStrategy[Wanted[T]]:
    return st.builds(Wanted, what, _modes, st.just(("rule r",)), st.booleans(), st.booleans())


def _triple(one: RoleAssignment) -> tuple[object, ...]:
    return one.principal, one.role, one.scope


# Made once, since Hypothesis checks every strategy that it has not met before.
_entries = st.lists(
    st.builds(AttachedIdentity, _identities, st.sampled_from((None, OLD, OF_APP))),
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
_holders = st.none() | _principals
_kinds = st.sampled_from((*[None] * 7, "Delegated"))
_alive = st.sampled_from((True, True, True, True, False))
_there = st.fixed_dictionaries(
    {
        one: st.sampled_from((*[UserIdentity(one, OF_APP)] * 3, None))
        for one in (APP, SECOND, CROWN, OURSELVES, ELSEWHERE)
    }
)
_carriers: st.SearchStrategy[dict[str, ResourceId]] = st.sampled_from(({}, {OLD: OTHER_VM}))
_judged = st.sampled_from((None, True, False))


@st.composite
def observed(draw: st.DrawFn) -> Observed:
    """Draw what a look may find: any state of a machine or identity, with any rights."""
    subject = draw(_subjects)
    principal = draw(_holders)
    block = IdentityBlock(
        system=principal is not None or draw(_booleans),
        principal=principal,
        attached=draw(_entries),
        raw_type=draw(_kinds),
    )
    machine = Resource(subject, identities=block, incarnation="first", **draw(_machines))
    is_identity = subject.is_type(USER_ASSIGNED_IDENTITY)
    alive = UserIdentity(subject, principal or NEW) if is_identity else machine
    assigned = _assigned(subject, principal or OLD)
    return Observed(
        id=subject,
        at=NOON,
        subject=alive if draw(_alive) else None,
        assignments=tuple(draw(st.lists(assigned, max_size=6, unique_by=_triple))),
        identities=draw(_there),
        carriers=draw(_carriers),
        roles={CUSTOM: draw(_judged)},
    )


def _by_what[T](one: Wanted[T]) -> T:
    return one.what


_by_hand = st.builds(
    Desired,
    attach=st.lists(_wanted(_identities), max_size=3, unique_by=_by_what).map(tuple),
    system=st.none() | _wanted(st.none()),
    grants=st.lists(
        _wanted(st.builds(Grant, _roles, _scopes, _conditions)), max_size=4, unique_by=_by_what
    ).map(tuple),
    unresolved=st.lists(st.tuples(_wanted(_roles), st.just("{location}")), max_size=1).map(tuple),
    ensured=st.lists(
        _wanted(st.builds(NewIdentity, _identities, st.just("westeurope"))), max_size=1
    ).map(tuple),
    unwelcome=st.lists(_wanted(_identities), max_size=2, unique_by=_by_what).map(tuple),
)
"""What policy may want of a subject, also what its loader would not let through."""


def _carried(desired: Desired, found: Observed) -> Desired:
    """Return what is wanted with no more unwelcome than is carried there, and not attached."""
    if not isinstance(found.subject, Resource):
        return replace(desired, unwelcome=())
    carried = {one.id for one in found.subject.identities.attached}
    carried -= {one.what for one in desired.attach}
    return replace(
        desired, unwelcome=tuple(one for one in desired.unwelcome if one.what in carried)
    )


_NAMED = {
    "app": str(APP),
    "second": str(SECOND),
    "crown": str(CROWN),
    "placed": f"{str(APP).removesuffix('app')}in-{{location}}",
}
_granting = st.fixed_dictionaries(
    {
        "role": st.sampled_from(("Reader", "Contributor", _DEFINITION)),
        "scope": st.sampled_from((str(DATA), str(LAB), "{resourceGroup}", "{id}")),
    },
)


_entry = st.fixed_dictionaries(
    {"mode": _modes, "exclusive": _booleans, "grants": st.lists(_granting, max_size=2)}
)
_rules = st.lists(
    st.fixed_dictionaries(
        {
            "mode": _modes,
            "rollout": st.sampled_from((0, 50, 100)),
            "within": st.just([str(SUB)]),
            "match": st.just({"type": [VIRTUAL_MACHINE, "Microsoft.Web/sites"]}),
            "attach": st.lists(st.sampled_from(sorted(_NAMED)), max_size=2),
            "allowDefaultChange": _booleans,
            "allowRestart": _booleans,
            "system": st.fixed_dictionaries({"grants": st.lists(_granting, max_size=2)}),
        }
    ),
    max_size=3,
)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Draw a small policy over the subjects: shares, exclusive and templated identities."""
    return Policy(
        {
            name: Identity.model_validate({"id": id_, **draw(_entry)})
            for name, id_ in _NAMED.items()
        },
        tuple(
            Rule.model_validate({"name": f"rule-{number}", **entry})
            for number, entry in enumerate(draw(_rules))
        ),
        _RAILS,
        TERMS.digest,
    )


_policies = policies()


@st.composite
def _wants(draw: st.DrawFn) -> Callable[[Observed], Desired]:
    if draw(_booleans):
        policy = draw(_policies)
        return lambda found: desired_of(policy, found.subject)
    by_hand = draw(_by_hand)
    return lambda found: _carried(by_hand, found)


_exempt = st.builds(
    lambda scope, expires: Exemption(scope=scope, reason="why", expires=expires),
    st.sampled_from((VM, APP, IDS, DATA, SUB, UNWATCHED)),
    st.sampled_from((NOON.date(), (NOON - timedelta(days=1)).date())),
)
_terms = st.lists(_exempt, max_size=2).map(
    lambda some: replace(TERMS, guardrails=_RAILS, exemptions=tuple(some))
)

requests = st.builds(
    Request,
    st.just(VM),
    removals=st.sampled_from((None, "another", TERMS.digest, TERMS.digest)),
    first=st.sampled_from((None, LONG_AGO, NOON)),
    seen=st.sampled_from(((), ("gone",), (f"{APP.key}={OLD}>{OF_APP}",))),
)


@dataclass(frozen=True)
class Case:
    """All that a plan is made of; what is wanted hangs on what is found, as it does by policy."""

    wants: Callable[[Observed], Desired]
    found: Observed
    request: Request
    terms: Terms

    @property
    def wanted(self) -> Desired:
        """What is wanted of what is found."""
        return self.wants(self.found)

    @property
    def plan(self) -> Plan:
        """The plan of it all."""
        return plan(self.wanted, self.found, self.request, self.terms)

    def exempt(self, place: ResourceId | None) -> bool:
        """Tell whether policy keeps its hands off a place today."""
        return place is not None and self.terms.exemption(place, self.found.at) is not None


cases = st.builds(Case, _wants(), observed(), requests, _terms)
"""What a controller may be given, forged or not."""
