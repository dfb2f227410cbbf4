"""Identities that policy creates where they are missing."""

from dataclasses import replace

import pytest

from reconciler.changes import AttachIdentity, CreateIdentity, Hold, Plan, Withheld
from reconciler.ids import ResourceId
from reconciler.model import Desired, Mode, NewIdentity, Resource, Wanted
from reconciler.plan import PlanContext, plan
from tests.unit.plan_cases import AUDIT
from tests.world.builders import (
    APP,
    CONTEXT,
    CROWN,
    ELSEWHERE,
    LOOK,
    OURSELVES,
    UNWATCHED,
    VM,
    attached,
    below,
    entry,
    machine,
    observed,
    user_identity,
)

FAR = below(UNWATCHED, "/".join(APP.text.split("/")[3:]))


def new(id_: ResourceId = APP) -> NewIdentity:
    """Return an identity to be created."""
    return NewIdentity(id_, "westeurope", (("team", "desktop"),))


def ensured(id_: ResourceId = APP, mode: Mode = Mode.REPAIR) -> Desired:
    """Want an identity attached, and created where it is missing."""
    return replace(attached(id_), ensured=(Wanted(new(id_), mode, ("rule r",)),))


def planned(
    desired: Desired,
    resource: Resource | None = None,
    *,
    there: bool = False,
    context: PlanContext = CONTEXT,
) -> Plan:
    """Return the plan of a machine; the wanted identities are all there, or all missing."""
    ids = [one.what for one in desired.attach]
    found = {one: user_identity(one) if there else None for one in ids}
    return plan(desired, observed(resource or machine(), identities=found), LOOK, context)


def test_a_missing_identity_is_created_and_attached_by_the_next_look() -> None:
    """Nothing is attached that was not seen to be there."""
    found = planned(ensured())

    assert found.changes == (CreateIdentity(new()),)
    assert found.withheld == (Withheld(AttachIdentity(VM, APP), Hold.IDENTITY_ABSENT),)


def test_an_identity_that_is_there_is_only_attached() -> None:
    """What it looks like is not compared: others may have tagged it since."""
    assert planned(ensured(), there=True).changes == (AttachIdentity(VM, APP),)


def test_a_dead_entry_does_not_keep_its_identity_from_being_created() -> None:
    """Once it is there, the entry is one of a recreated identity, and is healed as such."""
    found = planned(ensured(), machine(entry()))

    assert found.changes == (CreateIdentity(new()),)
    assert found.withheld == (Withheld(AttachIdentity(VM, APP), Hold.IDENTITY_ABSENT),)


def test_a_machine_that_is_being_built_does_not_delay_the_creation() -> None:
    """Only a PATCH of the machine could hurt it."""
    assert planned(ensured(), machine(state="Creating")).changes == (CreateIdentity(new()),)


@pytest.mark.parametrize(
    ("desired", "resource", "hold"),
    [
        (ensured(mode=AUDIT), machine(), Hold.AUDIT),
        (ensured(), machine(managed_by="somebody"), Hold.MANAGED),
        (ensured(ELSEWHERE), machine(), Hold.IDENTITY_PLACE),
        (ensured(CROWN), machine(), Hold.PROTECTED),
        (ensured(OURSELVES), machine(), Hold.OWN_IDENTITY),
        (ensured(FAR), machine(), Hold.NOT_WATCHED),
    ],
    ids=["audit", "managed", "guardrails", "protected", "ourselves", "unwatched"],
)
def test_nothing_is_created_where_it_may_not(
    desired: Desired, resource: Resource, hold: Hold
) -> None:
    """The holds on an identity that is attached hold its creation, too, and it must be watched."""
    rails = CONTEXT.guardrails.model_copy(
        update={"identities": (*CONTEXT.guardrails.identities, UNWATCHED)}
    )
    found = planned(desired, resource, context=replace(CONTEXT, guardrails=rails))

    assert not found.changes
    assert [held.hold for held in found.withheld if isinstance(held.change, CreateIdentity)] == [
        hold
    ]
