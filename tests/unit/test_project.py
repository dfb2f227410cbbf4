"""Rules about the repository itself, checked on the files that git tracks."""

import re
import socket
import subprocess
from pathlib import Path

import pytest
from pytest_socket import SocketBlockedError

from tests.conftest import ROOT, require

LONGEST_MODULE = 500


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    """Every tracked file that is there; where there is no git, as in an archive, the test skips."""
    require((ROOT / ".git").exists(), "a git checkout")
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split("\0")
    return [path for name in names if name and (path := ROOT / name).is_file()]


def test_no_file_names_a_registry(tracked: list[Path]) -> None:
    """Where packages come from is for the machine that installs them to say."""
    # Split up, so that this file does not name them either.
    hosts = ("pypi" + ".org", "python" + "hosted", "registry." + "npmjs", "deb." + "debian")
    registry = re.compile("|".join(map(re.escape, hosts)).encode())

    assert [path for path in tracked if registry.search(path.read_bytes())] == []


def test_no_lock_file_is_tracked(tracked: list[Path]) -> None:
    """Lock files carry addresses; requirements.txt pins what is deployed."""
    locks = {"uv.lock", "package-lock.json", "poetry.lock"}

    assert [path for path in tracked if path.name in locks] == []


def test_modules_stay_small(tracked: list[Path]) -> None:
    """A module that nears the limit is split by noun."""
    folders = (ROOT / "reconciler", ROOT / "sandbox")

    long = [
        path
        for path in tracked
        if path.suffix == ".py"
        and any(path.is_relative_to(folder) for folder in folders)
        and len(path.read_text("utf-8").splitlines()) > LONGEST_MODULE
    ]

    assert long == []


@pytest.mark.parametrize("target", ["demo", "test", "check"])
def test_the_readme_names_the_targets_and_make_has_them(target: str) -> None:
    """A reader finds every command that the README names."""
    assert f"make {target}" in (ROOT / "README.md").read_text("utf-8")
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)


def test_a_test_beside_this_one_cannot_open_a_socket() -> None:
    """Tests in tests/unit and tests/properties run offline, whoever runs them."""
    with pytest.warns(UserWarning, match="socket"), pytest.raises(SocketBlockedError):
        socket.socket()
