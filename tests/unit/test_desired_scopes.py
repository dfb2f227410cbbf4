"""What the placeholders and maps of a grant's scope come to."""

from dataclasses import replace

import pytest

from reconciler.ids import ResourceId
from reconciler.model import Desired, Grant, Mode, Unresolved, Wanted
from reconciler.policy import desired
from tests.unit.small_policies import MACHINES, ON_DATA, policy, rule, wants
from tests.world.builders import APP, DATA, IDS, SECOND, SUB, VM, below, machine, user_identity
from tests.world.ids import BLOB_READER, READER

VAULTS = "providers/Microsoft.KeyVault/vaults"


@pytest.mark.parametrize(
    ("template", "scope"),
    [
        ("{id}", VM),
        ("{resourceGroup}", VM.group_id),
        ("{subscription}", SUB),
        ("{subscription}/resourceGroups/rg-{location}", below(SUB, "resourceGroups/rg-westeurope")),
    ],
)
@pytest.mark.parametrize("location", ["westeurope", "West Europe"])
def test_placeholders_stand_for_the_resource_s_own_place(
    template: str, scope: ResourceId, location: str
) -> None:
    """Nothing that a person may choose freely, such as a name or tag, gets into a scope."""
    grants = [{"role": "Reader", "scope": template}]
    found = wants(rule(system={"grants": grants}), location=location)

    assert [wanted.what.scope for wanted in found.grants] == [scope]


@pytest.mark.parametrize("location", ["", "../..", "!"])
def test_a_scope_without_a_location_is_unresolved(location: str) -> None:
    """A location holds letters and digits only."""
    grants = [{"role": "Reader", "scope": "{subscription}/resourceGroups/{location}"}]
    found = wants(rule(system={"grants": grants}), location=location)

    scope = Unresolved(
        "{subscription}/resourceGroups/{location}", "nothing is known for '{location}'"
    )
    assert found.grants == ()
    assert found.unresolved == (Wanted(Grant(READER, scope), Mode.REPAIR, ("rule r",)),)


MAPS = {
    "vault": {"dev": below(DATA, f"{VAULTS}/kv-dev"), "prod": below(DATA, f"{VAULTS}/kv-prod")},
    "images": {"West Europe": DATA, "northeurope": IDS},
}


def picked(scope: str, **changes: object) -> Desired:
    """Return what a rule wants that grants at such a scope."""
    held = policy(rule(system={"grants": [{"role": "Reader", "scope": scope}]}), maps=MAPS)
    return desired.for_resource(held, machine(**changes))


@pytest.mark.parametrize(
    ("scope", "tags", "outcome"),
    [
        ("{maps.images[location]}", {}, DATA),
        ("{maps.vault[tags.env]}", {"ENV": "dev"}, MAPS["vault"]["dev"]),
        (
            "{maps.vault[tags.env]}/secrets/{location}",
            {"env": "prod"},
            below(MAPS["vault"]["prod"], "secrets/westeurope"),
        ),
    ],
)
def test_a_tag_or_location_picks_a_reviewed_id(
    scope: str, tags: dict[str, str], outcome: ResourceId
) -> None:
    assert [one.what.scope for one in picked(scope, tags=tags).grants] == [outcome]


@pytest.mark.parametrize(
    ("tags", "why"),
    [
        ({}, "it picks from maps.vault, but no tag 'env' is known"),
        ({"env": ""}, "it picks from maps.vault, but no tag 'env' is known"),
        ({"env": "Dev"}, "maps.vault has no key 'Dev'"),
        ({"env": str(DATA)}, f"maps.vault has no key '{DATA}'"),
    ],
)
def test_a_missing_key_of_a_map_leaves_the_grant_unresolved(tags: dict[str, str], why: str) -> None:
    """A tag's value is never a scope by itself."""
    found = picked("{maps.vault[tags.env]}", tags=tags)

    scope = Unresolved("{maps.vault[tags.env]}", why)
    assert found.grants == ()
    assert found.unresolved == (Wanted(Grant(READER, scope), Mode.REPAIR, ("rule r",)),)


