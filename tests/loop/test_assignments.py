"""Whose a role assignment is, and what may therefore happen to it."""

import dataclasses

import pytest

from reconciler.changes import Hold
from reconciler.model import Removals
from sandbox.world.state import Assignment
from tests.world.cloud import Cloud, as_request, holds, void
from tests.world.ids import (
    APPS,
    ASSIGNMENTS,
    BLOB_READER,
    DATA,
    HOME,
    SHARED,
    SUB,
    SUBSCRIPTION,
    VM,
)
from tests.world.policies import Content, guardrails, named, policy, rule

OWN = {("Reader", "rg-app")}
ELSEWHERE = "22222222-2222-2222-2222-222222222222"
STRANGER = "11111111-2222-3333-4444-555555555555"
CONDITION = "@Resource[Microsoft.Storage/storageAccounts:name] StringEquals 'images'"


def conditional() -> Content:
    """Return policy whose identity reads blobs under a condition."""
    grant = {"role": "Storage Blob Data Reader", "scope": DATA, "condition": CONDITION}
    return policy(identities=named(grants=[grant]))


def rewrite(cloud: Cloud, found: Assignment, **changes: str | None) -> Assignment:
    """Change a stored assignment in place, as its owner or a forger would."""
    changed = dataclasses.replace(found, **changes)  # type: ignore[arg-type]  # only texts
    cloud.world.remove_assignment(found)
    cloud.world.put_assignment(changed)
    return changed


def unwanted() -> Content:
    """Return policy that gives a right to other machines of the group only."""
    return policy(rule(match={"type": "Microsoft.Compute/virtualMachines", "tags": {"new": "*"}}))


def test_a_granted_right_has_all_our_marks(steady: Cloud) -> None:
    """Marker, principal type, who created and who updated it; the name comes from the triple."""
    right = steady.right(steady.principal())

    assert right.description == steady.mark(VM)
    assert right.principal_type == "ServicePrincipal"
    assert right.created_by == right.updated_by == steady.world.app.oid
    assert right.name == steady.our_name(right.principal)


def test_a_deleted_right_is_granted_anew(steady: Cloud) -> None:
    """A right that somebody took away by hand comes back under the same name."""
    right = steady.right(steady.principal())
    steady.world.remove_assignment(right)
    steady.look(VM)

    assert steady.right(steady.principal()).name == right.name


def test_anothers_right_that_satisfies_policy_stays_as_it_is(cloud: Cloud) -> None:
    """An unmarked assignment of the same triple is compliant."""
    principal = cloud.build().system
    assert principal is not None
    theirs = cloud.grant(principal.oid)
    cloud.drive(VM)

    assert cloud.right(principal.oid) == theirs
    assert cloud.replan().compliant


def test_anothers_right_under_another_condition_is_withheld(cloud: Cloud) -> None:
    """It is not ours to change, and a second assignment of the triple cannot be."""
    cloud.deploy(conditional())
    theirs = cloud.grant(cloud.principal(SHARED), role=BLOB_READER, scope=DATA)
    result = cloud.look(SHARED)

    assert cloud.right(cloud.principal(SHARED)) == theirs
    assert holds(result.plans[-1]) == {Hold.FOREIGN_CONDITION}


def test_our_right_under_another_condition_is_rewritten(steady: Cloud) -> None:
    """Policy gained a condition, so the assignment does, under the same name."""
    before = steady.right(steady.principal(SHARED))
    steady.deploy(conditional())
    steady.drive(SHARED)
    after = steady.right(steady.principal(SHARED))

    assert (after.name, after.condition) == (before.name, CONDITION)
    assert steady.replan(SHARED).compliant


