"""What policy wants: which rules match, how they add up, and what placeholders come to."""

from dataclasses import replace

import pytest

from reconciler import roles
from reconciler.ids import ResourceId
from reconciler.model import AttachedIdentity, Desired, Grant, Mode, NewIdentity, Wanted
from reconciler.policy import desired
from reconciler.policy.language import Guardrails, Identity, Matcher, Policy, Rule
from reconciler.policy.language.templates import Maps
from tests.unit.builders import (
    APP,
    BLOB_READER,
    DATA,
    IDS,
    OTHER_VM,
    READER,
    SECOND,
    SUB,
    UNWATCHED,
    VM,
    below,
    machine,
    user_identity,
)

MACHINES = "Microsoft.Compute/virtualMachines"
GROUP = "resourceGroups/rg-vm"
IDENTITIES = "providers/Microsoft.ManagedIdentity/userAssignedIdentities"
VAULTS = "providers/Microsoft.KeyVault/vaults"
ON_DATA = {"role": "Reader", "scope": str(DATA)}


def rule(name: str = "r", **keys: object) -> Rule:
    """Return a rule over all machines of the subscription that switches identities on."""
    content: dict[str, object] = {
        "name": name,
        "mode": "repair",
        "within": [str(SUB)],
        "match": {"type": MACHINES},
        "system": {},
    }
    return Rule.model_validate(content | keys)


def policy(*rules: Rule, maps: Maps | None = None, **identities: dict[str, object]) -> Policy:
    """Return a policy of some rules and identities."""
    named = {name: Identity.model_validate(entry) for name, entry in identities.items()}
    return Policy(named, rules, Guardrails(version=1), "digest", maps=maps or {})


def wants(*rules: Rule, **changes: object) -> Desired:
    """Return what rules want of the machine."""
    held = policy(*rules, app={"id": str(APP)}, second={"id": str(SECOND)})
    return desired.for_resource(held, machine(**changes))


def matched(match: dict[str, object], **changes: object) -> bool:
    """Tell whether a rule with such a match speaks of the machine."""
    return bool(Matcher([rule(match={"type": MACHINES} | match)]).about(machine(**changes)))


@pytest.mark.parametrize(
    ("within", "inside"),
    [
        (SUB, True),
        (below(SUB, "resourceGroups/RG-VM"), True),
        (VM, True),
        (below(SUB, "resourceGroups/rg"), False),
        (OTHER_VM, False),
        (UNWATCHED, False),
        (below(VM, "extensions/agent"), False),
    ],
)
def test_a_rule_ends_at_its_scopes(within: ResourceId, inside: object) -> None:
    """`within` is the trust boundary: exact, segment by segment."""
    assert bool(Matcher([rule(within=[str(within)])]).about(machine())) is inside


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ({}, True),
        ({"type": "microsoft.compute/VIRTUALMACHINES"}, True),
        ({"type": ["Microsoft.Web/sites", MACHINES]}, True),
        ({"type": "Microsoft.Compute/virtualMachines/extensions"}, False),
        ({"resourceGroup": "RG-*"}, True),
        ({"resourceGroup": ["other", "rg-v?"]}, True),
        ({"resourceGroup": "vm"}, False),
        ({"name": "vm-[12]"}, True),
        ({"name": "VM-*"}, True),
        ({"name": "*-2"}, False),
        ({"resourceGroup": "rg-*", "name": "*-2"}, False),
        ({"location": "West Europe"}, True),
        ({"location": ["north*", "*EUROPE"]}, True),
        ({"location": "west"}, False),
        ({"kind": "functionapp*"}, True),
        ({"kind": ["app", "FunctionApp,linux"]}, True),
        ({"kind": "app"}, False),
        ({"location": "westeurope", "kind": "app"}, False),
    ],
)
def test_globs_narrow_a_rule_whatever_the_case(match: dict[str, object], fits: object) -> None:
    """All that is given must hold, any of a list is enough."""
    assert matched(match, kind="functionapp,linux") is fits


@pytest.mark.parametrize("key", ["location", "kind"])
def test_what_a_resource_does_not_tell_fits_no_glob(key: str) -> None:
    """A rule for some kinds or locations does not speak of a resource that has none."""
    assert not matched({key: "?*"}, location="", kind="")


