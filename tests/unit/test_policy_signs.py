"""Policy says the same to the loader, to git, to a browser and to the person who approves it."""

from pathlib import Path

import pytest

from reconciler.policy.load import load, unread_files
from tests.unit.policy_files import (
    GOOD,
    GUARDRAILS,
    SUB,
    UAI,
    exempt,
    identity,
    mistakes,
    rule,
    written,
)

LINE_BREAKS = ("\r", "\x85", "\u2028", "\u2029")
DIRECTIONS = "\u061c\u200e\u200f" + "".join(
    map(chr, [*range(0x202A, 0x202F), *range(0x2066, 0x206A)])
)
INVISIBLE = "\xad\u034f\u115f\u180e\u200b\u2060\u2064\u206f\u3164\uffa0\U000e0001\U000e0072"
PLACES = {
    "a comment": ("# reviewed{}    x\n" + GOOD, "1:11"),
    "a comment behind": (GOOD.replace("attach: [host]", "attach: [host] # a{}b"), "9:23"),
    "a key": (GOOD.replace("rules:", "ru{}les:"), "5:3"),
    "a text": (GOOD.replace("hosts", "'ho{}sts'"), "6:14"),
    "an id": (GOOD.replace("/host\n", "/ho{}st\n"), f"4:{len(f'    id: {UAI}/ho') + 1}"),
    "its end": (GOOD + "# {}", "10:3"),
}


@pytest.mark.parametrize("sign", [*LINE_BREAKS, *DIRECTIONS, *INVISIBLE, "\u200c", "\u200d"])
@pytest.mark.parametrize(("content", "place"), PLACES.values(), ids=PLACES.keys())
def test_a_hidden_sign_is_a_mistake_wherever_it_stands(
    tmp_path: Path, sign: str, content: str, place: str
) -> None:
    """Comments included, it is named by its number and never shown."""
    found = mistakes(written(tmp_path, a=content.replace("{}", sign), guardrails=GUARDRAILS))

    assert len(found) == 1
    assert found[0].startswith(f"a.yaml:{place}: U+{ord(sign):04X} ")
    assert "; " in found[0]
    assert sign not in found[0]


@pytest.mark.parametrize("sign", ["\r", "\u2028", "\u202e", "\u200b"])
def test_a_hidden_sign_in_guardrails_is_a_mistake(tmp_path: Path, sign: str) -> None:
    text = GUARDRAILS.replace("grants:", f"# all{sign} of these\ngrants:")

    (found,) = mistakes(written(tmp_path, a=GOOD, guardrails=text))
    assert found.startswith("guardrails.yaml:2:6: ")


def test_hidden_signs_are_reported_one_by_one_until_they_are_many(tmp_path: Path) -> None:
    found = mistakes(written(tmp_path, a="# \u202ea\u200b\n\n#\u2066\n" + GOOD, b="#\u200b" * 9999))

    assert [line.split(" ")[0] for line in found[:3]] == [
        "a.yaml:1:3:",
        "a.yaml:1:5:",
        "a.yaml:3:2:",
    ]
    assert 3 < len(found) < 50


def test_a_comment_after_what_only_looks_like_a_blank_is_a_mistake(tmp_path: Path) -> None:
    """YAML takes `x#y`, with a no-break space before the sign, for one text."""
    text = rule(match="{type: A.B/c, tags: {a: 'b'}}", mode="audit\xa0# repair")

    (found,) = mistakes(written(tmp_path, a=text))
    assert "U+00A0 NO-BREAK SPACE only looks like a blank" in found


@pytest.mark.parametrize(
    "comment",
    [
        "naïve, größer, 東京, 🙂",
        "\u0645\u06cc\u200c\u0631\u0648\u0645",
        "क्\u200dष",
        "👩\u200d💻 ❤\ufe0f",
        "a\xa0: b\t# c",
    ],
)
def test_writing_of_any_script_is_accepted(tmp_path: Path, comment: str) -> None:
    """What joins letters of Persian, Hindi or emoji stays; between ASCII it hides something."""
    text = f"# {comment}\n" + exempt(reason=f"'{comment}'") + rule().removeprefix("version: 1\n")

    assert load(written(tmp_path, a=text)).exemptions[0].reason == comment


def test_crlf_and_a_byte_order_mark_are_accepted(tmp_path: Path) -> None:
    text = "\ufeff" + f"# reviewed\n{GOOD}".replace("\n", "\r\n")

    assert load(written(tmp_path, a=text)).rules


def test_a_hidden_sign_written_as_an_escape_is_accepted(tmp_path: Path) -> None:
    text = rule(match='{type: A.B/c, tags: {a: "b\\u200dc"}}')

    assert load(written(tmp_path, a=text)).rules[0].match.tags["a"] == "b\u200dc"


@pytest.mark.parametrize("name", ["a\u202eb", "a\u200bb", "a\nb", "a\x1b[2Jb", "guardrails\u200b"])
def test_a_file_with_hidden_signs_in_its_name_is_a_mistake_and_not_read(
    tmp_path: Path, name: str
) -> None:
    written(tmp_path, **{name: GOOD})

    (found,) = mistakes(tmp_path)
    assert found.isprintable()
    assert found.endswith(".yaml:1:1: the file's name holds signs that cannot be seen; rename it")


def test_a_file_that_is_not_read_is_noted_with_escapes(tmp_path: Path) -> None:
    (tmp_path / "a\n\u202eb.yaml.txt").write_text(GOOD)

    assert all(note.isprintable() for note in unread_files(tmp_path))


def test_names_that_differ_in_case_alone_are_a_mistake(tmp_path: Path) -> None:
    first = identity() + rule().removeprefix("version: 1\n")
    other = first.replace("  a:\n", "  A:\n").replace("name: r\n", "name: R\n")
    other = other.replace("userAssignedIdentities/a", "userAssignedIdentities/b")

    found = mistakes(written(tmp_path, a=first, b=other))
    assert [line.split(": ", 1)[1].partition(" is already")[0] for line in found] == [
        "identity 'A'",
        "rule 'R'",
    ]


def test_an_anchor_defined_twice_is_a_mistake(tmp_path: Path) -> None:
    """An alias would mean what stood last, wherever a reader looked."""
    text = rule(within=f"[&a {SUB}]", system="{grants: [{role: &a Reader, scope: '{id}'}]}")

    (found,) = mistakes(written(tmp_path, a=text))
    assert "the anchor '&a' is already defined in line 4; name one otherwise" in found
