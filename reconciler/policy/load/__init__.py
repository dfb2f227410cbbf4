"""Loads a policy folder: every mistake of every file in one run, each with its place.

`reconciler.app` loads policy once per process, `reconciler validate` to check it. Files are read by
`reconciler.policy.yaml` and checked by the models of `reconciler.policy.model`, whose mistakes
`messages` puts into words; `lint` finds what is well written and still wrong.
"""

import contextlib
import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from reconciler.errors import PolicyError, Problem
from reconciler.ids import fold
from reconciler.model import Mode
from reconciler.policy import Policy, yaml
from reconciler.policy.load import messages
from reconciler.policy.load.lint import GuardrailLint, Lint, Mistake
from reconciler.policy.model import (
    GUARDRAILS_FILE,
    Exemption,
    Guardrails,
    Identity,
    Map,
    PolicyFile,
    Rule,
)
from reconciler.policy.model.texts import Names
from reconciler.policy.yaml import START, Document
from reconciler.wording import nearest

_SUFFIXES: Final = frozenset({".yaml", ".yml"})
_SCHEMA: Final = "schema.json"
"""How the names end of those JSON files that belong beside policy."""
_NEAR_NAME: Final = 0.85
"""How much a file's name must look like that of the guardrails to be taken for it."""

_SECTIONS: Final[Mapping[str, TypeAdapter[Any]]] = {
    "identities": TypeAdapter(Identity),
    "maps": TypeAdapter(Map),
    "exemptions": TypeAdapter(Exemption),
    "rules": TypeAdapter(Rule),
}
"""The keys of a policy file, and what the entries below each must be."""


@dataclass(frozen=True, slots=True)
class _Part:
    """An entry of a policy file with its name and place, before it is checked or after."""

    document: Document
    path: yaml.Path
    name: str
    value: Any

    @property
    def origin(self) -> str:
        """Where it is written, as `file:line`."""
        line, _ = self.document.keys.get(self.path) or self.document.position(self.path)
        return f"{self.document.file}:{line}"

    def report(self, mistakes: Iterable[Mistake]) -> None:
        """Add mistakes to its file, at their places in it."""
        for where, message in mistakes:
            self.document.report(self.document.position((*self.path, *where)), message)


def load(folder: Path) -> Policy:
    """Load all `*.yaml` and `*.yml` directly in the folder, and check them as one policy.

    Raises `PolicyError` with all mistakes. Without guardrails.yaml nothing may be granted or
    attached. A rule or identity that has mistakes of its own is not also held against the
    guardrails.
    """
    documents = [_read(path) for path in _files(folder)]
    rails: list[Document] = []
    files: list[Document] = []
    for document in documents:
        # Guardrails under another name are a mistake already.
        guarding = Path(document.file).stem.casefold() == "guardrails"
        (rails if guarding else files).append(document)
    # Whole files first, so that all of their mistakes are found, then their sound entries.
    names = Names(_names(files, "identities"), _names(files, "maps"))
    guardrails = _check_files(files, rails, names)
    _check_unique(files)
    sound = _sound_parts(files, names)
    problems = [] if rails else _missing_guardrails(folder, files, sound)
    # What is well written may still be wrong. Without guardrails one mistake says so for all.
    identities = {part.name: part.value for part in sound["identities"]}
    maps = {part.name: part.value for part in sound["maps"]}
    checks: list[Lint | GuardrailLint] = [Lint(maps)]
    if guardrails and not problems:
        checks.append(GuardrailLint(guardrails, identities, maps))
    for check in checks:
        for part in sound["identities"]:
            part.report(check.identity_mistakes(part.value))
        for part in sound["rules"]:
            part.report(check.rule_mistakes(part.value))
    problems += [problem for document in documents for problem in document.problems]
    # No policy at all never means that everything is revoked.
    if not problems and not sound["identities"] and not sound["rules"]:
        read = ", ".join(Path(document.file).name for document in documents)
        message = "policy has neither identities nor rules; write some"
        message += f" (guardrails and exemptions alone are none; read: {read})"
        problems = [Problem(str(folder), 0, 0, message)]
    if problems or not guardrails:
        raise PolicyError(tuple(problems))
    return _policy(sound, guardrails)


