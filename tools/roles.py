"""Build the tables of built-in roles from lists of their definitions; run by `make roles`.

The reconciler's says which are privileged, the sandbox's only which exist. A list is what ARM
answers (`{"value": [...]}`) or what `az role definition list` prints. Roles that a list lacks stay:
rights that were given with them may still be there.
"""

import csv
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reconciler.roles import is_privileged

_ROOT = Path(__file__).parent.parent
TABLE = _ROOT / "reconciler" / "roles.csv"
SANDBOX = _ROOT / "sandbox" / "authorization" / "builtin_roles.csv"

_AS_OF = "# Azure's built-in roles as of "
_USAGE = (
    "roles: name the day of a list of role definitions and the JSON file that holds it: "
    "make roles ROLES='2027-01-31 <file>'"
)


@dataclass(frozen=True, slots=True)
class Row:
    """A built-in role, and what it was called before."""

    name: str
    guid: str
    privileged: bool
    formerly: tuple[str, ...] = ()

    @property
    def cells(self) -> tuple[str, ...]:
        """The row of the table."""
        return self.name, self.guid, str(self.privileged).lower(), ";".join(self.formerly)


def rows(definitions: Iterable[dict[str, Any]]) -> list[Row]:
    """Return the built-in ones of some definitions, sorted by name."""
    found = []
    for definition in definitions:
        properties = definition.get("properties", definition)
        if "BuiltInRole" not in {properties.get("type"), properties.get("roleType")}:
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
        found.append(Row(properties["roleName"], definition["name"], privileged))
    return sorted(found, key=_by_name)


def merged(known: Iterable[Row], listed: Iterable[Row], *, newer: bool) -> list[Row]:
    """Return the known rows with those of a list; a newer one says what roles are called and allow.

    An older list adds roles, and names that roles had, and judges none that is known.
    """
    found = {row.guid: row for row in known}
    for row in listed:
        old = found.get(row.guid, row)
        latest = row if newer else old
        names = dict.fromkeys((*old.formerly, old.name, row.name))
        former = tuple(name for name in names if name.strip() != latest.name.strip())
        found[row.guid] = replace(latest, formerly=former)
    return sorted(found.values(), key=_by_name)


def shipped() -> tuple[str, list[Row]]:
    """Return the day of the table and its rows."""
    first, _, *lines = TABLE.read_text("utf-8").splitlines()
    return first.removeprefix(_AS_OF), [
        Row(name, guid, privileged == "true", tuple(filter(None, formerly.split(";"))))
        for name, guid, privileged, formerly in csv.reader(lines)
    ]


def _by_name(row: Row) -> tuple[str, str]:
    return row.name.lower(), row.guid


def _write(path: Path, *lines: str, table: Sequence[tuple[str, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.writelines(f"{line}\n" for line in lines)
        csv.writer(file, lineterminator="\n").writerows(table)


def main(arguments: list[str]) -> int:
    """Bring the tables up to a list of a day; 2 with a line on stderr where there is none."""
    *day, path = arguments or [""]
    if len(day) > 1 or not Path(path).is_file():
        print(_USAGE, file=sys.stderr)
        return 2
    answer = json.loads(Path(path).read_text("utf-8"))
    listed = rows(answer["value"] if isinstance(answer, dict) else answer)
    today, known = shipped()
    newer = bool(day) and day[0] >= today
    found = merged(known, listed, newer=newer)
    as_of = day[0] if newer else today
    _write(
        TABLE,
        f"{_AS_OF}{as_of}",
        "name,guid,privileged,formerly",
        table=[row.cells for row in found],
    )
    _write(SANDBOX, "name,guid", table=[row.cells[:2] for row in found])
    privileged = sum(row.privileged for row in found)
    print(f"{TABLE.name}: {len(found)} roles as of {as_of}, {privileged} privileged")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
