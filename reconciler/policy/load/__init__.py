"""Loads a policy folder: every mistake of every file in one run, each with its place.

`reconciler.app` loads policy once per process, `reconciler validate` to check it. Its modules are
`folders` (which files), `signs` (what a reviewer cannot see), `syntax` (YAML), `document` (values
and positions), `parts` (entries and their names), `messages` (what pydantic found), `guesses` (what
was meant), `sense` (what can mean nothing) and `ceiling` (guardrails).
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from reconciler.errors import PolicyError, Problem
from reconciler.ids import ResourceId
from reconciler.model import Mode
from reconciler.policy import language
from reconciler.policy.load import folders, messages, parts, sense, signs
from reconciler.policy.load.ceiling import Ceiling, Mistake
from reconciler.policy.load.document import Document, Value, read
from reconciler.policy.load.guesses import Guesses
from reconciler.policy.load.parts import Part
from reconciler.policy.load.positions import START
from reconciler.policy.load.syntax import MAX_BYTES
from reconciler.suggestions import near_misses

_NEAR = 0.85
"""How much a file's name must look like that of the guardrails to be taken for it."""


def load(folder: Path) -> language.Policy:
    """Load all `*.yaml` and `*.yml` directly in the folder, and check them as one policy.

    Raises `PolicyError` with all mistakes. Without guardrails.yaml nothing may be granted or
    attached. A rule or identity that has mistakes of its own is not also held against the
    guardrails.
    """
    documents = [_read(path) for path in folders.files(folder)]
    files = [document for document in documents if not _is_guardrails(document)]
    names = language.Names(parts.names(files, "identities"), parts.names(files, "maps"))
    guesses = Guesses(names)
    guardrails = _guardrails(documents, guesses)
    found = _Found()
    for document in files:
        _validate(language.PolicyFile, document, guesses)
        found.add(document, names)
    parts.check_unique(files)
    found.check_sense()
    problems = _missing_guardrails(folder, documents, found.needing_guardrails())
    if guardrails and not problems:
        found.check_ceiling(guardrails)
    problems += [problem for document in documents for problem in document.problems]
    if not problems and not found.identities and not found.rules:
        problems = [_nothing_asked(folder, documents)]
    if problems or not guardrails:
        raise PolicyError(tuple(problems))
    return found.policy(guardrails)


@dataclass(frozen=True, slots=True)
class _Found:
    """The entries of all files that have no mistakes of their own."""

    identities: list[Part[language.Identity]] = field(default_factory=list)
    maps: dict[str, Mapping[str, ResourceId]] = field(default_factory=dict)
    map_origins: dict[str, str] = field(default_factory=dict)
    exemptions: list[Part[language.Exemption]] = field(default_factory=list)
    rules: list[Part[language.Rule]] = field(default_factory=list)

    def add(self, document: Document, names: language.Names) -> None:
        """Take a file's sound entries, also those next to others with mistakes."""
        self.identities.extend(
            _sound(language.Identity, parts.named(document, "identities"), names)
        )
        self.rules.extend(_sound(language.Rule, parts.listed(document, "rules"), names))
        self.exemptions.extend(
            _sound(language.Exemption, parts.listed(document, "exemptions"), names)
        )
        for part in parts.named(document, "maps"):
            with contextlib.suppress(ValidationError):
                self.maps[part.name] = language.map_ids(part.value)
                self.map_origins[f"map {part.name}"] = part.origin

    def needing_guardrails(self) -> Iterator[str]:
        """Yield what asks to be repaired as only guardrails may allow, and where it is written."""
        for identity in self.identities:
            if identity.value.mode is Mode.REPAIR:
                yield f"identity '{identity.name}' ({identity.origin})"
        for rule in self.rules:
            asks = rule.value.attach or (rule.value.system and rule.value.system.grants)
            if asks and rule.value.mode is Mode.REPAIR:
                yield f"rule '{rule.name}' ({rule.origin})"

    def check_sense(self) -> None:
        """Report what can mean nothing."""
        unclear = sense.doubled(self.maps)
        for identity in self.identities:
            _report(identity, sense.of_identity(identity.value, unclear))
        for rule in self.rules:
            _report(rule, sense.of_rule(rule.value, self.maps, unclear))

    def check_ceiling(self, guardrails: language.Guardrails) -> None:
        """Report what the guardrails forbid."""
        identities = {part.name: part.value for part in self.identities}
        allowed = Ceiling(guardrails, self.maps, identities)
        for identity in self.identities:
            _report(identity, allowed.of_identity(identity.value))
        for rule in self.rules:
            _report(rule, allowed.of_rule(rule.value))

    def policy(self, guardrails: language.Guardrails) -> language.Policy:
        """Put everything together, sorted by name."""
        identities = sorted(self.identities, key=lambda part: part.name)
        rules = sorted(self.rules, key=lambda part: part.name)
        whole = language.PolicyFile.model_construct(
            version=1,
            identities={part.name: part.value for part in identities},
            maps=self.maps,
            exemptions=tuple(part.value for part in self.exemptions),
            rules=tuple(part.value for part in rules),
        )
        origins = {f"identity {part.name}": part.origin for part in identities}
        origins |= {f"rule {part.name}": part.origin for part in rules} | self.map_origins
        origins |= {
            f"exemption {number}": part.origin for number, part in enumerate(self.exemptions)
        }
        return language.Policy(
            whole.identities,
            whole.rules,
            guardrails,
            language.digest(whole, guardrails),
            origins,
            whole.maps,
            whole.exemptions,
        )


