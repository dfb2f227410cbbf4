"""`reconciler validate`: policy is checked without an account."""

import json
from pathlib import Path

import pytest

from reconciler.cli import main
from tests.cli.desk import GUARDRAILS, POLICY, reconciler


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with sound policy."""
    (tmp_path / "machines.yaml").write_text(POLICY, "utf-8")
    (tmp_path / "guardrails.yaml").write_text(GUARDRAILS, "utf-8")
    return tmp_path


def test_sound_policy_is_one_line(folder: Path) -> None:
    """It says what was read; no setting and no account is needed."""
    ended = reconciler("validate", str(folder))

    assert (ended.returncode, ended.stderr) == (0, "")
    line = ended.stdout.splitlines()
    assert len(line) == 1
    assert line[0].startswith(f"{folder}: 1 rule, 1 identity, digest ")


def test_the_folder_may_come_from_the_setting(folder: Path) -> None:
    """RECONCILER_POLICIES is the default; without it the shipped `policies` are read."""
    by_setting = reconciler("validate", RECONCILER_POLICIES=str(folder))
    shipped = reconciler("validate")

    assert by_setting.stdout.startswith(f"{folder}: ")
    assert shipped.stdout.startswith("policies: ")


def test_every_mistake_is_a_line_with_its_place(folder: Path) -> None:
    """Compilers write so, and editors jump there; the last line counts."""
    wrong = POLICY.replace("role: Reader", "role: Raeder").replace("attach:", "atach:")
    (folder / "machines.yaml").write_text(wrong, "utf-8")

    ended = reconciler("validate", str(folder))

    assert (ended.returncode, ended.stdout) == (1, "")
    *problems, count = ended.stderr.splitlines()
    assert count == f"{len(problems)} problems in {folder}"
    assert all(line.startswith(f"{folder}/machines.yaml:") for line in problems)
    assert [line.split(":")[1] for line in problems] == ["13", "17"]


def test_mistakes_in_json_have_their_place(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "machines.yaml").write_text("version: 2\n", "utf-8")

    code = main(["validate", str(folder), "--format", "json"])

    answer = json.loads(capsys.readouterr().out)
    problems = answer["problems"]
    assert code == 1
    assert problems
    assert set(problems[0]) == {"file", "line", "column", "message"}
    assert answer["notes"] == []


def test_sound_policy_in_json_has_the_whole_digest(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["validate", str(folder), "--format", "json"])

    read = json.loads(capsys.readouterr().out)
    assert code == 0
    assert (read["rules"], read["identities"], read["problems"]) == (1, 1, [])
    assert len(read["digest"]) == 64


def test_a_type_that_is_not_reconciled_is_noted(folder: Path) -> None:
    """A later version may know it, so it is no mistake; nothing will be done for it today."""
    policy = POLICY.replace("Microsoft.Compute/virtualMachines", "Microsoft.Web/sites")
    (folder / "machines.yaml").write_text(policy, "utf-8")

    ended = reconciler("validate", str(folder))

    assert ended.returncode == 0
    assert ended.stderr == (
        f"note: {folder}/machines.yaml:9: this version does not reconcile Microsoft.Web/sites\n"
    )


def test_an_empty_folder_is_a_mistake(tmp_path: Path) -> None:
    """No policy never means that everything may go."""
    ended = reconciler("validate", str(tmp_path))

    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == f"1 problem in {tmp_path}"


def test_a_byte_order_mark_does_not_matter(folder: Path) -> None:
    """Editors on Windows write one."""
    (folder / "machines.yaml").write_text(POLICY, "utf-8-sig")

    assert main(["validate", str(folder)]) == 0


def test_control_characters_in_a_name_are_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name in another's pull request cannot paint over what is said about it."""
    folder = tmp_path / "a\x1b[2J\u202eb"
    folder.mkdir()

    code = main(["validate", str(folder)])

    errors = capsys.readouterr().err
    assert code == 1
    assert "/a\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}b: " in errors
    assert all(line.isprintable() for line in errors.splitlines())


