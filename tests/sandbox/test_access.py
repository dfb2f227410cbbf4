"""Who may do what: the wildcards of roles, and from when on a right counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.authorization import access
from sandbox.authorization.roles import Permissions, Role
from sandbox.world.faults import Faults
from tests.world.arm import BLOB_READ, GROUP, MACHINE, STORE, Arm, error, identity
from tests.world.ids import BLOB_READER

OPERATOR = "f1a07417-d97a-45cb-824c-7a7467783830"
MACHINES = "9980e02c-c2be-4d73-94e8-173b1dc7cf3c"
IDENTITIES = "Microsoft.ManagedIdentity/userAssignedIdentities"
WORDS = st.lists(st.text("ab.?[]", min_size=1, max_size=3), min_size=1, max_size=3)


def allows(pattern: str, action: str) -> bool:
    """Return whether a role with one action allows another."""
    return access.permits(Role("g", "r", (Permissions((pattern,)),)), action)


@pytest.mark.parametrize(
    ("pattern", "action", "expected"),
    [
        (f"{IDENTITIES}/*/assign/action", f"{IDENTITIES}/assign/action", True),
        (f"{IDENTITIES}/*/assign/action", f"{IDENTITIES}/x/assign/action", True),
        (f"{IDENTITIES}/*/assign/action", f"{IDENTITIES}/x/y/assign/action", True),
        (f"{IDENTITIES}/*/assign/action", f"{IDENTITIES}assign/action", False),
        (f"{IDENTITIES}/*/read", f"{IDENTITIES}/READ", True),
        (f"{IDENTITIES}/*/read", f"{IDENTITIES}/write", False),
        ("Microsoft.KeyVault/vaults/*/read", "Microsoft.KeyVault/vaults/read", True),
        ("Microsoft.Authorization/*/Write", "Microsoft.Authorization/roleAssignments/write", True),
        ("a/*/*/read", "a/read", True),
        ("a/*/b/*/read", "a/b/read", True),
        ("a/*/b/*/read", "a/read", False),
        ("*/read", "a/b/read", True),
        ("*", "a/b/read", True),
        ("a/*", "a/b/read", True),
        ("a/*", "b/read", False),
        ("a/list*/action", "a/listKeys/action", True),
        ("a/list*/action", "a/list/action", True),
        ("a/list*/action", "a/action", False),
        ("a/re?d", "a/read", False),
        ("a/[rw]ead", "a/read", False),
        ("a/read", "a/read/more", False),
        ("a/read", "b/a/read", False),
    ],
)
def test_a_star_stands_for_any_text(pattern: str, action: str, *, expected: bool) -> None:
    """Between two slashes also for none; nothing else is special, and case does not matter."""
    assert allows(pattern, action) is expected


@given(before=WORDS, between=st.lists(st.text("ab.", min_size=1), max_size=2), after=WORDS)
def test_a_star_between_slashes_covers_every_depth(
    before: list[str], between: list[str], after: list[str]
) -> None:
    """None, one or more segments, whatever signs they hold."""
    pattern = "/".join([*before, "*", *after])

    assert allows(pattern, "/".join([*before, *between, *after]))
    assert allows(pattern.upper(), "/".join([*before, *between, *after]))
    assert not allows(pattern, "/".join([*before, *between, *after, "c"]))


def test_managed_identity_operator_may_attach(arm: Arm) -> None:
    """Its action names no identity; without it the attach is refused."""
    stranger = arm.principal("stranger")
    arm.assign(MACHINE, stranger.oid, MACHINES)
    assert error(arm.called_by(stranger).attach("id1")) == (403, "LinkedAuthorizationFailed")
    arm.called_by(arm.world.operator).assign(identity("id1"), stranger.oid, OPERATOR)

    assert arm.called_by(stranger).attach("id1").status_code == 200
    arm.settle()
    assert error(arm.attach("id1", "id2")) == (403, "LinkedAuthorizationFailed")


def reads_blobs(arm: Arm) -> bool:
    """Return whether the machine's identity may read blobs."""
    system = arm.world.resources[MACHINE.lower()].system
    assert system is not None
    return access.right(arm.world, system.oid, BLOB_READ, STORE, data=True) is not None


def test_a_granted_right_counts_later(arm: Arm) -> None:
    """For data and for ARM's own calls; a rewrite does not begin anew, an end is at once."""
    stranger, operator = arm.principal("stranger"), arm.world.operator
    arm.world.faults = Faults(effect_delay=300)
    own = arm.patch(MACHINE, {"type": "SystemAssigned"}).json()["identity"]["principalId"]
    made = arm.assign(STORE, own, BLOB_READER)
    assert made.status_code == 201
    arm.assign(GROUP, stranger.oid)
    arm.clock.forward(299)

    assert not reads_blobs(arm)
    assert error(arm.called_by(stranger).call("GET", MACHINE)) == (403, "AuthorizationFailed")
    arm.clock.forward(1)
    assert reads_blobs(arm)
    assert arm.call("GET", MACHINE).status_code == 200
    arm.called_by(operator)
    arm.assign(STORE, own, BLOB_READER, name=made.json()["name"], description="new")
    assert reads_blobs(arm)
    assert arm.call("DELETE", made.json()["id"], version="2022-04-01").status_code == 200
    assert not reads_blobs(arm)
    arm.assign(STORE, own, BLOB_READER)
    assert not reads_blobs(arm)


def test_each_right_has_its_own_delay_of_a_span(arm: Arm) -> None:
    """Between the least and the most, and not all at once."""
    stranger = arm.principal("stranger")
    arm.world.faults = Faults(effect_delay=(60, 600))
    scopes = [MACHINE, STORE, identity("id1"), identity("id2")]
    for scope in scopes:
        arm.assign(scope, stranger.oid)
    began: dict[str, int] = {}
    for second in range(601):
        for scope in scopes:
            if access.right(arm.world, stranger.oid, "a/read", scope):
                began.setdefault(scope, second)
        arm.clock.forward(1)

    assert set(began) == set(scopes)
    assert len(set(began.values())) > 1
    assert all(60 <= second <= 600 for second in began.values())