@pytest.mark.parametrize(
    "theirs",
    [
        {"created_by": STRANGER},
        {"updated_by": STRANGER},
        {"principal_type": "User"},
        {"description": "heritage=identity-reconciler,owner=lab,resource=" + VM.lower()},
        {"description": "heritage=identity-reconciler,owner=prod,resource=" + VM},
        {"description": None, "created_by": STRANGER},
        {"description": None},
        {"description": ""},
        {"description": "heritage=identity-reconciler,owner=prod,resource=/subscriptions"},
    ],
)
def test_a_right_without_every_mark_of_ours_is_never_touched(
    steady: Cloud, theirs: dict[str, str | None]
) -> None:
    """A forged or foreign marker hands nothing over: neither retired nor unwanted rights go."""
    found = rewrite(steady, steady.right(steady.principal()), **theirs)
    steady.deploy(unwanted())
    everything = Removals(steady.app.policy.digest, ids=None)
    steady.drive(dataclasses.replace(as_request(VM), removals=everything))
    steady.apply(VM, at_once=True)
    steady.sweep()
    steady.delete(VM)
    steady.drive(VM)

    assert found in steady.world.assignments


def test_a_right_of_a_maker_is_ours_under_any_name(steady: Cloud) -> None:
    """Names can be computed and taken by anybody."""
    principal = steady.principal()
    rewrite(steady, steady.right(principal), name="11111111-2222-3333-4444-555555555555")
    assert steady.replan().compliant
    steady.deploy(unwanted())
    steady.sweep()

    assert steady.rights(principal) == set()


def test_a_lost_marker_is_written_again_where_policy_wants_the_right(steady: Cloud) -> None:
    """Whoever edits the description does not take the right out of our care."""
    right = steady.right(steady.principal())
    rewrite(steady, right, description="edited by hand")
    steady.look(VM)

    assert steady.right(right.principal).description == right.description
    assert steady.replan().compliant


def test_an_unwanted_right_that_lost_its_marker_is_withheld(steady: Cloud) -> None:
    """It may have been taken over on purpose, so a person decides."""
    right = steady.right(steady.principal())
    edited = rewrite(steady, right, description=None)
    steady.deploy(unwanted())
    steady.apply(VM, at_once=True)

    assert steady.right(right.principal) == edited
    assert Hold.NO_MARKER in holds(steady.shown(VM))


def test_a_former_owner_s_right_gets_our_marker(steady: Cloud) -> None:
    """After a renamed deployment its rights carry the new name, and stay what they are."""
    right = steady.right(steady.principal())
    steady.deploy(RECONCILER_OWNER="prod-2", RECONCILER_FORMER_OWNERS="prod")
    steady.look(VM)

    assert steady.right(right.principal).description == steady.mark(VM, "prod-2")
    assert steady.replan().compliant


def test_a_former_owner_s_retired_right_is_deleted(steady: Cloud) -> None:
    """What another name of ours granted to a replaced principal is ours to take away."""
    old = steady.principal()
    steady.deploy(RECONCILER_OWNER="prod-2", RECONCILER_FORMER_OWNERS="prod")
    steady.build()
    steady.drive(VM)

    assert steady.rights(old) == set()


def test_an_unwanted_right_is_withheld_from_an_event(steady: Cloud) -> None:
    """An event, a copy or a message without the policy's digest takes no live right away."""
    steady.deploy(unwanted())
    result = steady.look(VM)

    assert steady.rights(steady.principal()) == OWN
    assert holds(result.plans[-1]) == {Hold.REMOVALS}
    assert result.again_after is None


def test_removals_under_another_policy_s_digest_remove_nothing(steady: Cloud) -> None:
    """A worker with another policy than the sweep's leaves unwanted rights."""
    before = steady.app.policy.digest
    steady.deploy(unwanted())
    swept = steady.removing()
    assert swept.removals
    assert swept.removals.ids
    assert before != swept.removals.digest
    stale = dataclasses.replace(swept.removals, digest=before)
    steady.drive(dataclasses.replace(swept, removals=stale))

    assert steady.rights(steady.principal()) == OWN


def test_a_sweep_removes_an_unwanted_right(steady: Cloud) -> None:
    """Within its limits its requests name what may go."""
    steady.deploy(unwanted())
    steady.sweep()

    assert steady.rights(steady.principal()) == set()
    assert steady.rights(steady.principal(SHARED)) == {("Storage Blob Data Reader", "rg-data")}


