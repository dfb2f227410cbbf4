"""`reconciler validate`: checks policy, without an account and without any other setting."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from reconciler.arm import API_VERSIONS
from reconciler.cli import terminal
from reconciler.cli.terminal import Format
from reconciler.errors import PolicyError
from reconciler.ids import fold
from reconciler.model import Mode
from reconciler.policy import desired, load
from reconciler.policy.language import Policy
from reconciler.report import counted

_ALL = 100
"""The share of its matches that a rule has without `rollout`, in percent."""


def validate(
    folder: Annotated[
        Path, typer.Argument(envvar="RECONCILER_POLICIES", help="The folder with the policy files.")
    ] = Path("policies"),
    output: Annotated[
        Format, typer.Option("--format", help="How to write the answer.")
    ] = Format.TEXT,
) -> int:
    """Check all policy files as one; needs no account.

    Every mistake is told as file:line:column: message. Exit code: 0 sound, 1 mistakes.
    """
    try:
        policy = load.load(folder)
    except PolicyError as error:
        if output is Format.JSON:
            terminal.answer_json({"problems": [asdict(problem) for problem in error.problems]})
            return 1
        for problem in error.problems:
            terminal.tell(str(problem))
        terminal.tell(f"{counted(len(error.problems), 'problem')} in {folder}")
        return 1
    for path in load.unread(folder):
        terminal.tell(f"note: {path} is not read: it lies in a folder of its own")
    for note in _notes(policy):
        terminal.tell(f"note: {note}")
    rules, identities = len(policy.rules), len(policy.identities)
    if output is Format.JSON:
        read = {"digest": policy.digest, "rules": rules, "identities": identities}
        terminal.answer_json({**read, "problems": []})
    else:
        read_as_text = f"{counted(rules, 'rule')}, {counted(identities, 'identity', 'identities')}"
        terminal.answer([f"{folder}: {read_as_text}, digest {policy.digest[:12]}"])
    return 0


def _notes(policy: Policy) -> Iterator[str]:
    """Yield what is sound but does nothing, or not what its author may think."""
    yield from _of_exemptions(policy)
    yield from _of_rules(policy)


def _of_exemptions(policy: Policy) -> Iterator[str]:
    for number, exemption in enumerate(policy.exemptions):
        where = policy.origins[f"exemption {number}"]
        if not exemption.in_force(datetime.now(UTC)):
            yield f"{where}: the exemption of {exemption.scope} is past: {exemption.expires}"
        elif not desired.reaches(policy, exemption.scope):
            yield (
                f"{where}: no rule and no identity speaks of {exemption.scope}: its exemption can "
                "only keep what policy once granted there"
            )


def _of_rules(policy: Policy) -> Iterator[str]:
    for rule in policy.rules:
        where = policy.origins[f"rule {rule.name}"]
        for name in rule.match.type:
            if fold(name) not in API_VERSIONS:
                yield f"{where}: this version does not reconcile {name}"
        if rule.mode is Mode.AUDIT:
            if rule.rollout < _ALL:
                yield f"{where}: rollout has no effect without mode: repair"
            continue
        for name in rule.attach:
            identity = policy.identities[name]
            if identity.mode is Mode.AUDIT and identity.grants:
                yield f"{where}: '{name}' is attached, but its own mode is audit: it gets no rights"
