"""What others wrote steers neither a terminal nor a CI runner, wherever it is shown."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.azure import failures
from reconciler.wording import printable, printable_json

MARK = "\N{REPLACEMENT CHARACTER}"
SIGNS = st.sampled_from("#:[]v so\t\n\r\x1b\u200b\u202e\ufeff\u2800\ufe0f\u3164")
TEXTS = st.lists(SIGNS | st.just("##vso[") | st.characters(), max_size=12).map("".join)


def obeyed(line: str) -> bool:
    """Return whether a runner may find a command, also one that passes over ignorable signs."""
    seen = line.replace(MARK, "")
    return "##" in seen or seen.lstrip().startswith("::")


@pytest.mark.parametrize(
    "text",
    [
        "##vso[task.setvariable variable=ROLE]Owner",
        "##VSO[Task.Complete]",
        "a name and ##[error]no error",
        "###vso[task.complete]",
        "##teamcity[buildStatus status='SUCCESS']",
        "#\u200b#vso[task.complete]",
        "#\ufe0f#[set-env name=X]y",
        "::set-output name=x::y",
        "  ::add-mask::x",
        "\t::debug::x",
        "\ufeff::warning::x",
        ":\u200d:stop-commands::x",
        "\u3164::error::x",
        "first line\n::error::second",
    ],
)
def test_what_a_runner_takes_for_a_command_is_broken(text: str) -> None:
    """Azure Pipelines, GitHub and TeamCity, in any case, after blanks, split by what is unseen."""
    shown = printable(text)

    assert not obeyed(shown)
    assert len(shown.splitlines()) == 1


@given(TEXTS)
def test_nothing_is_obeyed_and_nothing_is_hidden(text: str) -> None:
    """Whatever the signs; and what was shown once may be shown again."""
    shown = printable(text)

    assert not obeyed(shown)
    assert shown.isprintable()
    assert not re.search(r"[\u034f\u115f\u1160\u2800\u3164\ufe00-\ufe0f\uffa0]", shown)
    assert printable(shown) == shown


@pytest.mark.parametrize("text", ["é ß", "a: b :: c", "# one", "rg(1)", "名前", "item #3"])
def test_what_is_harmless_stays(text: str) -> None:
    """Only a command is changed."""
    assert printable(text) == text


@given(TEXTS, TEXTS)
def test_json_means_the_same_and_holds_no_command(key: str, text: str) -> None:
    """A text's own signs never begin a line, and `##` stands in none."""
    value = {"a": [{key: text}], key: text}

    written = printable_json(json.dumps(value, indent=2))

    assert json.loads(written) == value
    assert written.isascii()
    assert not any(obeyed(line) for line in written.split("\n"))


@pytest.mark.parametrize("text", ["##vso[task.complete]", "#\u200b#[error]", "\u2028::error::x"])
def test_azures_own_words_reach_the_log_broken(text: str) -> None:
    """An error quotes names that others gave, and every module logs it as it is."""
    error = failures.from_exception("reading", OSError(text))

    assert not obeyed(str(error))
    assert str(error).isprintable()
