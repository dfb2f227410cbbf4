"""requirements.txt, which Azure installs, against pyproject.toml; all without a network."""

import importlib.metadata
import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.conftest import ROOT

TEXT = (ROOT / "requirements.txt").read_text("utf-8")
DIRECT = [
    Requirement(line)
    for line in tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"][
        "dependencies"
    ]
]
# What the function app runs on, whatever runs this test.
AZURE = {"python_version": "3.13", "sys_platform": "linux", "platform_system": "Linux"}


def _pins() -> dict[str, tuple[Version, list[str]]]:
    """Name, version and hashes of each entry; an entry is one line once its continuations join."""
    pins: dict[str, tuple[Version, list[str]]] = {}
    for line in TEXT.replace("\\\n", " ").splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            pin, *options = line.split()
            name, _, version = pin.partition("==")
            pins[canonicalize_name(name)] = (Version(version), options)
    return pins


PINS = _pins()


@pytest.mark.parametrize("requirement", DIRECT, ids=str)
def test_every_direct_dependency_is_pinned_within_its_bounds(requirement: Requirement) -> None:
    """After a change in pyproject.toml, `make requirements` must run."""
    version, _ = PINS[canonicalize_name(requirement.name)]

    assert requirement.specifier.contains(version)


@pytest.mark.parametrize("name", sorted(PINS))
def test_every_pin_is_held_by_hashes_and_nothing_else(name: str) -> None:
    """A replaced archive must not install."""
    _, options = PINS[name]

    assert options
    assert [text for text in options if not re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", text)] == []


def test_no_index_or_address_is_named() -> None:
    """Where packages come from is for the machine that installs them to say."""
    assert re.findall(r"://|--(?!hash=)[a-z-]+|file:|\s@\s", TEXT) == []


def test_the_pins_are_the_whole_closure_and_no_more() -> None:
    """What a pinned package needs is pinned too, and nothing is pinned that none of them needs."""
    reached: set[str] = set()
    ahead = [(requirement.name, requirement.extras) for requirement in DIRECT]
    seen = set()
    while ahead:
        name, extras = ahead.pop()
        if (name, frozenset(extras)) in seen:
            continue
        seen.add((name, frozenset(extras)))
        reached.add(canonicalize_name(name))
        for text in importlib.metadata.requires(name) or ():
            requirement = Requirement(text)
            marker = requirement.marker
            if marker is None or any(
                marker.evaluate({**AZURE, "extra": extra}) for extra in {"", *extras}
            ):
                ahead.append((requirement.name, requirement.extras))

    assert reached == set(PINS)