def _report(part: Part[Any], mistakes: Iterable[Mistake]) -> None:
    for where, message in mistakes:
        part.document.report(part.document.position((*part.place, *where)), message)


def _missing_guardrails(
    folder: Path, documents: list[Document], needing: Iterator[str]
) -> list[Problem]:
    """Say once, and not for each grant, that nothing at all is allowed."""
    first = next(needing, None)
    if not first or any(_is_guardrails(one) or _is_misnamed(Path(one.file)) for one in documents):
        return []
    more = len(list(needing))
    who = f"{first} and {more} more" if more else first
    message = f"there is no {language.GUARDRAILS_FILE}: repair needs one, as asked for by {who}"
    names = [Path(document.file).name for document in documents]
    near = near_misses(language.GUARDRAILS_FILE, names, cutoff=_NEAR)
    step = f"is it '{near[0]}'?" if near else "write it, or choose mode: audit"
    return [folders.about(folder, f"{message}; {step}")]


def _nothing_asked(folder: Path, documents: list[Document]) -> Problem:
    read = ", ".join(Path(document.file).name for document in documents)
    message = "policy has neither identities nor rules; write some"
    return folders.about(
        folder, f"{message} (guardrails and exemptions alone are none; read: {read})"
    )


def _read(path: Path) -> Document:
    document = Document(signs.visible(str(path)), refused={()})
    if next(signs.hidden(path.name), None) or not path.name.isprintable():
        message = "the file's name holds signs that cannot be seen; rename it"
        document.report(START, message)
        return document
    if _is_misnamed(path):
        # Reviews of guardrails hang on the one name.
        document.report(START, f"name this file {language.GUARDRAILS_FILE}, exactly so")
        return document
    try:
        # Opening a pipe or device would wait for ever.
        if not path.is_file():
            message = (
                "this is not a file that can be read (a folder, or a link to nothing); rename it"
            )
            document.report(START, message)
            return document
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        document.report(START, f"the file cannot be read: {error.strerror}")
        return document
    return read(document.file, content)


def _is_misnamed(path: Path) -> bool:
    return path.stem.casefold() == "guardrails" and path.name != language.GUARDRAILS_FILE


def _is_guardrails(document: Document) -> bool:
    return Path(document.file).name == language.GUARDRAILS_FILE


def _guardrails(documents: list[Document], guesses: Guesses) -> language.Guardrails | None:
    """Return the guardrails, or nothing where they have mistakes, be it in their name."""
    document = next(filter(_is_guardrails, documents), None)
    if document is None:
        misnamed = any(_is_misnamed(Path(one.file)) for one in documents)
        return None if misnamed else language.Guardrails(version=1)
    guardrails = _validate(language.Guardrails, document, guesses)
    return None if document.problems else guardrails


def _validate[T: BaseModel](model: type[T], document: Document, guesses: Guesses) -> T | None:
    """Check a whole file, so that all of its mistakes are found."""
    if () in document.refused:
        return None
    try:
        return _model(model, document.value, guesses.names)
    except ValidationError as error:
        messages.report(document, model, error, guesses)
        return None


def _sound[T: BaseModel](
    model: type[T], found: Iterable[Part[Value]], names: language.Names
) -> Iterator[Part[T]]:
    """Return the entries without mistakes, also those next to others with some."""
    for part in found:
        with contextlib.suppress(ValidationError):
            value = _model(model, part.value, names)
            yield Part(part.document, part.place, part.name, value)


def _model[T: BaseModel](model: type[T], value: Value, names: language.Names) -> T:
    return model.model_validate(value, context=names, by_alias=True, by_name=False)
