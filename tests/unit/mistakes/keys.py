"""Mistakes in keys, and values of the wrong kind."""

from tests.unit.policy_files import UAI, Mistakes, identity, rule

MISTAKES: Mistakes = {
    "no mapping": ("- version: 1\n", "1:1", "the file must be a mapping, not a list"),
    "missing version": ("rules: []\n", "1:1", "add 'version: 1'"),
    "unknown version": ("version: 2\n", "1:10", "version must be 1"),
    "a quoted version": ("version: '1'\n", "1:10", "version must be 1"),
    "version true": ("version: true\n", "1:10", "version must be 1"),
    "unknown key": ("version: 1\nxyzzy: {}\n", "2:1", "unknown key 'xyzzy'; there are version,"),
    "a near miss of a key": (rule(resourcegroup="x"), "7:5", "unknown key 'resourcegroup'"),
    "a key in snake case": (
        rule(allow_default_change="true"),
        "7:5",
        "did you mean 'allowDefaultChange'?",
    ),
    "a near miss in a nested key": (
        rule(match="{type: Microsoft.Compute/virtualMachines, resourcegroup: x}"),
        "5:54",
        "did you mean 'resourceGroup'?",
    ),
    "a near miss in a grant": (
        rule(system="{grants: [{role: Reader, scop: '{id}'}]}"),
        "6:38",
        "did you mean 'scope'?",
    ),
    "duplicate key": (
        "version: 1\nversion: 1\n",
        "2:1",
        "duplicate key 'version', first in line 1",
    ),
    "duplicate key in flow style": (rule(system="{grants: [], grants: []}"), "6:26", "duplicate"),
    "missing key": (rule(within="-"), "3:5", "missing key 'within'"),
    "missing key of a match": (rule(match="{name: x}"), "5:12", "missing key 'type'"),
    "guardrails in a policy file": ("version: 1\nmaxRemovals: {}\n", "2:1", "guardrails.yaml"),
    "yes as a boolean": (rule(allowDefaultChange="yes"), "7:25", "true or false, not 'yes'"),
    "yes as a restart": (rule(allowRestart="yes"), "7:19", "true or false, not 'yes'"),
    "exclusive: 1": (identity(exclusive="1"), "5:16", "'exclusive' must be true or false, not 1"),
    "a wrong mode": (rule(mode="Repair"), "7:11", "did you mean 'repair'?"),
    "a number as a name": (rule(name="12"), "3:11", "'name' must be a text, not 12; put it in q"),
    "a mapping as a list": (
        rule(within="{a: b}"),
        "4:13",
        "'within' must be a list, not a mapping",
    ),
    "a list as a mapping": (rule(match="[a]"), "5:12", "'match' must be a mapping, not a list"),
    "identities as a list": (
        f"version: 1\nidentities: [{{id: {UAI}/a}}]\n",
        "2:13",
        "'identities' must be a mapping",
    ),
    "rules as a mapping": (
        "version: 1\nrules: {a: {name: b}}\n",
        "2:8",
        "must be a list, not a mapping; begin each entry with '- '",
    ),
    "a long word for a missing key": (
        rule(match="{resourceType: Microsoft.Compute/virtualMachines}"),
        "5:13",
        "unknown key 'resourceType'; did you mean 'type'?",
    ),
    "a long word for a missing role": (
        rule(system="{grants: [{roleDefinition: Reader, scope: '{id}'}]}"),
        "6:24",
        "unknown key 'roleDefinition'; did you mean 'role'?",
    ),
    "tags as a list": (
        rule(match="{type: Microsoft.Compute/virtualMachines, tags: [env]}"),
        "5:60",
        "not a list; write 'key: value', without '-'",
    ),
    "two values of a tag": (
        rule(match="{type: Microsoft.Compute/virtualMachines, tags: {env: [a, b]}}"),
        "5:66",
        "a tag has one glob, so write one rule for each value",
    ),
    "a boolean tag value": (
        rule(match="{type: Microsoft.Compute/virtualMachines, tags: {env: true}}"),
        "5:66",
        "'env' must be a text, not true; put it in quotes",
    ),
    "a wrong rule name": (rule(name="'a b'"), "3:11", "cannot be a name"),
    "a wrong identity name": (identity().replace("  a:", "  a/b:"), "3:3", "cannot be a name"),
    "nothing within": (rule(within="[]"), "4:13", "the list is empty"),
    "a rule that asks for nothing": (rule(system="-"), "3:5", "add 'attach' or 'system'"),
    "a key of a match in a rule": (rule(tags="{a: b}"), "7:5", "'tags' belongs under 'match'"),
    "a key of the file in a rule": (rule(maps="{}"), "7:5", "'maps' belongs at the top"),
    "a text as a list": (rule(attach="host"), "7:13", "put it in brackets: [host]"),
    "true as a mapping": (rule(system="true"), "6:13", "write {} for one without keys"),
}
