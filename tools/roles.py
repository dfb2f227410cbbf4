"""Build reconciler/roles.csv from the role definitions that ARM lists; run by `make roles`."""

import csv
import json
import sys
from pathlib import Path
from typing import Any

from reconciler.roles import is_privileged

TABLE = Path(__file__).parent.parent / "reconciler" / "roles.csv"


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


def main(arguments: list[str]) -> int:
    """Write the table from the one file named; 2 with a line on stderr when there is none."""
    if len(arguments) != 1 or not Path(arguments[0]).is_file():
        print(
            "roles: name the JSON file that lists the role definitions: make roles ROLES=<file>",
            file=sys.stderr,
        )
        return 2
    definitions = json.loads(Path(arguments[0]).read_text("utf-8"))["value"]
    found = rows(definitions)
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("name", "guid", "privileged"))
        writer.writerows(found)
    print(f"{TABLE.name}: {len(found)} roles, {sum(row[2] == 'true' for row in found)} privileged")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
