"""The marker's exact text, the names of our assignments, and what makes an assignment ours."""

import re
from dataclasses import replace

import pytest

from reconciler import marker
from reconciler.ids import ResourceId
from reconciler.marker import Marker, Ownership
from reconciler.model import RoleAssignment
from tests.world.ids import READER
from tests.world.ids import SUB as SUBSCRIPTION

MACHINE = ResourceId.parse(
    f"{SUBSCRIPTION}/resourceGroups/RG/providers/Microsoft.Compute/virtualMachines/VM-1"
)
TEXT = (
    "heritage=identity-reconciler,owner=prod,"
    f"resource={SUBSCRIPTION}/resourcegroups/rg/providers/microsoft.compute/virtualmachines/vm-1"
)
SCOPE = ResourceId.parse(f"{SUBSCRIPTION}/resourceGroups/rg")
PRINCIPAL = "22222222-2222-2222-2222-222222222222"
MAKER = "aaaaaaaa-3333-3333-3333-333333333333"
NAME = "381e8404-e4ac-559b-8e15-3ffb111980b4"

US = Ownership(owner="prod", makers=frozenset({MAKER}), former_owners=frozenset({"pilot"}))
OURS = RoleAssignment(
    id=ResourceId.parse(f"{SCOPE}/providers/Microsoft.Authorization/roleAssignments/{NAME}"),
    principal=PRINCIPAL,
    principal_type="ServicePrincipal",
    role=READER,
    scope=SCOPE,
    description=TEXT,
    created_by=MAKER,
    updated_by=MAKER,
)


def test_a_marker_has_its_keys_in_one_order_and_the_resource_in_lower_case() -> None:
    """The text is a format that other deployments and later versions read."""
    assert str(Marker("prod", MACHINE)) == TEXT
    assert US.marker_for(MACHINE) == TEXT


def test_a_marker_is_read_back() -> None:
    """What we wrote names its owner and its resource."""
    assert marker.parse(TEXT) == Marker("prod", MACHINE)


@pytest.mark.parametrize(
    "description",
    [
        pytest.param(None, id="no description"),
        pytest.param("", id="empty"),
        pytest.param("Granted by hand", id="somebody's words"),
        pytest.param(TEXT.replace("identity-reconciler", "other"), id="foreign heritage"),
        pytest.param(TEXT.upper(), id="upper case"),
        pytest.param(TEXT.replace("heritage", "Heritage"), id="key in another case"),
        pytest.param(TEXT.replace("vm-1", "VM-1"), id="resource in another case"),
        pytest.param(TEXT.replace("owner=prod", "owner=Prod"), id="owner in another case"),
        pytest.param(TEXT.replace("owner=prod", "owner="), id="no owner"),
        pytest.param(TEXT.replace("owner=prod", "owner=a_b"), id="owner with a wrong character"),
        pytest.param(TEXT.replace("prod", "a" * 41), id="owner of 41 characters"),
        pytest.param(TEXT.replace("owner=prod,", ""), id="owner missing"),
        pytest.param(TEXT.partition(",resource=")[0], id="resource missing"),
        pytest.param(TEXT.partition("/")[0], id="resource empty"),
        pytest.param(TEXT.replace("=/subscriptions", "=subscriptions"), id="resource without '/'"),
        pytest.param(TEXT.replace("/vm-1", "/.."), id="resource with dots"),
        pytest.param(TEXT + ",extra=1", id="extra key behind"),
        pytest.param("extra=1," + TEXT, id="extra key in front"),
        pytest.param(TEXT.replace(",resource", ",extra=1,resource"), id="extra key between"),
        pytest.param(TEXT.replace("prod,", "prod,owner=prod,"), id="key twice"),
        pytest.param(re.sub(r"^(.*?),(.*?),", r"\2,\1,", TEXT), id="keys in another order"),
        pytest.param(" " + TEXT, id="blank in front"),
        pytest.param(TEXT + " ", id="blank behind"),
        pytest.param(TEXT.replace(",", ", "), id="blank after commas"),
        pytest.param(TEXT + "\n", id="newline behind"),
        pytest.param("\n" + TEXT, id="newline in front"),
        pytest.param(f"{TEXT}\n{TEXT}", id="two markers"),
    ],
)
def test_anything_but_the_exact_form_is_no_marker(description: str | None) -> None:
    """A text that we did not write makes the assignment somebody else's."""
    assert marker.parse(description) is None
    assert US.marker_of(replace(OURS, description=description)) is None


def test_a_marker_holds_at_most_512_characters() -> None:
    """Longer descriptions are not read; Azure's own limit would not fit them either."""
    longest = TEXT.ljust(marker.MAX_LENGTH, "x")

    assert len(longest) == 512
    assert marker.parse(longest) is not None
    assert marker.parse(longest + "x") is None


def test_an_owner_holds_at_most_40_characters() -> None:
    """The longest owner that settings allow is read back."""
    found = marker.parse(TEXT.replace("prod", "a" * 40))

    assert found is not None
    assert found.owner == "a" * 40


def test_the_name_of_an_assignment_never_changes() -> None:
    """Names that stand in Azure were made from this triple in this way (design, section 5)."""
    assert marker.assignment_name(SCOPE, READER, PRINCIPAL) == NAME
    assert (
        marker.assignment_name(
            ResourceId.parse(str(SCOPE).upper()), READER.upper(), PRINCIPAL.upper()
        )
        == NAME
    )


