"""The policy loader over whole folders; single mistakes are in `test_policy_mistakes`."""

import os
from pathlib import Path

import pytest

from reconciler.ids import ResourceId
from reconciler.model import Mode
from reconciler.policy import language
from reconciler.policy.load import load, unread
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

SHIPPED = Path(__file__).parents[2] / "policies"


def test_all_mistakes_of_all_files_are_told_in_order(tmp_path: Path) -> None:
    """One run tells everything, sorted by file, line and column."""
    bad = GOOD.replace("host:", "host:\n    mod: audit").replace("[host]", "[hst]")
    found = mistakes(written(tmp_path, b=bad, a=rule(mode="x", name="3"), guardrails="rules: 1"))

    assert [line.split(": ")[0] for line in found] == [
        "a.yaml:3:11",
        "a.yaml:7:11",
        "b.yaml:4:5",
        "b.yaml:10:14",
        "guardrails.yaml:1:1",
        "guardrails.yaml:1:1",
    ]


def test_names_are_unique_over_all_files(tmp_path: Path) -> None:
    """An identity or rule of another file may not have the same name, or the same id."""
    found = mistakes(written(tmp_path, a=GOOD, b=GOOD))

    assert [line.split(": ")[0] for line in found] == ["b.yaml:3:3", "b.yaml:4:9", "b.yaml:6:11"]


def test_a_map_is_defined_once_and_for_all_files(tmp_path: Path) -> None:
    """Maps of two files never mix: which value counts must not hang on the order of files."""
    maps = f"maps:\n  m: {{dev: {SUB}}}\n"
    found = mistakes(written(tmp_path, a=GOOD + maps, b="version: 1\n" + maps))

    assert found == [
        f"b.yaml:3:3: map 'm' is already defined in {tmp_path}/a.yaml:11; keep one of them"
    ]


def test_two_maps_differ_by_more_than_case(tmp_path: Path) -> None:
    """Scopes are compared without case, so one that picks from M would pass for one from m."""
    maps = f"maps:\n  m: {{dev: {SUB}}}\n  M: {{dev: {SUB}}}\n"
    (found,) = mistakes(written(tmp_path, a=GOOD + maps))

    assert "map 'M' is already defined in" in found


def test_a_map_may_be_named_from_another_file(tmp_path: Path) -> None:
    """All files are one policy, and guardrails see through its maps."""
    granting = rule(mode="repair", system="{grants: [{role: Reader, scope: '{maps.m[tags.env]}'}]}")
    maps = f"version: 1\nmaps: {{m: {{dev: {SUB}/resourceGroups/rg-data}}}}\n"
    policy = load(written(tmp_path, a=granting, b=maps, guardrails=GUARDRAILS))

    assert [str(value) for value in policy.maps["m"].values()] == [f"{SUB}/resourceGroups/rg-data"]


def test_identities_may_be_named_from_another_file(tmp_path: Path) -> None:
    """All files are one policy."""
    identities, rules = GOOD.split("rules:")
    policy = load(written(tmp_path, a=f"version: 1\nrules:{rules}", b=identities))

    assert policy.rules[0].attach == ("host",)


@pytest.mark.parametrize("broken", ["[", "version: 1\nidentities:\n  host:\n"])
def test_an_unreadable_identity_is_not_called_unknown(tmp_path: Path, broken: str) -> None:
    """A rule is not blamed for an identity that another mistake hides."""
    _, rules = GOOD.split("rules:")
    (found,) = mistakes(written(tmp_path, a=f"version: 1\nrules:{rules}", b=broken))

    assert found.startswith("b.yaml:")


@pytest.mark.parametrize("content", ["version: 1\n", "version: 1\nrules: []\nidentities: {}\n"])
def test_policy_without_content_is_an_error(tmp_path: Path, content: str) -> None:
    """No policy never means that everything is revoked."""
    assert "neither identities nor rules" in mistakes(written(tmp_path, a=content))[0]


