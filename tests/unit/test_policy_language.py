"""The policy language as Python values, and the digest of what they mean."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from reconciler.errors import ResourceIdError
from reconciler.ids import ResourceId
from reconciler.model import Mode
from reconciler.policy import model
from reconciler.policy.load import load
from reconciler.policy.templates import Subject, fill
from reconciler.roles import Role
from tests.unit.policy_files import GOOD, SUB, UAI, written
from tests.world.ids import READER

CUSTOM = "11111111-2222-3333-4444-555555555555"
DEFINITIONS = "providers/Microsoft.Authorization/roleDefinitions"

WHOLE = f"""\
version: 1
identities:
  host: {{id: {UAI}/host, grants: [{{role: Reader, scope: {SUB}/resourceGroups/a}}]}}
  other: {{id: {UAI}/other, exclusive: true}}
  made: {{id: "{UAI}/m-{{location}}", ensure: present, location: "{{location}}", tags: {{a: b}}}}
rules:
  - name: one
    within: [{SUB}/resourceGroups/a, {SUB}/resourceGroups/b]
    match:
      {{type: [Microsoft.Compute/virtualMachines], name: [a-*, b-*], tags: {{env: Prod, x: y}}}}
    attach: [host, other]
    system: {{grants: [{{role: Reader, scope: "{{resourceGroup}}", condition: "A"}}]}}
  - name: two
    within: [{SUB}]
    match: {{type: A.B/c, location: [West Europe, north*], kind: App}}
    rollout: 100
    allowRestart: true
    attach: [host]
exemptions: [{{scope: {SUB}/resourceGroups/a, reason: why, expires: 2027-01-31}}]
maps:
  vault: {{dev: {SUB}/resourceGroups/a, Prod: {SUB}/resourceGroups/b}}
"""


RAILS = f"version: 1\nidentities: [{SUB}]\n"


def digest(folder: Path, text: str, guardrails: str = RAILS) -> str:
    """Return the digest of a policy of one file."""
    return load(written(folder, a=text, guardrails=guardrails)).digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("version: 1\n", "# A comment.\nversion:   1\n\n"),
        (f"[{SUB}/resourceGroups/a, {SUB}/resourceGroups/b]", "[{1}, {0}, {1}]"),
        ("[a-*, b-*]", '["B-*", a-*]'),
        ("[host, other]", "\n      - other\n      - host"),
        ("[Microsoft.Compute/virtualMachines]", "microsoft.compute/virtualmachines"),
        ("{env: Prod, x: y}", "{x: y, ENV: Prod}"),
        ("role: Reader, scope: /", f"role: {READER}, scope: /"),
        ("userAssignedIdentities/host,", "USERASSIGNEDIDENTITIES/HOST,"),
        ("rollout: 100", "mode: audit\n    allowDefaultChange: false"),
        ("[West Europe, north*]", "[NORTH*, westeurope]"),
        ("kind: App", "kind: [app]"),
        ("m-{location}", "M-{location}"),
        ("tags: {a: b}", "tags: {A: b}"),
        (f"{{dev: {SUB}/resourceGroups/a,", f"{{dev: {SUB}/RESOURCEGROUPS/A,"),
    ],
    ids=[
        *("layout", "list", "globs", "flow", "one type", "tags", "role", "casing", "defaults"),
        *("locations", "kind", "template", "new tags", "maps"),
    ],
)
def test_the_digest_ignores_layout_order_casing_repetition_and_defaults(
    tmp_path: Path, old: str, new: str
) -> None:
    new = new.replace("{0}", f"{SUB}/resourceGroups/a").replace("{1}", f"{SUB}/resourceGroups/B")
    assert old in WHOLE

    assert digest(tmp_path, WHOLE) == digest(tmp_path, WHOLE.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a-*", "aa-*"),
        ("env: Prod", "env: prod"),
        ("role: Reader, scope: /", "role: Contributor, scope: /"),
        ("attach: [host]", "mode: repair\n    attach: [host]"),
        ("attach: [host]", "allowDefaultChange: true\n    attach: [host]"),
        ("attach: [host]", "system: {}\n    attach: [host]"),
        ("rollout: 100", "rollout: 99"),
        ('ensure: present, location: "{location}", tags: {a: b}', "mode: audit"),
        ("tags: {a: b}", "tags: {a: c}"),
        ("m-{location}", "m2-{location}"),
        ("north*", "northeurope"),
        ("kind: App", "kind: App2"),
        ("Prod: /", "prod: /"),
        ("reason: why", "reason: who"),
        ("allowRestart: true", "allowRestart: false"),
        ("exclusive: true", "exclusive: false"),
        ("2027-01-31", "2027-02-01"),
        ("  vault:", "  vaults:"),
        ("resourceGroups/a, Prod", "resourceGroups/c, Prod"),
        ('condition: "A"', 'condition: "a"'),
        ("attach: [host, other]", "attach: [host]"),
    ],
)
def test_the_digest_changes_with_the_meaning(tmp_path: Path, old: str, new: str) -> None:
    assert old in WHOLE

    assert digest(tmp_path, WHOLE) != digest(tmp_path, WHOLE.replace(old, new))


def test_other_guardrails_change_the_digest(tmp_path: Path) -> None:
    """Removals allowed under some are not allowed under others."""
    other = "version: 1\nmaxRemovals: {count: 11}\n"

    assert digest(tmp_path, WHOLE) != digest(tmp_path, WHOLE, other)


def test_a_policy_cut_into_two_files_has_the_same_digest(tmp_path: Path) -> None:
    whole = digest(tmp_path, GOOD)
    (tmp_path / "a.yaml").unlink()
    identities, rules = GOOD.split("rules:")

    assert load(written(tmp_path, c=identities, b=f"version: 1\nrules:{rules}")).digest == whole


def test_rules_can_be_made_in_python() -> None:
    """Python spells keys in snake_case and may hand over what is parsed already."""
    rule = model.Rule(
        name="r",
        within=(ResourceId.parse(SUB),),
        match=model.Match(type=("A.B/c",), resource_group=("rg-*",)),
        allow_default_change=True,
        system=model.System(grants=(model.Grant(role="Reader", scope="{id}"),)),
    )

    assert rule.mode is Mode.AUDIT
    assert rule.match.resource_group == ("rg-*",)
    assert rule.system
    assert rule.system.grants[0].role == Role("Reader", READER, privileged=False)


def test_an_entry_of_policy_is_frozen() -> None:
    match = model.Match(type="A.B/c")
    with pytest.raises(ValidationError, match="frozen"):
        match.name = ("x",)  # type: ignore[misc]  # What must fail.


@pytest.mark.parametrize("scope", ["", SUB, "/providers/Microsoft.Management/managementGroups/m"])
def test_a_custom_role_is_privileged_until_it_is_read(scope: str) -> None:
    name = f"{scope}/{DEFINITIONS}/{CUSTOM.upper()}"

    assert model.Grant(role=name, scope="{id}").role == Role(name, CUSTOM, privileged=True)


def test_a_built_in_role_is_found_by_name_guid_and_definition_in_any_case() -> None:
    names = ["reader", READER.upper(), f"{SUB}/{DEFINITIONS}/{READER}"]

    assert {model.Grant(role=name, scope="{id}").role.name for name in names} == {"Reader"}


@pytest.mark.parametrize("guid", [CUSTOM, CUSTOM.upper()])
def test_a_guid_that_the_table_does_not_know_is_read_from_azure(tmp_path: Path, guid: str) -> None:
    """It may be a custom role's or that of a young built-in one."""
    text = WHOLE.replace("role: Reader", f"role: {guid}")
    role = model.Grant(role=guid, scope="{id}").role

    assert role == Role(f"/{DEFINITIONS}/{guid}", CUSTOM, privileged=True)
    assert role.by_guid
    policy = load(written(tmp_path, a=text))
    assert policy.custom_roles == {CUSTOM: ResourceId.parse(f"/{DEFINITIONS}/{CUSTOM}")}


