"""`reconciler validate`: checks policy, without an account and without any other setting."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from reconciler.arm import API_VERSIONS
from reconciler.cli import terminal
from reconciler.cli.terminal import Format
from reconciler.errors import PolicyError
from reconciler.ids import fold
from reconciler.policy import load
from reconciler.report import counted


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
    for rule in policy.rules:
        for name in rule.match.type:
            if fold(name) not in API_VERSIONS:
                where = policy.origins.get(f"rule {rule.name}", str(folder))
                terminal.tell(f"note: {where}: this version does not reconcile {name}")
    rules, identities = len(policy.rules), len(policy.identities)
    if output is Format.JSON:
        read = {"digest": policy.digest, "rules": rules, "identities": identities}
        terminal.answer_json({**read, "problems": []})
    else:
        read_as_text = f"{counted(rules, 'rule')}, {counted(identities, 'identity', 'identities')}"
        terminal.answer([f"{folder}: {read_as_text}, digest {policy.digest[:12]}"])
    return 0
