"""What a seed may say."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox import seed
from sandbox.authorization import access
from tests.world.arm import BLOB_READ, GROUP, MACHINE, SEED, STORE, identity
from tests.world.ids import READER, SUB, SUBSCRIPTION


def test_a_seed_makes_machines_with_identities_and_rights() -> None:
    """Principals are named by the resource that has them."""
    machine = {"id": MACHINE, "system": True, "identities": [identity("id1")]}
    grants = [
        {"scope": GROUP, "role": "storage blob data reader", "principal": MACHINE},
        {"scope": STORE, "role": "Reader", "principal": identity("id1")},
        {"scope": SUB, "role": "Reader", "principal": "person", "description": "by hand"},
    ]
    world = seed.load({**SEED, "virtualMachines": [machine], "assignments": grants})
    resource = world.resources[MACHINE.lower()]

    assert resource.system is not None
    assert access.right(world, resource.system.oid, BLOB_READ, STORE, data=True)
    person = next(each for each in world.principals.values() if each.name == "person")
    (held,) = world.assignments_of([person.oid])
    assert (held.principal_type, held.description) == ("User", "by hand")


def test_operator_and_application_own_every_subscription() -> None:
    """Both can do all that a sandbox is for."""
    second = "22222222-2222-2222-2222-222222222222"
    world = seed.load({"subscriptions": [{"id": SUBSCRIPTION}, {"id": second}]})

    for principal in (world.operator, world.app):
        for subscription in (SUBSCRIPTION, second):
            scope = f"/subscriptions/{subscription}"
            action = "Microsoft.Authorization/roleAssignments/write"
            assert access.right(world, principal.oid, action, scope)
    assert world.app.resource_id is not None
    assert world.app.resource_id.startswith(f"{SUB}/resourceGroups/rg-reconciler/")


def test_roles_and_management_groups_may_be_seeded() -> None:
    """A custom role at a management group counts in the group's subscriptions."""
    role = {"name": "Blob Peek", "id": "33333333-3333-3333-3333-333333333333"}
    grant = {
        "scope": "/providers/Microsoft.Management/managementGroups/corp",
        "role": "blob peek",
        "principal": "stranger",
    }
    world = seed.load(
        {
            **SEED,
            "tenant": "44444444-4444-4444-4444-444444444444",
            "roles": [{**role, "dataActions": [BLOB_READ]}],
            "managementGroups": [{"name": "corp", "subscriptions": [SUBSCRIPTION]}],
            "assignments": [grant],
        }
    )
    stranger = next(each for each in world.principals.values() if each.name == "stranger")

    assert access.right(world, stranger.oid, BLOB_READ, STORE, data=True)
    assert not access.right(world, stranger.oid, BLOB_READ, STORE)
    assert world.tenant.startswith("4444")


def test_a_seed_repeats_itself() -> None:
    """The same seed gives the same GUIDs."""
    first, second = seed.load(SEED), seed.load(SEED)

    assert list(first.principals) == list(second.principals)
    assert list(first.principals) != list(seed.load(SEED, seed=1).principals)