def test_guardrails_alone_are_no_policy(tmp_path: Path) -> None:
    """A folder that lost its policy files is an error."""
    assert "neither identities nor rules" in mistakes(written(tmp_path, guardrails=GUARDRAILS))[0]


def test_an_empty_or_missing_folder_is_an_error(tmp_path: Path) -> None:
    """The folder itself is named where nothing is in it."""
    (tmp_path / "schema.json").write_text("{}")

    (empty,) = mistakes(tmp_path)
    assert empty.startswith(f"{tmp_path}: the folder has no policy (*.yaml); that never means")
    assert "cannot be read: No such file" in mistakes(tmp_path / "missing")[0]


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    """Files are checked together or not at all."""
    assert "this is a file; give the folder" in mistakes(written(tmp_path, a=GOOD) / "a.yaml")[0]


def test_only_plain_files_are_read(tmp_path: Path) -> None:
    """A folder or pipe with a policy file's name is told, and opening it never waits."""
    (written(tmp_path, a=GOOD) / "b.yaml").mkdir()
    os.mkfifo(tmp_path / "c.yml")
    (tmp_path / "d.yaml").symlink_to("d.yaml")
    (tmp_path / "e.yaml").symlink_to("/dev/zero")

    assert mistakes(tmp_path) == [
        f"{name}:1:1: this is no file that can be read (a folder, or a link to nothing); rename it"
        for name in ("b.yaml", "c.yml", "d.yaml", "e.yaml")
    ]


def test_a_file_that_may_not_be_opened_is_told(tmp_path: Path) -> None:
    """The others are still checked."""
    (written(tmp_path, a=GOOD) / "b.yaml").symlink_to("/proc/self/mem")

    (found,) = mistakes(tmp_path)
    assert found.startswith("b.yaml:1:1: the file cannot be read: ")


@pytest.mark.parametrize("folder", ["/" + "a" * 5000, "/a\0b"])
def test_a_folder_that_no_system_knows_is_told(folder: str) -> None:
    """Whatever the setting holds, a mistake in it is one line."""
    (found,) = mistakes(Path(folder))

    assert "the policy folder cannot be read: " in found


def test_suffixes_have_no_case(tmp_path: Path) -> None:
    """No file is passed over that looks like policy to its author."""
    (written(tmp_path, a=GOOD) / "b.YAML").write_text("x: 1\nversion: 1\n")
    (tmp_path / "c.Yml").write_text("x: 1\nversion: 1\n")

    assert [line.split(": ")[0] for line in mistakes(tmp_path)] == ["b.YAML:1:1", "c.Yml:1:1"]


def test_files_in_folders_of_the_folder_are_not_read(tmp_path: Path) -> None:
    """They are named, since their author may think otherwise."""
    for name in ("a", ".git"):
        (tmp_path / name).mkdir()
        written(tmp_path / name, policy=GOOD)

    (found,) = mistakes(tmp_path)
    assert found.endswith(
        f"; files in folders of it, such as {tmp_path}/a/policy.yaml, are not read"
    )
    assert list(unread(written(tmp_path, a=GOOD))) == [tmp_path / "a" / "policy.yaml"]


@pytest.mark.parametrize("name", ["guardrails.yml", "Guardrails.yaml", "GUARDRAILS.YAML"])
@pytest.mark.parametrize("mode", ["audit", "repair"])
def test_guardrails_have_one_name(tmp_path: Path, name: str, mode: str) -> None:
    """Guardrails under another name, which its code owner would not see, are refused."""
    policy = GOOD.replace("attach:", f"mode: {mode}\n    attach:")
    (written(tmp_path, a=policy) / name).write_text(GUARDRAILS)

    assert mistakes(tmp_path) == [f"{name}:1:1: name this file guardrails.yaml, exactly so"]


