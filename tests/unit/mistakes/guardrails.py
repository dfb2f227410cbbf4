"""Policy that guardrails do not allow, and mistakes in guardrails themselves."""

from tests.unit.policy_files import GOOD, MAPS, PLACED, SUB, UAI, Mistakes, grant, identity, rule

MISTAKES: Mistakes = {
    "one place of two outside": (
        rule(
            mode="repair",
            within=f"[{SUB}/resourceGroups/rg-data, {SUB}/resourceGroups/rg-x]",
            system="{grants: [{role: Reader, scope: '{resourceGroup}'}]}",
        ),
        "6:23",
        f'add "- {{scope: {SUB}/resourceGroups/rg-x, roles: [Reader]}}" there under',
    ),
    "a privileged grant that nothing allows": (
        grant("Owner") + "    mode: repair\n",
        "6:9",
        "roles: [Owner], privileged: true}\" there under 'grants'",
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
        f"only with 'privileged: true'; add that to its entry for '{SUB}/resourceGroups/rg-data'",
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
        f"/a'; add \"- {SUB}/resourceGroups/rg-x\" there under 'identities'",
    ),
    "an identity of a wrong place attached": (
        GOOD.replace("rg-id", "rg-x").replace("attach:", "mode: repair\n    attach:"),
        "10:14",
        f"identity 'host', '{UAI.replace('rg-id', 'rg-x')}/host'; add \"- {SUB}/resourceGroups/",
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

GUARDRAIL_MISTAKES: Mistakes = {
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
