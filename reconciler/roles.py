"""The built-in roles, and the rule by which a role is privileged.

Policy loading looks names up here without an account; plans apply `is_privileged` to custom roles;
`tools/roles.py` builds `roles.csv` with the same rule. The operations that it knows are in
`privileged.txt`.
"""

import csv
import functools
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from reconciler.wording import nearest

_ALTERNATIVES = re.compile(r"\(([^()]*)\)")
_STARS = re.compile(r"\*+")


@dataclass(frozen=True, slots=True)
class Role:
    """A role; `privileged` as `is_privileged` judged its definition, or true until it is read."""

    name: str
    guid: str
    privileged: bool

    @property
    def custom(self) -> bool:
        """Whether the table does not know it; then its name is the id of its definition."""
        return self.name.startswith("/")

    @property
    def by_guid(self) -> bool:
        """Whether that id says no more than its GUID, so that it may be a young built-in role."""
        return self.name.lower().startswith("/providers/")


class RoleTable:
    """Roles by GUID and by the names that they have or had, whatever the case, as of a day."""

    def __init__(self, roles: Iterable[tuple[Role, Sequence[str]]], as_of: str) -> None:
        self.as_of = as_of
        self._roles: dict[str, Role] = {}
        self._names: set[str] = set()
        for role, former in roles:
            self._names |= {role.name.strip(), *former}
            # A name that another role has now is that role's.
            for name in former:
                self._roles.setdefault(_key(name), role)
            self._roles |= {_key(role.guid): role, _key(role.name): role}

    def lookup(self, name_or_guid: str) -> Role | None:
        """Return the role of that name or GUID, if it is built in."""
        return self._roles.get(_key(name_or_guid))

    def names(self) -> list[str]:
        """Return the built-in names, former ones too, in order."""
        return sorted(self._names)

    def suggest(self, name: str) -> str | None:
        """Return the built-in name that `name` was probably meant to be, none for no near one."""
        sought = _key(name)
        near = nearest(sought, self._roles, cutoff=0.7)
        # A typo is nearer than any name that only has more words.
        if not near or not nearest(sought, [near], cutoff=0.85):
            words = set(sought.split())
            holding = [role for role in self._roles if words and words <= set(role.split())]
            near = min(holding, key=len, default=near)
        return self._roles[near].name if near else None


@functools.cache
def table() -> RoleTable:
    """Return the built-in roles, read from the package on first use."""
    # Not by importlib.resources, whose import alone takes three times as long as all of this.
    text = Path(__file__).with_name("roles.csv").read_text("utf-8")
    first, _, *lines = text.splitlines()
    roles = (
        (Role(name, guid, privileged == "true"), formerly.split(";") if formerly else ())
        for name, guid, privileged, formerly in csv.reader(lines)
    )
    return RoleTable(roles, first.rpartition(" ")[2])


def role_name(guid: str) -> str:
    """Return what people call a role: a built-in one's name, and the GUID of any other."""
    role = table().lookup(guid)
    return role.name if role else f"role {guid}"


def is_privileged(
    actions: Iterable[str],
    not_actions: Iterable[str] = (),
    data_actions: Iterable[str] = (),
    not_data_actions: Iterable[str] = (),
) -> bool:
    """Return whether one permission of a role definition reaches further than its scope.

    A role with several permissions is privileged when one of them is: what one withholds another
    may give. In doubt, as where several exclusions only together cover a family, the answer is yes.
    """
    lines = _operations()
    excluded = (*not_actions, *lines["harmless actions"])
    return _reaches(actions, excluded, _dangers("actions")) or _reaches(
        data_actions, not_data_actions, _dangers("data actions")
    )


def _key(text: str) -> str:
    # A few built-in names end in a blank.
    return text.strip().lower()


