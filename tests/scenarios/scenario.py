"""One scenario as its YAML file says it, and the short names that such files use.

`test_scenarios` plays every file, and `tools.scenarios` makes `docs/scenarios.md` of them.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from tests.world.ids import APPS, DATA, HOME, IDENTITIES, SUB
from tests.world.policies import Content, guardrails, named, rule

FOLDER: Final = Path(__file__).parent
OTHER: Final = f"{SUB}/resourceGroups/rg-other"
UNSEEN: Final = "22222222-2222-2222-2222-222222222222"
"""A subscription in which the app may do nothing, not even read."""
STORE: Final = f"{DATA}/providers/Microsoft.Storage/storageAccounts/store"
SCOPES: Final = {
    "rg-app": APPS,
    "rg-data": DATA,
    "rg-other": OTHER,
    "rg-unseen": f"/subscriptions/{UNSEEN}/resourceGroups/rg-unseen",
    "rg-id": IDENTITIES,
    "rg-reconciler": HOME,
    "store": STORE,
    "the subscription": SUB,
}
IDENTITY_NAMES: Final = ("shared", "second", "foreign")
"""The user-assigned identities that are there from the start."""

_MACHINE = re.compile(r"(?P<stem>vm|host)(?P<number>\d+)")
_RANGE = re.compile(rf"{_MACHINE.pattern} to (?P=stem)(?P<last>\d+)")
_PLACE_KEYS: Final = frozenset({"within", "scope", "id", "identities", "protected"})
"""The keys of policy and guardrails under which a scenario may write a short name for an id."""

type Step = str | dict[str, Any]
"""A sentence, or one with more below it, such as policy or further steps."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a machine or identity is to have; what is none is not compared.

    `ours` are those of its rights that the app counts as its own: made and last written by it, and
    marked for this machine or identity. `withheld` are codes of docs/holds.md.
    """

    there: bool = True
    carries: frozenset[str] | None = None
    holds: frozenset[str] | None = None
    ours: frozenset[str] | None = None
    withheld: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario: `steps` happen once the app has brought `machines` to what policy asks.

    `never` names rights that may not be missing once they were there (`vm1 without Reader at
    rg-app`), and machines that may not be patched while they are written (`vm1 patched while
    busy`). `takes` are the rights and identities of the living that the app may take away, `left`
    the rights that the dead keep, `blocked` the codes of what needs a person in the end, and
    `reported` of what did so on the way. `writes` and `calls` are the most that the app may make,
    none for any number. `end` is read by `expected`.
    """

    name: str
    title: str
    why: str
    steps: tuple[Step, ...]
    end: Mapping[str, Content | str]
    mode: int | None = None
    failure: str = ""
    policy: Content = field(default_factory=dict[str, Any])
    guardrails: Content = field(default_factory=dict[str, Any])
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    machines: str = "vm1"
    never: tuple[str, ...] = ()
    takes: frozenset[str] = frozenset()
    left: tuple[str, ...] = ()
    blocked: frozenset[str] = frozenset()
    reported: frozenset[str] = frozenset()
    writes: int | None = None
    calls: int | None = None


_KEYS: Final = frozenset(
    {
        *("title", "mode", "failure", "why", "policy", "guardrails", "settings", "machines"),
        *("happens", "never", "takes", "end", "left", "blocked", "reported", "writes", "calls"),
    }
)


def read(path: Path) -> Scenario:
    """Read a scenario; raises `ValueError` for a key that no scenario has."""
    content: Content = yaml.safe_load(path.read_text("utf-8"))
    if unknown := set(content) - _KEYS:
        raise ValueError(f"{path.name}: no scenario has {sorted(unknown)}")
    if ("mode" in content) is not ("failure" in content):
        raise ValueError(f"{path.name}: 'mode' and 'failure' go together")
    return Scenario(
        name=path.stem,
        title=content["title"],
        why=" ".join(content["why"].split()),
        steps=tuple(content["happens"]),
        end=content["end"],
        mode=content.get("mode"),
        failure=" ".join(content.get("failure", "").split()),
        policy=content.get("policy", {}),
        guardrails=content.get("guardrails", {}),
        settings=content.get("settings", {}),
        machines=content.get("machines", "vm1"),
        never=tuple(content.get("never", ())),
        takes=frozenset(content.get("takes", ())),
        left=tuple(content.get("left", ())),
        blocked=frozenset(content.get("blocked", ())),
        reported=frozenset(content.get("reported", ())),
        writes=content.get("writes"),
        calls=content.get("calls"),
    )


def expected(content: Mapping[str, Content | str]) -> dict[str, Expected]:
    """Return what is expected of each name, where `gone` is short for `{gone: true}`.

    Raises `TypeError` for a key that `Expected` does not have.
    """
    states: dict[str, Expected] = {}
    for listed, what in content.items():
        lists: Content = {"gone": True} if isinstance(what, str) else dict(what)
        there = not lists.pop("gone", False)
        for name in names(listed):
            states[name] = Expected(
                there, **{key: frozenset(value) for key, value in lists.items()}
            )
    return states


def scenarios() -> list[Scenario]:
    """Return all scenarios, in the order of their files' names."""
    return [read(path) for path in sorted(FOLDER.glob("*.yaml"))]


def names(listed: str) -> Iterator[str]:
    """Yield the names in a list such as `vm1, vm2 and vm3`, `vm1 to vm30` or none at all."""
    for part in re.split(r", | and ", listed):
        if match := _RANGE.fullmatch(part):
            for number in range(int(match["number"]), int(match["last"]) + 1):
                yield f"{match['stem']}{number}"
        elif part != "none":
            yield part


def place(name: str) -> str:
    """Return the id of a scope, machine (`vm1`, `rg-other/vm1`) or identity by its short name."""
    if name in SCOPES:
        return SCOPES[name]
    group, _, last = name.rpartition("/")
    if _MACHINE.fullmatch(last):
        return f"{SCOPES[group or 'rg-app']}/providers/Microsoft.Compute/virtualMachines/{last}"
    home = HOME if last == "reconciler" else IDENTITIES
    return f"{home}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{last}"


def written_policy(content: Content) -> Content:
    """Return a policy file: each rule and identity is the usual one but for what it says.

    A key without a value leaves the usual one out.
    """
    content = _with_ids(content)
    rules = [rule(**entry) for entry in content.get("rules", [{}])]
    identities: Content = {}
    for name, entry in content.get("identities", {"shared": {}}).items():
        identities |= named(name, **{"id": place(name)} | (entry or {}))
    for entry in (*rules, *identities.values()):
        for key in [key for key, value in entry.items() if value is None]:
            del entry[key]
    return {"version": 1} | content | {"rules": rules, "identities": identities}


def written_guardrails(content: Content) -> Content:
    """Return a guardrails file: the usual one but for the keys that are given."""
    return guardrails(**_with_ids(content))


def _with_ids(content: Any, key: str = "") -> Any:  # noqa: ANN401 (YAML)
    """Return YAML with short names replaced by ids where policy takes ids."""
    if isinstance(content, dict):
        return {name: _with_ids(value, name) for name, value in content.items()}
    if isinstance(content, list):
        return [_with_ids(value, key) for value in content]
    if key in _PLACE_KEYS and isinstance(content, str) and content[0] not in "/{":
        return place(content)
    return content
