"""Whoever writes policy or a role definition cannot stall the loader: twice as much takes twice."""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from reconciler import roles
from reconciler.errors import PolicyError
from reconciler.policy.load import load
from reconciler.policy.model import Grant
from tests.unit.policy_files import GUARDRAILS, SUB, identity, written

MEBIBYTE = 1024 * 1024


def condition(text: str) -> None:
    """Check a condition; its mistakes are beside the point."""
    with contextlib.suppress(ValidationError):
        Grant(role="Reader", scope="{id}", condition=text)


@pytest.mark.parametrize(
    ("begin", "part", "end"),
    [
        ("'", "\\'", ""),
        ("'", "\\'", "'"),
        ("", "'", ""),
        ("", "'a'", "'"),
        ("'", "\\", ""),
        ("", "\\'", ""),
        ("", "(", ""),
        ("", "(", ")"),
        ("", "([{", "'"),
        ("(", "'\\'' ", ""),
    ],
)
def test_a_condition_of_1_mib_is_checked_in_linear_time(begin: str, part: str, end: str) -> None:
    text = begin + part * (MEBIBYTE // len(part)) + end
    assert seconds(lambda: condition(text)) < 20


def seconds(work: Callable[[], object]) -> float:
    """Return the processor time that some work takes, where its square would take hours."""
    began = time.process_time()
    work()
    return time.process_time() - began


@pytest.mark.parametrize(
    "text",
    [
        identity() + "    grants: [{role: Reader, scope: '" + "{location}" * 100_000 + "'}]\n",
        identity() + "    grants: [{role: Reader, scope: '" + "{maps.m[tags.a]}" * 60_000 + "'}]\n",
        identity() + "    grants: [{role: Reader, scope: '" + "{" * 1_000_000 + "'}]\n",
        identity(id="'{subscription}" + "/{location}" * 90_000 + "'"),
        identity(id="/" + "a/" * 500_000),
        "version: 1\nrules: [" + "{within: [~], ? [a] : b}, " * 2_000 + "]\n",
        "version: 1\nrules: [" + "[" * 1_000_000,
        "version: " + "1" * 1_000_000 + "x\n",
        "version: 1\nidentities: {" + "? {? {} : a} : b, " * 3_000 + "}\n",
    ],
    ids=["locations", "entries", "braces", "template", "id", "refused", "open", "digits", "keys"],
)
def test_the_worst_files_of_1_mib_are_reported_in_linear_time(tmp_path: Path, text: str) -> None:
    written(tmp_path, a=text, guardrails=GUARDRAILS)

    def read() -> None:
        with pytest.raises(PolicyError):
            load(tmp_path)

    assert seconds(read) < 20


def test_thousands_of_grants_from_a_map_of_thousands_look_at_it_once(tmp_path: Path) -> None:
    keys = ", ".join(f"k{number}: {SUB}" for number in range(4_000))
    grants = "".join(
        f"        - {{role: Reader, scope: '{{maps.m[location]}}/resourceGroups/rg-{number}'}}\n"
        for number in range(1_200)
    )
    text = f"""\
version: 1
maps: {{m: {{{keys}, westeurope: {SUB}, 'West Europe': {SUB}}}}}
rules:
  - name: r
    within: [{SUB}]
    match: {{type: A.B/c, location: [{", ".join(f"l{number}" for number in range(2_000))}]}}
    system:
      grants:
{grants}"""
    written(tmp_path, a=text)

    def read() -> None:
        with pytest.raises(PolicyError, match="are one location"):
            load(tmp_path)

    assert seconds(read) < 30


@pytest.mark.parametrize("part", ["*", "e*", "m*i*c*r*o*s*o*f*t*", "Microsoft.Web/*/"])
def test_an_action_of_20_000_characters_is_judged_in_linear_time(part: str) -> None:
    action = part * (20_000 // len(part)) + "zq"
    assert seconds(lambda: roles.is_privileged([action], [action[:-1]])) < 10
