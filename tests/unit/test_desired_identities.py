"""What policy wants of its own identities: their grants, templates, creation and exclusiveness."""

from dataclasses import replace

import pytest

from reconciler.ids import ResourceId
from reconciler.model import AttachedIdentity, Desired, Grant, Mode, NewIdentity, Wanted
from reconciler.policy import desired
from reconciler.policy.model import Identity
from tests.unit.small_policies import IDENTITIES, IN_WEST, ON_DATA, PLACED, policy, rule, wants
from tests.world.builders import APP, IDS, SECOND, SUB, UNWATCHED, below, machine, user_identity
from tests.world.ids import BLOB_READER


def test_an_identity_s_grants_follow_its_own_mode_and_place() -> None:
    held = policy(
        rule(attach=["app"], system={"grants": [ON_DATA]}),
        app={
            "id": str(APP).upper(),
            "mode": "repair",
            "grants": [{"role": BLOB_READER, "scope": "{resourceGroup}"}],
        },
        second={"id": str(SECOND), "grants": [ON_DATA]},
    )

    assert desired.for_identity(held, user_identity()) == Desired(
        grants=(Wanted(Grant(BLOB_READER, IDS), Mode.REPAIR, ("identity app",)),)
    )
    assert desired.for_identity(held, user_identity(SECOND)).grants[0].mode is Mode.AUDIT
    assert desired.for_identity(policy(), user_identity()) == Desired()


def test_a_template_is_one_identity_for_each_subscription_and_location() -> None:
    held = policy(rule(attach=["app"]), app={"id": PLACED})
    west, north = machine(), machine(location="North Europe")

    assert [one.what for one in desired.for_resource(held, west).attach] == [IN_WEST]
    assert [one.what.name for one in desired.for_resource(held, north).attach] == [
        "app-northeurope"
    ]
    assert desired.for_resource(held, machine(location="")).attach == ()


@pytest.mark.parametrize("modes", [("repair", "repair"), ("audit", "repair"), ("repair", "audit")])
def test_a_missing_identity_is_created_only_where_rule_and_identity_repair(
    modes: tuple[str, str],
) -> None:
    held = policy(
        rule(attach=["app"], mode=modes[0]),
        app={
            "id": PLACED,
            "mode": modes[1],
            "ensure": "present",
            "location": "{location}",
            "tags": {"b": "2", "a": "1"},
        },
    )
    (found,) = desired.for_resource(held, machine(location="West Europe")).ensured

    assert found.what == NewIdentity(IN_WEST, "westeurope", (("a", "1"), ("b", "2")))
    assert found.by == ("rule r", "identity app")
    assert found.mode is (Mode.REPAIR if set(modes) == {"repair"} else Mode.AUDIT)


@pytest.mark.parametrize(("mode", "rollout"), [("repair", True), ("audit", False)])
def test_creation_waits_for_a_rollout_only_where_the_identity_repairs(
    mode: str,
    rollout: bool,  # noqa: FBT001 (a row of the table)
) -> None:
    """Raising the share would change nothing while the identity's own mode is audit."""
    entry: dict[str, object] = {
        "id": PLACED,
        "mode": mode,
        "ensure": "present",
        "location": "{location}",
    }
    held = policy(rule(attach=["app"], rollout=0), app=entry)
    (found,) = desired.for_resource(held, machine()).ensured

    assert (found.mode, found.rollout) == (Mode.AUDIT, rollout)


def test_one_identity_is_created_at_the_location_that_policy_names() -> None:
    held = policy(
        rule(attach=["app"]),
        app={"id": str(APP), "ensure": "present", "location": "North Europe"},
    )
    found = desired.for_resource(held, machine())

    assert [one.what.location for one in found.ensured] == ["northeurope"]
    assert not wants(rule(attach=["app"])).ensured


