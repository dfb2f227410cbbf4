"""ARM ids: parsed once, compared as Azure compares, refused where they could mean something else.

Every module names places in Azure by `ResourceId`; URLs and Resource Graph queries are built from
nothing else. An id with dot segments or escapes writes to another place than it names, because HTTP
clients normalise paths, so such ids are refused and never repaired.
"""

import re
import unicodedata
from dataclasses import dataclass, field
from typing import Self

from reconciler.errors import ResourceIdError

# Most ids are made of these signs alone, in which nothing can be wrong.
_PLAIN = re.compile(r"(?:/(?!\.+(?:/|\Z))[A-Za-z0-9_().-]+)+")
# What no segment may hold, and why it is refused; `{0!r}` is what was found.
_FAULTS = (
    (re.compile(r"\A\Z"), "it has an empty segment"),
    (re.compile(r"\A\.+\Z"), "it has a {0!r} segment"),
    (re.compile(r"\A\s|\s\Z"), "a segment has blanks at its edge"),
    (re.compile(r"[%?#\\\"'`]"), "it may not contain {0!r}"),
)
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_GUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")

_LONGEST = 2048
"""Characters. No real id comes near, and walking up the levels of one costs their square."""

_ONE_PAIR = 3
"""Length of the shortest block: namespace, type, name."""


def fold(text: str) -> str:
    """Return the spelling under which Azure's names are compared.

    Azure compares as .NET's ordinal comparison without case does: letter by letter, by the simple
    upper case. Python's `lower()` differs: it makes KELVIN SIGN and "k" the same, for example.
    """
    return text.lower() if text.isascii() else text.translate(_FOLDED)


class _Folded(dict[int, str]):
    """The compared form of each letter, derived from Python's Unicode data when first asked for.

    It is the lower case where that leads back to the same upper case, else the upper case itself.
    """

    def __missing__(self, code: int) -> str:
        """Return the form of a letter; only the few that have another one are kept."""
        letter = chr(code)
        upper = _simple_upper(letter)
        lower = upper.lower()
        form = lower if len(lower) == 1 and _simple_upper(lower) == upper else upper
        if form != letter:
            self[code] = form
        return form


_FOLDED = _Folded()


def _simple_upper(letter: str) -> str:
    """Return the upper case of a letter, or the letter itself where that is several letters.

    Python knows full case mappings only. Where the upper case is several letters and the title case
    is one, the title case is the simple one (as for the Greek letters with iota below).
    """
    # .NET keeps dotless i and long s apart from "I" and "S" in ordinal comparisons.
    if letter in "\N{LATIN SMALL LETTER DOTLESS I}\N{LATIN SMALL LETTER LONG S}":
        return letter
    return next((form for form in (letter.upper(), letter.title()) if len(form) == 1), letter)


def is_guid(text: str) -> bool:
    """Return whether the text is a GUID with dashes, in either case."""
    return _GUID.fullmatch(text.lower()) is not None


def dashless(guid: str) -> str:
    """Return a GUID without dashes, as cascaded deletes spell it (facts: Resource events)."""
    return guid.replace("-", "").lower()