@pytest.mark.parametrize(
    ("tags", "fits"),
    [
        ({"env": "dev", "team": "x"}, True),
        ({"ENV": "dev"}, True),
        ({"env": ""}, True),
        ({"env": "DEV"}, True),
        ({"environment": "dev"}, False),
        ({}, False),
    ],
)
def test_a_tag_with_a_star_must_only_be_there(tags: dict[str, str], fits: object) -> None:
    """Tag names have no case in Azure."""
    assert matched({"tags": {"env": "*"}}, tags=tags) is fits


def test_tag_values_have_case_and_all_tags_must_fit() -> None:
    """Azure tells `dev` from `Dev`, and so does a rule."""
    match: dict[str, object] = {"tags": {"env": "dev*", "team": "a"}}

    assert matched(match, tags={"env": "dev2", "team": "a"})
    assert not matched(match, tags={"env": "Dev2", "team": "a"})
    assert not matched(match, tags={"env": "dev2"})


def test_what_is_not_matched_wants_nothing() -> None:
    """No rule, no wish; also where the match fails by a tag alone."""
    assert wants() == Desired()
    assert wants(rule(match={"type": MACHINES, "tags": {"a": "b"}})) == Desired()


def test_a_rollout_repairs_its_share_and_audits_the_rest() -> None:
    """Which matches are in hangs on their ids alone, and none leaves as the share grows."""
    machines = [below(SUB, f"{GROUP}/providers/{MACHINES}/vm-{n}") for n in range(1000)]

    def chosen(percent: int, name: str = "r") -> set[ResourceId]:
        held = rule(name, rollout=percent)
        return {one for one in machines if desired.mode_for(held, one) is Mode.REPAIR}

    assert not chosen(0)
    assert 50 < len(chosen(10)) < 150
    assert chosen(10) < chosen(60) < chosen(100) == set(machines)
    assert chosen(50) != chosen(50, "another")
    assert chosen(50) == {ResourceId.parse(one.text.upper()) for one in chosen(50)}


def test_beyond_its_rollout_a_rule_only_tells() -> None:
    """What a rule wants of the rest is audited, be it identities or rights."""
    found = wants(rule(rollout=0, attach=["app"], system={"grants": [ON_DATA]}))

    assert {one.mode for one in (*found.attach, *found.grants)} == {Mode.AUDIT}
    assert found.system
    assert found.system.mode is Mode.AUDIT


def test_a_rollout_never_makes_an_audit_rule_repair() -> None:
    """It narrows the mode that the rule has."""
    assert desired.mode_for(rule(mode="audit", rollout=99), VM) is Mode.AUDIT


def test_all_matching_rules_add_up() -> None:
    """The same twice is one, wanted by both."""
    first = rule("first", attach=["app"], system={"grants": [ON_DATA]})
    second = rule("second", attach=["second", "app"], system={"grants": [ON_DATA]})
    by = ("rule first", "rule second")

    assert wants(first, second) == Desired(
        attach=(
            Wanted(APP, Mode.REPAIR, by),
            Wanted(SECOND, Mode.REPAIR, ("rule second",)),
        ),
        system=Wanted(None, Mode.REPAIR, by),
        grants=(Wanted(Grant(READER, DATA), Mode.REPAIR, by),),
    )


@pytest.mark.parametrize("modes", [("audit", "repair"), ("repair", "audit")])
def test_what_any_rule_repairs_is_repaired(modes: tuple[str, str]) -> None:
    """An audited rule beside it does not take that back."""
    one, other = (
        rule(mode, mode=mode, attach=["app"], system={"grants": [ON_DATA]}) for mode in modes
    )
    found = wants(one, other)

    assert {wanted.mode for wanted in (*found.attach, *found.grants)} == {Mode.REPAIR}
    assert found.system
    assert found.system.mode is Mode.REPAIR


def test_what_all_rules_audit_is_only_told() -> None:
    """Audit is what a rule without `mode` says."""
    (wanted,) = wants(rule(mode="audit", attach=["app"])).attach

    assert wanted.mode is Mode.AUDIT


