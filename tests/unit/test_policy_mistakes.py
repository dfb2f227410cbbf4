"""Each mistake in a policy file is told with its place and the next step, and none escapes."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.errors import PolicyError
from reconciler.policy.load import load
from tests.unit.policy_files import (
    GOOD,
    GUARDRAILS,
    SUB,
    UAI,
    grant,
    identity,
    mistakes,
    rule,
    written,
)

PLACED = identity(id=f"'{UAI.replace(SUB, '{subscription}')}/a-{{location}}'")
MAPS = f"maps:\n  vault: {{dev: {SUB}/resourceGroups/rg-data}}\n"

EXEMPT = {"scope": SUB, "reason": "ticket 4711", "expires": "2027-01-31"}


def exempt(**keys: str) -> str:
    """Return a file with one exemption, whose keys start in line 3."""
    lines = [f"    {key}: {value}\n" for key, value in (EXEMPT | keys).items() if value != "-"]
    return f"version: 1\nexemptions:\n  - {''.join(lines).lstrip()}"


MISTAKES: dict[str, tuple[str | bytes, str, str]] = {
    # YAML that cannot be read, or that YAML 1.1 and 1.2 read differently.
    "not UTF-8": (b"version: 1\n# caf\xe9\n", "2:6", "not UTF-8"),
    "UTF-16": ("version: 1".encode("utf-16"), "1:1", "not UTF-8"),
    "not YAML": ("%YAML 3.0\n---\nversion: 1\n", "1:1", "not valid YAML: found incompatible"),
    "a tab": ("version: 1\nrules:\n\t- x\n", "3:1", "use spaces, not tabs"),
    "a control character": ("version: 1\n# \x07\n", "2:3", r"'\x07'"),
    "an empty file": ("# nothing yet\n", "1:1", "the file is empty"),
    "several documents": ("version: 1\n---\nversion: 1\n", "2:1", "a second document"),
    "a tag": ("version: !!int 1\n", "1:10", "the tag '!!int' is not supported"),
    "a local tag": ("version: 1\nrules: !secret x\n", "2:8", "the tag '!secret'"),
    "a tag at a key": ("version: 1\n!!str rules: []\n", "2:1", "the tag '!!str' is not supported"),
    "a merge key in a rule": (
        GOOD + "  - <<: {name: x}\n",
        "10:5",
        "merge keys ('<<') are not supported; write the keys out",
    ),
    "an empty document": ("---\n", "2:1", "the file is empty; write 'version: 1'"),
    "null for a rule's system": (rule(system="~"), "6:13", "a value is missing here"),
    "null for a required key": (rule(name="null"), "3:11", "a value is missing here"),
    "an escaped NUL in a tag": (
        rule(match='{type: A.B/c, tags: {a: "b\\0"}}'),
        "5:36",
        r"'b\x00' holds '\x00', which no tag does",
    ),
    "a tag that ends in a line break": (
        rule(match="\n      type: A.B/c\n      tags:\n        a: |\n          b"),
        "8:12",
        "after '|' write '|-'",
    ),
    "a tag longer than any": (
        rule(match=f"{{type: A.B/c, tags: {{a: {'x' * 300}}}}}"),
        "5:36",
        "longer than the 256 that a tag can hold",
    ),
    "a glob of no character for a tag": (
        rule(match="{type: A.B/c, tags: {a: '[z-a]'}}"),
        "5:36",
        "its brackets allow no character",
    ),
    "an escape in a condition": (
        grant() + '        condition: "a\\e"\n',
        "8:20",
        r"the condition holds '\x1b'; delete it",
    ),
    "a huge number": (rule(rollout="9" * 30), "7:14", "must be at most 100"),
    "a quoted number": (rule(rollout="'10'"), "7:14", "not '10'; delete the quotes"),
    "a whole float": (rule(rollout="1e2"), "7:14", "not 100.0; write 100"),
    "no number": (rule(rollout=".nan"), "7:14", "a whole number, not nan"),
    "a time of day": (rule(rollout="1:30"), "7:14", "a whole number, not '1:30'"),
    "a quoted boolean": (rule(allowRestart="'true'"), "7:19", "not 'true'; delete the quotes"),
    "a day in digits": (exempt(expires="20270131"), "5:14", "'20270131' is no date: write one"),
    "a point in time": (exempt(expires="2027-01-31T00:00:00Z"), "5:14", "is no date: write one"),
    "two keys of one map": (
        f"version: 1\nmaps: {{m: {{dev: {SUB}, dev: {SUB}}}}}\n",
        f"2:{len(f'maps: {{m: {{dev: {SUB}, x')}",
        "duplicate key 'dev', first in line 2",
    ),
    "a tag twice in block style": (
        rule(match="\n      type: A.B/c\n      tags:\n        a: b\n        'a': c"),
        "9:9",
        "duplicate key 'a', first in line 8",
    ),
    "a merge key": ("version: 1\n<<: {a: 1}\n", "2:1", "merge keys ('<<')"),
    "an unknown anchor": ("version: *one\n", "1:10", "no anchor '&one'"),
    "an anchor within itself": ("version: &a [*a]\n", "1:14", "no anchor '&a'"),
    "a number as a key": ("version: 1\n2: x\n", "2:1", "put quotes around '2'"),
    "a list as a key": ("version: 1\n? [a]\n: x\n", "2:3", "a key must be a text"),
    "an empty value": ("version: 1\nrules:\n", "2:7", "a value is missing here"),
    "a list of nothing": (rule(within="[~]"), "4:14", "a value is missing here"),
    "brackets without end": ("[" * 100_000, "1:22", "nested too deeply"),
    "a large file": ("#" * (1024 * 1024 + 1), "1:1", "larger than 1 MiB"),
    "many values": ("version: 1\nrules: [" + "1," * 20_000 + "]", "2:39999", "split the file"),
    # Keys.
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
    # Values of the wrong kind.
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
    "rules as a mapping": ("version: 1\nrules: {a: {name: b}}\n", "2:8", "must be a list"),
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
    # Ids, roles, scopes.
    "a number as an id": (identity(id="12"), "4:9", "'id' must be a text, not 12"),
    "malformed id": (identity(id="avd"), "4:9", "'avd' is not an ARM id"),
    "an id with dot segments": (rule(within=f"[{SUB}/../x]"), "4:14", "'..' segment"),
    "id of the wrong type": (identity(id=SUB), "4:9", "not the id of a user-assigned identity"),
    "a glob within": (rule(within=f"[{SUB}/resourceGroups/rg-*]"), "4:14", "here ids are exact"),
    "a glob in a scope": (
        grant(scope=f"{SUB}/resourceGroups/rg-*"),
        "7:16",
        "here ids are exact; only 'match' takes globs",
    ),
    "a glob in an identity": (identity(id=f"{UAI}/a*"), "4:9", "holds a '*': here ids are exact"),
    "a group's name within": (
        rule(within="[rg-web]"),
        "4:14",
        "write it whole, such as /subscriptions/<id>/resourceGroups/<group>",
    ),
    "a group's name as a scope": (grant(scope="rg-data"), "7:16", "write it whole, such as /sub"),
    "a placeholder with a dollar": (grant(scope="'${id}'"), "7:16", "write it whole, such as /sub"),
    "within the tenant": (rule(within="[/]"), "4:14", "not inside a subscription"),
    "a management group": (
        rule(within="[/providers/Microsoft.Management/managementGroups/m]"),
        "4:14",
        "not inside a subscription",
    ),
    "unknown role": (grant("Raeder"), "6:15", "unknown role 'Raeder'; did you mean 'Reader'?"),
    "unknown role without a near one": (grant("xyzzy"), "6:15", "write a built-in role's name"),
    "unknown GUID": (
        grant("11111111-1111-1111-1111-111111111111"),
        "6:15",
        "name a custom role by its full id",
    ),
    "a role id of the wrong type": (grant(f"{UAI}/a"), "6:15", "not the id of a role definition"),
    "unknown placeholder of an identity": (
        identity(id=f"'{UAI}/a-{{resourceGroup}}'"),
        "4:9",
        "unknown placeholder '{resourceGroup}'; there are {subscription}, {location}",
    ),
    "a tag in an identity's id": (
        identity(id=f"'{UAI}/a-{{tags.env}}'"),
        "4:9",
        "unknown placeholder '{tags.env}'; there are {subscription}, {location}",
    ),
    "a near miss of an identity's placeholder": (
        identity(id=f"'{UAI}/a-{{locations}}'"),
        "4:9",
        "did you mean 'location'?",
    ),
    "an identity's template that is no identity": (
        identity(id="'{subscription}/resourceGroups/rg-{location}'"),
        "4:9",
        "not the id of a user-assigned identity",
    ),
    "an identity's template with a lone brace": (
        identity(id=f"'{UAI}/a-{{location'"),
        "4:9",
        "a brace without its partner",
    ),
    "an identity's subscription in the middle": (
        identity(id=f"'{UAI}/a-{{subscription}}'"),
        "4:9",
        "may only begin an id",
    ),
    "two identities with one template": (
        f"{PLACED}  b:\n{PLACED.partition('a:\n')[2]}",
        "6:9",
        "already defined in",
    ),
    "unknown placeholder": (
        grant(scope="'{resourcegroup}'"),
        "7:16",
        "did you mean 'resourceGroup'?",
    ),
    "unknown placeholder without a near one": (
        grant(scope="'{vmss}'"),
        "7:16",
        "there are {id}, {resourceGroup}, {subscription}, {location}",
    ),
    "a name as a placeholder": (grant(scope="'{name}'"), "7:16", "unknown placeholder '{name}'"),
    "a tag as a placeholder": (
        rule(system="{grants: [{role: Reader, scope: '{tags.env}'}]}"),
        "6:45",
        "pick from a reviewed map: {maps.<map>[tags.env]}",
    ),
    "a map without a key": (
        grant(scope="'{maps.vault}'") + MAPS,
        "7:16",
        "write {maps.<map>[location]} or {maps.<map>[tags.<tag>]}",
    ),
    "a map picked by a name": (grant(scope="'{maps.vault[name]}'") + MAPS, "7:16", "write {maps."),
    "unknown map": (
        grant(scope="'{maps.vualt[location]}'") + MAPS,
        "7:16",
        "unknown map 'vualt'; did you mean 'vault'?",
    ),
    "unknown map without a near one": (
        grant(scope="'{maps.vault[location]}'"),
        "7:16",
        "unknown map 'vault'; define it under 'maps'",
    ),
    "a tag in an identity's grant": (
        grant(scope="'{maps.vault[tags.env]}'") + MAPS,
        "7:16",
        "and its tags are not read",
    ),
    "an entry of a map in the middle": (
        grant(scope=f"'{SUB}/resourceGroups/{{maps.vault[location]}}'") + MAPS,
        "7:16",
        "may only begin an id",
    ),
    "an entry of a map that runs on": (
        grant(scope="'{maps.vault[location]}2'") + MAPS,
        "7:16",
        "may only begin an id",
    ),
    "an entry of a map that comes to no id": (
        grant(scope="'{maps.vault[location]}/providers'") + MAPS,
        "7:16",
        "is not an ARM id",
    ),
    "a map's value is no id": (
        "version: 1\nmaps: {vault: {dev: kv}}\n",
        "2:21",
        "is not an ARM id",
    ),
    "a map's value with a placeholder": (
        "version: 1\nmaps: {vault: {dev: '{resourceGroup}'}}\n",
        "2:21",
        "holds a placeholder: here ids are exact",
    ),
    "an empty map": ("version: 1\nmaps: {vault: {}}\n", "2:15", "name at least one key"),
    "a nameless key of a map": (
        f"version: 1\nmaps: {{vault: {{'': {SUB}}}}}\n",
        "2:15",
        "can never be picked",
    ),
    "a wrong map name": (f"version: 1\nmaps: {{a b: {{x: {SUB}}}}}\n", "2:8", "cannot be a name"),
    "a map as a list": ("version: 1\nmaps: {vault: []}\n", "2:15", "'vault' must be a mapping"),
    "a placeholder for a whole id in the middle": (
        grant(scope=f"'{SUB}/resourceGroups/{{id}}'"),
        "7:16",
        "may only begin an id",
    ),
    "a placeholder that runs on": (grant(scope="'{resourceGroup}2'"), "7:16", "may only begin"),
    "a lone brace": (grant(scope=f"'{SUB}{{'"), "7:16", "a brace without its partner"),
    "a scope that ends in a line break": (
        grant(scope="|\n          {resourceGroup}"),
        "7:16",
        "after '|' write '|-'",
    ),
    "a template that is no id": (grant(scope="'{id}/x'"), "7:16", "is not an ARM id"),
    "an empty condition": (grant() + "        condition: ' '\n", "8:20", "condition is empty"),
    "two conditions": (
        rule(
            system="{grants: [{role: Reader, scope: '{id}'}, {role: Reader, scope: '{ID}'}]}"
        ).replace("{ID}'", "{id}', condition: x"),
        "6:22",
        "granted with two conditions",
    ),
    # Matching.
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
    "a rollout in percent": (rule(rollout="10%"), "7:14", "a whole number, not '10%'"),
    "a rollout of more than all": (rule(rollout="101"), "7:14", "must be at most 100"),
    "one tag twice": (
        rule(match="{type: A.B/c, tags: {Env: a, env: b}}"),
        "5:32",
        "'Env' and 'env' are one tag",
    ),
    "a tag without a name": (rule(match="{type: A.B/c, tags: {'': a}}"), "5:32", "have a name"),
    # Identities that are created.
    "ensure without a location": (
        identity(ensure="present"),
        "4:5",
        "'ensure: present' needs a location; add 'location: westeurope'",
    ),
    "ensure without a location for each": (
        f"{PLACED}    ensure: present\n",
        "4:5",
        """add 'location: "{location}"'""",
    ),
    "ensure anything else": (
        identity(ensure="absent", location="westeurope"),
        "5:13",
        "'ensure' must be 'present', not 'absent'",
    ),
    "a location without ensure": (identity(location="westeurope"), "4:5", "need 'ensure: present'"),
    "tags without ensure": (identity(tags="{a: b}"), "4:5", "need 'ensure: present'"),
    "one identity at many locations": (
        identity(ensure="present", location="'{location}'"),
        "4:5",
        "an identity lies where its id says",
    ),
    "many identities at one location": (
        f"{PLACED}    ensure: present\n    location: westeurope\n",
        "4:5",
        "an identity lies where its id says",
    ),
    "a location that is none": (
        identity(ensure="present", location="west_europe"),
        "6:15",
        "'west_europe' is no location",
    ),
    "a location with a placeholder": (
        identity(ensure="present", location="'west{location}'"),
        "6:15",
        "is no location",
    ),
    "a tag of another type": (
        identity(ensure="present", location="westeurope", tags="{cost: 7}"),
        "7:18",
        "'cost' must be a text, not 7; put it in quotes",
    ),
    # Exemptions.
    "an exemption without a reason": (
        f"version: 1\nexemptions:\n  - {{scope: {SUB}, expires: 2027-01-31}}\n",
        "3:5",
        "missing key 'reason'",
    ),
    "an exemption with an empty reason": (exempt(reason="' '"), "4:13", "the reason is empty"),
    "an exemption without an end": (exempt(expires="-"), "3:5", "missing key 'expires'"),
    "an exemption until no date": (
        exempt(expires="31.01.2027"),
        "5:14",
        "'31.01.2027' is no date: write one such as 2027-01-31",
    ),
    "an exemption until a day that is none": (exempt(expires="2027-02-30"), "5:14", "is no date"),
    "an exemption until a year": (exempt(expires="2027"), "5:14", "'2027' is no date: write one"),
    "an exemption of everything": (exempt(scope="/"), "3:12", "not inside a subscription"),
    "an exemption by a glob": (
        exempt(scope=f"{SUB}/resourceGroups/rg?"),
        "3:12",
        "may not contain",
    ),
    "a near miss in an exemption": (exempt(expired="2027-01-31"), "6:5", "did you mean 'expires'?"),
    # Names that lead elsewhere.
    "unknown identity": (
        GOOD.replace("attach: [host]", "attach: [hots]"),
        "9:14",
        "unknown identity 'hots'; did you mean 'host'?",
    ),
    "unknown identity without a near one": (
        GOOD.replace("attach: [host]", "attach: [xyz]"),
        "9:14",
        "define it under 'identities'",
    ),
    "two identities with one id": (
        identity() + f"  b:\n    id: {UAI.upper()}/A\n".replace("/SUBSCRIPTIONS", "/subscriptions"),
        "6:9",
        "already defined in",
    ),
    "two rules with one name": (
        rule() + rule().partition("rules:\n")[2],
        "7:11",
        "rule 'r' is already defined in",
    ),
    "an id attached": (rule(attach=f"[{UAI}/a]"), "7:14", "under 'identities' and attach its name"),
    # Guardrails.
    "one place of two outside": (
        rule(
            mode="repair",
            within=f"[{SUB}/resourceGroups/rg-data, {SUB}/resourceGroups/rg-x]",
            system="{grants: [{role: Reader, scope: '{resourceGroup}'}]}",
        ),
        "6:23",
        f"at '{{resourceGroup}}' within '{SUB}/resourceGroups/rg-x'; add it there",
    ),
    "a privileged grant that nothing allows": (
        grant("Owner") + "    mode: repair\n",
        "6:9",
        "under 'grants' with 'privileged: true'",
    ),
    "an entry of a map that nothing allows": (
        rule(mode="repair", system="{grants: [{role: Reader, scope: '{maps.vault[tags.a]}'}]}")
        + MAPS.replace("}", f", prod: {SUB}/resourceGroups/rg-x}}"),
        "6:23",
        f"does not allow 'Reader' at '{SUB}/resourceGroups/rg-x'",
    ),
    "a grant that nothing allows": (
        grant("Storage Blob Data Reader") + "    mode: repair\n",
        "6:9",
        "does not allow 'Storage Blob Data Reader'",
    ),
    "a grant outside": (grant(scope=SUB) + "    mode: repair\n", "6:9", "does not allow 'Reader'"),
    "a privileged grant": (
        grant("Contributor") + "    mode: repair\n",
        "6:9",
        "only with 'privileged: true'",
    ),
    "a template that nothing covers": (
        rule(
            mode="repair",
            within=f"[{SUB}/resourceGroups/rg-a]",
            system="{grants: [{role: Reader, scope: '{id}'}]}",
        ),
        "6:23",
        "does not allow 'Reader' at '{id}'",
    ),
    "a template beside its guardrail": (
        rule(
            mode="repair",
            system="{grants: [{role: Reader, scope: "
            f"'{SUB}/resourceGroups/rg-x/providers/A.B/c/{{location}}'}}]}}",
        ),
        "6:23",
        "does not allow",
    ),
    "a template above all guardrails": (
        rule(
            mode="repair",
            system="{grants: [{role: Reader, scope: '/providers/A.B/c/{location}'}]}",
        ),
        "6:23",
        "does not allow",
    ),
    "an identity's group outside": (
        grant(scope="'{resourceGroup}'") + "    mode: repair\n",
        "6:9",
        "does not allow 'Reader'",
    ),
    "an identity at a wrong place": (
        identity(id=f"{UAI}/a".replace("rg-id", "rg-x"), mode="repair"),
        "4:9",
        f"lets no identity of policy live at '{UAI.replace('rg-id', 'rg-x')}/a'; add its group",
    ),
    "an identity of a wrong place attached": (
        GOOD.replace("rg-id", "rg-x").replace("attach:", "mode: repair\n    attach:"),
        "10:14",
        f"policy live where 'host' does, at '{UAI.replace('rg-id', 'rg-x')}/host'; add its",
    ),
    "identities at wrong places": (
        PLACED.replace("rg-id", "rg-x") + "    mode: repair\n",
        "4:9",
        "under 'identities'",
    ),
    "identities whose rights nothing allows": (
        f"{PLACED}    mode: repair\n    grants: [{{role: Reader, scope: '{{resourceGroup}}'}}]\n",
        "6:14",
        "does not allow 'Reader' at '{subscription}/resourceGroups/rg-id'",
    ),
    "a protected identity": (identity(id=f"{UAI}/CROWN"), "4:9", f"protects '{UAI}/CROWN'"),
}


@pytest.mark.parametrize(("content", "place", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_each_mistake_is_told_with_its_place(
    tmp_path: Path, content: str | bytes, place: str, message: str
) -> None:
    """Every mistake is told once, at its line and column, with the next step."""
    found = mistakes(written(tmp_path, a=content, guardrails=GUARDRAILS))

    assert [line for line in found if message in line and line.startswith(f"a.yaml:{place}: ")]
    assert len(found) == 1


@pytest.mark.parametrize(
    ("content", "place", "message"),
    [row for row in MISTAKES.values() if isinstance(row[0], str)],
    ids=[name for name, row in MISTAKES.items() if isinstance(row[0], str)],
)
def test_a_mistake_has_its_place_in_every_editor(
    tmp_path: Path, content: str, place: str, message: str
) -> None:
    """Neither a byte order mark nor other line breaks nor lines before it move it elsewhere."""
    line, column = map(int, place.split(":"))
    layouts = {
        "bom": (f"\ufeff{content}", line),
        "crlf": (content.replace("\n", "\r\n"), line),
        "cr": (content.replace("\n", "\r"), line),
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


GUARDRAIL_MISTAKES = {
    "a policy key": ("version: 1\nrules: []\n", "2:1", "belongs in a policy file"),
    "unknown key": ("version: 1\nprotect: []\n", "2:1", "did you mean 'protected'?"),
    "missing version": ("grants: []\n", "1:1", "add 'version: 1'"),
    "no roles": (
        f"version: 1\ngrants: [{{scope: {SUB}, roles: []}}]\n",
        "2:78",
        "name at least one",
    ),
    "privileged: yes": (
        f"version: 1\ngrants:\n  - scope: {SUB}\n    roles: [Reader]\n    privileged: yes\n",
        "5:17",
        "'privileged' must be true or false, not 'yes'",
    ),
    "a negative count": ("version: 1\nmaxRemovals: {count: -1}\n", "2:22", "must be at least 0"),
    "many percent": ("version: 1\nmaxRemovals: {percent: 101}\n", "2:24", "must be at most 100"),
    "half a count": ("version: 1\nmaxRemovals: {count: 0.5}\n", "2:22", "a whole number, not 0.5"),
    "a glob in a scope": (
        f"version: 1\ngrants: [{{scope: {SUB}/resourceGroups/rg-*, roles: [Reader]}}]\n",
        "2:18",
        "here ids are exact; only 'match' takes globs",
    ),
    "protected by a group": (f"version: 1\nprotected: [{SUB}]\n", "2:13", "user-assigned identity"),
}


@pytest.mark.parametrize(
    ("content", "place", "message"), GUARDRAIL_MISTAKES.values(), ids=GUARDRAIL_MISTAKES.keys()
)
def test_guardrails_are_checked_like_policy(
    tmp_path: Path, content: str, place: str, message: str
) -> None:
    """A mistake in the guardrails is told once, and policy is not measured by broken guardrails."""
    found = mistakes(written(tmp_path, a=grant() + "    mode: repair\n", guardrails=content))

    assert [
        line for line in found if message in line and line.startswith(f"guardrails.yaml:{place}: ")
    ]
    assert len(found) == 1


WORDS = [
    *("version", "rules", "identities", "name", "within", "match", "type", "attach", "system"),
    *(
        *("exclusive", "allowRestart", "true"),
        *("exemptions", "reason", "expires", "2027-01-31"),
        "ensure",
        "present",
        "maps",
        "location",
        "kind",
        "rollout",
        "{maps.m[location]}",
        "{maps.m[tags.a]}",
        "m",
        "a",
    ),
    *("grants", "role", "scope", "mode", "repair", "tags", "1", "host", "Reader", "{id}", SUB),
    *(": ", "- ", "\n", "\n  ", "\n    ", "{", "}", "[", "]", ",", "'", '"', "&a ", "*a", "!", "|"),
    *("? ", "<<", "---\n", "%", "#", "\t", "~", "\ufeff", "\x85", "\u2028", "\x00", "😀"),
]
FULL = (
    rule(
        rollout="10",
        match="{type: A.B/c, location: west*, kind: app, tags: {a: b}}",
        system="{grants: [{role: Reader, scope: '{maps.vault[tags.env]}/x/y'}]}",
    )
    + MAPS
)
ENSURED = f"{PLACED}    ensure: present\n    location: '{{location}}'\n    tags: {{a: b}}\n"
TEXTS = st.one_of(st.text(), st.lists(st.sampled_from(WORDS)).map("".join))


@st.composite
def changed(draw: st.DrawFn) -> str:
    """Return a good file in which one piece is replaced."""
    text = draw(st.sampled_from([GOOD, GUARDRAILS, grant(), rule(), FULL, ENSURED, exempt()]))
    start = draw(st.integers(0, len(text)))
    return text[:start] + draw(TEXTS) + text[start + draw(st.integers(0, 30)) :]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(content=st.one_of(st.binary(), TEXTS.map(str.encode), changed().map(str.encode)))
def test_no_input_raises_anything_but_a_policy_error(tmp_path: Path, content: bytes) -> None:
    """Whatever is in a file, it is loaded or its mistakes are told inside the file."""
    for folder, files in (
        ("policy", {"a": content}),
        ("guard", {"a": GOOD, "guardrails": content}),
    ):
        (tmp_path / folder).mkdir(exist_ok=True)
        try:
            policy = load(written(tmp_path / folder, **files))
        except PolicyError as error:
            problems = error.problems
        else:
            problems = ()
            assert policy.rules or policy.identities
        in_files = [one for one in problems if one.file != str(tmp_path / folder)]
        assert all(problem.line > 0 and problem.column > 0 for problem in in_files)
