"""Which files of a folder are policy, and how they add up to one."""

import os
from pathlib import Path

import pytest

from reconciler.policy.load import load, unread_files
from tests.unit.policy_files import GOOD, GUARDRAILS, SUB, mistakes, rule, written

SHIPPED = Path(__file__).parents[2] / "policies"


def test_an_identity_rule_or_id_defined_in_two_files_is_a_mistake(tmp_path: Path) -> None:
    found = mistakes(written(tmp_path, a=GOOD, b=GOOD))

    assert [line.split(": ")[0] for line in found] == ["b.yaml:3:3", "b.yaml:4:9", "b.yaml:6:11"]


def test_a_map_defined_in_two_files_is_a_mistake(tmp_path: Path) -> None:
    """Which value counts must not hang on the order of files."""
    maps = f"maps:\n  m: {{dev: {SUB}}}\n"
    found = mistakes(written(tmp_path, a=GOOD + maps, b="version: 1\n" + maps))

    assert found == [
        f"b.yaml:3:3: map 'm' is already defined in {tmp_path}/a.yaml:11; keep one of them"
    ]


def test_two_maps_that_differ_by_case_are_a_mistake(tmp_path: Path) -> None:
    """Scopes are compared without case, so one that picks from M would pass for one from m."""
    maps = f"maps:\n  m: {{dev: {SUB}}}\n  M: {{dev: {SUB}}}\n"
    (found,) = mistakes(written(tmp_path, a=GOOD + maps))

    assert "map 'M' is already defined in" in found


def test_a_rule_may_pick_from_a_map_of_another_file(tmp_path: Path) -> None:
    granting = rule(mode="repair", system="{grants: [{role: Reader, scope: '{maps.m[tags.env]}'}]}")
    maps = f"version: 1\nmaps: {{m: {{dev: {SUB}/resourceGroups/rg-data}}}}\n"
    policy = load(written(tmp_path, a=granting, b=maps, guardrails=GUARDRAILS))

    assert [str(value) for value in policy.maps["m"].values()] == [f"{SUB}/resourceGroups/rg-data"]


def test_a_rule_may_attach_an_identity_of_another_file(tmp_path: Path) -> None:
    identities, rules = GOOD.split("rules:")
    policy = load(written(tmp_path, a=f"version: 1\nrules:{rules}", b=identities))

    assert policy.rules[0].attach == ("host",)


@pytest.mark.parametrize("broken", ["[", "version: 1\nidentities:\n  host:\n"])
def test_an_unreadable_identity_is_not_called_unknown(tmp_path: Path, broken: str) -> None:
    _, rules = GOOD.split("rules:")
    (found,) = mistakes(written(tmp_path, a=f"version: 1\nrules:{rules}", b=broken))

    assert found.startswith("b.yaml:")


@pytest.mark.parametrize("content", ["version: 1\n", "version: 1\nrules: []\nidentities: {}\n"])
def test_policy_without_content_is_an_error(tmp_path: Path, content: str) -> None:
    """No policy never means that everything is revoked."""
    assert "neither identities nor rules" in mistakes(written(tmp_path, a=content))[0]


def test_guardrails_alone_are_an_error(tmp_path: Path) -> None:
    assert "neither identities nor rules" in mistakes(written(tmp_path, guardrails=GUARDRAILS))[0]


def test_an_empty_or_missing_folder_is_an_error_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text("{}")

    (empty,) = mistakes(tmp_path)
    assert empty.startswith(f"{tmp_path}: the folder has no policy (*.yaml); that never means")
    assert "cannot be read: No such file" in mistakes(tmp_path / "missing")[0]


def test_a_file_in_place_of_a_folder_is_an_error(tmp_path: Path) -> None:
    assert "this is a file; give the folder" in mistakes(written(tmp_path, a=GOOD) / "a.yaml")[0]


def test_folders_pipes_devices_and_loops_with_policy_names_are_mistakes(tmp_path: Path) -> None:
    """Opening one never waits."""
    (written(tmp_path, a=GOOD) / "b.yaml").mkdir()
    os.mkfifo(tmp_path / "c.yml")
    (tmp_path / "d.yaml").symlink_to("d.yaml")
    (tmp_path / "e.yaml").symlink_to("/dev/zero")

    told = "this is not a file that can be read (a folder, or a link to nothing); rename it"
    assert mistakes(tmp_path) == [
        f"{name}:1:1: {told}" for name in ("b.yaml", "c.yml", "d.yaml", "e.yaml")
    ]


def test_a_file_that_cannot_be_opened_is_a_mistake(tmp_path: Path) -> None:
    (written(tmp_path, a=GOOD) / "b.yaml").symlink_to("/proc/self/mem")

    (found,) = mistakes(tmp_path)
    assert found.startswith("b.yaml:1:1: the file cannot be read: ")


@pytest.mark.parametrize("folder", ["/" + "a" * 5000, "/a\0b"])
def test_a_folder_with_an_impossible_name_is_one_mistake(folder: str) -> None:
    (found,) = mistakes(Path(folder))

    assert "the policy folder cannot be read: " in found


def test_suffixes_are_read_in_any_case(tmp_path: Path) -> None:
    (written(tmp_path, a=GOOD) / "b.YAML").write_text("x: 1\nversion: 1\n")
    (tmp_path / "c.Yml").write_text("x: 1\nversion: 1\n")

    assert [line.split(": ")[0] for line in mistakes(tmp_path)] == ["b.YAML:1:1", "c.Yml:1:1"]


def test_files_in_inner_folders_are_not_read_but_noted(tmp_path: Path) -> None:
    for name in ("a", ".git"):
        (tmp_path / name).mkdir()
        written(tmp_path / name, policy=GOOD)

    (found,) = mistakes(tmp_path)
    assert found.endswith(f"; {tmp_path}/a/policy.yaml is not read: it lies in a folder of its own")
    assert list(unread_files(written(tmp_path, a=GOOD))) == [
        f"{tmp_path / 'a' / 'policy.yaml'} is not read: it lies in a folder of its own"
    ]


def test_origins_hold_file_and_line_of_each_rule_and_identity(tmp_path: Path) -> None:
    policy = load(written(tmp_path, a=GOOD))

    assert policy.origins == {
        "identity host": f"{tmp_path}/a.yaml:3",
        "rule hosts": f"{tmp_path}/a.yaml:6",
    }


def test_the_shipped_policies_load_without_mistakes() -> None:
    policy = load(SHIPPED)

    assert policy.rules
    assert policy.identities
