"""Mistakes in ids, roles and scopes, with their placeholders and maps."""

from tests.unit.policy_files import MAPS, PLACED, SUB, UAI, Mistakes, grant, identity, rule

MISTAKES: Mistakes = {
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
    "a bare GUID within": (
        rule(within=f"[{SUB.rpartition('/')[2]}]"),
        "4:14",
        f"is not an ARM id: a subscription is {SUB}",
    ),
    "a group's name as a scope": (grant(scope="rg-data"), "7:16", "write it whole, such as /sub"),
    "a placeholder with a dollar": (grant(scope="'${id}'"), "7:16", "write it without the '$'"),
    "a placeholder in two pairs of braces": (
        grant(scope="'{{id}}'"),
        "7:16",
        "a brace without its partner; a placeholder stands in one pair",
    ),
    "within the tenant": (rule(within="[/]"), "4:14", "not inside a subscription"),
    "a management group": (
        rule(within="[/providers/Microsoft.Management/managementGroups/m]"),
        "4:14",
        "not inside a subscription",
    ),
    "unknown role": (grant("Raeder"), "6:15", "as of 2026-08-22); did you mean 'Reader'?"),
    "unknown role without a near one": (grant("xyzzy"), "6:15", "write a built-in role's name"),
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
        "holds a placeholder: here ids are exact; write the id itself",
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
    "a condition with an open bracket": (
        grant() + "        condition: ((a OR (b)\n",
        "8:20",
        'condition\'s "(", character 2 of it, is never closed',
    ),
    "a condition with an open quote": (
        grant() + "        condition: a StringEquals 'b) OR (c\n",
        "8:20",
        "condition's \"'\", character 16 of it, is never closed",
    ),
    "a condition with the wrong bracket": (
        grant() + "        condition: (a[b) OR c StringEquals '['\n",
        "8:20",
        'condition\'s "[", character 3 of it, is never closed',
    ),
    "a condition that closes nothing": (
        grant() + "        condition: a OR b)\n",
        "8:20",
        'condition\'s ")", character 7 of it, closes nothing',
    ),
    "two conditions": (
        rule(
            system="{grants: [{role: Reader, scope: '{id}'}, {role: Reader, scope: '{ID}'}]}"
        ).replace("{ID}'", "{id}', condition: x"),
        "6:22",
        "granted twice, with different conditions",
    ),
}