@pytest.mark.parametrize("order", [1, -1], ids=["audit first", "repair first"])
@pytest.mark.parametrize(
    ("audited", "repaired", "allowed"),
    [(True, False, False), (False, True, True), (False, False, False)],
)
def test_only_a_rule_that_repairs_lets_the_default_identity_change(
    order: int, audited: object, repaired: object, allowed: object
) -> None:
    """What a rule in audit mode allows must have no effect on the world."""
    rules = (
        rule("a", mode="audit", attach=["app"], allowDefaultChange=audited),
        rule("b", mode="repair", attach=["app"], allowDefaultChange=repaired),
    )
    found = wants(*rules[::order])

    assert found.attach[0].default_change is allowed
    assert found.system
    assert found.system.default_change is allowed


def test_one_repairing_rule_is_enough_to_let_the_default_identity_change() -> None:
    """Rules add up: what one of them allows is allowed."""
    found = wants(rule("a", attach=["app"]), rule("b", attach=["app"], allowDefaultChange=True))

    assert found.attach[0].default_change


def test_two_conditions_of_one_right_are_two_wishes() -> None:
    """The planner withholds both as conflicting; neither rule wins by its name."""
    one = rule("one", system={"grants": [ON_DATA]})
    other = rule("other", system={"grants": [ON_DATA | {"condition": "c"}]})

    assert {wanted.what.condition for wanted in wants(one, other).grants} == {None, "c"}


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
def test_a_scope_that_has_no_name_is_told_and_not_guessed(location: str) -> None:
    """A location holds letters and digits only; without any the grant is unresolved."""
    grants = [{"role": "Reader", "scope": "{subscription}/resourceGroups/{location}"}]
    found = wants(rule(system={"grants": grants}), location=location)

    lost = Wanted(READER, Mode.REPAIR, ("rule r",))
    why = "{subscription}/resourceGroups/{location}: nothing is known for '{location}'"
    assert found.grants == ()
    assert found.unresolved == ((lost, why),)


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
    """What stands in the scope was reviewed; a resource only chooses among it."""
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
def test_a_missing_key_withholds_the_grant(tags: dict[str, str], why: str) -> None:
    """A tag's value is never a scope by itself, and the plan names the key that is missing."""
    found = picked("{maps.vault[tags.env]}", tags=tags)

    lost = Wanted(READER, Mode.REPAIR, ("rule r",))
    assert found.grants == ()
    assert found.unresolved == ((lost, f"{{maps.vault[tags.env]}}: {why}"),)


@pytest.mark.parametrize("turn", [1, -1])
def test_two_spellings_of_one_location_pick_nothing(turn: int) -> None:
    """No order in the language means anything, so neither of the two comes first."""
    images = dict([("West Europe", DATA), ("westeurope", IDS)][::turn])
    grants = [{"role": "Reader", "scope": "{maps.images[location]}"}]
    held = policy(rule(system={"grants": grants}), maps={"images": images})
    found = desired.for_resource(held, machine())

    assert found.grants == ()
    why = "maps.images has more than one key for 'westeurope'"
    assert [reason for _, reason in found.unresolved] == [f"{{maps.images[location]}}: {why}"]


def test_an_identity_picks_by_its_own_location() -> None:
    """Its grants are about itself, wherever the machines are that carry it."""
    grants = [{"role": "Reader", "scope": "{maps.images[location]}"}]
    held = policy(app={"id": str(APP), "grants": grants}, maps=MAPS)

    found = desired.for_identity(held, replace(user_identity(), location="North Europe"))
    assert [one.what.scope for one in found.grants] == [IDS]


def test_an_identity_s_grants_are_its_own() -> None:
    """They follow the identity's mode, and placeholders mean the identity's own place."""
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


def test_scopes_are_known_before_the_subject_as_far_as_its_id_tells() -> None:
    """They must be listed before it is read; a location is not in an id, tags are not yet known."""
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

    assert desired.scopes_from(held, VM) == (DATA, VM.group_id)
    assert desired.scopes_from(held, APP) == (APP,)
    assert desired.scopes_from(held, SECOND) == ()


def test_the_bearers_of_an_identity_are_the_rules_that_attach_it() -> None:
    """After a recreated identity their matches are looked at."""
    one, other = rule("one", attach=["app"]), rule("other", attach=["second"])
    held = policy(one, other, rule("none"), app={"id": str(APP)}, second={"id": str(SECOND)})

    assert desired.bearers(held, ResourceId.parse(APP.text.upper())) == (one,)
    assert desired.bearers(held, VM) == ()


