"""Plans: how a change is described, and what a plan's fingerprint does and does not depend on."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import get_args

import pytest

from reconciler import changes
from reconciler.changes import (
    AttachIdentity,
    Change,
    CreateAssignment,
    CreateIdentity,
    DeleteAssignment,
    DetachIdentity,
    Hold,
    Plan,
    Reason,
    UpdateAssignment,
    Withheld,
)
from reconciler.ids import ResourceId
from reconciler.model import Grant, NewIdentity, RoleAssignment, Sight, Sighting, Unresolved
from tests.world.ids import NOON

GROUP = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/Rg"
ROLE = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
PRINCIPAL = "aaaaaaaa-2222-2222-2222-222222222222"
CONDITION = "@Resource[name] StringEquals 'Images'"


def every_change(spelled: Callable[[str], str] = str) -> list[Change]:
    """Return one change of each kind, with ids and GUIDs in the given spelling."""
    machine = ResourceId.parse(spelled(f"{GROUP}/providers/Microsoft.Compute/virtualMachines/Vm-1"))
    identity = ResourceId.parse(
        spelled(f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/App")
    )
    role, principal = spelled(ROLE), spelled(PRINCIPAL)
    scope = ResourceId.parse(spelled(GROUP))
    grant = Grant(role, scope, CONDITION)
    assignment = RoleAssignment(
        id=ResourceId.parse(
            spelled(f"{GROUP}/providers/Microsoft.Authorization/roleAssignments/{PRINCIPAL}")
        ),
        principal=principal,
        principal_type="ServicePrincipal",
        role=role,
        scope=scope,
    )
    return [
        CreateIdentity(NewIdentity(identity, "westeurope", (("team", "desktop"),))),
        AttachIdentity(machine, identity),
        DetachIdentity(machine, identity, Reason.IDENTITY_RECREATED),
        CreateAssignment(grant, principal, "marker"),
        UpdateAssignment(assignment, grant, "marker", Reason.CONDITION_DIFFERS),
        DeleteAssignment(assignment, Reason.PRINCIPAL_REPLACED),
    ]


def plan_of(spelled: Callable[[str], str] = str) -> Plan:
    """Return a plan with every change, and one of them withheld for good."""
    found = every_change(spelled)
    return Plan(
        id=ResourceId.parse(spelled(GROUP)),
        at=NOON,
        incarnation="first",
        changes=tuple(found[1:]),
        withheld=(Withheld(found[0], Hold.DEFAULT_IDENTITY),),
    )


PLAN = plan_of()
DELETE = DeleteAssignment(
    RoleAssignment(PLAN.id, PRINCIPAL, "ServicePrincipal", ROLE, PLAN.id), Reason.UNWANTED
)
KINDS = [pytest.param(change, id=type(change).__name__) for change in every_change()]


def test_every_kind_of_change_is_described() -> None:
    """No kind is forgotten when one is added: the tests below run on all of them."""
    assert [type(change) for change in every_change()] == list(get_args(Change.__value__))


@pytest.mark.parametrize("change", KINDS)
def test_a_description_is_plain_and_names_kind_and_reason(change: Change) -> None:
    """Every output format prints the same values, and JSON can hold them."""
    described = changes.describe(change)

    assert json.loads(json.dumps(described)) == described
    assert described["kind"] == type(change).__name__
    assert described["reason"] == change.reason.name


def test_a_description_says_what_is_touched() -> None:
    """A reader sees the resource and identity, or the whole right, as Azure spells it."""
    new, attach, detach, create, update, delete = map(changes.describe, every_change())
    right = {"role": ROLE, "scope": GROUP}

    assert attach["resource"] == f"{GROUP}/providers/Microsoft.Compute/virtualMachines/Vm-1"
    assert attach["identity"] == detach["identity"] == new["identity"]
    assert (new["location"], new["tags"]) == ("westeurope", "team=desktop")
    assert right | {"principal": PRINCIPAL, "condition": CONDITION} == {
        key: create[key] for key in ("role", "scope", "principal", "condition")
    }
    assert right.items() <= update.items()
    assert right.items() <= delete.items()
    assert update["assignment"] == delete["assignment"]
    assert update["condition"] == CONDITION


def test_the_system_assigned_identity_has_a_name_in_descriptions() -> None:
    """Switching it on has no identity id that could be shown."""
    described = changes.describe(AttachIdentity(ResourceId.parse(GROUP), None))

    assert described["identity"] == "system-assigned"


def lost(template: str, why: str = "nothing is known") -> CreateAssignment:
    """Return a grant whose scope has no name."""
    return CreateAssignment(Grant(ROLE, Unresolved(template, why)), PRINCIPAL, "marker")


def test_a_grant_whose_scope_has_no_name_shows_its_template_and_no_scope() -> None:
    """What it might be about is not guessed, and never the machine's own id."""
    described = changes.describe(lost("{location}"))

    assert described["scope"] is None
    assert described["template"] == "{location}"
    assert GROUP not in json.dumps(described)
    with pytest.raises(TypeError, match="has no name here: nothing is known"):
        _ = lost("{location}").grant.place


