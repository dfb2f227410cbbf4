"""Rules about the repository itself, checked on the files that git tracks."""

import re
import socket
import subprocess
from pathlib import Path

import pytest
from pytest_socket import SocketBlockedError

from tests.conftest import ROOT, require

LONGEST_MODULE = 500
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


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


@pytest.mark.parametrize("target", ["demo", "test", "check", "unit", "faults", "bench"])
def test_the_readme_names_the_targets_and_make_has_them(target: str) -> None:
    """A reader finds every command that the README names."""
    assert f"make {target}" in (ROOT / "README.md").read_text("utf-8")
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)


def test_every_target_that_make_lists_is_in_contributing() -> None:
    """A target that nobody tells of is not used."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    listed = set(re.findall(r"^([a-z]+):.*## ", makefile, re.MULTILINE)) - {"help"}

    told = set(
        re.findall(r"^\| `make ([a-z]+)", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    )
    assert told == listed


def test_links_between_pages_lead_somewhere(tracked: list[Path]) -> None:
    """To a file that is there and, in a page, to a heading of it."""
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in tracked
        if page.suffix == ".md"
        for target in _LINK.findall(_FENCE.sub("", page.read_text("utf-8")))
        if "://" not in target and not _leads_somewhere(page, target)
    ]

    assert broken == []


def _leads_somewhere(page: Path, target: str) -> bool:
    name, _, heading = target.partition("#")
    aim = page.parent / name if name else page
    if not aim.exists():
        return False
    if not heading:
        return True
    text = _FENCE.sub("", aim.read_text("utf-8"))
    return heading in {_anchor(found) for found in _HEADING.findall(text)}


def _anchor(heading: str) -> str:
    """Return the name that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def test_a_test_beside_this_one_cannot_open_a_socket() -> None:
    """Tests in tests/unit and tests/properties run offline, whoever runs them."""
    with pytest.warns(UserWarning, match="socket"), pytest.raises(SocketBlockedError):
        socket.socket()
