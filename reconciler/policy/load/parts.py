"""The entries of policy files with their places: what must be unique over all of them.

`reconciler.policy.load` is the only caller.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from reconciler.ids import fold
from reconciler.policy.load.document import Document, Path, Value
from reconciler.policy.load.positions import Position


@dataclass(frozen=True, slots=True)
class Part[T]:
    """One entry with its name and place; before it is checked `T` is `Value`."""

    document: Document
    place: Path
    name: str
    value: T

    @property
    def origin(self) -> str:
        """Where it is written, as `file:line`."""
        line, _ = self.document.keys.get(self.place) or self.document.position(self.place)
        return f"{self.document.file}:{line}"


def named(document: Document, key: str) -> Iterator[Part[Value]]:
    """Go through a file's mapping of names, such as `identities`, also of one with mistakes."""
    entries = document.value.get(key) if isinstance(document.value, dict) else None
    if isinstance(entries, dict):
        for name, entry in entries.items():
            yield Part(document, (key, name), name, entry)


def listed(document: Document, key: str) -> Iterator[Part[Value]]:
    """Go through a file's list, such as `rules`, also of one with mistakes."""
    entries = document.value.get(key) if isinstance(document.value, dict) else None
    if isinstance(entries, list):
        for index, entry in enumerate(entries):
            yield Part(document, (key, index), _text(entry, "name"), entry)


def names(files: list[Document], key: str) -> frozenset[str] | None:
    """Return every name under a key; nothing where a file could not be read for them."""
    if any(() in document.refused or not _is_mapping(document, key) for document in files):
        return None
    paths = [path for document in files for path in document.keys]
    return frozenset(str(path[1]) for path in paths if len(path) > 1 and path[0] == key)


def _is_mapping(document: Document, key: str) -> bool:
    return not isinstance(document.value, dict) or isinstance(document.value.get(key, {}), dict)


def check_unique(files: list[Document]) -> None:
    """Report names and ids that two entries have, in one file or in several."""
    names: dict[str, str] = {}
    ids: dict[str, str] = {}
    maps: dict[str, str] = {}
    rules: dict[str, str] = {}
    for document in files:
        for part in named(document, "identities"):
            # Names in another case would be two for YAML and one for whoever reads them.
            position = document.keys[part.place]
            _claim(names, part, f"identity '{part.name}'", fold(part.name), position)
            if id_ := _text(part.value, "id"):
                position = document.position((*part.place, "id"))
                _claim(ids, part, f"the identity '{id_}'", fold(id_), position)
        for part in named(document, "maps"):
            position = document.keys[part.place]
            # Scopes, which name maps, are compared without case.
            _claim(maps, part, f"map '{part.name}'", fold(part.name), position)
        for part in listed(document, "rules"):
            if part.name:
                position = document.position((*part.place, "name"))
                _claim(rules, part, f"rule '{part.name}'", fold(part.name), position)


def _claim(
    taken: dict[str, str], part: Part[Value], what: str, key: str, position: Position
) -> None:
    if key in taken:
        message = f"{what} is already defined in {taken[key]}; keep one of them"
        part.document.report(position, message)
    else:
        taken[key] = f"{part.document.file}:{position[0]}"


def _text(entry: Value, key: str) -> str:
    value = entry.get(key) if isinstance(entry, dict) else None
    return value if isinstance(value, str) else ""
