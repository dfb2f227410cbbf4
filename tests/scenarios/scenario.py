"""One scenario as its YAML file says it, and the names in it.

`test_scenarios` plays each file, `tools.scenarios` writes `docs/scenarios.md` from them. A file is
read by people first: its steps are sentences, of which `steps` knows the forms.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from tests.world.ids import APPS, DATA, IDENTITIES, SUB, identity, machine
from tests.world.policies import Content

FOLDER: Final = Path(__file__).parent
OTHER: Final = f"{SUB}/resourceGroups/rg-other"
SCOPES: Final = {"rg-app": APPS, "rg-data": DATA, "rg-other": OTHER, "the subscription": SUB}
STORE: Final = f"{DATA}/providers/Microsoft.Storage/storageAccounts/store"

type Step = str | dict[str, Any]


@dataclass(frozen=True, slots=True)
class Expected:
    """What one machine or identity has in the end; what is not named is not checked."""

    carries: frozenset[str] | None = None
    holds: frozenset[str] | None = None
    withheld: frozenset[str] | None = None
    there: bool = True


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario: `steps` happen after a sweep has brought the fleet under `policy`.

    `never` names rights that may not be missing from the moment they were first there, as
    `vm1 without Reader at rg-app`. `writes` is the most that the app may write after the start.
    `dead_rights` are the rights of ours that may be left to principals that are no more.
    """

    name: str
    title: str
    why: str
    steps: tuple[Step, ...]
    end: dict[str, Expected]
    mode: int | None = None
    policy: Content = field(default_factory=dict[str, Any])
    guardrails: Content = field(default_factory=dict[str, Any])
    settings: dict[str, str] = field(default_factory=dict[str, str])
    faults: dict[str, Any] = field(default_factory=dict[str, Any])
    machines: tuple[str, ...] = ("vm1",)
    never: tuple[str, ...] = ()
    writes: int | None = None
    dead_rights: int = 0


_KEYS: Final = {
    "title", "why", "mode", "policy", "guardrails", "settings", "faults", "machines", "happens",
    "end", "never", "writes", "deadRights",
}  # fmt: skip


def read(path: Path) -> Scenario:
    """Read a scenario; raises `ValueError` for a key that no scenario has."""
    content: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    if unknown := set(content) - _KEYS:
        raise ValueError(f"{path.name}: no scenario has {sorted(unknown)}")
    return Scenario(
        name=path.stem,
        title=content["title"],
        why=" ".join(content["why"].split()),
        steps=tuple(content["happens"]),
        end={name: _expected(path, what) for name, what in content["end"].items()},
        mode=content.get("mode"),
        policy=content.get("policy", {}),
        guardrails=content.get("guardrails", {}),
        settings=content.get("settings", {}),
        faults=content.get("faults", {}),
        machines=tuple(content.get("machines", ["vm1"])),
        never=tuple(content.get("never", [])),
        writes=content.get("writes"),
        dead_rights=content.get("deadRights", 0),
    )


def _expected(path: Path, what: Content | str) -> Expected:
    if isinstance(what, str):
        if what != "gone":
            raise ValueError(f"{path.name}: an end is 'gone' or names what is there, not {what!r}")
        return Expected(there=False)
    if unknown := set(what) - {"carries", "holds", "withheld"}:
        raise ValueError(f"{path.name}: no end has {sorted(unknown)}")
    named = {key: frozenset[str](names) for key, names in what.items()}
    return Expected(named.get("carries"), named.get("holds"), named.get("withheld"))


def scenarios() -> list[Scenario]:
    """Return all scenarios, in the order of their files' names."""
    return [read(path) for path in sorted(FOLDER.glob("*.yaml"))]


def place(name: str) -> str:
    """Return the id of a machine (`vm1`, `rg-other/vm1`), scope or identity by its short name."""
    if name in SCOPES:
        return SCOPES[name]
    group, _, last = name.rpartition("/")
    if last.startswith(("vm", "host", "runner")):
        return machine(last, SCOPES[group or "rg-app"])
    return identity(last) if not group else f"{SCOPES[group].replace(APPS, IDENTITIES)}/{last}"
