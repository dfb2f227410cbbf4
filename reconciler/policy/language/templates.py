"""Placeholders: what may stand in braces, and what comes of it for one resource or identity.

Nothing that a person may choose freely, such as a name or a tag's value, ever becomes part of an
id: a tag only picks a key of a reviewed map.
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

OF_IDENTITIES: Final = ("subscription", "location")
"""What an identity's id may hold."""

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_MAP_ENTRY = re.compile(r"maps\.(?P<map>[^\[\]]+)\[(?:location|tags\.(?P<tag>[^\[\]]+))\]")
_NOT_IN_LOCATIONS = re.compile(r"[^a-z0-9]")

type Maps = Mapping[str, Mapping[str, ResourceId]]


@functools.lru_cache(1024)
def location_name(text: str) -> str:
    """Return a location as Azure names it: "West Europe" and westeurope are the same."""
    return _NOT_IN_LOCATIONS.sub("", fold(text))


@dataclass(frozen=True, slots=True)
class Place:
    """What placeholders speak of: a resource or identity, with what is known of it so far."""

    id: ResourceId
    location: str = ""
    tags: Mapping[str, str] = field(default_factory=dict[str, str])

    def value(self, name: str) -> str:
        """Return what `{name}` stands for; empty where nothing is known."""
        # Texts and no ids: what comes of a whole template is parsed, once.
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

    def tag(self, name: str) -> str | None:
        """Return a tag's value; the case of its name does not matter in Azure."""
        return next((self.tags[one] for one in self.tags if fold(one) == fold(name)), None)


@dataclass(frozen=True, slots=True)
class MapEntry:
    """`maps.<map>[location]` or, with a tag, `maps.<map>[tags.<tag>]`."""

    map: str
    tag: str | None

    @classmethod
    def parse(cls, name: str) -> "MapEntry | None":
        """Read what stands in braces; none where it is no entry of a map."""
        found = _MAP_ENTRY.fullmatch(name)
        return cls(found["map"], found["tag"]) if found else None

    def pick(self, place: Place, maps: Maps) -> ResourceId:
        """Return the entry that the place picks; raises `ResourceIdError` unless there is one."""
        key = place.tag(self.tag) if self.tag else location_name(place.location)
        if not key:
            wanted = f"tag '{self.tag}'" if self.tag else "location"
            raise ResourceIdError(f"it picks from maps.{self.map}, but no {wanted} is known")
        entries = maps.get(self.map, {}).items()
        found = [one for name, one in entries if key == (name if self.tag else location_name(name))]
        if len(found) != 1:
            has = "more than one key for" if found else "no key"
            raise ResourceIdError(f"maps.{self.map} has {has} '{key}'")
        return found[0]


def names(template: str) -> list[str]:
    """Return what stands in braces, in order."""
    return _PLACEHOLDER.findall(template)


def entries(template: str) -> list[MapEntry]:
    """Return the entries of maps that a template picks, in order."""
    return [entry for name in names(template) if (entry := MapEntry.parse(name))]


def has_lone_brace(template: str) -> bool:
    """Tell whether a brace opens or closes nothing."""
    return bool(re.search(r"[{}]", _PLACEHOLDER.sub("", template)))


def runs_on(template: str) -> str | None:
    """Return a placeholder for a whole id that does not begin the template as one, or none."""
    for found in _PLACEHOLDER.finditer(template):
        end = found.end()
        alone = found.start() == 0 and template[end : end + 1] in {"", "/"}
        if found.group(1) != "location" and not alone:
            return found.group()
    return None


def with_entries(scope: str, maps: Maps) -> Iterator[str]:
    """Yield a scope for each entry of the map that it picks from; it can only begin with one."""
    for name in names(scope):
        if entry := MapEntry.parse(name):
            for value in maps.get(entry.map, {}).values():
                yield scope.replace(f"{{{name}}}", str(value))
            return
    yield scope


_parsed = functools.lru_cache(4096)(ResourceId.parse)
"""Resources share their groups and what maps hold, and a sweep asks for each of them."""


def fill(template: str, place: Place, maps: Maps) -> ResourceId:
    """Put values in for placeholders, or raise `ResourceIdError`, also for a missing one."""

    def value(found: re.Match[str]) -> str:
        name = found.group(1)
        entry = MapEntry.parse(name)
        known = str(entry.pick(place, maps)) if entry else place.value(name)
        if not known:
            raise ResourceIdError(f"nothing is known for '{{{name}}}'")
        return known

    return _parsed(_PLACEHOLDER.sub(value, template))


def beginning(template: str) -> tuple[ResourceId, bool] | None:
    """Return the longest id that a template begins with, and whether that is all of it."""
    known, brace, _ = template.partition("{")
    if not brace:
        return _parsed(known), True
    while "/" in known:
        known = known.rpartition("/")[0]
        with contextlib.suppress(ResourceIdError):
            return _parsed(known), False
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
        """Read an id that may hold `{subscription}` and `{location}`; both are checked already."""
        return cls(text, None if names(text) else ResourceId.parse(text), _pattern(text))

    @property
    def subscription(self) -> str:
        """What comes before `/resourceGroups/`."""
        return "/".join(self.text.split("/")[: self._subscription_ends])

    @property
    def group(self) -> str:
        """What comes before `/providers/`."""
        return "/".join(self.text.split("/")[: self._subscription_ends + 2])

    @property
    def _subscription_ends(self) -> int:
        return 1 if self.text.startswith("{") else 3

    def of(self, place: Place) -> ResourceId:
        """Return the identity that is meant for a place, or raise `ResourceIdError`."""
        return self.exact or fill(self.text, place, {})

    def is_of(self, identity: Place) -> bool:
        """Tell whether an identity is meant here; it must lie where its id says."""
        try:
            return self.of(identity) == identity.id
        except ResourceIdError:
            return False

    def may_be(self, identity: ResourceId) -> bool:
        """Tell whether an identity may be meant here, judged by its id alone."""
        return bool(self._pattern.fullmatch(identity.key))


def _pattern(template: str) -> re.Pattern[str]:
    """Return what the keys of a template's identities look like."""
    parts: list[str] = []
    for number, part in enumerate(_PLACEHOLDER.split(template)):
        if number % 2 == 0:
            parts.append(re.escape(fold(part)))
        elif part == "subscription":
            parts.append("/subscriptions/[^/]+")
        else:
            again = any("?P<location>" in known for known in parts)
            parts.append("(?P=location)" if again else "(?P<location>[a-z0-9]+)")
    return re.compile("".join(parts))