@pytest.mark.parametrize("turn", [1, -1])
def test_two_spellings_of_one_location_pick_nothing(turn: int) -> None:
    """No order in the language means anything, so neither of the two comes first."""
    images = dict([("West Europe", DATA), ("westeurope", IDS)][::turn])
    grants = [{"role": "Reader", "scope": "{maps.images[location]}"}]
    held = policy(rule(system={"grants": grants}), maps={"images": images})
    found = desired.for_resource(held, machine())

    assert found.grants == ()
    why = "maps.images has more than one key for 'westeurope'"
    assert [one.what.scope for one in found.unresolved] == [
        Unresolved("{maps.images[location]}", why)
    ]


def test_an_unresolved_grant_keeps_its_condition_mode_and_rollout() -> None:
    grant = {"role": "Reader", "scope": "{maps.vault[tags.env]}", "condition": "c"}
    held = policy(rule(rollout=0, system={"grants": [grant]}), maps=MAPS)
    (lost,) = desired.for_resource(held, machine()).unresolved

    assert lost.what.condition == "c"
    assert (lost.mode, lost.rollout) == (Mode.AUDIT, True)


VAULTS_NAMED = frozenset(MAPS["vault"].values())


@pytest.mark.parametrize(
    ("scope", "choices"),
    [
        ("{maps.vault[tags.env]}", VAULTS_NAMED),
        ("{maps.images[location]}", frozenset({DATA, IDS})),
        (
            "{maps.vault[tags.env]}/secrets/s",
            frozenset(below(one, "secrets/s") for one in VAULTS_NAMED),
        ),
        ("{resourceGroup}", frozenset()),
        (str(DATA), frozenset()),
    ],
)
def test_a_grant_from_a_map_has_the_other_entries_as_choices(
    scope: str, choices: frozenset[ResourceId]
) -> None:
    """Which of them it is, the resource itself chose."""
    (found,) = picked(scope, tags={"env": "dev"}).grants

    assert found.choices == choices


def test_an_entry_that_left_the_map_is_no_choice() -> None:
    """What was granted there was taken away by whoever changed policy, not by the resource."""
    grants = [{"role": "Reader", "scope": "{maps.vault[tags.env]}"}]
    left = {"vault": {"dev": MAPS["vault"]["dev"]}}
    held = policy(rule(system={"grants": grants}), maps=left)
    (found,) = desired.for_resource(held, machine(tags={"env": "dev"})).grants

    assert found.choices == frozenset({MAPS["vault"]["dev"]})


def test_the_same_scope_by_a_map_and_written_out_keeps_its_choices() -> None:
    named = rule("a", system={"grants": [{"role": "Reader", "scope": str(DATA)}]})
    mapped = rule("b", system={"grants": [{"role": "Reader", "scope": "{maps.images[location]}"}]})
    for rules in ((named, mapped), (mapped, named)):
        (found,) = desired.for_resource(policy(*rules, maps=MAPS), machine()).grants
        assert found.choices == frozenset({DATA, IDS})


def test_an_identity_s_grant_picks_by_the_identity_s_own_location() -> None:
    grants = [{"role": "Reader", "scope": "{maps.images[location]}"}]
    held = policy(app={"id": str(APP), "grants": grants}, maps=MAPS)

    found = desired.for_identity(held, replace(user_identity(), location="North Europe"))
    assert [one.what.scope for one in found.grants] == [IDS]


def test_scopes_that_an_id_alone_names_are_known_before_the_subject_is_read() -> None:
    """A location is not in an id, and tags are not yet known."""
    tagged = rule(
        match={"type": MACHINES, "tags": {"a": "b"}},
        system={
            "grants": [
                ON_DATA,
                {"role": BLOB_READER, "scope": str(DATA)},
                {"role": "Reader", "scope": "{resourceGroup}"},
                {"role": "Reader", "scope": "{subscription}/resourceGroups/{location}"},
            ]
        },
    )
    held = policy(tagged, app={"id": str(APP), "grants": [{"role": "Reader", "scope": "{id}"}]})

    assert desired.scopes_from(held, VM) == (VM.group_id, DATA)
    assert desired.scopes_from(held, APP) == (APP,)
    assert desired.scopes_from(held, SECOND) == ()