def test_an_audited_grant_is_neither_repaired_nor_removed(steady: Cloud) -> None:
    """Switching a rule to audit is no way to lose rights."""
    steady.deploy(policy(rule(mode="audit")))
    steady.sweep()
    assert steady.rights(steady.principal()) == OWN

    steady.world.remove_assignment(steady.right(steady.principal()))
    results = steady.drive(VM)
    assert steady.rights(steady.principal()) == set()
    assert holds(results[-1].plans[-1]) == {Hold.AUDIT}


def test_a_grant_at_a_scope_that_contains_our_own_group_is_withheld(cloud: Cloud) -> None:
    """Whoever holds rights over the app's own group holds everything that the app may do."""
    grants = [
        {"role": "Reader", "scope": "{subscription}"},
        {"role": "Reader", "scope": HOME},
        {"role": "Reader", "scope": "{resourceGroup}"},
    ]
    cloud.deploy(policy(rule(system={"grants": grants})), guardrails())
    cloud.drive(VM)

    assert cloud.rights(cloud.principal()) == OWN
    assert holds(cloud.replan()) == {Hold.HOME}


def test_a_right_granted_by_another_in_between_is_present_and_not_ours(cloud: Cloud) -> None:
    """409 RoleAssignmentExists: the look after it finds policy satisfied."""
    principal = cloud.build().system
    assert principal is not None
    cloud.wire.before("PUT", "/roleassignments/", lambda: void(cloud.grant(principal.oid)))
    result = cloud.look(VM)

    assert cloud.right(principal.oid).created_by == cloud.world.operator.oid
    assert result.again_after is None
    assert result.plans[-1].compliant


def test_a_wider_right_in_between_under_another_condition_is_shown(cloud: Cloud) -> None:
    """What came first with another condition is withheld by the look after the 409."""
    cloud.deploy(conditional())
    principal = cloud.principal(SHARED)
    cloud.wire.before(
        "PUT",
        "/roleassignments/",
        lambda: void(cloud.grant(principal, role=BLOB_READER, scope=DATA)),
    )
    result = cloud.look(SHARED)

    assert holds(result.plans[-1]) == {Hold.FOREIGN_CONDITION}


@pytest.mark.parametrize(
    "place",
    [
        VM.replace(SUBSCRIPTION, ELSEWHERE),
        f"/subscriptions/{ELSEWHERE}",
        f"{APPS}/providers/Microsoft.Storage/storageAccounts/store",
        f"/subscriptions/{ELSEWHERE}{ASSIGNMENTS}/33333333-3333-3333-3333-333333333333",
    ],
)
def test_an_id_that_is_not_watched_is_refused_without_a_call(cloud: Cloud, place: str) -> None:
    """A message or marker may name anything; nothing is read or written for it."""
    cloud.deploy(
        rails=guardrails(grants=[{"scope": DATA, "roles": ["Storage Blob Data Reader"]}]),
        content=policy(rule(system={"grants": []})),
    )
    result = cloud.look(place)

    assert cloud.wire.calls == []
    assert [one.code for one in result.outcomes] == ["NotWatched"]


@pytest.mark.parametrize("kind", ["virtualMachines", "userAssignedIdentities"])
@pytest.mark.parametrize("place", [SUB, f"{APPS}/providers/A.B/c/d"])
def test_a_machine_or_identity_outside_a_group_is_refused(
    cloud: Cloud, place: str, kind: str
) -> None:
    """There is none; such an id must not end in the poison queue as a bug of ours."""
    namespace = "Microsoft.Compute" if kind == "virtualMachines" else "Microsoft.ManagedIdentity"
    rails = guardrails(grants=[{"scope": DATA, "roles": ["Storage Blob Data Reader"]}])
    cloud.deploy(policy(rule(system={"grants": []})), rails)
    result = cloud.look(f"{place}/providers/{namespace}/{kind}/x")

    assert cloud.wire.calls == []
    assert [one.code for one in result.outcomes] == ["NotWatched"]
