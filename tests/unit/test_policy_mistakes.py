"""Each mistake in a policy file is told with its place and the next step."""

from pathlib import Path

import pytest

from tests.unit.mistakes import MISTAKES
from tests.unit.mistakes.guardrails import GUARDRAIL_MISTAKES
from tests.unit.policy_files import GUARDRAILS, grant, mistakes, written


@pytest.mark.parametrize(("content", "place", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_each_mistake_is_reported_once_at_its_line_and_column(
    tmp_path: Path, content: str | bytes, place: str, message: str
) -> None:
    found = mistakes(written(tmp_path, a=content, guardrails=GUARDRAILS))

    assert [line for line in found if message in line and line.startswith(f"a.yaml:{place}: ")]
    assert len(found) == 1


@pytest.mark.parametrize(
    ("content", "place", "message"),
    [row for row in MISTAKES.values() if isinstance(row[0], str)],
    ids=[name for name, row in MISTAKES.items() if isinstance(row[0], str)],
)
def test_a_byte_order_mark_crlf_and_lines_before_a_mistake_move_its_place_right(
    tmp_path: Path, content: str, place: str, message: str
) -> None:
    line, column = map(int, place.split(":"))
    layouts = {
        "bom": (f"\ufeff{content}", line),
        "crlf": (content.replace("\n", "\r\n"), line),
        "below": (f"# Ü 😀\n\n{content}", line + 2),
    }
    for name, (text, expected) in layouts.items():
        folder = tmp_path / name
        folder.mkdir()
        found = mistakes(written(folder, a=text, guardrails=GUARDRAILS))
        # What is about a whole file may stand at its start.
        start = ("a.yaml:1:1: ",) if place == "1:1" else ()

        assert len(found) == 1
        assert found[0].startswith((f"a.yaml:{expected}:{column}: ", *start))
        assert message in found[0] or "first in line" in message


@pytest.mark.parametrize(
    ("content", "place", "message"), GUARDRAIL_MISTAKES.values(), ids=GUARDRAIL_MISTAKES.keys()
)
def test_a_mistake_in_guardrails_is_reported_once_and_policy_is_not_held_against_them(
    tmp_path: Path, content: str, place: str, message: str
) -> None:
    found = mistakes(written(tmp_path, a=grant() + "    mode: repair\n", guardrails=content))

    assert [
        line for line in found if message in line and line.startswith(f"guardrails.yaml:{place}: ")
    ]
    assert len(found) == 1
