"""What may stand in braces in a scope, and what is wrong with what may not.

The texts of `reconciler.policy.language.texts` are checked here.
"""

from dataclasses import dataclass, replace
from typing import NoReturn

from pydantic import ValidationInfo
from pydantic_core import PydanticCustomError

from reconciler.errors import ResourceIdError
from reconciler.ids import ResourceId, is_guid
from reconciler.policy.language import shapes, templates
from reconciler.policy.language.templates import MapEntry, Place

UNKNOWN_MAP = "unknown_map"
UNKNOWN_PLACEHOLDER = "unknown_placeholder"
"""Kinds of mistake for which `load` looks for what was probably meant."""

_SAMPLES = tuple(
    Place(ResourceId.parse(f"/subscriptions/00000000-0000-0000-0000-000000000000{path}"), "west")
    for path in ("/resourceGroups/rg/providers/A.B/c/d", "/resourceGroups/rg", "")
)
SAMPLE = _SAMPLES[0]
"""A place for which templates are tried out; the others are what a map may name besides."""


@dataclass(frozen=True, slots=True)
class Names:
    """The identities and maps that a policy defines; none where a file could not be read."""

    identities: frozenset[str] | None = None
    maps: frozenset[str] | None = None


def scope(text: str, info: ValidationInfo) -> str:
    """Check a grant's scope."""
    check_start(text.strip())
    for name in templates.names(text):
        if entry := MapEntry.parse(name):
            _check_map(entry, info)
        elif name not in templates.PLACEHOLDERS:
            unknown_placeholder(name, templates.PLACEHOLDERS)
    check_braces(text)
    _check_outcome(text)
    return text


def check_braces(template: str) -> None:
    """Check that placeholders are whole, and stand where they may."""
    if template != template.strip():
        raise ValueError(
            f"'{template}' has blanks or a line break at its edge; delete them (after '|' write "
            "'|-', which leaves out the last line break)"
        )
    if templates.has_lone_brace(template):
        raise ValueError(
            f"'{template}' has a brace without its partner; a placeholder stands in one pair"
        )
    if found := templates.runs_on(template):
        raise ValueError(f"'{found}' stands for a whole id: it may only begin an id")


def unknown_placeholder(name: str, known: tuple[str, ...]) -> NoReturn:
    """Refuse what stands in braces and is none of the known; raises `ValueError`."""
    if name.startswith("tags.") and known == templates.PLACEHOLDERS:
        raise ValueError(
            f"'{{{name}}}' would let whoever tags a resource choose the scope; "
            f"pick from a reviewed map: {{maps.<map>[{name}]}}"
        )
    if name.startswith("maps") and known == templates.PLACEHOLDERS:
        raise ValueError(
            f"'{{{name}}}' does not pick from a map: write {{maps.<map>[location]}} "
            "or {maps.<map>[tags.<tag>]}"
        )
    context = {"name": name, "shown": f"{{{name}}}", "known": known}
    raise PydanticCustomError(UNKNOWN_PLACEHOLDER, "unknown placeholder '{shown}'", context)


def _check_map(entry: MapEntry, info: ValidationInfo) -> None:
    known = info.context.maps if isinstance(info.context, Names) else None
    if known is not None and entry.map not in known:
        raise PydanticCustomError(UNKNOWN_MAP, "unknown map '{name}'", {"name": entry.map})


def _check_outcome(template: str) -> None:
    """Try a template out: it must come to an id, whichever kind of id a map may hold."""
    entries = templates.entries(template)
    samples = _SAMPLES if entries else _SAMPLES[:1]
    for number, sample in enumerate(samples, start=1):
        tags = {entry.tag: "key" for entry in entries if entry.tag}
        maps = {entry.map: {"key": sample.id, sample.location: sample.id} for entry in entries}
        try:
            check_place(templates.fill(template, replace(SAMPLE, tags=tags), maps))
        except ResourceIdError:
            if number == len(samples):
                raise
        else:
            return


def check_start(text: str) -> None:
    """Refuse a bare name, or anything else that does not begin as an id or placeholder does."""
    if len(text) > shapes.LONGEST_ID:
        raise ValueError(
            f"'{text[:40]}...' is not an ARM id: it is longer than {shapes.LONGEST_ID} characters"
        )
    if text.startswith("${"):
        raise ValueError(f"'{text}' begins with a placeholder: write it without the '$'")
    if is_guid(text):
        raise ValueError(f"'{text}' is not an ARM id: a subscription is /subscriptions/{text}")
    if not text.startswith(("/", "{")):
        raise ValueError(
            f"'{text}' is not an ARM id: write it whole, such as "
            "/subscriptions/<id>/resourceGroups/<group>"
        )


def check_place(place: ResourceId) -> ResourceId:
    """Refuse what an example left in, a subscription's name, and a glob."""
    if "*" in str(place):
        raise ValueError(f"'{place}' holds a '*': here ids are exact; only 'match' takes globs")
    if place.subscription and not is_guid(place.subscription):
        raise ValueError(f"'{place.subscription}' is not a subscription id: it must be a GUID")
    return place


def own_scope(text: str) -> str:
    """Check the scope of a right that a user-assigned identity shall hold."""
    tags = [name for name in templates.names(text) if (entry := MapEntry.parse(name)) and entry.tag]
    if tags:
        raise ValueError(
            f"'{{{tags[0]}}}': placeholders in an identity's grants mean the identity itself, "
            "and its tags are not read; pick by location, or name an identity for each"
        )
    return text