def test_without_guardrails_nothing_may_be_granted(tmp_path: Path) -> None:
    """The absence of guardrails forbids every grant and attachment, but no identity of its own."""
    switching = load(written(tmp_path, a=rule(mode="repair")))
    assert switching.guardrails == language.Guardrails(version=1)

    told = f"{tmp_path}: there is no guardrails.yaml: repair needs one"
    attaching = GOOD.replace("attach:", "mode: repair\n    attach:")
    assert mistakes(written(tmp_path, a=attaching)) == [told]

    granting = rule(mode="repair", system="{grants: [{role: Reader, scope: '{id}'}]}")
    assert mistakes(written(tmp_path, a=granting, b=identity(mode="repair"))) == [told]

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
    """A template is only refused where no resource could bring it under the guardrails."""
    text = rule(mode="repair", system=f"{{grants: [{{role: Reader, scope: {scope}}}]}}")

    assert load(written(tmp_path, a=text, guardrails=GUARDRAILS)).rules[0].mode is Mode.REPAIR


def test_identities_that_guardrails_may_cover_are_left_to_the_plan(tmp_path: Path) -> None:
    """A template is held against each place by what is known of it."""
    id_ = f"'{UAI.replace(SUB, '{subscription}')}/a-{{location}}'"
    grants = f"[{{role: Reader, scope: '{SUB}/resourceGroups/rg-data'}}]"
    policy = load(
        written(tmp_path, a=identity(id=id_, mode="repair", grants=grants), guardrails=GUARDRAILS)
    )

    assert policy.identities["a"].id.exact is None
    assert policy.identities["a"].id.may_be(ResourceId.parse(f"{UAI}/A-westeurope"))


def test_how_far_a_custom_role_reaches_is_left_to_the_plan(tmp_path: Path) -> None:
    """Nobody knows offline, but that the guardrails name it there is required."""
    role = "/providers/Microsoft.Authorization/roleDefinitions/11111111-2222-3333-4444-555555555555"
    text = grant(role) + "    mode: repair\n"
    rails = GUARDRAILS.replace("[Reader, Contributor]", f"[{role}]")

    assert load(written(tmp_path, a=text, guardrails=rails)).custom_roles
    assert "does not allow" in mistakes(written(tmp_path, guardrails=GUARDRAILS))[0]


def test_an_audit_rule_may_want_more_than_guardrails_allow(tmp_path: Path) -> None:
    """Audit tells what would be done; it needs no permission."""
    assert load(written(tmp_path, a=grant("Owner", SUB), guardrails=GUARDRAILS))


def test_origins_tell_where_things_are_written(tmp_path: Path) -> None:
    """Each rule and identity is found again by file and line."""
    policy = load(written(tmp_path, a=GOOD))

    assert policy.origins == {
        "identity host": f"{tmp_path}/a.yaml:3",
        "rule hosts": f"{tmp_path}/a.yaml:6",
    }


def test_layout_does_not_matter(tmp_path: Path) -> None:
    """A BOM, CRLF, anchors, JSON style and another file name read as the same policy."""
    plain = load(written(tmp_path, a=GOOD))
    (tmp_path / "a.yaml").unlink()
    anchored = GOOD.replace(f"[{SUB}]", f"[&sub {SUB}, *sub]").replace("\n", "\r\n")
    again = load(written(tmp_path, b=b"\xef\xbb\xbf" + anchored.encode()))

    assert again.digest == plain.digest


def test_positions_hold_after_crlf_and_a_bom(tmp_path: Path) -> None:
    """Lines and columns are those that an editor shows."""
    text = "\ufeffmood: ä\r\nversion: 1\r\nrules: [{nome: 'ü'}]\r\n"
    places = [line.split(": ")[0] for line in mistakes(written(tmp_path, a=text))]

    assert places == ["a.yaml:1:1", "a.yaml:3:9", "a.yaml:3:9", "a.yaml:3:10"]


