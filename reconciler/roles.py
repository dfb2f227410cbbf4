"""The built-in roles, and the rule by which a role is privileged.

Policy loading looks names up here without an account; plans apply `is_privileged` to custom roles;
`tools/roles.py` builds `roles.csv` with the same rule. The operations that it knows are in
`privileged.txt`.
"""

import csv
import functools
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from reconciler.suggestions import near_misses

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
        self._names: list[str] = []
        for role, former in roles:
            self._names += [role.name.strip(), *former]
            # A name that another role has now is that role's.
            for text in former:
                self._roles.setdefault(_key(text), role)
            self._roles |= {_key(role.guid): role, _key(role.name): role}

    def lookup(self, name_or_guid: str) -> Role | None:
        """Return the role of that name or GUID, if it is built in."""
        return self._roles.get(_key(name_or_guid))

    def names(self) -> list[str]:
        """Return the built-in names, former ones too, in order."""
        return sorted(set(self._names))

    def suggest(self, name: str) -> str | None:
        """Return the built-in name that `name` was probably meant to be."""
        words = set(_key(name).split())
        holding = [known for known in self._roles if words and words <= set(known.split())]
        near = near_misses(name.strip(), self._roles, cutoff=0.7)
        # A typo is nearer than any name that only has more words.
        typo = near_misses(name.strip(), near, cutoff=0.85)
        found = typo or sorted(holding, key=len) or near
        return self._roles[found[0]].name if found else None


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
    """Say whether one permission of a role definition reaches further than its scope.

    A role with several permissions is privileged when one of them is: what one withholds another
    may give. In doubt, as where several exclusions only together cover a family, the answer is yes.
    """
    known = _operations()
    return _reaches(actions, (*not_actions, *known.harmless), known.actions) or _reaches(
        data_actions, not_data_actions, known.data_actions
    )


def _key(text: str) -> str:
    # A few built-in names end in a blank.
    return text.strip().lower()


def _reaches(allowed: Iterable[str], excluded: Iterable[str], dangers: "_Patterns") -> bool:
    exclusions = [_matcher(pattern) for pattern in excluded]
    for action in (_STARS.sub("*", one.lower()) for one in allowed):
        # In Azure `a/*/b` also covers `a/b`, as Managed Identity Operator shows.
        for spelled in {action, action.replace("/*/", "/")}:
            for danger in dangers.met_by(spelled):
                if not any(matches(action) or matches(danger) for matches in exclusions):
                    return True
    return False


def _matcher(pattern: str) -> Callable[[str], object]:
    """Match what lies within `pattern`; a family does so where a `*` here covers its own."""
    first, *others = map(re.escape, pattern.lower().split("*"))
    if not others:
        return re.compile(first).fullmatch
    # The first place where a middle part fits is as good as any, so nothing is tried twice.
    middle = "".join(f"(?>.*?{part})" for part in others[:-1])
    return re.compile(f"{first}{middle}.*{others[-1]}", re.DOTALL).fullmatch


class _Patterns:
    """Patterns of operations, where `*` stands for any text, to be held against an action."""

    def __init__(self, lines: Iterable[str]) -> None:
        patterns = [one for line in lines for one in _alternatives(line)]
        self._whole = {pattern for pattern in patterns if "*" not in pattern}
        self._effects = [(one, _matcher(one)) for one in patterns if one.startswith("*")]
        self._named = [_Named(one) for one in patterns if not one.startswith("*")]

    def met_by(self, action: str) -> Iterator[str]:
        """Yield the patterns that some operation fits which the action covers."""
        if "*" in action:
            yield from (named.pattern for named in self._named if named.meets(action))
        else:
            yield from (pattern for pattern, fits in self._effects if fits(action))
            if action in self._whole:
                yield action
            yield from (one.pattern for one in self._named if one.family and one.meets(action))


class _Named:
    """One pattern that begins with a provider's name."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.family = "*" in pattern
        self._beginning = pattern.partition("*")[0]
        self._places: dict[str, int] = defaultdict(int)
        for place, sign in enumerate(pattern):
            self._places[sign] |= 1 << place

    def meets(self, action: str) -> bool:
        """Return whether some operation fits both this pattern and an action."""
        known = action.partition("*")[0]
        if not self._beginning.startswith(known) and not known.startswith(self._beginning):
            return False
        # Each bit is a place in the pattern that what was read of the action may have come to.
        any_text = self._places.get("*", 0)
        here = self._beyond(1)
        for sign in action:
            if sign == "*":
                # From the first of the places on, it may stand for whatever the pattern asks.
                here = (2 << len(self.pattern)) - (here & -here)
            else:
                here = self._beyond((here & self._places.get(sign, 0)) << 1 | here & any_text)
            if not here:
                return False
        return bool(here >> len(self.pattern))

    def _beyond(self, here: int) -> int:
        """Add the places behind a `*`, which may stand for nothing."""
        return here | (here & self._places.get("*", 0)) << 1


def _alternatives(pattern: str) -> Iterator[str]:
    """Yield a pattern once for each way to read its `(a|b)`, innermost first."""
    if found := _ALTERNATIVES.search(pattern):
        for one in found[1].split("|"):
            yield from _alternatives(pattern[: found.start()] + one + pattern[found.end() :])
    else:
        yield pattern


@dataclass(frozen=True, slots=True)
class _Operations:
    """What reaches further, and what only looks so by its name."""

    actions: _Patterns
    data_actions: _Patterns
    harmless: tuple[str, ...]


@functools.cache
def _operations() -> _Operations:
    """Return the operations that the package lists, read on first use."""
    lines: dict[str, list[str]] = defaultdict(list)
    section = ""
    for line in Path(__file__).with_name("privileged.txt").read_text("utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            lines[section].append(line.lower())
    clusters = product(lines["clusters"], lines["data actions in clusters"])
    return _Operations(
        _Patterns(lines["actions"]),
        _Patterns(lines["data actions"] + ["".join(pair) for pair in clusters]),
        tuple(lines["harmless actions"]),
    )
