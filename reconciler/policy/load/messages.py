"""What pydantic found wrong with a document, in the policy author's words.

`reconciler.policy.load` is the only caller.
"""

from collections.abc import Mapping
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from reconciler.policy.model import GUARDRAILS_FILE, Guardrails, PolicyFile
from reconciler.policy.model.texts import EXPLANATIONS
from reconciler.policy.yaml import Document, Path, Position
from reconciler.wording import did_you_mean, nearest

_MAX_PROBLEMS: Final = 100
"""Per file: nobody reads on."""

_UNKNOWN_KEY: Final = "extra_forbidden"

_MUST_BE: Final = {
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "enum": "'audit' or 'repair'",
    "int_type": "a whole number",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "string_type": "a text",
    "tuple_type": "a list",
}


def report(document: Document, model: type[BaseModel], error: ValidationError) -> None:
    """Add to the document's problems what pydantic found."""
    around = {path[:-1] for path in document.refused if path}
    mistakes: list[tuple[Position, ErrorDetails]] = []
    for detail in error.errors(include_url=False):
        path = detail["loc"]
        # Pydantic's own mark of a mistake in a key.
        key = path[:-1] if path[-1:] == ("[key]",) else path
        about_key = key != path or detail["type"] == _UNKNOWN_KEY
        if not _follows(detail, document.refused, around):
            mistakes.append((document.keys[key] if about_key else document.position(path), detail))
    mistakes.sort(key=lambda item: item[0])
    shown, rest = mistakes[:_MAX_PROBLEMS], mistakes[_MAX_PROBLEMS:]
    # A misspelled key is one mistake, although the right one is then missing.
    missing = {detail["loc"] for _, detail in shown if detail["type"] == "missing"}
    meant = {
        detail["loc"]: _meant(model, detail["loc"], missing)
        for _, detail in shown
        if detail["type"] == _UNKNOWN_KEY
    }
    for position, detail in shown:
        path = detail["loc"]
        if meant.get(path) in missing:
            near = did_you_mean(str(meant[path][-1]))
            document.report(position, f"unknown key '{path[-1]}'{near}")
        elif detail["type"] != "missing" or path not in meant.values():
            document.report(position, _message(model, detail))
    if rest:
        document.report(rest[0][0], f"and {len(rest)} more mistakes in this file")


def _follows(detail: ErrorDetails, refused: set[Path], around: set[Path]) -> bool:
    """Return whether a mistake only follows from another one.

    `refused` are the paths that reading the file found mistakes at, `around` what they lie in.
    """
    path = detail["loc"]
    match detail["type"]:
        case "missing":
            # Nobody knows what a merge key would have brought.
            return path in refused or (*path[:-1], "") in refused
        case "too_short":
            # Entries with mistakes of their own do not count for pydantic.
            return path in refused or bool(detail["input"])
        case "value_error":
            return path in refused or path in around
    return path in refused


def _meant(model: type[BaseModel], path: Path, missing: set[Path]) -> Path:
    """Return the key that an unknown one may be meant to be, first of all one that is missing."""
    around, word = path[:-1], str(path[-1]).lower() or "?"
    keys = _keys(model, around)
    for key in keys:
        if (*around, key) in missing and (key.lower() in word or word in key.lower()):
            return (*around, key)
    return (*around, nearest(str(path[-1]), keys) or "")


def _message(model: type[BaseModel], detail: ErrorDetails) -> str:  # noqa: C901 (a table)
    path, value, kind, context = detail["loc"], detail["input"], detail["type"], detail.get("ctx")
    keys = [part for part in path if isinstance(part, str)]
    subject = f"'{keys[-1]}'" if keys else "the file"
    if keys and isinstance(path[-1], int):
        subject = f"an entry of {subject}"
    match kind, context or {}:
        case "extra_forbidden", _:
            return _unknown_key(model, path)
        case "missing", _:
            sample = "1" if path[-1] == "version" else "..."
            return f"missing key '{path[-1]}'; add '{path[-1]}: {sample}'"
        case "value_error", {"error": error}:
            return str(error)
        case "string_pattern_mismatch", {"pattern": pattern}:
            return EXPLANATIONS[pattern](value)
        case "too_short", _:
            empty = "map is empty; name at least one key"
            return f"the {empty if isinstance(value, dict) else 'list is empty; name at least one'}"
        case "greater_than_equal", {"ge": limit}:
            return f"{subject} must be at least {limit}"
        case "less_than_equal", {"le": limit}:
            return f"{subject} must be at most {limit}"
        case "literal_error", {"expected": expected}:
            return f"{subject} must be {expected}, not {_shown(value)}"
        case _ if kind in _MUST_BE:
            return f"{subject} must be {_MUST_BE[kind]}, not {_shown(value)}{_next_step(detail)}"
    return f"{subject} is wrong: {detail['msg']}"


def _next_step(detail: ErrorDetails) -> str:  # noqa: C901 (a table)
    value = detail["input"]
    match detail["type"], value:
        case "string_type", list() if detail["loc"][-2:-1] == ("tags",):
            return "; a tag has one glob, so write one rule for each value"
        case "string_type", str() | bool() | int() | float():
            return "; put it in quotes"
        case "bool_type", "true" | "false":
            return "; delete the quotes"
        case "int_type", str() if value.removesuffix("%").isdecimal():
            return f"; write {value.removesuffix('%')}, without quotes"
        case "int_type", float() if value.is_integer():
            return f"; write {int(value)}"
        case "enum", str():
            return did_you_mean(nearest(value, ["audit", "repair"]))
        case "tuple_type", str():
            return f"; put it in brackets: [{value}]"
        case "tuple_type", dict():
            return "; begin each entry with '- '"
        case "dict_type" | "mapping_type", list():
            return "; write 'key: value', without '-'"
        case "model_type", True:
            return "; write {} for one without keys"
    return ""


def _shown(value: object) -> str:
    """Return a value as YAML spells it."""
    match value:
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case bool():
            return str(value).lower()
        case str():
            return f"'{value}'"
    return str(value)


def _unknown_key(model: type[BaseModel], path: Path) -> str:
    key = str(path[-1])
    here = _keys(model, path[:-1])
    if len(path) == 1:
        if model is PolicyFile and key in _keys(Guardrails, ()):
            return f"'{key}' belongs in {GUARDRAILS_FILE}"
        if model is Guardrails and key in _keys(PolicyFile, ()):
            return f"'{key}' belongs in a policy file, not in {GUARDRAILS_FILE}"
    elif key in _keys(model, ()):
        return f"'{key}' belongs at the top of the file"
    near = did_you_mean(nearest(key, here))
    homes = [home for home in here if not near and key in _keys(model, (*path[:-1], home))]
    if homes:
        return f"'{key}' belongs under '{homes[0]}'"
    return f"unknown key '{key}'" + (near or f"; there are {', '.join(here)}")


def _keys(annotation: Any, path: Path) -> list[str]:  # noqa: ANN401 (type expressions have no type)
    """Return the keys of the mapping that the language expects at `path`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = {field.alias or name: field for name, field in annotation.model_fields.items()}
        return _keys(fields[str(path[0])].annotation, path[1:]) if path else list(fields)
    arguments = get_args(annotation)
    if get_origin(annotation) is tuple:
        return _keys(arguments[0], path[1:])
    if get_origin(annotation) is Mapping:
        return _keys(arguments[1], path[1:])
    return next((keys for part in arguments if (keys := _keys(part, path))), [])
