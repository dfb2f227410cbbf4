"""Mistakes in what a rule matches, and in the share of it that it repairs."""

from tests.unit.policy_files import MAPS, SUB, UAI, Mistakes, rule

MISTAKES: Mistakes = {
    "a glob in a type": (rule(match="{type: Microsoft.Compute/*}"), "5:19", "without globs"),
    "a short type": (rule(match="{type: [virtualMachines]}"), "5:20", "such as Microsoft.Compute/"),
    "no type": (rule(match="{type: []}"), "5:19", "the list is empty"),
    "an empty glob": (rule(match="{type: A.B/c, name: ['']}"), "5:33", "can never match"),
    "a glob for all but": (rule(match="{type: A.B/c, name: ['!x']}"), "5:33", "'all but'"),
    "a glob with a slash": (rule(match="{type: A.B/c, name: [a/*]}"), "5:33", "no name holds '/'"),
    "a glob of no character": (rule(match="{type: A.B/c, name: ['[z-a]']}"), "5:33", "brackets"),
    "a glob for other groups than those within": (
        rule(
            within=f"[{SUB}/resourceGroups/rg-a]",
            match="{type: A.B/c, resourceGroup: ['RG-*', rg-b]}",
        ),
        "5:50",
        "'rg-b' can never match: no group that 'within' names fits it",
    ),
    "a place that holds no match": (
        rule(within=f"[{SUB}/resourceGroups/rg-a, {UAI}/a]"),
        "4:87",
        "userAssignedIdentities holds none of what 'match' asks for; name a group or subscription",
    ),
    "a tag's value that no key of a map is": (
        rule(
            match="{type: A.B/c, tags: {Env: test}}",
            system="{grants: [{role: Reader, scope: '{maps.vault[tags.env]}'}]}",
        )
        + MAPS,
        "6:45",
        "no key of map 'vault' is a tag 'env' that 'match' asks for (test); it has dev; add one",
    ),
    "a location that no key of a map is": (
        rule(
            match="{type: A.B/c, location: [west*, northeurope]}",
            system="{grants: [{role: Reader, scope: '{maps.vault[location]}'}]}",
        )
        + MAPS,
        "6:45",
        "is a location that 'match' asks for (west*, northeurope); it has dev; add one",
    ),
    "one location twice": (
        rule(system="{grants: [{role: Reader, scope: '{maps.m[location]}'}]}")
        + f"maps: {{m: {{West Europe: {SUB}, westeurope: {SUB}/resourceGroups/a}}}}\n",
        "6:45",
        "'West Europe' and 'westeurope' of map 'm' are one location; keep one of them",
    ),
    "a location that holds a sign": (
        rule(match="{type: A.B/c, location: west_europe}"),
        "5:36",
        "letters and digits only",
    ),
    "an empty location": (rule(match="{type: A.B/c, location: [' ']}"), "5:37", "can never match"),
    "an empty kind": (rule(match="{type: A.B/c, kind: ['']}"), "5:33", "can never match"),
    "half a rollout": (rule(rollout="0.5"), "7:14", "a whole number, not 0.5"),
    "a rollout in percent": (rule(rollout="10%"), "7:14", "not '10%'; write 10, without"),
    "a rollout of more than all": (rule(rollout="101"), "7:14", "must be at most 100"),
    "one tag twice": (
        rule(match="{type: A.B/c, tags: {Env: a, env: b}}"),
        "5:32",
        "'Env' and 'env' are one tag",
    ),
    "a tag without a name": (rule(match="{type: A.B/c, tags: {'': a}}"), "5:32", "have a name"),
}
