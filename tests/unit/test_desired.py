"""What policy wants: how rules add up, and what is only told."""

import pytest

from reconciler import roles
from reconciler.ids import ResourceId
from reconciler.model import Desired, Grant, Mode, Wanted
from reconciler.policy import desired
from reconciler.policy.model import Rule
from tests.unit.small_policies import ON_DATA, policy, rule, wants
from tests.world.builders import APP, DATA, SECOND, VM
from tests.world.ids import BLOB_READER, READER


def test_what_two_rules_want_is_wanted_once_by_both() -> None:
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
def test_what_one_rule_repairs_and_another_audits_is_repaired(modes: tuple[str, str]) -> None:
    one, other = (
        rule(mode, mode=mode, attach=["app"], system={"grants": [ON_DATA]}) for mode in modes
    )
    found = wants(one, other)

    assert {wanted.mode for wanted in (*found.attach, *found.grants)} == {Mode.REPAIR}
    assert found.system
    assert found.system.mode is Mode.REPAIR


def test_what_all_rules_audit_is_audited() -> None:
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
    found = wants(rule("a", attach=["app"]), rule("b", attach=["app"], allowDefaultChange=True))

    assert found.attach[0].default_change


def test_one_right_with_two_conditions_is_wanted_twice() -> None:
    """The planner withholds both as conflicting; neither rule wins by its name."""
    one = rule("one", system={"grants": [ON_DATA]})
    other = rule("other", system={"grants": [ON_DATA | {"condition": "c"}]})

    assert {wanted.what.condition for wanted in wants(one, other).grants} == {None, "c"}


def test_attaching_rules_of_an_identity_are_those_that_name_it() -> None:
    one, other = rule("one", attach=["app"]), rule("other", attach=["second"])
    held = policy(one, other, rule("none"), app={"id": str(APP)}, second={"id": str(SECOND)})

    assert desired.attaching_rules(held, ResourceId.parse(APP.text.upper())) == (one,)
    assert desired.attaching_rules(held, VM) == ()


@pytest.mark.parametrize("key", ["allowDefaultChange", "allowRestart"])
def test_what_a_rule_allows_goes_with_both_kinds_of_identity(key: str) -> None:
    allowing: dict[str, object] = {"attach": ["app"], key: True}
    found = wants(Rule.model_validate(rule().model_dump(by_alias=True) | allowing))

    assert found.system
    for one in (found.attach[0], found.system):
        assert (one.default_change, one.restart) == (
            (True, False) if key == "allowDefaultChange" else (False, True)
        )


def test_the_roles_of_these_tests_are_the_built_in_ones() -> None:
    guids = {
        name: role.guid
        for name in ("Reader", "Storage Blob Data Reader")
        if (role := roles.table().lookup(name))
    }

    assert guids == {"Reader": READER, "Storage Blob Data Reader": BLOB_READER}
