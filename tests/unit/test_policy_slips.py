"""The slips of YAML that people make most are answered with what mends them."""

from pathlib import Path

import pytest

from tests.unit.policy_files import SUB, UAI, identity, mistakes, rule, written

TAB = "use spaces, not tabs"
STAR = "put quotes around a text that begins with '*'"
BRACE = "put quotes around a text that begins with '{'"
PLACEHOLDER = 'if it is a placeholder, quote it: "{resourceGroup}"'
ID, GUID = "subscription id: ", "it must be a GUID"


def scoped(scope: str) -> str:
    """Return a rule whose one grant has this scope, in line 9."""
    grants = f"      grants:\n      - role: Reader\n        scope: {scope}\n"
    return f"{rule(system='-')}    system:\n{grants}"


@pytest.mark.parametrize(
    ("text", "place", "told"),
    [
        ("\tversion: 1\n", "1:1", TAB),
        ("version: 1\nrules:\n\t- name: r\n", "3:1", TAB),
        ("version: 1\nrules:\n  -\tname: r\n    within: []\n", "3:4", TAB),
        ("version: 1\nrules:\n  - name: r\n\twithin: []\n", "4:1", TAB),
        ("version: 1\nrules:\n  - name: r\n    match:\n    \ttype: x\n", "5:5", TAB),
        ("# a\x85#b\u2028\tversion: 1\n", "3:1", TAB),
        (rule(match="{type: A.B/c, name: *}"), "5:33", STAR),
        (rule(match="{type: A.B/c, name: [*]}"), "5:34", STAR),
        (rule(match="{type: A.B/c, name: *x}"), "5:32", STAR),
        (scoped("{resourceGroup}"), "9:16", PLACEHOLDER),
        (scoped("{resourceGroup}/providers/A.B/c/d"), "9:31", BRACE),
        (scoped("{maps.vault[tags.env]}"), "9:27", BRACE),
        (
            rule(match="{type: Microsoft.Compute/virtualMachine}"),
            "5:19",
            "did you mean 'Microsoft.Compute/virtualMachines'?",
        ),
        (rule(within="[/subscriptions/<sub>]"), "4:14", "'<sub>' is no " + ID + GUID),
        (scoped("/subscriptions/prod/resourceGroups/rg"), "9:16", "'prod' is no " + ID + GUID),
        (identity(id=UAI.replace(SUB[15:], "lab") + "/a"), "4:9", "'lab' is no " + ID + GUID),
    ],
)
def test_a_slip_is_answered_with_what_mends_it(
    tmp_path: Path, text: str, place: str, told: str
) -> None:
    """One line, and no talk of tokens, aliases and flow mappings."""
    (found,) = mistakes(written(tmp_path, a=text))

    assert found.startswith(f"a.yaml:{place}: ")
    assert found.endswith(told)
