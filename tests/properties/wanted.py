"""Strategies for what is wanted: by small policies, and by hand."""

from collections.abc import Callable
from dataclasses import replace

from hypothesis import strategies as st

from reconciler.ids import ResourceId
from reconciler.model import (
    Desired,
    Grant,
    NewIdentity,
    Observed,
    Resource,
    Unresolved,
    Wanted,
)
from reconciler.observe import desired_of
from reconciler.policy import Policy
from reconciler.policy.model import Identity, Rule
from tests.properties.samples import (
    DEFINITION,
    RAILS,
    booleans,
    conditions,
    identities,
    modes,
    roles,
    scopes,
)
from tests.world.builders import APP, CONTEXT, CROWN, DATA, LAB, SECOND, SUB

_choices = st.sampled_from((frozenset[ResourceId](), frozenset({DATA, LAB})))


def _wanted[T](what: st.SearchStrategy[T]) -> st.SearchStrategy[Wanted[T]]:
    return st.builds(
        Wanted, what, modes, st.just(("rule r",)), booleans, booleans, booleans, _choices
    )


def _by_what[T](one: Wanted[T]) -> T:
    return one.what


_by_hand = st.builds(
    Desired,
    attach=st.lists(_wanted(identities), max_size=3, unique_by=_by_what).map(tuple),
    system=st.none() | _wanted(st.none()),
    grants=st.lists(
        _wanted(st.builds(Grant, roles, scopes, conditions)), max_size=4, unique_by=_by_what
    ).map(tuple),
    unresolved=st.lists(
        _wanted(st.builds(Grant, roles, st.just(Unresolved("{location}", "why")))), max_size=1
    ).map(tuple),
    ensured=st.lists(
        _wanted(st.builds(NewIdentity, identities, st.just("westeurope"))), max_size=1
    ).map(tuple),
    unwelcome=st.lists(_wanted(identities), max_size=2, unique_by=_by_what).map(tuple),
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
        "role": st.sampled_from(("Reader", "Contributor", DEFINITION)),
        "scope": st.sampled_from((str(DATA), str(LAB), "{resourceGroup}", "{id}")),
    },
)

_entry = st.fixed_dictionaries(
    {"mode": modes, "exclusive": booleans, "grants": st.lists(_granting, max_size=2)}
)
_rules = st.lists(
    st.fixed_dictionaries(
        {
            "mode": modes,
            "rollout": st.sampled_from((0, 50, 100)),
            "within": st.just([str(SUB)]),
            "match": st.just(
                {"type": ["Microsoft.Compute/virtualMachines", "Microsoft.Web/sites"]}
            ),
            "attach": st.lists(st.sampled_from(sorted(_NAMED)), max_size=2),
            "allowDefaultChange": booleans,
            "allowRestart": booleans,
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
        RAILS,
        CONTEXT.digest,
    )


_policies = policies()


@st.composite
def wants(draw: st.DrawFn) -> Callable[[Observed], Desired]:
    """Draw what is wanted of whatever is found: what a policy wants, or anything."""
    if draw(booleans):
        policy = draw(_policies)
        return lambda found: desired_of(policy, found.subject)
    by_hand = draw(_by_hand)
    return lambda found: _carried(by_hand, found)
