"""Policy files for the tests of the language and its loader."""

from pathlib import Path

import pytest

from reconciler.errors import PolicyError
from reconciler.policy.load import load

SUB = "/subscriptions/00000000-0000-0000-0000-000000000000"
UAI = f"{SUB}/resourceGroups/rg-id/providers/Microsoft.ManagedIdentity/userAssignedIdentities"

GOOD = f"""\
version: 1
identities:
  host:
    id: {UAI}/host
rules:
  - name: hosts
    within: [{SUB}]
    match: {{type: Microsoft.Compute/virtualMachines}}
    attach: [host]
"""

GUARDRAILS = f"""\
version: 1
grants:
  - {{scope: {SUB}/resourceGroups/rg-data, roles: [Reader, Contributor]}}
  - {{scope: {SUB}/resourceGroups/rg-lab, roles: [Contributor], privileged: true}}
identities: [{SUB}/resourceGroups/rg-id]
protected: [{UAI}/crown]
"""

MAPS = f"maps:\n  vault: {{dev: {SUB}/resourceGroups/rg-data}}\n"

type Mistakes = dict[str, tuple[str | bytes, str, str]]
"""By name: a file, the line and column at which its mistake is told, and a part of what is told."""


def written(folder: Path, **files: str | bytes) -> Path:
    """Write policy files, named without their suffix."""
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        (folder / f"{name}.yaml").write_bytes(data)
    return folder


def mistakes(folder: Path) -> list[str]:
    """Return what the loader says, without the folder's name."""
    with pytest.raises(PolicyError) as caught:
        load(folder)
    return [str(problem).removeprefix(f"{folder}/") for problem in caught.value.problems]


def rule(**keys: str) -> str:
    """Return a file with one rule, starting in line 3, with the given keys set or left out."""
    lines = {
        "name": "r",
        "within": f"[{SUB}]",
        "match": "{type: Microsoft.Compute/virtualMachines}",
        "system": "{}",
    } | keys
    text = "".join(f"    {key}: {value}\n" for key, value in lines.items() if value != "-")
    return f"version: 1\nrules:\n  -{text[3:]}"


def identity(**keys: str) -> str:
    """Return a file with one identity, whose keys start in line 4."""
    lines = {"id": f"{UAI}/a"} | keys
    text = "".join(f"    {key}: {value}\n" for key, value in lines.items() if value != "-")
    return f"version: 1\nidentities:\n  a:\n{text}"


def grant(role: str = "Reader", scope: str = f"{SUB}/resourceGroups/rg-data") -> str:
    """Return one identity in audit mode with one grant: the role in line 6, the scope in 7."""
    return identity() + f"    grants:\n      - role: {role}\n        scope: {scope}\n"


EXEMPT = {"scope": SUB, "reason": "ticket 4711", "expires": "2027-01-31"}


def exempt(**keys: str) -> str:
    """Return a file with one exemption, whose keys start in line 3."""
    lines = [f"    {key}: {value}\n" for key, value in (EXEMPT | keys).items() if value != "-"]
    return f"version: 1\nexemptions:\n  - {''.join(lines).lstrip()}"


PLACED = identity(id=f"'{UAI.replace(SUB, '{subscription}')}/a-{{location}}'")
