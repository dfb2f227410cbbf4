"""The list of mistakes: in order, each once, at its place, on one line, and not too many."""

from pathlib import Path

from tests.unit.policy_files import GOOD, mistakes, rule, written


def test_all_mistakes_of_all_files_come_in_one_run_and_in_order(tmp_path: Path) -> None:
    bad = GOOD.replace("host:", "host:\n    mod: audit").replace("[host]", "[hst]")
    lines = mistakes(written(tmp_path, b=bad, a=rule(mode="x", name="3"), guardrails="rules: 1"))

    assert [line.split(": ")[0] for line in lines] == [
        "a.yaml:3:11",
        "a.yaml:7:11",
        "b.yaml:4:5",
        "b.yaml:10:14",
        "guardrails.yaml:1:1",
        "guardrails.yaml:1:1",
    ]


def test_positions_hold_after_crlf_and_a_bom(tmp_path: Path) -> None:
    """Lines and columns are those that an editor shows."""
    text = "\ufeffmood: ä\r\nversion: 1\r\nrules: [{nome: 'ü'}]\r\n"
    places = [line.split(": ")[0] for line in mistakes(written(tmp_path, a=text))]

    assert places == ["a.yaml:1:1", "a.yaml:3:9", "a.yaml:3:9", "a.yaml:3:10"]


def test_a_message_is_one_short_line(tmp_path: Path) -> None:
    """What a file holds can neither break the report's lines nor turn its direction."""
    text = rule(name='"' + "\\n\\u202e" + "x" * 5000 + '"')

    (line,) = mistakes(written(tmp_path, a=text))
    assert line.isprintable()
    assert len(line) < 500


def test_a_flood_of_mistakes_is_cut_short(tmp_path: Path) -> None:
    """After a hundred mistakes in one file the rest is counted."""
    keys = "".join(f"key{number}: 1\n" for number in range(150))
    lines = mistakes(written(tmp_path, a=f"version: 1\n{keys}"))

    assert len(lines) == 101
    assert "and 50 more mistakes in this file" in lines[-1]


def test_suggestions_are_bounded_and_made_once_a_word(tmp_path: Path) -> None:
    """However many names are wrong, only the first are looked up; again the same costs nothing."""

    def wrong(file: int) -> str:
        names = (f"Storage Blob Data Raeder {file}{number % 80}" for number in range(90))
        grants = ", ".join(f"{{role: {name}, scope: /}}" for name in names)
        return rule(name=f"r{file}", system=f"{{grants: [{grants}]}}")

    lines = mistakes(written(tmp_path, **{f"t{file}": wrong(file) for file in range(5)}))
    suggesting = [line for line in lines if "did you mean 'Storage Blob Data Reader'?" in line]

    assert len(lines) == 5 * 90
    assert len({line.split("'")[1] for line in suggesting}) == 30
    assert len(suggesting) == 40


def test_a_mistake_that_aliases_repeat_comes_once(tmp_path: Path) -> None:
    """It is mended in one place, that of the anchor."""
    text = rule(system="{grants: [{role: &r Raeder, scope: '{id}'}, {role: *r, scope: '/'}]}")

    assert [line.split(": ")[0] for line in mistakes(written(tmp_path, a=text))] == ["a.yaml:6:30"]
