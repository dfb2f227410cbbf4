"""`reconciler validate`: checks policy, without an account and without any other setting."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli import notes, terminal
from reconciler.cli.terminal import Format
from reconciler.errors import PolicyError
from reconciler.policy import load
from reconciler.render.text import counted


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
    # They may explain a mistake, so they are told in any case.
    noted = list(load.unread_files(folder))
    try:
        policy = load.load(folder)
    except PolicyError as error:
        _tell(noted)
        if output is Format.JSON:
            problems = [asdict(problem) for problem in error.problems]
            terminal.answer_json({"problems": problems, "notes": noted})
            return 1
        for problem in error.problems:
            terminal.tell(str(problem))
        terminal.tell(f"{counted(len(error.problems), 'problem')} in {folder}")
        return 1
    noted += notes.of(policy, datetime.now(UTC))
    _tell(noted)
    rules, identities = len(policy.rules), len(policy.identities)
    if output is Format.JSON:
        read = {"digest": policy.digest, "rules": rules, "identities": identities}
        terminal.answer_json({**read, "problems": [], "notes": noted})
    else:
        read_as_text = f"{counted(rules, 'rule')}, {counted(identities, 'identity', 'identities')}"
        terminal.answer([f"{folder}: {read_as_text}, digest {policy.digest[:12]}"])
    return 0


def _tell(noted: list[str]) -> None:
    for note in noted:
        terminal.tell(f"note: {note}")