def test_markers_and_names_are_made_from_lower_case_whatever_the_letters() -> None:
    """Ids are compared by simple upper case; the formats that stand in Azure are not."""
    odd = "\N{KELVIN SIGN}\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}\N{ANGSTROM SIGN}\N{OHM SIGN}"
    odd += "\N{LATIN CAPITAL LETTER SHARP S}\N{GREEK SMALL LETTER FINAL SIGMA}\N{MICRO SIGN}"
    lower = f"{SUBSCRIPTION}/resourcegroups/rg-ki\N{COMBINING DOT ABOVE}åωß"
    lower += "\N{GREEK SMALL LETTER FINAL SIGMA}\N{MICRO SIGN}"
    group = ResourceId.parse(f"{SUBSCRIPTION}/resourceGroups/rg-{odd}")
    written = Marker("prod", group)

    assert str(written) == f"heritage=identity-reconciler,owner=prod,resource={lower}"
    found = marker.parse(str(written))
    assert found is not None
    assert found.names(group)
    assert not found.names(SCOPE)
    assert marker.assignment_name(group, READER, PRINCIPAL) == (
        "8c401107-1d41-5e61-8d83-1eb459b47b7f"
    )


def test_an_assignment_with_all_four_marks_is_ours() -> None:
    """Its marker tells for which resource it was made."""
    assert US.may_write(OURS)
    assert not US.lost(OURS)
    assert US.marker_of(OURS) == Marker("prod", MACHINE)


def test_the_case_of_ids_does_not_make_it_another_s() -> None:
    """Azure spells ids in either case; GUIDs are in lower case since they were read."""
    shouted = replace(
        OURS,
        id=ResourceId.parse(str(OURS.id).upper()),
        scope=ResourceId.parse(str(SCOPE).upper()),
    )

    assert US.marker_of(shouted) == Marker("prod", MACHINE)


@pytest.mark.parametrize(
    "foreign",
    [
        pytest.param(replace(OURS, principal_type="User"), id="a person"),
        pytest.param(replace(OURS, principal_type="Group"), id="a group"),
        pytest.param(replace(OURS, principal_type=""), id="no principal type"),
        pytest.param(replace(OURS, created_by=PRINCIPAL), id="made by another"),
        pytest.param(replace(OURS, created_by=None), id="maker not yet known"),
        pytest.param(replace(OURS, created_by=""), id="maker empty"),
    ],
)
def test_what_we_did_not_make_for_a_service_principal_is_never_ours(
    foreign: RoleAssignment,
) -> None:
    """A forged marker alone is not enough to have an assignment changed or deleted."""
    for found in (
        foreign,
        replace(foreign, description=None),
        replace(foreign, updated_by=PRINCIPAL),
    ):
        assert not US.may_write(found)
        assert not US.lost(found)
        assert US.marker_of(found) is None


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(
            replace(OURS, id=ResourceId.parse(str(OURS.id).replace(NAME, PRINCIPAL))),
            id="another name",
        ),
        pytest.param(
            replace(OURS, id=ResourceId.parse(str(OURS.id).replace("-", ""))),
            id="name without dashes",
        ),
        pytest.param(replace(OURS, principal=MAKER), id="name of another principal"),
        pytest.param(replace(OURS, role=PRINCIPAL), id="name of another role"),
        pytest.param(replace(OURS, scope=MACHINE), id="name of another scope"),
    ],
)
def test_the_name_is_no_mark(other: RoleAssignment) -> None:
    """It can be computed, and taken, by anybody; where ours was taken we made a random one."""
    assert US.marker_of(other) == Marker("prod", MACHINE)
    assert not US.lost(other)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"description": None}, id="no marker"),
        pytest.param({"description": "by hand"}, id="somebody's words"),
        pytest.param({"updated_by": PRINCIPAL}, id="marker, written by another"),
        pytest.param({"updated_by": None}, id="marker, writer not yet known"),
        pytest.param({"updated_by": ""}, id="marker, writer empty"),
        pytest.param(
            {"updated_by": PRINCIPAL, "description": TEXT.replace("prod", "other")},
            id="another owner's marker, written by another",
        ),
        pytest.param({"updated_by": PRINCIPAL, "description": None}, id="neither"),
    ],
)
def test_what_we_made_and_lost_is_written_anew_and_never_deleted(
    changes: dict[str, str | None],
) -> None:
    """Whoever wrote it last may have rewritten the marker, so it is not believed."""
    stripped = replace(OURS, **changes)  # type: ignore[arg-type]

    assert US.lost(stripped)
    assert US.may_write(stripped)
    assert US.marker_of(stripped) is None


def test_a_former_owner_s_assignment_is_ours_and_tells_its_owner() -> None:
    """After a deployment is renamed, it keeps what it made and rewrites the marker."""
    found = US.marker_of(replace(OURS, description=TEXT.replace("prod", "pilot")))

    assert found == Marker("pilot", MACHINE)


def test_another_owner_s_assignment_is_never_ours() -> None:
    """Two deployments that share a principal still keep their hands off each other's."""
    other = replace(OURS, description=TEXT.replace("prod", "pilot"))
    without_past = replace(US, former_owners=frozenset())

    assert without_past.marker_of(other) is None
    assert not without_past.may_write(other)
    assert not without_past.lost(other)


def test_without_makers_nothing_is_ours() -> None:
    """Who does not know its own principal owns nothing."""
    assert replace(US, makers=frozenset()).marker_of(OURS) is None
