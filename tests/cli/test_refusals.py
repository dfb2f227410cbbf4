"""What ends a command before anything is written: one clear line, exit code 1."""

import json
import os
import signal
from pathlib import Path

import pytest

from reconciler.cli import main
from tests.cli import desk
from tests.cli.desk import APP_GROUP, Desk
from tests.world.children import child
from tests.world.ids import SUB

ELSEWHERE = "/subscriptions/22222222-2222-2222-2222-222222222222"


@pytest.mark.parametrize(
    ("subject", "message"),
    [
        ("vm-1", "must start with '/'"),
        (f"{APP_GROUP}/../x", "is not an ARM id"),
        (desk.machine("vm-1").replace(SUB, ELSEWHERE), "lies in no watched subscription"),
        (f"{APP_GROUP}/providers/Microsoft.Web/sites/x", "is no virtual machine"),
        (APP_GROUP, "is no virtual machine or user-assigned identity"),
        (SUB, "is no virtual machine or user-assigned identity"),
        (f"{APP_GROUP}/providers/Microsoft.Authorization/roleAssignments/x", "is no virtual"),
    ],
)
def test_an_id_that_is_not_reconciled_is_refused(cloud: Desk, subject: str, message: str) -> None:
    """The message names the id."""
    ended = cloud.run("plan", subject)

    assert (ended.returncode, ended.stdout) == (1, "")
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stderr.startswith("error: ")
    assert message in ended.stderr
    assert subject in ended.stderr


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"RECONCILER_OWNER": ""}, "error: RECONCILER_OWNER is not set"),
        (
            {"RECONCILER_MANAGEMENT_GROUPS": "corp,secret"},
            "error: RECONCILER_MANAGEMENT_GROUPS: the management group secret cannot be read: ",
        ),
        ({"RECONCILER_POLICIES": "/nowhere"}, "error: /nowhere: the policy folder"),
        ({"IDENTITY_HEADER": "wrong"}, "Missing or invalid X-IDENTITY-HEADER"),
        ({"IDENTITY_ENDPOINT": "https://127.0.0.1:1"}, "Connection refused"),
        ({"REQUESTS_CA_BUNDLE": "", "SSL_CERT_FILE": ""}, "in REQUESTS_CA_BUNDLE"),
        ({"RECONCILER_ARM_ENDPOINT": "https://127.0.0.1:1"}, "Azure could not be reached"),
    ],
)
def test_a_wrong_set_up_is_named_in_one_line(
    cloud: Desk, settings: dict[str, str], message: str
) -> None:
    """No traceback, and no wait where nobody answered."""
    ended = cloud.run("plan", desk.machine("vm-1"), **settings)

    assert (ended.returncode, ended.stdout) == (1, "")
    assert message in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_an_unknown_format_is_refused_with_the_known_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["plan", "x", "--format", "yaml"]) == 1
    assert capsys.readouterr().err == (
        "error: Invalid value for '--format': 'yaml' is not one of 'text', 'json'; "
        "see reconciler --help\n"
    )


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_reader_that_went_away_is_no_error(cloud: Desk, form: str) -> None:
    """`plan | head` says nothing on stderr."""
    reader, writer = os.pipe()
    os.close(reader)
    process = cloud.start("plan", desk.machine("vm-unread"), "--format", form, stdout=writer)
    os.close(writer)
    with child(process):
        _, errors = process.communicate()

    assert (process.returncode, errors) == (141, "")


def test_debug_shows_where_an_error_comes_from(cloud: Desk) -> None:
    """It may stand anywhere, such as at the end of the line that failed."""
    ended = cloud.run("plan", desk.machine("vm-1"), "--debug", RECONCILER_OWNER="")

    assert ended.returncode == 1
    assert "Traceback" in ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("error: RECONCILER_OWNER")


def test_apply_in_audit_mode_is_refused(cloud: Desk) -> None:
    """The message names the setting."""
    ended = cloud.run("apply", desk.machine("vm-1"), "--yes", RECONCILER_MODE="audit")

    assert (ended.returncode, ended.stdout) == (1, "")
    assert "RECONCILER_MODE" in ended.stderr


def test_a_plan_in_audit_mode_notes_that_apply_would_refuse(cloud: Desk) -> None:
    """Or the next command is in vain."""
    ended = cloud.run("plan", cloud.create("vm-audited"), RECONCILER_MODE="audit")

    assert ended.returncode == 2
    assert "note: RECONCILER_MODE is audit, so apply would refuse\n" in ended.stderr


@pytest.mark.parametrize("more", [[], ["--format", "json"]])
def test_apply_without_a_terminal_needs_yes(cloud: Desk, more: list[str]) -> None:
    ended = cloud.run("apply", desk.machine("vm-1"), *more)

    assert (ended.returncode, ended.stdout) == (1, "")
    assert "--yes" in ended.stderr


def test_another_plan_than_expected_is_not_applied(cloud: Desk) -> None:
    """What was reviewed is what is done."""
    subject = cloud.create("vm-unexpected")

    ended = cloud.run("apply", subject, "--yes", "--expect", "0" * 64)

    assert ended.returncode == 1
    assert "fingerprint" in ended.stderr
    assert "identity" not in cloud.call("GET", subject)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_during_a_wait_ends_with_one_line_and_the_outcomes(
    cloud: Desk, number: int, code: int
) -> None:
    """In JSON too, where `after` is then null."""
    subject = cloud.create(f"vm-interrupted-{code}", identity={"type": "SystemAssigned"})
    started = cloud.start("apply", subject, "--yes", "--format", "json", RECONCILER_SETTLE="600")
    with child(started) as process:
        assert process.stderr
        waiting = next(line for line in process.stderr if line.startswith("waiting "))
        process.send_signal(number)
        answer, errors = process.communicate()

    assert "once the resource is built" in waiting
    assert process.returncode == code
    reported = json.loads(answer)
    assert "CreateAssignment" in {outcome["change"]["kind"] for outcome in reported["outcomes"]}
    assert reported["after"] is None
    # Interrupted in the middle of a line, rich may write that line again.
    assert errors.splitlines()[-1] == "interrupted; what was done so far stays"


@pytest.mark.parametrize(
    "arguments", [[], ["nonsense"], ["plan"], ["plan", "--nonsense"], ["validate", "a", "b"]]
)
def test_wrong_usage_exits_1(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """2 is taken: it means drift."""
    code = main(arguments)

    errors = capsys.readouterr().err
    assert code == 1
    assert errors.startswith("error: ")
    assert errors.endswith("see reconciler --help\n")
    assert len(errors.splitlines()) == 1


def test_an_interrupt_at_the_start_is_one_line(tmp_path: Path) -> None:
    """Importing takes a second, in which people change their minds."""
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt\n", "utf-8")
    ended = desk.reconciler("validate", PYTHONPATH=str(tmp_path))

    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "interrupted\n")


def test_without_its_extra_the_command_names_it(tmp_path: Path) -> None:
    """The function package does not ship the command line's dependencies."""
    (tmp_path / "typer.py").write_text("raise ModuleNotFoundError(name='typer')\n", "utf-8")
    ended = desk.reconciler("validate", PYTHONPATH=str(tmp_path))

    assert (ended.returncode, ended.stdout) == (1, "")
    assert "install identity-reconciler with the extra `cli`" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