def _reaches(allowed: Iterable[str], excluded: Iterable[str], dangers: "_Dangers") -> bool:
    exclusions = [_matcher(pattern) for pattern in excluded]
    for action in (_STARS.sub("*", text.lower()) for text in allowed):
        # In Azure `a/*/b` also covers `a/b`, as Managed Identity Operator shows.
        for spelled in {action, action.replace("/*/", "/")}:
            for danger in dangers.met_by(spelled):
                if not any(matches(action) or matches(danger) for matches in exclusions):
                    return True
    return False


def _matcher(pattern: str) -> Callable[[str], object]:
    """Return what matches within `pattern`; a family does where a `*` here covers its own."""
    first, *others = map(re.escape, pattern.lower().split("*"))
    if not others:
        return re.compile(first).fullmatch
    # The first place where a middle part fits is as good as any, so nothing is tried twice.
    middle = "".join(f"(?>.*?{part})" for part in others[:-1])
    return re.compile(f"{first}{middle}.*{others[-1]}", re.DOTALL).fullmatch


class _Dangers:
    """Patterns of operations, where `*` stands for any text, to be held against an action."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._whole = {pattern for pattern in patterns if "*" not in pattern}
        # An effect, such as listing keys, whoever's operation it is.
        self._effects = {
            pattern: _matcher(pattern) for pattern in patterns if pattern.startswith("*")
        }
        self._named = [pattern for pattern in patterns if not pattern.startswith("*")]
        self._families = [pattern for pattern in self._named if "*" in pattern]

    def met_by(self, action: str) -> Iterator[str]:
        """Yield the patterns that some operation fits which the action covers."""
        if "*" in action:
            yield from (pattern for pattern in self._named if _meet(pattern, action))
        else:
            yield from (pattern for pattern, matches in self._effects.items() if matches(action))
            if action in self._whole:
                yield action
            yield from (pattern for pattern in self._families if _meet(pattern, action))


def _meet(pattern: str, action: str) -> bool:
    """Return whether some operation fits both a pattern, which begins with no `*`, and an action.

    Whoever writes a role definition must not stall a plan: this takes as long as the action is.
    """
    start, beginning = action.partition("*")[0], pattern.partition("*")[0]
    if not beginning.startswith(start) and not start.startswith(beginning):
        return False
    # Each bit is a place in the pattern that what was read of the action may have come to.
    places = _places(pattern)
    any_text = places.get("*", 0)
    here = 1
    for sign in action:
        if sign == "*":
            # From the first of the places on, it may stand for whatever the pattern asks.
            here = (2 << len(pattern)) - (here & -here)
        else:
            here = (here & places.get(sign, 0)) << 1 | here & any_text
            # A `*` of the pattern may stand for nothing.
            here |= (here & any_text) << 1
        if not here:
            return False
    return bool(here >> len(pattern))


@functools.cache
def _places(pattern: str) -> Mapping[str, int]:
    """Return where each sign stands in a pattern, one bit for each place."""
    places: dict[str, int] = defaultdict(int)
    for place, sign in enumerate(pattern):
        places[sign] |= 1 << place
    return places


@functools.cache
def _dangers(section: str) -> _Dangers:
    lines = _operations()
    patterns = lines[section]
    if section == "data actions":
        clusters = product(lines["clusters"], lines["data actions in clusters"])
        patterns = [*patterns, *map("".join, clusters)]
    return _Dangers([plain for pattern in patterns for plain in _alternatives(pattern)])


def _alternatives(pattern: str) -> Iterator[str]:
    """Yield a pattern once for each way to read its `(a|b)`, innermost first."""
    if match := _ALTERNATIVES.search(pattern):
        for choice in match[1].split("|"):
            yield from _alternatives(pattern[: match.start()] + choice + pattern[match.end() :])
    else:
        yield pattern


@functools.cache
def _operations() -> Mapping[str, list[str]]:
    """Return the lines of `privileged.txt` by section, read on first use."""
    sections: dict[str, list[str]] = defaultdict(list)
    section = ""
    for line in Path(__file__).with_name("privileged.txt").read_text("utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            sections[section].append(line.lower())
    return sections
