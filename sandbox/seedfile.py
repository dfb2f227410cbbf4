"""A seed as a file and as records: reading it, and what a record may look like.

``sandbox.seed`` turns the records into a world.
"""

import uuid
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import yaml

_TEXT = (str, "text")
_KEYS = {
    "subscriptions": {"id", "name", "assignmentLimit", "unregistered"},
    "managementGroups": {"name", "displayName", "parent", "subscriptions"},
    "groups": {"id", "location", "tags"},
    "principals": {"name", "id", "kind"},
    "roles": {"id", "name", "actions", "notActions", "dataActions", "notDataActions"},
    "identities": {"id", "location", "tags"},
    "virtualMachines": {"id", "location", "tags", "system", "identities", "properties"},
    "resources": {"id", "location", "tags", "kind", "sku", "system", "identities", "properties"},
    "assignments": {"scope", "role", "principal", "name", "description", "condition"},
}
_NEEDED = {
    "managementGroups": ("name",),
    "principals": ("name",),
    "roles": ("id", "name"),
    "assignments": ("scope", "role", "principal"),
}
# What a value is where it is not text.
_SHAPES: dict[str, tuple[type, str]] = {
    "assignmentLimit": (int, "a number"),
    "system": (bool, "true or false"),
    "tags": (dict, "a mapping of text to text"),
    **dict.fromkeys(("properties", "sku"), (dict, "a mapping")),
    **dict.fromkeys(
        (
            "subscriptions",
            "unregistered",
            "actions",
            "notActions",
            "dataActions",
            "notDataActions",
            "identities",
        ),
        (list, "a list of text"),
    ),
}

type Record = dict[str, Any]


class SeedError(Exception):
    """A seed that cannot be loaded; the message names the place."""


def read(path: Path) -> Record:
    """Return a seed file's content; raises ``SeedError`` when it is not YAML or not readable."""
    try:
        return parse(path.read_text("utf-8"))
    except OSError as error:
        raise SeedError(error.strerror) from error
    except UnicodeDecodeError as error:
        raise SeedError(f"not UTF-8: {error}") from error


class _Loader(yaml.SafeLoader):
    """Refuses a key that is there twice, of which YAML would take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - the base's
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(key.value)
            if name in seen:
                raise SeedError(f"line {key.start_mark.line + 1}: '{name}' is there twice")
            seen.add(name)
        return super().construct_mapping(node, deep)


def parse(text: str) -> Record:
    """Return a seed's content; raises ``SeedError`` when it is not a mapping in YAML."""
    try:
        # As safe as `safe_load`, whose loader it is.
        return mapping(yaml.load(text, _Loader), "seed")  # noqa: S506 - see above
    except yaml.YAMLError as error:
        raise SeedError(f"not YAML: {' '.join(str(error).split())}") from error


def mapping(value: object, where: str) -> Record:
    """Return a mapping; raises ``SeedError`` for anything else."""
    if not isinstance(value, dict):
        raise SeedError(f"{where}: must be a mapping")
    return value


def guid(value: object, where: str) -> str:
    """Return a GUID in its usual form; raises ``SeedError`` for anything else."""
    try:
        return str(uuid.UUID(str(value)))
    except ValueError:
        raise SeedError(f"{where}: '{value}' is not a GUID") from None


def check(content: Record) -> None:
    """Raise ``SeedError`` for an unknown key, or when there is no subscription."""
    unknown = set(map(str, content)) - set(_KEYS) - {"tenant", "faults"}
    if unknown:
        raise SeedError(f"seed: unknown key '{min(unknown)}'")
    if not content.get("subscriptions"):
        raise SeedError("seed: at least one subscription is needed")


def records(content: Record, section: str) -> Iterator[tuple[Record, str]]:
    """Yield each record of a section with its place; raises ``SeedError`` for a wrong one."""
    values = content.get(section)
    if values is None:
        return
    if not isinstance(values, list):
        raise SeedError(f"{section}: must be a list")
    needed = _NEEDED.get(section, ("id",))
    seen: set[str] = set()
    for index, value in enumerate(values):
        where = f"{section}[{index}]"
        record = mapping(value, where)
        for key in record:
            if key not in _KEYS[section]:
                raise SeedError(f"{where}: unknown key '{key}'")
            _check_shape(record[key], *_SHAPES.get(key, _TEXT), where=f"{where}.{key}")
        tags = (record.get("tags") or {}).items()
        if not all(isinstance(each, str) for pair in tags for each in pair):
            raise SeedError(f"{where}.tags: must be {_SHAPES['tags'][1]}")
        for key in needed:
            if not record.get(key):
                raise SeedError(f"{where}: '{key}' is missing")
        # A role assignment has no name of its own that a seed must give.
        name = str(record[needed[0]])
        if name.lower() in seen and section != "assignments":
            raise SeedError(f"{where}: '{name}' is there already")
        seen.add(name.lower())
        yield record, where


def _check_shape(value: object, kind: type, called: str, *, where: str) -> None:
    # A key without a value is as good as absent.
    # To Python true is a number as well.
    fits = value is None or (
        isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    )
    if isinstance(value, list):
        fits = fits and all(isinstance(each, str) for each in value)
    if not fits:
        raise SeedError(f"{where}: must be {called}")
