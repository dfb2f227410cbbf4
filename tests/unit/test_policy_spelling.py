"""Of one policy there are many spellings: layouts, aliases, dates, words and numbers."""

from pathlib import Path

from reconciler.policy import model
from reconciler.policy.load import load
from tests.unit.policy_files import GOOD, SUB, mistakes, rule, written


def test_a_bom_crlf_anchors_json_and_another_file_name_read_as_the_same_policy(
    tmp_path: Path,
) -> None:
    plain = load(written(tmp_path, a=GOOD))
    (tmp_path / "a.yaml").unlink()
    anchored = GOOD.replace(f"[{SUB}]", f"[&sub {SUB}, *sub]").replace("\n", "\r\n")
    again = load(written(tmp_path, b=b"\xef\xbb\xbf" + anchored.encode()))

    assert again.digest == plain.digest


def test_a_date_is_read_with_and_without_quotes(tmp_path: Path) -> None:
    one = f"{{scope: {SUB}, reason: a, expires: 2027-01-31}}"
    other = f"{{scope: {SUB}, reason: b, expires: '2027-01-31'}}"
    policy = load(written(tmp_path, a=f"{GOOD}exemptions: [{one}, {other}]\n"))

    assert {one.expires.isoformat() for one in policy.exemptions} == {"2027-01-31"}


def test_no_and_dates_and_times_are_texts_as_in_yaml_1_2(tmp_path: Path) -> None:
    tags = "{country: no, built: 2027-01-31, time: 12:30}"
    text = rule(match=f"{{type: A.B/c, tags: {tags}}}")

    assert load(written(tmp_path, a=text)).rules[0].match.tags == {
        "country": "no",
        "built": "2027-01-31",
        "time": "12:30",
    }


def test_numbers_are_those_of_yaml_1_2(tmp_path: Path) -> None:
    """A leading zero means nothing."""
    text = "version: 0x1\nmaxRemovals: {count: 010, percent: 0o17}\n"
    policy = load(written(tmp_path, a=GOOD, guardrails=text))

    assert policy.guardrails.max_removals == model.MaxRemovals(count=10, percent=15)


def test_aliases_of_aliases_count_as_what_they_stand_for(tmp_path: Path) -> None:
    bomb = "".join(f"k{n}: &k{n} [{', '.join([f'*k{n - 1}'] * 9)}]\n" for n in range(1, 15))
    long = f"version: &v {'x' * 100_000}\nrules: [{'*v, ' * 100}]\n"

    found = mistakes(written(tmp_path, a=f"k0: &k0 [1]\n{bomb}", b=long))
    assert len(found) == 2
    assert all("aliases counted; split the file" in line for line in found)
