"""What the domain's values derive from their own fields."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.ids import ResourceId
from reconciler.model import (
    AttachedIdentity,
    IdentityBlock,
    Observed,
    Removals,
    Request,
    Resource,
    Sight,
    Sighting,
    Traces,
    UserIdentity,
)
from tests import strategies
from tests.world.ids import NOON

GROUP = "/subscriptions/s/resourceGroups/rg"
MACHINE = ResourceId.parse(f"{GROUP}/providers/Microsoft.Compute/virtualMachines/vm-1")
OTHER = ResourceId.parse(f"{GROUP}/providers/Microsoft.Compute/virtualMachines/vm-2")
IDENTITY = ResourceId.parse(
    f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/app"
)
MOMENT = timedelta(microseconds=1)


def test_an_identity_s_entry_is_found_whatever_its_case() -> None:
    """Resources spell the ids of their identities as they like (facts: Machines, recorded)."""
    entry = AttachedIdentity(ResourceId.parse(str(IDENTITY).upper()), "p-1")

    assert IdentityBlock(attached=(entry,)).entry(IDENTITY) == entry
    assert IdentityBlock().entry(IDENTITY) is None


@pytest.mark.parametrize(
    ("subject", "principal", "incarnation"),
    [
        pytest.param(None, None, None, id="gone"),
        pytest.param(Resource(MACHINE, incarnation="vm-a"), None, "vm-a", id="no system identity"),
        pytest.param(
            Resource(MACHINE, identities=IdentityBlock(principal="p-1"), incarnation="vm-a"),
            "p-1",
            "vm-a",
            id="machine",
        ),
        pytest.param(UserIdentity(IDENTITY, "p-2"), "p-2", "p-2", id="user-assigned identity"),
    ],
)
def test_an_observation_has_its_subject_s_principal_and_incarnation(
    subject: Resource | UserIdentity | None, principal: str | None, incarnation: str | None
) -> None:
    """A machine differs from its predecessor by its own id, an identity by its principal."""
    observed = Observed(MACHINE, NOON, subject)

    assert observed.principal == principal
    assert observed.incarnation == incarnation


@pytest.mark.parametrize(
    ("removals", "goes"),
    [
        (Removals("d"), False),
        (Removals("d", frozenset({OTHER})), False),
        (Removals("d", frozenset({OTHER, MACHINE})), True),
        (Removals("d", frozenset({ResourceId.parse(str(MACHINE).upper())})), True),
        (Removals("d", None), True),
    ],
)
def test_removals_allow_what_they_name(
    removals: Removals,
    goes: bool,  # noqa: FBT001 (a row of the table)
) -> None:
    """No names mean that nothing may, and none at all that everything may."""
    assert removals.allow(MACHINE) is goes


@pytest.mark.parametrize(
    ("one", "other", "covers"),
    [
        (Removals("d"), Removals("d"), True),
        (Removals("d"), Removals("e"), False),
        (Removals("d", frozenset({MACHINE, OTHER})), Removals("d", frozenset({OTHER})), True),
        (Removals("d", frozenset({OTHER})), Removals("d", frozenset({MACHINE, OTHER})), False),
        (Removals("d", None), Removals("d", frozenset({MACHINE})), True),
        (Removals("d", None), Removals("d", None), True),
        (Removals("d", frozenset({MACHINE})), Removals("d", None), False),
        (Removals("d", None), Removals("e", frozenset()), False),
        (Removals("d", None), Removals("d", None, at_once=True), False),
        (Removals("d", None, at_once=True), Removals("d", None, at_once=True), True),
        (Removals("d", None, at_once=True), Removals("d", None), True),
    ],
)
def test_removals_cover_what_allows_no_more(
    one: Removals,
    other: Removals,
    covers: bool,  # noqa: FBT001 (a row of the table)
) -> None:
    """A look that allowed less than a request asks for is no answer to it."""
    assert one.cover(other) is covers


_SOME = st.none() | st.frozensets(st.sampled_from((MACHINE, OTHER, IDENTITY)))
_REMOVALS = st.builds(Removals, st.sampled_from("de"), _SOME, st.booleans())


@given(_REMOVALS, _REMOVALS, strategies.ids)
def test_removals_allow_all_that_the_covered_ones_allow(
    one: Removals, other: Removals, any_: ResourceId
) -> None:
    """Covering is of one policy, and goes with what may go and how soon."""
    if one.cover(other):
        assert one.digest == other.digest
        assert one.at_once >= other.at_once
        for place in (MACHINE, OTHER, IDENTITY, any_):
            assert one.allow(place) >= other.allow(place)


def test_a_sighting_counts_from_when_it_was_first_made() -> None:
    """By what was seen, and about which id or code."""
    request = Request(
        MACHINE,
        sightings=(
            Sighting(NOON, Sight.GONE),
            Sighting(NOON - MOMENT, Sight.GONE),
            Sighting(NOON - 2 * MOMENT, Sight.GONE, IDENTITY.key),
        ),
    )

    assert request.sighted(Sight.GONE) == NOON - MOMENT
    assert request.sighted(Sight.GONE, IDENTITY.key) == NOON - 2 * MOMENT
    assert request.sighted(Sight.GONE, OTHER.key) is None
    assert request.sighted(Sight.MOVED) is None


def test_a_principal_s_holder_is_another_resource_that_carries_it() -> None:
    """The asked one's own row may be stale; of several holders it is always the same."""
    shown = {MACHINE: "p", OTHER: "p", IDENTITY: "q"}

    assert Traces(shown).holder("p", MACHINE) == OTHER
    assert Traces(shown).holder("p", IDENTITY) == MACHINE
    assert Traces(dict(reversed(shown.items()))).holder("p", IDENTITY) == MACHINE
    assert Traces(shown).holder("q", IDENTITY) is None
    assert Traces({OTHER: None}).holder("p", MACHINE) is None