def test_two_unresolved_grants_have_two_fingerprints() -> None:
    """Who approved the one has not approved the other; why it has none counts for nothing."""
    one, other, same = (
        replace(PLAN, withheld=(Withheld(change, Hold.UNRESOLVED),))
        for change in (lost("{location}"), lost("{maps.a[tags.b]}"), lost("{location}", "why"))
    )

    assert one.fingerprint != other.fingerprint
    assert one.fingerprint == same.fingerprint


@pytest.mark.parametrize(
    ("change", "unwanted"),
    [
        (replace(DELETE, reason=reason), reason is Reason.UNWANTED)
        for reason in (
            Reason.PRINCIPAL_REPLACED,
            Reason.RESOURCE_GONE,
            Reason.FORBIDDEN,
            Reason.UNWANTED,
        )
    ]
    + [
        (DetachIdentity(PLAN.id, PLAN.id, reason), reason is Reason.NOT_ALLOWED)
        for reason in (Reason.IDENTITY_GONE, Reason.IDENTITY_RECREATED, Reason.NOT_ALLOWED)
    ]
    + [(AttachIdentity(PLAN.id, None), False)],
)
def test_only_a_reason_that_takes_away_what_is_in_use_is_unwanted(
    change: Change,
    unwanted: bool,  # noqa: FBT001 (a row of the table)
) -> None:
    """That alone needs a request which names it."""
    assert change.reason.unwanted is unwanted


def test_an_unwanted_change_is_named_by_its_assignment_or_identity() -> None:
    """A role assignment by its own, an exclusive identity's entry by the identity's."""
    _, attach, detach, create, update, delete = every_change()
    assert isinstance(detach, DetachIdentity)
    assert isinstance(delete, DeleteAssignment)

    assert changes.unwanted_id(delete) == delete.assignment.id
    assert changes.unwanted_id(detach) == detach.identity
    for change in (attach, create, update):
        with pytest.raises(TypeError, match="takes nothing away"):
            changes.unwanted_id(change)


def test_a_fingerprint_is_a_sha_256_in_hexadecimal() -> None:
    """People paste it into `--expect`."""
    assert re.fullmatch("[0-9a-f]{64}", PLAN.fingerprint)


@pytest.mark.parametrize("spelled", [str.upper, str.lower])
def test_casing_does_not_change_a_fingerprint(spelled: Callable[[str], str]) -> None:
    """Azure's answers differ in case from one look to the next."""
    assert plan_of(spelled).fingerprint == PLAN.fingerprint


@pytest.mark.parametrize(
    "later",
    [
        pytest.param(replace(PLAN, at=NOON + timedelta(days=1)), id="time of the look"),
        pytest.param(
            replace(PLAN, sightings=(Sighting(NOON, Sight.GONE),)), id="what was seen before"
        ),
        pytest.param(
            replace(
                PLAN,
                withheld=tuple(
                    replace(held, detail="in other words", until=NOON) for held in PLAN.withheld
                ),
            ),
            id="words and time of a hold",
        ),
    ],
)
def test_times_sightings_and_details_do_not_change_a_fingerprint(later: Plan) -> None:
    """A plan that a person approved stays the same plan while time goes by."""
    assert later.fingerprint == PLAN.fingerprint


@pytest.mark.parametrize("hold", Hold)
def test_only_a_lasting_hold_changes_a_fingerprint(hold: Hold) -> None:
    """The change that waits for a passing one is approved with all others."""
    first, *rest = PLAN.changes
    held = replace(PLAN, changes=tuple(rest), withheld=(*PLAN.withheld, Withheld(first, hold)))

    assert (held.fingerprint == PLAN.fingerprint) is hold.passing