def unread_files(folder: Path) -> Iterator[str]:
    """Yield a note on each file that looks like policy and is not read; nothing is raised.

    `reconciler validate` shows them, whether or not there are mistakes.
    """
    with contextlib.suppress(OSError, ValueError):
        for path in sorted(folder.iterdir()):
            suffixes = {suffix.lower() for suffix in path.suffixes}
            json_file = path.suffix.lower() == ".json" and not path.name.endswith(_SCHEMA)
            read = path.suffix.lower() in _SUFFIXES or path.name.startswith(".")
            if not read and (suffixes & _SUFFIXES or json_file):
                stem, shown = yaml.visible(path.name.split(".")[0]), yaml.visible(str(path))
                yield f"{shown} is not read: name it {stem}.yaml if it is policy"
        for suffix in sorted(_SUFFIXES):
            for path in sorted(folder.glob(f"[!.]*/*{suffix}")):
                yield f"{yaml.visible(str(path))} is not read: it lies in a folder of its own"


def _files(folder: Path) -> list[Path]:
    """Return the files directly in a folder that are policy; raises `PolicyError` for none."""
    paths: list[Path] = []
    message = "the folder has no policy (*.yaml); that never means that rights are taken away"
    try:
        # In any case, so that no file is passed over which looks like policy to its author.
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        message = f"the policy folder cannot be read: {reason}"
        if isinstance(error, NotADirectoryError) and folder.is_file():
            message = "this is a file; give the folder that it lies in, whose files are one policy"
    else:
        message = "; ".join([message, *itertools.islice(unread_files(folder), 1)])
    if not paths:
        raise PolicyError((Problem(str(folder), 0, 0, message),))
    return paths


def _read(path: Path) -> Document:
    """Return what a file says; where it cannot be read, a mistake says why."""
    file = yaml.visible(str(path))
    if next(yaml.hidden(path.name), None) or not path.name.isprintable():
        mistake = "the file's name holds signs that cannot be seen; rename it"
    elif path.stem.casefold() == "guardrails" and path.name != GUARDRAILS_FILE:
        # Reviews of guardrails hang on the one name.
        mistake = f"name this file {GUARDRAILS_FILE}, exactly so"
    else:
        try:
            # Opening a pipe or device would wait for ever.
            if path.is_file():
                with path.open("rb") as opened:
                    return yaml.read(file, opened.read(yaml.MAX_BYTES + 1))
            mistake = (
                "this is not a file that can be read (a folder, or a link to nothing); rename it"
            )
        except OSError as error:
            mistake = f"the file cannot be read: {error.strerror}"
    document = Document(file)
    document.refuse((), START, mistake)
    return document


def _parts(files: list[Document], section: str) -> Iterator[_Part]:
    """Yield the entries that files have below a key, also those of files with mistakes."""
    for document in files:
        held = document.value.get(section) if isinstance(document.value, dict) else None
        if section in {"identities", "maps"} and isinstance(held, dict):
            for name, value in held.items():
                yield _Part(document, (section, name), name, value)
        elif section in {"exemptions", "rules"} and isinstance(held, list):
            for index, value in enumerate(held):
                given = value.get("name") if isinstance(value, dict) else None
                name = given if isinstance(given, str) else ""
                yield _Part(document, (section, index), name, value)


def _names(files: list[Document], section: str) -> frozenset[str] | None:
    """Return every name below a key, none where a file could not be read for them."""
    for document in files:
        held = document.value.get(section, {}) if isinstance(document.value, dict) else {}
        if () in document.refused or not isinstance(held, dict):
            return None
    paths = [path for document in files for path in document.keys]
    return frozenset(str(path[1]) for path in paths if len(path) > 1 and path[0] == section)


def _check_unique(files: list[Document]) -> None:
    """Report names and ids that two entries have, in one file or in several."""
    taken: dict[str, str] = {}
    for section, kind in (("identities", "identity"), ("maps", "map"), ("rules", "rule")):
        for part in _parts(files, section):
            document, path = part.document, part.path
            named = document.keys.get(path) or document.position((*path, "name"))
            claims = [(f"{kind} '{part.name}'", named)] if part.name or kind != "rule" else []
            id_ = part.value.get("id") if isinstance(part.value, dict) else None
            if kind == "identity" and id_ and isinstance(id_, str):
                claims.append((f"the identity '{id_}'", document.position((*path, "id"))))
            for what, position in claims:
                # Names in another case would be two for YAML and one for whoever reads them, and
                # scopes, which name maps, are compared without case.
                if first := taken.get(fold(what)):
                    message = f"{what} is already defined in {first}; keep one of them"
                    document.report(position, message)
                else:
                    taken[fold(what)] = f"{document.file}:{position[0]}"