def test_a_seed_may_start_with_a_byte_order_mark(tmp_path: Path) -> None:
    """As some editors write it."""
    path = tmp_path / "seed.yaml"
    path.write_text(yaml.safe_dump(SEED), "utf-8-sig")

    assert seed.read(path) == SEED


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tenant": "me"}, "tenant: 'me' is not a GUID"),
        ({"subscriptions": [{"id": SUBSCRIPTION}] * 2}, r"\[1\]: '1111.*' is there already"),
        ({"subscriptions": [{"id": 7}]}, r"subscriptions\[0\].id: must be text"),
        (
            {"subscriptions": [{"id": SUBSCRIPTION, "assignmentLimit": True}]},
            r"subscriptions\[0\].assignmentLimit: must be a number",
        ),
        ({"groups": [{"id": GROUP}, {"id": GROUP.upper()}]}, r"groups\[1\]: .* there already"),
        ({"groups": [{"id": STORE}]}, "not of the type Microsoft.Resources"),
        ({"groups": [{"id": GROUP, "tags": "x"}]}, r"groups\[0\].tags: must be a mapping"),
        ({"groups": [{"id": GROUP, "tags": {"a": 1}}]}, r"groups\[0\].tags: .* of text to text"),
        ({"resources": [{"id": f"{MACHINE}2"}]}, "belongs under virtualMachines"),
        ({"resources": [{"id": identity("new")}]}, "belongs under identities"),
        (
            {"managementGroups": [{"name": "corp", "subscriptions": [READER]}]},
            rf"managementGroups\[0\]: '{READER}' is no subscription of the seed",
        ),
        (
            {"assignments": [{"scope": SUB, "role": "Reader", "principal": "x", "condition": "?"}]},
            r"assignments\[0\]: The sandbox does not support the condition",
        ),
        ({"identities": [{"id": MACHINE}]}, "not of the type Microsoft.ManagedIdentity"),
        ({"resources": [{"id": MACHINE}]}, r"resources\[0\]: .* is there already"),
        ({"principals": [{"name": "x"}] * 2}, r"principals\[1\]: 'x' is there already"),
        ({"principals": [{"name": "x", "id": "y"}]}, r"principals\[0\]: 'y' is not a GUID"),
        ({"principals": [{"name": "x", "kind": "Robot"}]}, "unknown kind 'Robot'"),
        (
            {"principals": [{"name": name, "id": SUBSCRIPTION} for name in "xy"]},
            r"principals\[1\]: '1111.*' is there already",
        ),
        ({"virtualMachines": [{"id": MACHINE, "system": "on"}]}, "system: must be true or false"),
        (
            {"virtualMachines": [{"id": MACHINE, "identities": "id1"}]},
            "identities: must be a list of text",
        ),
        (
            {"assignments": [{"scope": "rg", "role": "Reader", "principal": "person"}]},
            "'rg' is in no subscription of the seed",
        ),
        (
            {"assignments": [{"scope": SUB, "role": "Reader", "principal": "person"}] * 2},
            r"assignments\[1\]: there is such a role assignment already",
        ),
        ({"subscriptions": [{"id": "lab"}]}, "'lab' is not a GUID"),
        ({"subscriptions": []}, "at least one subscription"),
        ({"machines": []}, "unknown key 'machines'"),
        ({"groups": {}}, "groups: must be a list"),
        ({"groups": ["x"]}, r"groups\[0\]: must be a mapping"),
        ({"groups": [{"id": GROUP, "region": "x"}]}, r"groups\[0\]: unknown key 'region'"),
        ({"groups": [{"location": "x"}]}, r"groups\[0\]: 'id' is missing"),
        ({"groups": [{"id": "/subscriptions/x"}]}, "in no subscription of the seed"),
        ({"virtualMachines": [{"id": STORE}]}, "not of the type"),
        ({"virtualMachines": [{"id": MACHINE, "identities": ["x"]}]}, "there is no identity 'x'"),
        (
            {"assignments": [{"scope": SUB, "role": "Nobody", "principal": "person"}]},
            "unknown role 'Nobody'",
        ),
        (
            {"assignments": [{"scope": SUB, "role": "Reader", "principal": "nobody"}]},
            "unknown principal 'nobody'",
        ),
    ],
)
def test_a_wrong_seed_says_where(change: dict[str, Any], message: str) -> None:
    """One line names the record and what is wrong."""
    with pytest.raises(seed.SeedError, match=message):
        seed.load({**SEED, **change})


def test_a_key_that_is_there_twice_is_refused() -> None:
    """Wherever it is; YAML itself would take the last."""
    text = "subscriptions: []\nfaults:\n  throttling: true\n  throttling: false\n"
    with pytest.raises(seed.SeedError, match="line 4: 'throttling' is there twice"):
        seed.load(text)
