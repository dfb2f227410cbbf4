"""What guardrails refuse when policy is loaded, and what they leave to the plan."""

from pathlib import Path

import pytest

from reconciler.ids import ResourceId
from reconciler.model import Mode
from reconciler.policy import model
from reconciler.policy.load import load
from tests.unit.policy_files import (
    GOOD,
    GUARDRAILS,
    SUB,
    UAI,
    grant,
    identity,
    mistakes,
    rule,
    written,
)


@pytest.mark.parametrize("name", ["guardrails.yml", "Guardrails.yaml", "GUARDRAILS.YAML"])
@pytest.mark.parametrize("mode", ["audit", "repair"])
def test_guardrails_under_another_name_are_refused(tmp_path: Path, name: str, mode: str) -> None:
    """Their code owner would not see them."""
    policy = GOOD.replace("attach:", f"mode: {mode}\n    attach:")
    (written(tmp_path, a=policy) / name).write_text(GUARDRAILS)

    assert mistakes(tmp_path) == [f"{name}:1:1: name this file guardrails.yaml, exactly so"]


def test_without_guardrails_every_grant_and_attachment_is_refused(tmp_path: Path) -> None:
    switching = load(written(tmp_path, a=rule(mode="repair")))
    assert switching.guardrails == model.Guardrails(version=1)

    told = f"{tmp_path}: there is no guardrails.yaml: repair needs one"
    attaching = GOOD.replace("attach:", "mode: repair\n    attach:")
    step = "write it, or choose mode: audit"
    assert mistakes(written(tmp_path, a=attaching)) == [
        f"{told}, as asked for by rule 'hosts' ({tmp_path / 'a.yaml'}:6); {step}"
    ]

    granting = rule(mode="repair", system="{grants: [{role: Reader, scope: '{id}'}]}")
    told += f", as asked for by identity 'a' ({tmp_path / 'b.yaml'}:3) and 1 more"
    assert mistakes(written(tmp_path, a=granting, b=identity(mode="repair"))) == [f"{told}; {step}"]

    assert f"{told}; is it 'guardrail.yaml'?" in mistakes(written(tmp_path, guardrail="version: 1"))


@pytest.mark.parametrize(
    "scope",
    [
        f"{SUB}/resourcegroups/RG-DATA/providers/Microsoft.KeyVault/vaults/v",
        f"'{SUB}/resourceGroups/rg-data/providers/Microsoft.KeyVault/vaults/v-{{location}}'",
        "'{resourceGroup}'",
        "'{id}'",
    ],
)
def test_a_scope_that_guardrails_may_cover_is_left_to_the_plan(tmp_path: Path, scope: str) -> None:
    """Refused is only what no resource could bring under the guardrails."""
    text = rule(mode="repair", system=f"{{grants: [{{role: Reader, scope: {scope}}}]}}")

    assert load(written(tmp_path, a=text, guardrails=GUARDRAILS)).rules[0].mode is Mode.REPAIR


def test_identities_that_guardrails_may_cover_are_left_to_the_plan(tmp_path: Path) -> None:
    id_ = f"'{UAI.replace(SUB, '{subscription}')}/a-{{location}}'"
    grants = f"[{{role: Reader, scope: '{SUB}/resourceGroups/rg-data'}}]"
    policy = load(
        written(tmp_path, a=identity(id=id_, mode="repair", grants=grants), guardrails=GUARDRAILS)
    )

    assert policy.identities["a"].id.exact is None
    assert policy.identities["a"].id.may_be(ResourceId.parse(f"{UAI}/A-westeurope"))


def test_a_custom_role_must_be_in_guardrails_but_its_reach_is_left_to_the_plan(
    tmp_path: Path,
) -> None:
    role = "/providers/Microsoft.Authorization/roleDefinitions/11111111-2222-3333-4444-555555555555"
    text = grant(role) + "    mode: repair\n"
    rails = GUARDRAILS.replace("[Reader, Contributor]", f"[{role}]")

    assert load(written(tmp_path, a=text, guardrails=rails)).custom_roles
    assert "does not allow" in mistakes(written(tmp_path, guardrails=GUARDRAILS))[0]


def test_guardrails_and_policy_mean_the_same_role_by_guid_or_definition(tmp_path: Path) -> None:
    guid = "11111111-2222-3333-4444-555555555555"
    rails = GUARDRAILS.replace("[Reader, Contributor]", f"[{guid}]")
    definition = f"{SUB}/providers/Microsoft.Authorization/roleDefinitions/{guid.upper()}"

    for name in (guid, definition):
        text = grant(name) + "    mode: repair\n"
        assert load(written(tmp_path, a=text, guardrails=rails)).guardrails.grants[0].roles


def test_an_audit_rule_may_want_more_than_guardrails_allow(tmp_path: Path) -> None:
    assert load(written(tmp_path, a=grant("Owner", SUB), guardrails=GUARDRAILS))