def test_a_role_named_by_guid_and_by_definition_is_read_by_its_definition(tmp_path: Path) -> None:
    full = f"{SUB}/{DEFINITIONS}/{CUSTOM}"
    text = WHOLE.replace("role: Reader, scope: /", f"role: {full}, scope: /")
    text = text.replace('role: Reader, scope: "', f'role: {CUSTOM}, scope: "')

    assert load(written(tmp_path, a=text)).custom_roles == {CUSTOM: ResourceId.parse(full)}


def test_the_last_line_break_of_a_condition_is_dropped() -> None:
    """A block scalar has one, and Azure keeps none."""
    grant = model.Grant(role="Reader", scope="{id}", condition="(\n a\n)\n")

    assert grant.condition == "(\n a\n)"


def test_the_same_grant_twice_is_no_mistake() -> None:
    grant = model.Grant(role="Reader", scope="{id}")

    assert model.System(grants=(grant, grant)).grants == (grant, grant)


def test_guardrails_allow_what_lies_at_or_below_their_scopes() -> None:
    """Privileged roles only where the entry says so."""
    owner = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
    group = ResourceId.parse(f"{SUB}/resourceGroups/rg")
    subscription = ResourceId.parse(SUB)
    entry = model.GuardrailGrant(scope=group, roles=("Reader", "Owner"))
    guardrails = model.Guardrails(version=1, grants=(entry,))

    def allowed(role: str, scope: ResourceId) -> bool:
        return guardrails.allows(role, scope, privileged=role == owner)

    assert allowed(READER, group)
    assert allowed(READER, ResourceId.parse(f"{group}/providers/A.B/c/d"))
    assert not allowed(READER, subscription)
    assert not allowed(READER, ResourceId.parse(f"{group}2"))
    assert not allowed(owner, group)
    assert entry.model_copy(update={"privileged": True}).allows(owner, group, privileged=True)


def test_custom_roles_of_identities_and_rules_are_listed_by_guid(tmp_path: Path) -> None:
    mine, other = (f"{SUB}/{DEFINITIONS}/{CUSTOM[:-1]}{digit}" for digit in "67")
    text = WHOLE.replace("role: Reader, scope: /", f"role: {mine}, scope: /")
    text = text.replace('role: Reader, scope: "', f'role: {other}, scope: "')
    policy = load(written(tmp_path, a=text))

    assert {guid: str(one) for guid, one in policy.custom_roles.items()} == {
        f"{CUSTOM[:-1]}6": mine,
        f"{CUSTOM[:-1]}7": other,
    }


def test_a_scope_is_filled_in_or_raises_for_a_missing_value() -> None:
    place = Subject(ResourceId.parse(f"{SUB}/resourceGroups/rg"))
    vault = fill("{resourceGroup}/providers/A.B/c/d", place, {})

    assert vault == ResourceId.parse(f"{SUB}/resourceGroups/rg/providers/A.B/c/d")
    with pytest.raises(ResourceIdError, match=r"nothing is known for .*location"):
        fill("{resourceGroup}/providers/A.B/c/{location}", place, {})
    with pytest.raises(ResourceIdError, match=r"nothing is known for .*resourceGroup"):
        fill("{resourceGroup}", Subject(ResourceId.parse(SUB)), {})
