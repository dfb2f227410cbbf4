"""`reconciler plan`: says what would change, and writes nothing."""

from collections.abc import Sequence
from typing import Annotated

import typer

from reconciler import report, settings
from reconciler.app import App
from reconciler.cli import look, terminal
from reconciler.cli.terminal import Format
from reconciler.report import Finding, counted, values


def plan(
    ids: look.Ids,
    output: Annotated[
        Format, typer.Option("--format", help="How to write the answer.")
    ] = Format.TEXT,
) -> int:
    """Show what would change and what is withheld; writes nothing.

    A machine's plan includes the identities that policy attaches to it. Exit code: 0 nothing to
    change and nothing withheld, 2 something to change or withheld, 1 error.
    """
    with look.opened(settings.from_environment()) as app:
        findings = look.parse(app, ids).findings()
        if output is Format.JSON:
            terminal.answer_json(values.plan(findings, app.policy))
        else:
            terminal.answer(report.plan_lines(findings, app.policy))
        warn_of_others(app, findings)
        if not app.settings.repair and any(finding.plan.todo for finding in findings):
            terminal.tell("note: RECONCILER_MODE is audit, so apply would refuse")
    return exit_code(findings)


def exit_code(findings: Sequence[Finding]) -> int:
    """Return 0 where nothing is to change and nothing withheld, else 2."""
    return 0 if all(finding.plan.compliant for finding in findings) else 2


def warn_of_others(app: App, findings: Sequence[Finding]) -> None:
    """Say where assignments look foreign only because we are not signed in as the app."""
    number, makers = look.made_by_others(app, findings)
    if number:
        terminal.tell(
            f"note: {counted(number, 'role assignment')} with this deployment's marker made by "
            f"{', '.join(sorted(makers))}; if that is the app, name it in RECONCILER_MAKERS"
        )