def _check_files(files: list[Document], rails: list[Document], names: Names) -> Guardrails | None:
    """Report the mistakes of whole files; return the guardrails, none where they have mistakes."""
    guardrails = Guardrails(version=1)
    for document in (*rails, *files):
        model = Guardrails if document in rails else PolicyFile
        if () in document.refused:
            continue
        try:
            checked = model.model_validate(
                document.value, context=names, by_alias=True, by_name=False
            )
        except ValidationError as error:
            messages.report(document, model, error)
        else:
            guardrails = checked if isinstance(checked, Guardrails) else guardrails
    return None if any(document.problems for document in rails) else guardrails


def _sound_parts(files: list[Document], names: Names) -> Mapping[str, list[_Part]]:
    """Return the entries without mistakes, also those next to others with some."""
    sound: dict[str, list[_Part]] = {section: [] for section in _SECTIONS}
    for section, type_ in _SECTIONS.items():
        for part in _parts(files, section):
            with contextlib.suppress(ValidationError):
                value = type_.validate_python(
                    part.value, context=names, by_alias=True, by_name=False
                )
                sound[section].append(replace(part, value=value))
    return sound


def _missing_guardrails(
    folder: Path, files: list[Document], sound: Mapping[str, list[_Part]]
) -> list[Problem]:
    """Return one mistake, not one for each grant, where nothing at all is allowed."""
    needing = [
        f"{kind} '{part.name}' ({part.origin})"
        for kind, section in (("identity", "identities"), ("rule", "rules"))
        for part in sound[section]
        if part.value.mode is Mode.REPAIR
        # A rule that only switches identities on needs none.
        and (
            kind == "identity"
            or part.value.attach
            or (part.value.system and part.value.system.grants)
        )
    ]
    if not needing:
        return []
    who = needing[0] + (f" and {len(needing) - 1} more" if needing[1:] else "")
    names = [Path(document.file).name for document in files]
    near = nearest(GUARDRAILS_FILE, names, cutoff=_NEAR_NAME)
    step = f"is it '{near}'?" if near else "write it, or choose mode: audit"
    message = f"there is no {GUARDRAILS_FILE}: repair needs one, as asked for by {who}; {step}"
    return [Problem(str(folder), 0, 0, message)]


def _policy(sound: Mapping[str, list[_Part]], guardrails: Guardrails) -> Policy:
    """Put everything together, sorted by name, with its digest and origins."""
    identities = sorted(sound["identities"], key=lambda part: part.name)
    rules = sorted(sound["rules"], key=lambda part: part.name)
    whole = PolicyFile.model_construct(
        version=1,
        identities={part.name: part.value for part in identities},
        maps={part.name: part.value for part in sound["maps"]},
        exemptions=tuple(part.value for part in sound["exemptions"]),
        rules=tuple(part.value for part in rules),
    )
    origins = {f"identity {part.name}": part.origin for part in identities}
    origins |= {f"rule {part.name}": part.origin for part in rules}
    origins |= {f"map {part.name}": part.origin for part in sound["maps"]}
    origins |= {f"exemption {index}": part.origin for index, part in enumerate(sound["exemptions"])}
    # The digest is of what all of it means, whatever its layout, order and casing.
    parts = {"policy": whole, "guardrails": guardrails}
    meaning = {name: _as_sets(part.model_dump(mode="json")) for name, part in parts.items()}
    return Policy(
        whole.identities,
        whole.rules,
        guardrails,
        hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest(),
        origins,
        whole.maps,
        whole.exemptions,
    )


def _as_sets(value: object) -> object:
    """Sort every list and drop what is in it twice: no order in the language means anything."""
    if isinstance(value, dict):
        return {key: _as_sets(item) for key, item in value.items()}
    if isinstance(value, list):
        return sorted({json.dumps(_as_sets(item), sort_keys=True) for item in value})
    return value