def test_a_waiting_removal_has_another_fingerprint_than_an_empty_plan() -> None:
    """Who approves an empty plan has approved no removal, whenever it comes."""
    empty = Plan(PLAN.id, NOON)
    later = replace(empty, withheld=(Withheld(PLAN.changes[0], Hold.UNCONFIRMED),))

    assert later.fingerprint != empty.fingerprint


def test_the_reasons_that_mean_dead_are_few_and_known() -> None:
    """What is in use must never count as dead: it would go before anything else."""
    assert {reason for reason in Reason if reason.dead} == {
        Reason.IDENTITY_GONE,
        Reason.IDENTITY_RECREATED,
        Reason.PRINCIPAL_REPLACED,
        Reason.RESOURCE_GONE,
    }


def test_the_passing_holds_are_few_and_known() -> None:
    """A hold that needs a person must never count as passing."""
    assert {hold for hold in Hold if hold.passing} == {
        Hold.SETTLING,
        Hold.BUSY,
        Hold.UNCONFIRMED,
        Hold.REPLACING,
    }


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(PLAN, id=ResourceId.parse(GROUP + "2")), id="another resource"),
        pytest.param(replace(PLAN, incarnation="second"), id="another incarnation"),
        pytest.param(replace(PLAN, incarnation=None), id="no incarnation"),
        pytest.param(replace(PLAN, changes=PLAN.changes[1:]), id="a change less"),
        pytest.param(replace(PLAN, withheld=()), id="nothing withheld"),
        pytest.param(
            replace(PLAN, withheld=(replace(PLAN.withheld[0], hold=Hold.AUDIT),)),
            id="another hold",
        ),
        pytest.param(
            replace(
                PLAN,
                changes=(*PLAN.changes, PLAN.withheld[0].change),
                withheld=(),
            ),
            id="withheld no more",
        ),
    ],
)
def test_another_change_hold_or_incarnation_changes_a_fingerprint(other: Plan) -> None:
    """Whatever would be done to something else, or otherwise, needs a new approval."""
    assert other.fingerprint != PLAN.fingerprint


def test_the_case_of_a_condition_changes_a_fingerprint() -> None:
    """Conditions hold values that Azure compares with case, unlike ids."""
    wanted, shouted = (
        replace(PLAN, changes=(CreateAssignment(Grant(ROLE, PLAN.id, condition), None, ""),))
        for condition in (CONDITION, CONDITION.upper())
    )

    assert wanted.fingerprint != shouted.fingerprint


def test_the_case_of_a_tag_changes_a_fingerprint() -> None:
    """What reads a tag's value may tell Desktop from desktop."""
    plain, loud = (
        replace(PLAN, changes=(CreateIdentity(NewIdentity(PLAN.id, "west", (("team", team),))),))
        for team in ("desktop", "Desktop")
    )

    assert plain.fingerprint != loud.fingerprint


def test_several_plans_have_one_fingerprint_whatever_their_order() -> None:
    """A sweep is approved as a whole; one plan alone keeps its own fingerprint."""
    other = replace(PLAN, incarnation="second")

    assert changes.fingerprint((PLAN,)) == PLAN.fingerprint
    assert changes.fingerprint((PLAN, other)) == changes.fingerprint((other, PLAN))
    assert changes.fingerprint((PLAN, other)) not in {PLAN.fingerprint, other.fingerprint}
    assert changes.fingerprint((PLAN, other)) != changes.fingerprint((PLAN, PLAN))


def test_a_plan_is_compliant_when_nothing_is_left_to_do_or_withheld() -> None:
    """A withheld change is drift that somebody must decide about."""
    assert Plan(PLAN.id, NOON).compliant
    assert not replace(PLAN, withheld=()).compliant
    assert not replace(PLAN, changes=()).compliant


def test_a_plan_names_what_it_keeps_for_want_of_a_replacement() -> None:
    """Every report shows those, since a right without policy is no good state."""
    kept = Withheld(PLAN.changes[-1], Hold.REPLACEMENT)
    found = replace(PLAN, withheld=(Withheld(PLAN.changes[0], Hold.REPLACING), kept))

    assert found.kept == (kept,)
    assert PLAN.kept == ()
