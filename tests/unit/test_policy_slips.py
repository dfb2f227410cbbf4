"""The slips of YAML that people make most are answered with what mends them."""

from pathlib import Path

import pytest

from tests.unit.policy_files import GOOD, SUB, UAI, identity, mistakes, rule, written

TAB = "use spaces, not tabs"
STAR = "put quotes around a text that begins with '*'"
BLANK = "only looks like a blank; write a blank"
NO_FIT = "this does not fit what stands before it; check the indent, quotes and brackets"
NO_COLON = "no ':' can stand here; quote a text that holds one, or mend the indent"
NO_KEY = "there is no key here; write 'key: value', a blank after the colon"
ESCAPE = "in double quotes '\\' begins an escape; use single quotes"
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
        ("# a\n#b\n\tversion: 1\n", "3:1", TAB),
        (GOOD.replace("  - name", "\u00a0 - name"), "6:1", rf"'\xa0' {BLANK}"),
        (GOOD.replace("name: hosts", "name:\u3000hosts"), "6:10", rf"'\u3000' {BLANK}"),
        (
            GOOD.replace("rules:", "\ufeffrules:"),
            "5:1",
            "U+FEFF ZERO WIDTH NO-BREAK SPACE cannot be seen; delete it",
        ),
        (GOOD.replace("attach: [", "attach:["), "9:5", NO_KEY),
        (GOOD.replace("attach: [host]", "attach [host]"), "9:5", NO_KEY),
        (GOOD.replace("attach: ", "attach\uff1a "), "9:5", NO_KEY),
        (GOOD.replace("    attach", "   attach"), "9:4", NO_FIT),
        (GOOD.replace("    attach", "      attach"), "9:7", NO_FIT),
        (GOOD.replace("- name", "-name"), "7:11", NO_COLON),
        (rule(name="a: b"), "3:12", NO_COLON),
        (rule(name="'a' b"), "3:15", NO_FIT),
        (rule(within=f"[{SUB}]]"), "4:66", NO_FIT),
        (rule(within="- x"), "4:13", "can begin here; give it a line of its own"),
        (rule(within=f"[{SUB}"), "5:10", "bracket is missing before this; one opens in line 4"),
        (
            rule(match="{type: A.B/c name: x}"),
            "5:29",
            "is missing before this; one opens in line 5",
        ),
        ("version: 1\nrules: [\n", "3:1", "a value or the closing bracket is missing before this"),
        (rule(name="'r"), "3:11", "this quote is never closed; close it"),
        (rule(name='"r'), "3:11", "this quote is never closed; close it"),
        (rule(name='"C:\\q"'), "3:14", ESCAPE),
        (rule(name='"\\ud83d\\ude00"'), "3:14", ESCAPE),
        (rule(name="| r"), "3:13", "after '|' or '>' the text begins in the next line"),
        (rule(name="@r"), "3:11", STAR.replace("*", "@")),
        (rule(name="%r"), "3:11", STAR.replace("*", "%")),
        (rule(name="?"), "3:11", STAR.replace("*", "?")),
        (rule(name="&"), "3:11", STAR.replace("*", "&")),
        (rule(match="{type: A.B/c, name: !x}"), "5:32", STAR.replace("*", "!")),
        (rule(match="{type: A.B/c, name: *}"), "5:32", STAR),
        (rule(match="{type: A.B/c, name: [*]}"), "5:33", STAR),
        (rule(match="{type: A.B/c, name: *x}"), "5:32", STAR),
        (scoped("{resourceGroup}"), "9:16", PLACEHOLDER),
        (scoped("{resourceGroup}/providers/A.B/c/d"), "9:31", BRACE),
        (scoped("{maps.vault[tags.env]}"), "9:27", BRACE),
        (
            rule(match="{type: Microsoft.Compute/virtualMachine}"),
            "5:19",
            "did you mean 'Microsoft.Compute/virtualMachines'?",
        ),
        (rule(within="[/subscriptions/<sub>]"), "4:14", "'<sub>' is not a " + ID + GUID),
        (scoped("/subscriptions/prod/resourceGroups/rg"), "9:16", "'prod' is not a " + ID + GUID),
        (identity(id=UAI.replace(SUB[15:], "lab") + "/a"), "4:9", "'lab' is not a " + ID + GUID),
    ],
)
def test_a_slip_of_yaml_is_reported_with_what_mends_it(
    tmp_path: Path, text: str, place: str, told: str
) -> None:
    (found,) = mistakes(written(tmp_path, a=text))

    assert found.startswith(f"a.yaml:{place}: ")
    assert found.endswith(told)