PLACED = f"{{subscription}}/resourceGroups/rg-id/{IDENTITIES}/app-{{location}}"
IN_WEST = below(SUB, f"resourceGroups/rg-id/{IDENTITIES}/app-westeurope")


def test_a_template_is_one_identity_for_each_subscription_and_location() -> None:
    """It is resolved against the resource that shall carry it."""
    held = policy(rule(attach=["app"]), app={"id": PLACED})
    west, north = machine(), machine(location="North Europe")

    assert [one.what for one in desired.for_resource(held, west).attach] == [IN_WEST]
    assert [one.what.name for one in desired.for_resource(held, north).attach] == [
        "app-northeurope"
    ]
    assert desired.for_resource(held, machine(location="")).attach == ()


@pytest.mark.parametrize("modes", [("repair", "repair"), ("audit", "repair"), ("repair", "audit")])
def test_what_is_ensured_is_created_where_its_match_is(modes: tuple[str, str]) -> None:
    """Only a rule and an identity that both repair create it."""
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


def test_one_identity_is_created_at_the_location_that_policy_names() -> None:
    """Which machine needs it first says nothing."""
    held = policy(
        rule(attach=["app"]),
        app={"id": str(APP), "ensure": "present", "location": "North Europe"},
    )
    found = desired.for_resource(held, machine())

    assert [one.what.location for one in found.ensured] == ["northeurope"]
    assert not wants(rule(attach=["app"])).ensured


def test_the_same_identity_by_template_and_by_id_is_one() -> None:
    """What rules want adds up by the id that comes of it."""
    held = policy(
        rule("one", attach=["app"]),
        rule("two", attach=["west"]),
        app={"id": PLACED},
        west={"id": IN_WEST.text.upper().replace("/SUBSCRIPTIONS", "/subscriptions")},
    )

    (found,) = desired.for_resource(held, machine()).attach
    assert found == Wanted(IN_WEST, Mode.REPAIR, ("rule one", "rule two"))


@pytest.mark.parametrize("location", ["westeurope", "West Europe"])
def test_a_template_s_grants_are_about_each_identity_itself(location: str) -> None:
    """Placeholders mean the identity's own subscription, group and location."""
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
def test_a_template_knows_its_identities_by_their_ids(path: str, fits: object) -> None:
    """Events and searches ask before anything was read."""
    entry = Identity.model_validate({"id": PLACED})

    assert entry.id.may_be(below(UNWATCHED, path)) is fits


def test_a_location_that_stands_twice_is_the_same_twice() -> None:
    """The group and the name of one identity speak of one location."""
    template = PLACED.replace("rg-id", "rg-{location}")
    entry = Identity.model_validate({"id": template})

    assert entry.id.may_be(below(SUB, f"resourceGroups/rg-north/{IDENTITIES}/app-north"))
    assert not entry.id.may_be(below(SUB, f"resourceGroups/rg-north/{IDENTITIES}/app-west"))


def test_an_exclusive_identity_is_unwelcome_where_no_rule_attaches_it() -> None:
    """Only what the resource carries counts, and a template speaks of all that it may name."""
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


@pytest.mark.parametrize("key", ["allowDefaultChange", "allowRestart"])
def test_what_a_rule_allows_goes_with_what_it_wants(key: str) -> None:
    """For the identities that it attaches and for the system-assigned one."""
    allowing: dict[str, object] = {"attach": ["app"], key: True}
    found = wants(Rule.model_validate(rule().model_dump(by_alias=True) | allowing))

    assert found.system
    for one in (found.attach[0], found.system):
        assert (one.default_change, one.restart) == (
            (True, False) if key == "allowDefaultChange" else (False, True)
        )


def test_the_roles_of_these_tests_are_the_built_in_ones() -> None:
    """Their GUIDs are facts, so the table must agree with the builders."""
    guids = {
        name: role.guid
        for name in ("Reader", "Storage Blob Data Reader")
        if (role := roles.table().lookup(name))
    }

    assert guids == {"Reader": READER, "Storage Blob Data Reader": BLOB_READER}
