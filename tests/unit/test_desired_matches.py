"""Which resources a rule speaks of: by scope, glob and tag, and by its rollout."""

import pytest

from reconciler.ids import ResourceId
from reconciler.model import Desired, Mode
from reconciler.policy import desired
from reconciler.policy.match import matching_rules
from tests.unit.wishes import MACHINES, ON_DATA, rule, wants
from tests.world.builders import OTHER_VM, SUB, UNWATCHED, VM, below, machine

GROUP = "resourceGroups/rg-app"


def matched(match: dict[str, object], **changes: object) -> bool:
    """Tell whether a rule with such a match speaks of the machine."""
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
def test_a_rule_ends_at_its_scopes(within: ResourceId, inside: object) -> None:
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


def test_what_waits_for_a_rollout_says_so() -> None:
    """What a rule audits for another reason is another hold."""
    waiting = wants(rule(rollout=0, attach=["app"], system={"grants": [ON_DATA]}))
    audited = wants(rule(mode="audit", rollout=0, attach=["app"], system={"grants": [ON_DATA]}))
    repaired = wants(rule(attach=["app"], system={"grants": [ON_DATA]}))

    for found, rollout in ((waiting, True), (audited, False), (repaired, False)):
        assert found.system
        wanted = (*found.attach, *found.grants, found.system)
        assert {one.rollout for one in wanted} == {rollout}


@pytest.mark.parametrize("turn", [1, -1])
def test_of_rules_that_want_the_same_one_that_repairs_ends_the_waiting(turn: int) -> None:
    """And one that waits is named before one that only audits."""
    waits = rule("a", rollout=0, attach=["app"])
    audits = rule("b", mode="audit", attach=["app"])
    repairs = rule("c", attach=["app"])

    (one,) = wants(*(waits, audits)[::turn]).attach
    assert (one.mode, one.rollout) == (Mode.AUDIT, True)
    (other,) = wants(*(waits, repairs)[::turn]).attach
    assert (other.mode, other.rollout) == (Mode.REPAIR, False)


def test_a_rollout_never_makes_an_audit_rule_repair() -> None:
    """It narrows the mode that the rule has."""
    assert desired.mode_for(rule(mode="audit", rollout=99), VM) is Mode.AUDIT
