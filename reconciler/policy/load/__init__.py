"""Loads a policy folder: every mistake of every file in one run, each with its place.

`reconciler.app` loads policy once per process, `reconciler validate` to check it. The parts are
`syntax` (YAML), `document` (values and positions), `messages` (what pydantic found) and `ceiling`
(guardrails).
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError

from reconciler.errors import PolicyError, Problem
from reconciler.ids import fold
from reconciler.policy import language
from reconciler.policy.load import ceiling, messages
from reconciler.policy.load.document import Document, Value, read
from reconciler.policy.load.document import Path as Place
from reconciler.policy.load.syntax import MAX_BYTES, START, Position

_SUFFIXES = frozenset({".yaml", ".yml"})


def load(folder: Path) -> language.Policy:
    """Load all `*.yaml` and `*.yml` directly in the folder, and check them as one policy.

    Raises `PolicyError` with all mistakes. Without guardrails.yaml nothing may be granted. A rule
    or identity that has mistakes of its own is not also held against the guardrails.
    """
    documents = [_read(path) for path in _files(folder)]
    files = [document for document in documents if not _is_guardrails(document)]
    guardrails = _guardrails([document for document in documents if _is_guardrails(document)])
    names = _identity_names(files)
    identities: list[_Part[language.Identity]] = []
    rules: list[_Part[language.Rule]] = []
    for document in files:
        _validate(language.PolicyFile, document, names)
        identities += _sound(language.Identity, _identities(document), names)
        rules += _sound(language.Rule, _rules(document), names)
    _check_unique(files)
    if guardrails:
        _check_ceiling(identities, ceiling.of_identity, guardrails)
        _check_ceiling(rules, ceiling.of_rule, guardrails)
    problems = [problem for document in documents for problem in document.problems]
    if not problems and not identities and not rules:
        problems = [_about(folder, "policy has neither identities nor rules; write some")]
    if problems or not guardrails:
        raise PolicyError(tuple(problems))
    return _policy(identities, rules, guardrails)


@dataclass(frozen=True, slots=True)
class _Part[T]:
    """An identity or rule with its name and place; before it is checked `T` is `Value`."""

    document: Document
    place: Place
    name: str
    value: T

    @property
    def origin(self) -> str:
        line, _ = self.document.keys.get(self.place) or self.document.position(self.place)
        return f"{self.document.file}:{line}"


def _identities(document: Document) -> Iterator[_Part[Value]]:
    """Go through the identities of a file, also of one with mistakes."""
    entries = document.value.get("identities") if isinstance(document.value, dict) else None
    if isinstance(entries, dict):
        for name, entry in entries.items():
            yield _Part(document, ("identities", name), name, entry)


def _identity_names(files: list[Document]) -> frozenset[str] | None:
    """Return every name that a rule may attach; nothing where a file could not be read for them."""
    if any(() in document.refused for document in files):
        return None
    paths = [path for document in files for path in document.keys]
    return frozenset(str(path[1]) for path in paths if len(path) > 1 and path[0] == "identities")


def _rules(document: Document) -> Iterator[_Part[Value]]:
    """Go through the rules of a file, also of one with mistakes."""
    entries = document.value.get("rules") if isinstance(document.value, dict) else None
    if isinstance(entries, list):
        for index, entry in enumerate(entries):
            yield _Part(document, ("rules", index), _text(entry, "name"), entry)


def _text(entry: Value, key: str) -> str:
    value = entry.get(key) if isinstance(entry, dict) else None
    return value if isinstance(value, str) else ""


def _files(folder: Path) -> list[Path]:
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES)
    except OSError as error:
        message = f"the policy folder cannot be read: {error.strerror}"
        raise PolicyError((_about(folder, message),)) from error
    if not paths:
        message = "the policy folder has no *.yaml; no policy never means that all rights go"
        raise PolicyError((_about(folder, message),))
    return paths


def _about(folder: Path, message: str) -> Problem:
    return Problem(str(folder), *START, message)


def _read(path: Path) -> Document:
    document = Document(str(path), refused={()})
    # Opening a pipe or device would wait for ever.
    if not path.is_file():
        document.report(START, "this is not a file that can be read")
        return document
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        document.report(START, f"the file cannot be read: {error.strerror}")
        return document
    document = read(str(path), content)
    if path.stem.casefold() == "guardrails" and path.name != language.GUARDRAILS_FILE:
        # Reviews of guardrails hang on the one name.
        document.report(START, f"name this file {language.GUARDRAILS_FILE}, exactly so")
    return document


def _is_guardrails(document: Document) -> bool:
    return Path(document.file).name == language.GUARDRAILS_FILE


def _guardrails(documents: list[Document]) -> language.Guardrails | None:
    """Return the guardrails, or nothing where they have mistakes."""
    if not documents:
        return language.Guardrails(version=1)
    guardrails = _validate(language.Guardrails, documents[0], None)
    return None if documents[0].problems else guardrails


def _validate[T: BaseModel](
    model: type[T], document: Document, identities: frozenset[str] | None
) -> T | None:
    """Check a whole file, so that all of its mistakes are found."""
    if () in document.refused:
        return None
    try:
        return _model(model, document.value, identities)
    except ValidationError as error:
        messages.report(document, model, error, identities or ())
        return None


def _sound[T: BaseModel](
    model: type[T], parts: Iterable[_Part[Value]], identities: frozenset[str] | None
) -> Iterator[_Part[T]]:
    """Return the identities or rules without mistakes, also those next to others with some."""
    for part in parts:
        with contextlib.suppress(ValidationError):
            value = _model(model, part.value, identities)
            yield _Part(part.document, part.place, part.name, value)


def _model[T: BaseModel](model: type[T], value: Value, identities: frozenset[str] | None) -> T:
    return model.model_validate(value, context=identities, by_alias=True, by_name=False)


def _check_unique(files: list[Document]) -> None:
    """Report names and ids that two identities or rules have, in one file or in several."""
    names: dict[str, str] = {}
    ids: dict[str, str] = {}
    rules: dict[str, str] = {}
    for document in files:
        for part in _identities(document):
            _claim(names, part, f"identity '{part.name}'", part.name, document.keys[part.place])
            if id_ := _text(part.value, "id"):
                position = document.position((*part.place, "id"))
                _claim(ids, part, f"the identity '{id_}'", fold(id_), position)
        for part in _rules(document):
            if part.name:
                position = document.position((*part.place, "name"))
                _claim(rules, part, f"rule '{part.name}'", part.name, position)


def _claim(
    taken: dict[str, str], part: _Part[Value], what: str, key: str, position: Position
) -> None:
    if key in taken:
        message = f"{what} is already defined in {taken[key]}; keep one of them"
        part.document.report(position, message)
    else:
        taken[key] = f"{part.document.file}:{position[0]}"


def _check_ceiling[T](
    parts: list[_Part[T]],
    check: Callable[[T, language.Guardrails], Iterable[ceiling.Mistake]],
    guardrails: language.Guardrails,
) -> None:
    for part in parts:
        for where, message in check(part.value, guardrails):
            part.document.report(part.document.position((*part.place, *where)), message)


def _policy(
    identities: list[_Part[language.Identity]],
    rules: list[_Part[language.Rule]],
    guardrails: language.Guardrails,
) -> language.Policy:
    named = {part.name: part.value for part in sorted(identities, key=lambda part: part.name)}
    ordered = tuple(part.value for part in sorted(rules, key=lambda part: part.name))
    origins = {f"identity {part.name}": part.origin for part in identities}
    origins |= {f"rule {part.name}": part.origin for part in rules}
    digest = language.digest(named, ordered, guardrails)
    return language.Policy(named, ordered, guardrails, digest, origins)
