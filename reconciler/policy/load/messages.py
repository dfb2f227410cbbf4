"""What pydantic found wrong with a document, said in the policy author's words.

`reconciler.policy.load` is the only caller.
"""

from collections.abc import Iterable, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from reconciler.policy import language
from reconciler.policy.language import scopes, texts
from reconciler.policy.load.document import Document, Path
from reconciler.policy.load.guesses import Guesses, nearest
from reconciler.policy.load.positions import Position
from reconciler.suggestions import did_you_mean

_MAX_PROBLEMS = 100
"""Per file: nobody reads on."""

_UNKNOWN_KEY = "extra_forbidden"

_MUST_BE = {
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "enum": "'audit' or 'repair'",
    "int_type": "a whole number",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "string_type": "a text",
    "tuple_type": "a list",
}
_LIMITS = {
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
}


def report(
    document: Document,
    model: type[BaseModel],
    error: ValidationError,
    guesses: Guesses,
) -> None:
    """Add to the document's problems what pydantic found."""
    around = {path[:-1] for path in document.refused if path}
    found = [
        (_position(document, detail), detail)
        for detail in error.errors(include_url=False)
        if not _follows(detail, document.refused, around)
    ]
    found.sort(key=lambda item: item[0])
    shown, rest = found[:_MAX_PROBLEMS], found[_MAX_PROBLEMS:]
    # A misspelled key is one mistake, although the right one is then missing.
    lacking = {detail["loc"] for _, detail in shown if detail["type"] == "missing"}
    unknown = [detail["loc"] for _, detail in shown if detail["type"] == _UNKNOWN_KEY]
    meant = {path: _meant(model, path, lacking) for path in unknown}
    for position, detail in shown:
        path = detail["loc"]
        if meant.get(path) in lacking:
            near = did_you_mean(str(meant[path][-1]))
            document.report(position, f"unknown key '{path[-1]}'{near}")
        elif detail["type"] != "missing" or path not in meant.values():
            document.report(position, _message(model, detail, guesses))
    if rest:
        document.report(rest[0][0], f"and {len(rest)} more mistakes in this file")


def _follows(detail: ErrorDetails, refused: set[Path], around: set[Path]) -> bool:
    """Return whether a mistake only follows from one that reading the file has found already.

    `around` holds what the refused paths lie in.
    """
    path = detail["loc"]
    match detail["type"]:
        case "missing":
            # Nobody knows what a merge key would have brought.
            follows = (*path[:-1], "") in refused
        case "value_error":
            follows = path in around
        case _:
            follows = False
    return follows or path in refused


def _meant(model: type[BaseModel], path: Path, lacking: set[Path]) -> Path:
    """Return the key that an unknown one may be meant to be, first of all one that is lacking."""
    word = str(path[-1]).lower() or "?"
    for key in _keys(model, path[:-1]):
        if (*path[:-1], key) in lacking and (key.lower() in word or word in key.lower()):
            return (*path[:-1], key)
    return (*path[:-1], nearest(str(path[-1]), frozenset(_keys(model, path[:-1]))) or "")


def _near_miss(word: str, known: Iterable[str]) -> str:
    return did_you_mean(nearest(word, frozenset(known)))


def _position(document: Document, detail: ErrorDetails) -> Position:
    path: Path = detail["loc"]
    if path[-1:] == ("[key]",):
        return document.keys[path[:-1]]
    if detail["type"] == _UNKNOWN_KEY:
        return document.keys[path]
    return document.position(path)


def _message(model: type[BaseModel], detail: ErrorDetails, guesses: Guesses) -> str:
    path, value, kind = detail["loc"], detail["input"], detail["type"]
    match kind:
        case "extra_forbidden":
            message = _unknown_key(model, path)
        case "missing":
            sample = "1" if path[-1] == "version" else "..."
            message = f"missing key '{path[-1]}'; add '{path[-1]}: {sample}'"
        case "value_error":
            message = str(detail["ctx"]["error"])
        case texts.UNKNOWN_ROLE:
            near = guesses.role(value)
            message = detail["msg"] + (
                near or "; write a built-in role's name, or a role's GUID or full id"
            )
        case texts.UNKNOWN_IDENTITY:
            near = guesses.named("identity", value, guesses.names.identities)
            named = " and attach its name" if value.startswith("/") else ""
            message = detail["msg"] + (near or f"; define it under 'identities'{named}")
        case scopes.UNKNOWN_MAP:
            near = guesses.named("map", detail["ctx"]["name"], guesses.names.maps)
            message = detail["msg"] + (near or "; define it under 'maps'")
        case scopes.UNKNOWN_PLACEHOLDER:
            known = detail["ctx"]["known"]
            near = _near_miss(detail["ctx"]["name"], known)
            listed = ", ".join(f"{{{name}}}" for name in known)
            message = detail["msg"] + (near or f"; there are {listed}")
        case _:
            message = f"{_subject(path)} {_must_be(kind, value, detail)}"
            if kind == "string_type" and isinstance(value, list) and path[-2:-1] == ("tags",):
                message += "; a tag has one glob, so write one rule for each value"
    return message


def _subject(path: Path) -> str:
    """Name what a message is about: a key, an entry of its list, or the whole file."""
    keys = [part for part in path if isinstance(part, str)]
    if not keys:
        return "the file"
    return f"an entry of '{keys[-1]}'" if isinstance(path[-1], int) else f"'{keys[-1]}'"


def _must_be(kind: str, value: object, detail: ErrorDetails) -> str:
    if kind in _LIMITS:
        return _LIMITS[kind].format(**detail["ctx"])
    if kind == "literal_error":
        return f"must be {detail['ctx']['expected']}, not {_shown(value)}"
    if kind not in _MUST_BE:
        return f"is wrong: {detail['msg']}"
    return f"must be {_MUST_BE[kind]}, not {_shown(value)}{_next_step(kind, value)}"


def _next_step(kind: str, value: object) -> str:
    step = ""
    match kind, value:
        case "string_type", str() | bool() | int() | float():
            step = "put it in quotes"
        case "bool_type", "true" | "false":
            step = "delete the quotes"
        case "int_type", str() if value.removesuffix("%").isdecimal():
            step = f"write {value.removesuffix('%')}, without quotes"
        case "int_type", float() if value.is_integer():
            step = f"write {int(value)}"
        case "enum", str():
            return _near_miss(value, ["audit", "repair"])
        case "tuple_type", str():
            step = f"put it in brackets: [{value}]"
        case "tuple_type", dict():
            step = "begin each entry with '- '"
        case "dict_type" | "mapping_type", list():
            step = "write 'key: value', without '-'"
        case "model_type", True:
            step = "write {} for one without keys"
    return f"; {step}" if step else ""


def _shown(value: object) -> str:
    """Show a value as YAML spells it."""
    match value:
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case bool():
            return str(value).lower()
        case str():
            return f"'{value}'"
        case _:
            return str(value)


def _unknown_key(model: type[BaseModel], path: Path) -> str:
    key = str(path[-1])
    here = _keys(model, path[:-1])
    if len(path) == 1:
        if model is language.PolicyFile and key in _keys(language.Guardrails, ()):
            return f"'{key}' belongs in {language.GUARDRAILS_FILE}"
        if model is language.Guardrails and key in _keys(language.PolicyFile, ()):
            return f"'{key}' belongs in a policy file, not in {language.GUARDRAILS_FILE}"
    elif key in _keys(model, ()):
        return f"'{key}' belongs at the top of the file"
    near = _near_miss(key, here)
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
