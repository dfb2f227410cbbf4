"""Placeholders in ids: what may stand in braces, and what comes of it for one resource or identity.

Nothing that a person may choose freely, such as a name or a tag's value, ever becomes part of an
id: a tag only picks a key of a reviewed map. `reconciler.policy.model` checks templates with this,
`reconciler.policy.desired` fills them in, and sweeps and events ask where they may lie.
"""

import contextlib
import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from reconciler.errors import ResourceIdError
from reconciler.ids import ResourceId, fold

PLACEHOLDERS: Final = ("id", "resourceGroup", "subscription", "location")
"""What a grant's scope may hold in braces, besides entries of maps."""

IDENTITY_PLACEHOLDERS: Final = ("subscription", "location")
"""What an identity's id may hold."""

PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
_MAP_ENTRY = re.compile(r"maps\.(?P<map>[^\[\]]+)\[(?:location|tags\.(?P<tag>[^\[\]]+))\]")
_NOT_IN_LOCATIONS = re.compile(r"[^a-z0-9]")

type Maps = Mapping[str, Mapping[str, ResourceId]]

# The resources of a sweep share their groups and what maps hold.
parsed = functools.lru_cache(4096)(ResourceId.parse)


@functools.lru_cache(1024)
def location_name(text: str) -> str:
    """Return a location as Azure names it: "West Europe" and westeurope are the same."""
    return _NOT_IN_LOCATIONS.sub("", fold(text))


@dataclass(frozen=True, slots=True)
class Subject:
    """The resource or identity that placeholders stand for, with what is known of it so far."""

    id: ResourceId
    location: str = ""
    tags: Mapping[str, str] = field(default_factory=dict[str, str])

    def value(self, name: str) -> str:
        """Return the text that `{name}` stands for; empty where nothing is known."""
        around = f"/subscriptions/{self.id.subscription}" if self.id.subscription else ""
        match name:
            case "id":
                return str(self.id)
            case "resourceGroup":
                return f"{around}/resourceGroups/{self.id.group}" if self.id.group else ""
            case "subscription":
                return around
            case _:
                return location_name(self.location)


@dataclass(frozen=True, slots=True)
class MapEntry:
    """`maps.<map>[location]` or, with a tag, `maps.<map>[tags.<tag>]`."""

    map: str
    tag: str | None

    @classmethod
    def parse(cls, name: str) -> "MapEntry | None":
        """Return the entry that stands in braces; none where it is no entry of a map."""
        match = _MAP_ENTRY.fullmatch(name)
        return cls(match["map"], match["tag"]) if match else None

    def pick(self, subject: Subject, maps: Maps) -> ResourceId:
        """Return the id that the subject picks; raises `ResourceIdError` unless there is one."""
        if self.tag:
            # The case of a tag's name does not matter in Azure.
            values = (value for tag, value in subject.tags.items() if fold(tag) == fold(self.tag))
            key, source = next(values, ""), f"tag '{self.tag}'"
        else:
            key, source = location_name(subject.location), "location"
        if not key:
            raise ResourceIdError(f"it picks from maps.{self.map}, but no {source} is known")
        entries = maps.get(self.map, {}).items()
        ids = [id_ for name, id_ in entries if key == (name if self.tag else location_name(name))]
        if len(ids) != 1:
            has = "more than one key for" if ids else "no key"
            raise ResourceIdError(f"maps.{self.map} has {has} '{key}'")
        return ids[0]


def entries(template: str) -> list[MapEntry]:
    """Return the entries of maps that a template picks, in order."""
    return [entry for name in PLACEHOLDER.findall(template) if (entry := MapEntry.parse(name))]


def with_entries(scope: str, maps: Maps) -> Iterator[str]:
    """Yield a scope for each entry of the map that it picks from; one without a map as it is."""
    picked = entries(scope)
    if not picked:
        yield scope
        return
    # What stands for a whole id can only begin a scope.
    _, _, rest = scope.partition("}")
    for value in maps.get(picked[0].map, {}).values():
        yield f"{value}{rest}"


def fill(template: str, subject: Subject, maps: Maps) -> ResourceId:
    """Return the id that a template comes to, or raise `ResourceIdError` for a missing value."""

    def value(match: re.Match[str]) -> str:
        entry = MapEntry.parse(match[1])
        text = str(entry.pick(subject, maps)) if entry else subject.value(match[1])
        if not text:
            raise ResourceIdError(f"nothing is known for '{match[0]}'")
        return text

    return parsed(PLACEHOLDER.sub(value, template))


def beginning(template: str) -> tuple[ResourceId, bool] | None:
    """Return the longest id that a template begins with, and whether that is all of it."""
    start, brace, _ = template.partition("{")
    if not brace:
        return parsed(start), True
    while "/" in start:
        start = start.rpartition("/")[0]
        with contextlib.suppress(ResourceIdError):
            return parsed(start), False
    return None


@dataclass(frozen=True, slots=True)
class IdentityTemplate:
    """The id of a user-assigned identity, or of one for each subscription and location.

    `exact` is the id of the one that it is without placeholders.
    """

    text: str
    exact: ResourceId | None = field(compare=False)
    _pattern: re.Pattern[str] = field(compare=False, repr=False)

    @classmethod
    def parse(cls, text: str) -> "IdentityTemplate":
        """Return the template of a text that was checked already."""
        # What the keys of its identities look like, with the same location in all places.
        pattern = re.escape(fold(text)).replace(r"\{subscription\}", "/subscriptions/[^/]+")
        pattern = pattern.replace(r"\{location\}", "(?P<location>[a-z0-9]+)", 1)
        pattern = pattern.replace(r"\{location\}", "(?P=location)")
        return cls(text, None if "{" in text else ResourceId.parse(text), re.compile(pattern))

    def resolve(self, subject: Subject) -> ResourceId:
        """Return the identity that is meant for a subject, or raise `ResourceIdError`."""
        return self.exact or fill(self.text, subject, {})

    def names(self, identity: Subject) -> bool:
        """Return whether an identity is meant, which then lies where its id says."""
        try:
            return self.resolve(identity) == identity.id
        except ResourceIdError:
            return False

    def may_be(self, identity: ResourceId) -> bool:
        """Return whether an identity may be meant, judged by its id alone."""
        return bool(self._pattern.fullmatch(identity.key))