@dataclass(frozen=True, slots=True)
class ResourceId:
    """An ARM id or scope; two are equal when their segments are, whatever the case.

    `str(id)` is the spelling that was parsed; `key` the one that is compared.
    """

    key: str
    text: str = field(compare=False, repr=False)
    subscription: str | None = field(compare=False, repr=False)
    group: str | None = field(compare=False, repr=False)
    blocks: tuple[tuple[str, ...], ...] = field(compare=False, repr=False)
    """Each `/providers/` part: namespace, type, name, and of children type and name again."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse an id, or raise `ResourceIdError` naming what is wrong with it.

        `/` is the tenant. Refused: empty segments and those of dots only, percent and question
        mark, hash, backslash, quotes, control and invisible characters, blanks at the edge of a
        segment, a type without a name, more than 2048 characters. Every other sign and the letters
        of all scripts may stand in Azure's names.
        """
        rest = _segments(text)
        places: dict[str, str] = {}
        for keyword in ("subscriptions", "resourcegroups"):
            # A group is one only in a subscription.
            if not rest or fold(rest[0]) != keyword:
                break
            if len(rest) == 1:
                raise ResourceIdError(f"{text!r} is not an ARM id: {rest[0]!r} lacks a name")
            places[keyword] = rest[1]
            del rest[:2]
        blocks: list[tuple[str, ...]] = []
        while rest:
            if fold(keyword := rest.pop(0)) != "providers":
                raise ResourceIdError(
                    f"{text!r} is not an ARM id: '/providers/' must follow a scope (or "
                    f"'/resourceGroups/' a subscription), not {keyword!r}"
                )
            # Only where a type would stand does the word begin another part; a name may be so.
            nexts = (at for at in range(1, len(rest), 2) if fold(rest[at]) == "providers")
            end = next(nexts, len(rest))
            block = tuple(rest[:end])
            if len(block) < _ONE_PAIR or len(block) % 2 == 0:
                last = f" after {block[-1]!r}" if block else ""
                raise ResourceIdError(f"{text!r} is not an ARM id: a type lacks its name{last}")
            blocks.append(block)
            del rest[:end]
        subscription, group = places.get("subscriptions"), places.get("resourcegroups")
        return cls(fold(text), text, subscription, group, tuple(blocks))

    def __str__(self) -> str:
        """Return the id as it was spelled."""
        return self.text

    @property
    def type(self) -> str:
        """The full type, such as `Microsoft.Compute/virtualMachines/extensions`."""
        if self.blocks:
            namespace, *pairs = self.blocks[-1]
            return "/".join([namespace, *pairs[0::2]])
        if self.group:
            return "Microsoft.Resources/subscriptions/resourceGroups"
        return "Microsoft.Resources/subscriptions" if self.subscription else "Microsoft.Resources"

    @property
    def name(self) -> str:
        """The last segment; empty for the tenant."""
        return self.text.rsplit("/", 1)[-1]

    @property
    def parent(self) -> Self | None:
        """The id one level up: the parent resource, else the scope it lies at; none for `/`."""
        if self.key == "/":
            return None
        alone = bool(self.blocks) and len(self.blocks[-1]) == _ONE_PAIR
        segments = 4 if alone else 2
        return self.parse(self.text.rsplit("/", segments)[0] or "/")

    @property
    def scope(self) -> Self:
        """Where an extension resource, such as a role assignment, lies."""
        if not self.blocks:
            return self
        return self.parse(self.text.rsplit("/", len(self.blocks[-1]) + 1)[0] or "/")

    @property
    def subscription_id(self) -> Self | None:
        """The id of the subscription that it lies in."""
        return self.parse(f"/subscriptions/{self.subscription}") if self.subscription else None

    @property
    def group_id(self) -> Self | None:
        """The id of the resource group that it lies in."""
        if not self.group:
            return None
        return self.parse(f"/subscriptions/{self.subscription}/resourceGroups/{self.group}")

    def contains(self, other: "ResourceId") -> bool:
        """Return whether `other` is this id or lies below it, segment by segment."""
        return self.key in {other.key, "/"} or other.key.startswith(self.key + "/")

    def is_type(self, type_name: str) -> bool:
        """Return whether this is a resource of that full type, whatever the case."""
        return fold(self.type) == fold(type_name)


def _segments(text: str) -> list[str]:
    """Return the segments of an id; raise `ResourceIdError` for one that must not be in an id."""
    if text == "/":
        return []
    if len(text) > _LONGEST:
        raise ResourceIdError(f"{text[:80]!r}... is not an ARM id: it is longer than {_LONGEST}")
    if not text.startswith("/"):
        raise ResourceIdError(f"{text!r} is not an ARM id: it must start with '/'")
    segments = text[1:].split("/")
    if _PLAIN.fullmatch(text):
        return segments
    for segment in segments:
        for fault, why in _FAULTS:
            if match := fault.search(segment):
                raise ResourceIdError(f"{text!r} is not an ARM id: {why.format(match[0])}")
        for character in segment:
            if unicodedata.category(character) in _INVISIBLE:
                raise ResourceIdError(
                    f"{text!a} is not an ARM id: it may not contain {character!a}"
                )
    return segments