def test_the_same_identity_by_template_and_by_id_is_one() -> None:
    held = policy(
        rule("one", attach=["app"]),
        rule("two", attach=["west"]),
        app={"id": PLACED},
        west={"id": IN_WEST.text.upper().replace("/SUBSCRIPTIONS", "/subscriptions")},
    )

    (found,) = desired.for_resource(held, machine()).attach
    assert found == Wanted(IN_WEST, Mode.REPAIR, ("rule one", "rule two"))


@pytest.mark.parametrize("location", ["westeurope", "West Europe"])
def test_placeholders_in_a_template_s_grants_mean_each_identity_s_own_place(location: str) -> None:
    scopes = ["{resourceGroup}", "{subscription}/resourceGroups/data-{location}"]
    grants = [{"role": "Reader", "scope": scope} for scope in scopes]
    held = policy(app={"id": PLACED, "mode": "repair", "grants": grants})
    found = desired.for_identity(held, replace(user_identity(IN_WEST), location=location))

    assert [one.what.scope for one in found.grants] == [
        below(SUB, "resourceGroups/rg-id"),
        below(SUB, "resourceGroups/data-westeurope"),
    ]
    assert desired.scopes_from(held, IN_WEST) == (below(SUB, "resourceGroups/rg-id"),)


def test_an_identity_that_lies_elsewhere_than_its_id_says_gets_nothing() -> None:
    """Its own GET confirms the location; else a name would choose what it is granted."""
    held = policy(app={"id": PLACED, "grants": [ON_DATA]})
    posing = below(SUB, f"resourceGroups/rg-id/{IDENTITIES}/app-admin")

    assert desired.for_identity(held, user_identity(posing)) == Desired()
    assert desired.for_identity(held, replace(user_identity(IN_WEST), location="x")) == Desired()


@pytest.mark.parametrize(
    ("path", "fits"),
    [
        (f"resourceGroups/RG-ID/{IDENTITIES}/APP-westeurope", True),
        (f"resourceGroups/rg-id/{IDENTITIES}/app-west-europe", False),
        (f"resourceGroups/rg-id/{IDENTITIES}/app-", False),
        (f"resourceGroups/rg-id2/{IDENTITIES}/app-westeurope", False),
    ],
)
def test_a_template_may_be_an_identity_by_its_id_alone(path: str, fits: object) -> None:
    """Events and searches ask before anything was read."""
    entry = Identity.model_validate({"id": PLACED})

    assert entry.id.may_be(below(UNWATCHED, path)) is fits


def test_a_location_that_stands_twice_in_a_template_is_the_same_twice() -> None:
    template = PLACED.replace("rg-id", "rg-{location}")
    entry = Identity.model_validate({"id": template})

    assert entry.id.may_be(below(SUB, f"resourceGroups/rg-north/{IDENTITIES}/app-north"))
    assert not entry.id.may_be(below(SUB, f"resourceGroups/rg-north/{IDENTITIES}/app-west"))


def test_an_exclusive_identity_is_unwelcome_where_no_rule_attaches_it() -> None:
    """Only what the resource carries counts, and a template may be any identity that fits it."""
    carried = AttachedIdentity(IN_WEST)
    exclusive = {"id": PLACED, "exclusive": True, "mode": "repair"}
    held = policy(rule(attach=["app"]), app=exclusive, second={"id": str(SECOND)})

    def unwelcome(location: str, *entries: AttachedIdentity) -> list[Wanted[ResourceId]]:
        found = desired.for_resource(held, machine(*entries, location=location))
        return list(found.unwelcome)

    assert unwelcome("westeurope", carried, AttachedIdentity(SECOND)) == []
    assert unwelcome("northeurope") == []
    assert unwelcome("northeurope", carried) == [Wanted(IN_WEST, Mode.REPAIR, ("identity app",))]
    assert unwelcome("", carried) == []
    lonely = policy(app=exclusive, other={**exclusive, "id": str(IN_WEST)})
    both = Wanted(IN_WEST, Mode.REPAIR, ("identity app", "identity other"))
    assert desired.for_resource(lonely, machine(carried)).unwelcome == (both,)
