"""Build the tables of built-in roles from the definitions that ARM lists; run by `make roles`.

The reconciler's says which are privileged, the sandbox's only which exist.
"""

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reconciler.roles import is_privileged

_ROOT = Path(__file__).parent.parent
TABLE = _ROOT / "reconciler" / "roles.csv"
SANDBOX = _ROOT / "sandbox" / "azure" / "builtin_roles.csv"


def rows(definitions: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Name, GUID and privilege of each built-in role, sorted by name."""
    found = []
    for definition in definitions:
        properties = definition["properties"]
        if properties["type"] != "BuiltInRole":
            continue
        privileged = any(
            is_privileged(
                permission.get("actions") or (),
                permission.get("notActions") or (),
                permission.get("dataActions") or (),
                permission.get("notDataActions") or (),
            )
            for permission in properties["permissions"]
        )
        found.append((properties["roleName"], definition["name"], str(privileged).lower()))
    return sorted(found, key=lambda row: row[0].lower())


def _write(path: Path, header: tuple[str, ...], table: Sequence[tuple[str, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(table)


def main(arguments: list[str]) -> int:
    """Write the tables from the one file named; 2 with a line on stderr when there is none."""
    if len(arguments) != 1 or not Path(arguments[0]).is_file():
        print(
            "roles: name the JSON file that lists the role definitions: make roles ROLES=<file>",
            file=sys.stderr,
        )
        return 2
    definitions = json.loads(Path(arguments[0]).read_text("utf-8"))["value"]
    found = rows(definitions)
    _write(TABLE, ("name", "guid", "privileged"), found)
    _write(SANDBOX, ("name", "guid"), [row[:2] for row in found])
    print(f"{TABLE.name}: {len(found)} roles, {sum(row[2] == 'true' for row in found)} privileged")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