def test_a_date_may_be_written_with_and_without_quotes(tmp_path: Path) -> None:
    """What YAML 1.1 makes a date of is a text here, and the language makes the date."""
    one = f"{{scope: {SUB}, reason: a, expires: 2027-01-31}}"
    other = f"{{scope: {SUB}, reason: b, expires: '2027-01-31'}}"
    policy = load(written(tmp_path, a=f"{GOOD}exemptions: [{one}, {other}]\n"))

    assert {one.expires.isoformat() for one in policy.exemptions} == {"2027-01-31"}


def test_yaml_words_of_old_are_texts(tmp_path: Path) -> None:
    """`no` is Norway and a date is a text, as YAML 1.2 has it."""
    tags = "{country: no, built: 2027-01-31, time: 12:30}"
    text = rule(match=f"{{type: A.B/c, tags: {tags}}}")

    assert load(written(tmp_path, a=text)).rules[0].match.tags == {
        "country": "no",
        "built": "2027-01-31",
        "time": "12:30",
    }


def test_numbers_may_be_written_in_other_bases(tmp_path: Path) -> None:
    """Numbers are those of YAML 1.2, where a leading zero means nothing."""
    text = "version: 0x1\nmaxRemovals: {count: 010, percent: 0o17}\n"
    policy = load(written(tmp_path, a=GOOD, guardrails=text))

    assert policy.guardrails.max_removals == language.MaxRemovals(count=10, percent=15)


def test_a_message_is_one_short_line(tmp_path: Path) -> None:
    """What a file holds can neither break the report's lines nor turn its direction."""
    text = rule(name='"' + "\\n\\u202e" + "x" * 5000 + '"')

    (found,) = mistakes(written(tmp_path, a=text))
    assert found.isprintable()
    assert len(found) < 500


def test_a_flood_of_mistakes_is_cut_short(tmp_path: Path) -> None:
    """After a hundred mistakes in one file the rest is counted."""
    keys = "".join(f"key{number}: 1\n" for number in range(150))
    found = mistakes(written(tmp_path, a=f"version: 1\n{keys}"))

    assert len(found) == 101
    assert "and 50 more mistakes in this file" in found[-1]


def test_guesses_are_few_and_each_is_made_once(tmp_path: Path) -> None:
    """However many names are wrong, only the first are looked up; again the same costs nothing."""

    def wrong(file: int) -> str:
        names = (f"Storage Blob Data Raeder {file}{number % 80}" for number in range(90))
        grants = ", ".join(f"{{role: {name}, scope: /}}" for name in names)
        return rule(name=f"r{file}", system=f"{{grants: [{grants}]}}")

    found = mistakes(written(tmp_path, **{f"t{file}": wrong(file) for file in range(5)}))
    told = [line for line in found if "did you mean 'Storage Blob Data Reader'?" in line]

    assert len(found) == 5 * 90
    assert len({line.split("'")[1] for line in told}) == 30
    assert len(told) == 40


def test_a_mistake_that_aliases_repeat_is_told_once(tmp_path: Path) -> None:
    """It is mended in one place, that of the anchor."""
    text = rule(system="{grants: [{role: &r Raeder, scope: '{id}'}, {role: *r, scope: '/'}]}")

    assert [line.split(": ")[0] for line in mistakes(written(tmp_path, a=text))] == ["a.yaml:6:30"]


def test_aliases_cannot_multiply_a_file(tmp_path: Path) -> None:
    """Aliases of aliases are counted as what they stand for."""
    bomb = "".join(f"k{n}: &k{n} [{', '.join([f'*k{n - 1}'] * 9)}]\n" for n in range(1, 15))
    long = f"version: &v {'x' * 100_000}\nrules: [{'*v, ' * 100}]\n"

    found = mistakes(written(tmp_path, a=f"k0: &k0 [1]\n{bomb}", b=long))
    assert len(found) == 2
    assert all("aliases counted; split the file" in line for line in found)


def test_the_shipped_policies_are_sound() -> None:
    """What ships validates clean, and repairs only what its guardrails allow."""
    policy = load(SHIPPED)

    assert policy.rules
    assert policy.identities
