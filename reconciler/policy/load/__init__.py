"""Loads a policy folder: every mistake of every file in one run, each with its place.

`reconciler.app` loads policy once per process, `reconciler validate` to check it. The parts are
`syntax` (YAML), `document` (values and positions), `messages` (what pydantic found) and `ceiling`
(guardrails).
"""

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
from reconciler.policy.load.syntax import START

_SUFFIXES = frozenset({".yaml", ".yml"})


def load(folder: Path) -> language.Policy:
    """Load all `*.yaml` and `*.yml` directly in the folder, and check them as one policy.

    Raises `PolicyError` with all mistakes. Without guardrails.yaml nothing may be granted. A rule
    or identity that has mistakes of its own is not also held against the guardrails.
    """
    documents = [_read(path) for path in _files(folder)]
    files = [document for document in documents if not _is_guardrails(document)]
    guardrails = _guardrails([one for one in documents if _is_guardrails(one)])
    names = {str(name) for document in files for _, name in _named(document, "identities")}
    identities: list[_Part[language.Identity]] = []
    rules: list[_Part[language.Rule]] = []
    for document in files:
        _validate(language.PolicyFile, document, names)
        identities += _parts(language.Identity, document, "identities", names)
        rules += _parts(language.Rule, document, "rules", names)
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
    """An identity or rule, and where it is written."""

    document: Document
    place: Place
    value: T

    @property
    def name(self) -> str:
        return self.value.name if isinstance(self.value, language.Rule) else str(self.place[-1])

    @property
    def origin(self) -> str:
        position = self.document.keys.get(self.place) or self.document.position(self.place)
        return f"{self.document.file}:{position[0]}"


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
    try:
        content = path.read_bytes()
    except OSError as error:
        document = Document(str(path), refused={()})
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
    guardrails = _validate(language.Guardrails, documents[0], ())
    return None if documents[0].problems else guardrails


def _validate[T: BaseModel](
    model: type[T], document: Document, identities: Iterable[str]
) -> T | None:
    if () in document.refused:
        return None
    names = frozenset(identities)
    try:
        return model.model_validate(document.value, context=names, by_alias=True, by_name=False)
    except ValidationError as error:
        messages.report(document, model, error, names)
        return None


def _named(document: Document, key: str) -> Iterator[tuple[Place, str]]:
    """Go through the places and names below a top-level key, also of a file with mistakes."""
    entries = document.value.get(key) if isinstance(document.value, dict) else None
    if isinstance(entries, dict):
        yield from (((key, name), name) for name in entries)
    if isinstance(entries, list):
        for index, entry in enumerate(entries):
            yield (key, index), str(entry.get("name", "")) if isinstance(entry, dict) else ""


def _raw(document: Document, place: Place) -> Value:
    value = document.value
    for step in place:
        if isinstance(value, dict) and isinstance(step, str):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int):
            value = value[step]
        else:
            return None
    return value


def _parts[T: BaseModel](
    model: type[T], document: Document, key: str, identities: Iterable[str]
) -> Iterator[_Part[T]]:
    """Return the sound identities or rules of a file; mistakes of the others are reported."""
    for place, _ in _named(document, key):
        try:
            value = model.model_validate(
                _raw(document, place),
                context=frozenset(identities),
                by_alias=True,
                by_name=False,
            )
        except ValidationError:
            continue
        yield _Part(document, place, value)


def _check_unique(files: list[Document]) -> None:
    """Report names and ids that two identities or rules have, in one file or in several."""
    names: dict[str, str] = {}
    ids: dict[str, str] = {}
    rules: dict[str, str] = {}
    for document in files:
        for place, name in _named(document, "identities"):
            _claim(names, document, place, f"identity '{name}'", name)
            id_ = _raw(document, (*place, "id"))
            if isinstance(id_, str):
                _claim(ids, document, (*place, "id"), f"identity id '{id_}'", fold(id_))
        for place, name in _named(document, "rules"):
            if name:
                _claim(rules, document, (*place, "name"), f"rule name '{name}'", name)


def _claim(taken: dict[str, str], document: Document, place: Place, what: str, key: str) -> None:
    line, column = document.keys[place] if len(place) == 2 else document.position(place)
    first = taken.setdefault(key, f"{document.file}:{line}")
    if first != f"{document.file}:{line}":
        document.report((line, column), f"{what} is already used at {first}; keep one of them")


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
