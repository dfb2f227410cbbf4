"""`reconciler validate` notes what is sound but does nothing, or not what its author may think."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from reconciler import roles
from reconciler.cli import main
from tests.cli.desk import APP_GROUP, GUARDRAILS, SHARED
from tests.world.ids import SUB

MACHINES = "Microsoft.Compute/virtualMachines"
REGIONAL = f"{SHARED}-{{location}}"


def policy(identity: str = "", rule: str = "", match: str = "") -> str:
    """Return an identity, starting in line 3, and a rule in line 5 that attaches it."""
    return (
        "version: 1\nidentities:\n"
        f"  shared: {{id: '{SHARED}'{identity}}}\n"
        "rules:\n"
        f"  - {{name: r, within: [{APP_GROUP}], match: {{type: {MACHINES}{match}}}, "
        f"attach: [shared]{rule}}}\n"
    )


REPAIRED = ", mode: repair"
ENSURED = f"{REPAIRED}, ensure: present, location: '{{location}}'"

GUID = "0a0a0a0a-1111-2222-3333-444444444444"
DEFINITION = f"/providers/Microsoft.Authorization/roleDefinitions/{GUID}"

NOTES: Mapping[str, tuple[str, str, str]] = {
    "only the rule repairs": (
        policy(", exclusive: true, ensure: present, location: westeurope", REPAIRED),
        GUARDRAILS,
        (
            "5: 'shared' is attached, but its own mode is audit: it is not created where it is "
            "missing and is not detached where no rule attaches it"
        ),
    ),
    "only the identity repairs": (
        policy(REPAIRED),
        GUARDRAILS,
        "5: 'shared' is in repair, but this rule only audits: it is not attached",
    ),
    "a share of nothing": (
        policy(REPAIRED, f"{REPAIRED}, rollout: 0"),
        GUARDRAILS,
        "5: rollout: 0 repairs nothing; give a share, or choose mode: audit",
    ),
    "an unused map": (
        policy(REPAIRED, REPAIRED) + f"maps: {{m: {{dev: {SUB}}}}}\n",
        GUARDRAILS,
        "6: no grant picks from map 'm'",
    ),
    "a role that only Azure may know": (
        policy(f"{REPAIRED}, grants: [{{role: {GUID.upper()}, scope: {APP_GROUP}}}]", REPAIRED),
        GUARDRAILS.replace("[Reader]", f"[/subscriptions/{GUID}{DEFINITION}]"),
        (
            f"3: role {GUID} is not among the built-in roles as of {roles.table().as_of}: it "
            "counts as privileged until a plan has read it from Azure; check the GUID"
        ),
    ),
    "an idle identity": (
        policy(REPAIRED, REPAIRED).replace("rules:", f"  idle: {{id: {SHARED}-2}}\nrules:"),
        GUARDRAILS,
        "4: identity 'idle' is neither attached nor granted anything",
    ),
    "alternatives": (
        policy(REPAIRED, REPAIRED, ", tags: {env: dev|prod}"),
        GUARDRAILS,
        "5: 'dev|prod' asks for the sign | itself, which means nothing in a glob",
    ),
    "quotes of a word processor": (
        policy(REPAIRED, REPAIRED, ", name: [\u201cweb-*\u201d]"),
        GUARDRAILS,
        "5: '\u201cweb-*\u201d' asks for the sign \u201c itself, which means nothing in a glob",
    ),
    "a region that guardrails do not allow": (
        policy(ENSURED, REPAIRED, ", location: [westeurope, northeurope]").replace(
            SHARED, REGIONAL
        ),
        GUARDRAILS.replace(f"{SUB}/resourceGroups/rg-id", f"{SHARED}-westeurope"),
        "5: guardrails.yaml does not allow 'shared' in northeurope; there it is withheld",
    ),
    "guardrails for one region of any": (
        policy(ENSURED, REPAIRED).replace(SHARED, REGIONAL),
        GUARDRAILS.replace(f"{SUB}/resourceGroups/rg-id", f"{SHARED}-westeurope"),
        "5: guardrails.yaml allows 'shared' only in some places; elsewhere it is withheld",
    ),
}


@pytest.mark.parametrize(("content", "guardrails", "note"), NOTES.values(), ids=NOTES.keys())
def test_each_probable_slip_is_noted_once(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: str,
    guardrails: str,
    note: str,
) -> None:
    """It is no mistake, since somebody may mean it; the note says what does not happen."""
    (tmp_path / "a.yaml").write_text(content, "utf-8")
    (tmp_path / "guardrails.yaml").write_text(guardrails, "utf-8")

    code = main(["validate", str(tmp_path)])

    assert code == 0
    assert capsys.readouterr().err == f"note: {tmp_path}/a.yaml:{note}\n"


def test_an_unknown_role_in_guardrails_is_noted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They may name a role by its GUID too, and a GUID may be misspelled."""
    rails = GUARDRAILS.replace("[Reader]", f"[Reader, {GUID}]")
    (tmp_path / "a.yaml").write_text(policy(REPAIRED, REPAIRED), "utf-8")
    (tmp_path / "guardrails.yaml").write_text(rails, "utf-8")

    assert main(["validate", str(tmp_path)]) == 0
    (note,) = capsys.readouterr().err.splitlines()
    assert note.startswith(f"note: guardrails.yaml: role {GUID} is not among the built-in roles")


@pytest.mark.parametrize(
    "content",
    [
        policy(REPAIRED, REPAIRED),
        policy(f"{REPAIRED}, exclusive: true", REPAIRED),
        policy(),
        policy(ENSURED, REPAIRED).replace(SHARED, REGIONAL),
        policy(ENSURED, REPAIRED).replace(SHARED, REGIONAL.replace(SUB, "{subscription}")),
    ],
)
def test_policy_that_does_what_it_says_is_not_noted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    """Notes that come up for nothing would not be read."""
    (tmp_path / "a.yaml").write_text(content, "utf-8")
    (tmp_path / "guardrails.yaml").write_text(GUARDRAILS, "utf-8")

    code = main(["validate", str(tmp_path)])

    assert (code, capsys.readouterr().err) == (0, "")
