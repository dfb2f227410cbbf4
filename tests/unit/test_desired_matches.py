"""Which resources a rule speaks of: by scope, glob and tag, and by its rollout."""

import pytest

from reconciler.ids import ResourceId
from reconciler.model import Desired, Mode
from reconciler.policy import desired
from reconciler.policy.desired import matching_rules
from tests.unit.small_policies import MACHINES, ON_DATA, rule, wants
from tests.world.builders import OTHER_VM, SUB, UNWATCHED, VM, below, machine

GROUP = "resourceGroups/rg-app"


def matched(match: dict[str, object], **changes: object) -> bool:
    """Return whether a rule with such a match speaks of the machine."""
    return bool(matching_rules([rule(match={"type": MACHINES} | match)], machine(**changes)))


@pytest.mark.parametrize(
    ("within", "inside"),
    [
        (SUB, True),
        (below(SUB, "resourceGroups/RG-APP"), True),
        (VM, True),
        (below(SUB, "resourceGroups/rg"), False),
        (OTHER_VM, False),
        (UNWATCHED, False),
        (below(VM, "extensions/agent"), False),
    ],
)
def test_a_rule_matches_only_within_its_scopes(within: ResourceId, inside: object) -> None:
    """`within` is the trust boundary: exact, segment by segment."""
    assert bool(matching_rules([rule(within=[str(within)])], machine())) is inside


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ({}, True),
        ({"type": "microsoft.compute/VIRTUALMACHINES"}, True),
        ({"type": ["Microsoft.Web/sites", MACHINES]}, True),
        ({"type": "Microsoft.Compute/virtualMachines/extensions"}, False),
        ({"resourceGroup": "RG-*"}, True),
        ({"resourceGroup": ["other", "rg-a?p"]}, True),
        ({"resourceGroup": "vm"}, False),
        ({"name": "vm[12]"}, True),
        ({"name": "VM*"}, True),
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
def test_globs_narrow_a_rule_in_any_case(match: dict[str, object], fits: object) -> None:
    """All that is given must hold, any of a list is enough."""
    assert matched(match, kind="functionapp,linux") is fits


@pytest.mark.parametrize("key", ["location", "kind"])
def test_a_resource_without_location_or_kind_fits_no_glob_for_it(key: str) -> None:
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
def test_a_tag_with_a_star_must_be_there_with_any_value(tags: dict[str, str], fits: object) -> None:
    assert matched({"tags": {"env": "*"}}, tags=tags) is fits


def test_tag_values_have_case_and_all_tags_must_fit() -> None:
    match: dict[str, object] = {"tags": {"env": "dev*", "team": "a"}}

    assert matched(match, tags={"env": "dev2", "team": "a"})
    assert not matched(match, tags={"env": "Dev2", "team": "a"})
    assert not matched(match, tags={"env": "dev2"})


def test_a_resource_that_no_rule_matches_wants_nothing() -> None:
    assert wants() == Desired()
    assert wants(rule(match={"type": MACHINES, "tags": {"a": "b"}})) == Desired()


def test_a_rollout_repairs_its_share_by_id_and_audits_the_rest() -> None:
    """None leaves as the share grows."""
    machines = [below(SUB, f"{GROUP}/providers/{MACHINES}/vm-{n}") for n in range(1000)]

    def chosen(percent: int, name: str = "r") -> set[ResourceId]:
        held = rule(name, rollout=percent)
        return {one for one in machines if desired.mode_for(held, one) is Mode.REPAIR}

    assert not chosen(0)
    assert 50 < len(chosen(10)) < 150
    assert chosen(10) < chosen(60) < chosen(100) == set(machines)
    assert chosen(50) != chosen(50, "another")
    assert chosen(50) == {ResourceId.parse(one.text.upper()) for one in chosen(50)}


def test_beyond_its_rollout_a_rule_audits() -> None:
    found = wants(rule(rollout=0, attach=["app"], system={"grants": [ON_DATA]}))

    assert {one.mode for one in (*found.attach, *found.grants)} == {Mode.AUDIT}
    assert found.system
    assert found.system.mode is Mode.AUDIT


def test_only_what_a_rollout_holds_back_waits_for_it() -> None:
    """What a rule audits for another reason is another hold."""
    waiting = wants(rule(rollout=0, attach=["app"], system={"grants": [ON_DATA]}))
    audited = wants(rule(mode="audit", rollout=0, attach=["app"], system={"grants": [ON_DATA]}))
    repaired = wants(rule(attach=["app"], system={"grants": [ON_DATA]}))

    for found, rollout in ((waiting, True), (audited, False), (repaired, False)):
        assert found.system
        wanted = (*found.attach, *found.grants, found.system)
        assert {one.rollout for one in wanted} == {rollout}


@pytest.mark.parametrize("turn", [1, -1])
def test_what_one_rule_repairs_waits_for_no_other_rule_s_rollout(turn: int) -> None:
    """And one that waits is named before one that only audits."""
    waits = rule("a", rollout=0, attach=["app"])
    audits = rule("b", mode="audit", attach=["app"])
    repairs = rule("c", attach=["app"])

    (one,) = wants(*(waits, audits)[::turn]).attach
    assert (one.mode, one.rollout) == (Mode.AUDIT, True)
    (other,) = wants(*(waits, repairs)[::turn]).attach
    assert (other.mode, other.rollout) == (Mode.REPAIR, False)


def test_a_rollout_never_makes_an_audit_rule_repair() -> None:
    assert desired.mode_for(rule(mode="audit", rollout=99), VM) is Mode.AUDIT
