"""docs/cli.md names every command and option, and no page names another."""

import re

import pytest

from reconciler.cli import main
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "cli.md").read_text("utf-8")
COMMANDS = {"validate", "plan", "apply"}


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return a help text."""
    assert main([*arguments, "--help"]) == 0
    return capsys.readouterr().out


def documented() -> dict[str, set[str]]:
    """Read the table of options."""
    options: dict[str, set[str]] = {}
    command = ""
    for row in re.findall(r"^\| (?:`(\w+)`)? ?\| `(--\w+)` \|", PAGE, re.MULTILINE):
        command = row[0] or command
        options.setdefault(command, set()).add(row[1])
    return options


def test_the_commands_are_those_of_the_documentation(capsys: pytest.CaptureFixture[str]) -> None:
    """Each has a section, a line in the summary and a help text."""
    listed = shown(capsys).partition("Commands:")[2]

    assert "..." not in listed
    assert set(re.findall(r"^  (\w+) ", listed, re.MULTILINE)) == COMMANDS
    assert set(re.findall(r"^reconciler (\w+) ", PAGE, re.MULTILINE)) == COMMANDS
    assert set(re.findall(r"^## (\w+)$", PAGE, re.MULTILINE)) == COMMANDS | {"Options"}


@pytest.mark.parametrize("command", ["reconciler", *sorted(COMMANDS)])
def test_the_options_are_those_of_the_documentation(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """None is missing on either side; every command has --help."""
    text = shown(capsys, *([] if command == "reconciler" else [command]))

    options = set(re.findall(r"^  (--\w+)", text, re.MULTILINE))
    assert "--debug" in text
    assert options | {"--help"} == documented()[command] | {"--help"}


def test_the_pages_show_no_unknown_command_or_option() -> None:
    """What a reader copies works."""
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    line = re.compile(r"^(?:\$ )?(?:\.venv/bin/)?reconciler (\w+)([^#\n]*)", re.MULTILINE)
    shown = [match for page in pages for match in line.findall(page.read_text("utf-8"))]

    assert {command for command, _ in shown} == COMMANDS
    for command, rest in shown:
        assert set(re.findall(r"--\w+", rest)) <= documented()[command] | {"--debug"}, rest


def test_the_version_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("identity-reconciler ")