@pytest.mark.parametrize("text", ["##vso[task.complete]", "##[error]x", "::error::x", "  ::x::y"])
@pytest.mark.parametrize("place", ["key", "role", "file"])
def test_a_mistake_is_no_command_of_the_pipeline(
    folder: Path, text: str, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Policy is checked on pull requests of anybody, and a runner reads what is said about it."""
    if place == "file":
        (folder / f"{text}.yaml").write_text("mood: good\n")
    else:
        sound = "name: machines" if place == "key" else "role: Reader"
        hostile = f'"{text}": 1' if place == "key" else f'role: "{text}"'
        (folder / "machines.yaml").write_text(POLICY.replace(sound, hostile))

    codes = [main(["validate", str(folder), "--format", form]) for form in ("text", "json")]

    shown = capsys.readouterr()
    assert codes == [1, 1]
    for line in (shown.out + shown.err).splitlines():
        assert "##" not in line
        assert not line.lstrip().startswith("::")


def test_policy_that_does_nothing_is_noted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A share without repair, an identity left in audit, an exemption whose last day is past."""
    place = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-old"
    (folder / "slips.yaml").write_text(
        "version: 1\n"
        "identities:\n"
        f"  idle: {{id: {place}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/idle,\n"
        f"    grants: [{{role: Reader, scope: {place}}}]}}\n"
        "rules:\n"
        f"  - {{name: shared-out, rollout: 20, within: [{place}],\n"
        "     match: {type: Microsoft.Compute/virtualMachines}, system: {}}\n"
        f"  - {{name: without-rights, mode: repair, within: [{place}],\n"
        "     match: {type: Microsoft.Compute/virtualMachines}, attach: [idle]}\n"
        "exemptions:\n"
        f"  - {{scope: {place}, reason: ticket 1, expires: 2020-01-31}}\n"
        f"  - {{scope: {place}, reason: ticket 2, expires: 9999-12-31}}\n",
        "utf-8",
    )
    rails = (folder / "guardrails.yaml").read_text("utf-8")
    (folder / "guardrails.yaml").write_text(
        rails.replace("identities: [", f"identities: [{place}, ")
    )

    code = main(["validate", str(folder)])

    where = f"note: {folder}/slips.yaml"
    assert code == 0
    assert capsys.readouterr().err.splitlines() == [
        f"{where}:11: the exemption of {place} is past: 2020-01-31; delete it, or give a later day",
        f"{where}:6: rollout has no effect without mode: repair",
        f"{where}:8: 'idle' is attached, but its own mode is audit: it gets no rights",
    ]


@pytest.mark.parametrize(
    ("scope", "noted"),
    [
        ("subscriptions/22222222-2222-2222-2222-222222222222", True),
        ("subscriptions/11111111-1111-1111-1111-111111111111", False),
        ("subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-nowhere", True),
    ],
)
def test_an_exemption_that_no_rule_reaches_is_noted(
    folder: Path, capsys: pytest.CaptureFixture[str], scope: str, noted: object
) -> None:
    """It may be a slip of the pen, and what it was meant for is not exempt."""
    (folder / "exempt.yaml").write_text(
        f"version: 1\nexemptions: [{{scope: /{scope}, reason: why, expires: 9999-01-31}}]\n"
    )

    code = main(["validate", str(folder)])

    note = f"note: {folder}/exempt.yaml:2: no rule and no identity speaks of /{scope}: "
    assert code == 0
    assert capsys.readouterr().err.startswith(note) is noted


def test_a_policy_file_in_a_subfolder_is_noted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only those directly in the folder are policy."""
    (folder / "team").mkdir()
    (folder / "team" / "more.yml").write_text("version: 1\n")

    code = main(["validate", str(folder)])

    message = f"{folder}/team/more.yml is not read: it lies in a folder of its own"
    assert (code, capsys.readouterr().err) == (0, f"note: {message}\n")

    main(["validate", str(folder), "--format", "json"])
    assert json.loads(capsys.readouterr().out)["notes"] == [message]


def test_files_not_read_are_noted_next_to_mistakes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They may be the reason: nothing else says where somebody's rules are."""
    (tmp_path / "guardrails.yaml").write_text("version: 1\n")
    for name in ("web.yaml.txt", "env.json", "schema.json", "README.md", ".web.yaml.swp"):
        (tmp_path / name).write_text("{}")

    code = main(["validate", str(tmp_path)])

    *notes, problem, _ = capsys.readouterr().err.splitlines()
    assert code == 1
    assert notes == [
        f"note: {tmp_path}/env.json is not read: name it env.yaml if it is policy",
        f"note: {tmp_path}/web.yaml.txt is not read: name it web.yaml if it is policy",
    ]
    assert problem == (
        f"{tmp_path}: policy has neither identities nor rules; write some "
        "(guardrails and exemptions alone are none; read: guardrails.yaml)"
    )
