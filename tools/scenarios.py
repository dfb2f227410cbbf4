"""Write docs/scenarios.md, what may happen to machines and what the app makes of it.

Run by `make docs`. The scenarios are the YAML files in tests/scenarios, which the tests play; the
page shows each step by step, after a table of the known ways in which a reconciler fails.
"""

import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.scenarios.scenario import (
    IDENTITY_NAMES,
    SCOPES,
    Scenario,
    Step,
    place,
    scenarios,
    written_guardrails,
    written_policy,
)

PAGE = Path(__file__).parent.parent / "docs" / "scenarios.md"

_HEAD = """\
<!-- Made by `make docs` from the files in tests/scenarios. -->

# Scenarios

What may happen to machines, identities and rights, and what the app makes of it. Each scenario is a
file in [`tests/scenarios`](../tests/scenarios), which the tests play on a local Azure: the app
hears every event, and time passes on a clock that the tests turn.

A scenario starts from one machine, `vm1`, in the resource group `rg-app`, which is as policy asks.
Other groups are `rg-other` and `rg-data`, in which the storage account `store` lies; `rg-unseen`
lies in a subscription in which the app has no rights. There are the user-assigned identities
{identities}, and it is noon on 1 March 2026. A machine that is built has a system-assigned identity
where nothing else is said. What happens without a person's name is done by somebody who may do
everything.

This is the usual policy, with short names in place of ids. Where a scenario has policy of its own,
its rules and identities are these but for the keys that they name; a key without a value is left
out.

```yaml
{policy}```

Its guardrails:

```yaml
{guardrails}```

At every moment of every scenario these hold, too:

* Nothing changes that the app did not make: rights, identities on machines, tags, whole resources.
* Nobody who is alive loses a right or an identity, but for what the app is said to take away.
* In audit mode nothing is written.
* Nothing [needs a person](failures.md), where it is not said.

The app calls a right its own that it made, that nobody else has written since, and whose marker
names its holder. In the end everything is as policy asks, nothing is [withheld](holds.md), and the
dead keep no rights, where nothing else is said.

## Twenty ways to fail

| | what goes wrong in a reconciler | the scenario |
|---|---|---|
"""


def page() -> str:
    """Return the whole page."""
    played = scenarios()
    text = _HEAD.format(
        identities=_joined([f"`{name}`" for name in IDENTITY_NAMES]),
        policy=_short(_yaml(written_policy({}))),
        guardrails=_short(_yaml(written_guardrails({}))),
    )
    for scenario in sorted(played, key=lambda scenario: scenario.mode or 0):
        if scenario.mode:
            link = f"[{scenario.title}](#{slug(scenario.title)})"
            text += f"| {scenario.mode} | {scenario.failure} | {link} |\n"
    for scenario in played:
        text += "\n" + "\n".join(_section(scenario)) + "\n"
    return text


def slug(title: str) -> str:
    """Return the anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def _section(scenario: Scenario) -> Iterator[str]:
    """Yield the lines of one scenario."""
    yield f"## {scenario.title}\n"
    yield f"{textwrap.fill(scenario.why, 100, break_on_hyphens=False)}\n"
    start = {
        "machines": scenario.machines if scenario.machines != "vm1" else None,
        "settings": dict(scenario.settings),
        "policy": scenario.policy,
        "guardrails": scenario.guardrails,
    }
    if start := {key: value for key, value in start.items() if value}:
        yield f"It starts from:\n\n```yaml\n{_yaml(start)}```\n"
    yield from _steps(scenario.steps)
    yield "\nIn the end:\n"
    for name, what in scenario.end.items():
        yield f"* {_state(name, what)}."
    if scenario.blocked:
        yield f"* {_joined([f'`{code}`' for code in sorted(scenario.blocked)])} needs a person."
    if scenario.reported:
        codes = _joined([f"`{code}`" for code in sorted(scenario.reported)])
        yield f"* On the way {codes} needed a person."
    if scenario.left:
        yield f"* The dead keep {_joined(scenario.left)}."
    if scenario.takes:
        yield f"* The app took away {_joined(sorted(scenario.takes))}."
    for statement in scenario.never:
        yield f"* Never was {statement}."
    limits = (("write", scenario.writes), ("call", scenario.calls))
    counts = [f"{most} {what}{'s' * (most != 1)}" for what, most in limits if most]
    if scenario.writes == 0:
        yield "* The app wrote nothing."
    if counts:
        yield f"* The app made at most {_joined(counts)}."
    yield f"\n[{scenario.name}.yaml](../tests/scenarios/{scenario.name}.yaml)"


def _steps(steps: tuple[Step, ...] | list[Step], indent: str = "") -> Iterator[str]:
    """Yield steps as a numbered list; what lies below one is indented."""
    for number, step in enumerate(steps, start=1):
        if isinstance(step, str):
            yield f"{indent}{number}. {_sentence(step)}."
            continue
        ((sentence, content),) = step.items()
        yield f"{indent}{number}. {_sentence(sentence)}:"
        below = indent + "   "
        if isinstance(content, list):
            yield from _steps(content, below)
        elif sentence == "now":
            yield from (f"{below}* {_state(name, what)}." for name, what in content.items())
        else:
            yield ""
            block = f"```yaml\n{_yaml(content)}```"
            yield from (f"{below}{line}" for line in block.splitlines())
            yield ""


def _sentence(text: str) -> str:
    """Return a sentence with a capital, unless it begins with a name."""
    first = re.split(r"[ ']", text)[0]
    is_name = first in {*IDENTITY_NAMES, *SCOPES, "vmidentity"} or any(map(str.isdigit, first))
    return text if is_name else text[0].upper() + text[1:]


def _state(name: str, what: str | Mapping[str, Any]) -> str:
    """Return what a machine or identity has, in words."""
    plural = " to " in name or " and " in name
    if what == "gone":
        return f"{name} {'are' if plural else 'is'} gone"
    assert not isinstance(what, str)  # noqa: S101 - `gone` is the only word
    parts: list[str] = []
    if what.get("gone"):
        parts.append("are gone" if plural else "is gone")
    if "carries" in what:
        system = "system-assigned identities" if plural else "system-assigned identity"
        carried = [
            f"{'their' if plural else 'its'} {system}" if identity == "system" else identity
            for identity in what["carries"]
        ]
        parts.append(f"carr{'y' if plural else 'ies'} {_joined(carried) or 'no identity'}")
    if "holds" in what:
        parts.append(f"hold{'s' * (not plural)} {_joined(what['holds']) or 'no right'}")
    text = f"{name} {_joined(parts)}"
    if what.get("ours") and what["ours"] == what.get("holds"):
        text += ", which the app calls its own"
    elif "ours" in what:
        text += f"; the app calls {_joined(what['ours']) or 'none of it'} its own"
    if "withheld" in what:
        held = _joined([f"`{hold}`" for hold in what["withheld"]])
        text += f"; the app withholds changes as {held}"
    return text


def _joined(texts: list[str] | tuple[str, ...]) -> str:
    *first, last = texts or [""]
    return f"{', '.join(first)} and {last}" if first else last


def _short(text: str) -> str:
    """Return YAML with ids replaced by their short names."""
    for name in (*SCOPES, *IDENTITY_NAMES):
        text = re.sub(rf"{re.escape(place(name))}$", name, text, flags=re.MULTILINE)
    return text


def _yaml(content: object) -> str:
    """Return YAML in the form in which people write it."""
    text: str = yaml.safe_dump(content, sort_keys=False, width=110)
    return text.replace(": null\n", ":\n")


def main() -> int:
    """Write the page."""
    PAGE.write_text(page(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
