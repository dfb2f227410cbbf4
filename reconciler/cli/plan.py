"""`reconciler plan`: says what would change, and writes nothing."""

from collections.abc import Sequence
from typing import Annotated

import typer

from reconciler import settings
from reconciler.app import App
from reconciler.cli import look, terminal
from reconciler.cli.terminal import Format
from reconciler.ids import ResourceId
from reconciler.render import json, text
from reconciler.render.text import Finding, counted


def plan(
    ids: look.Ids,
    output: Annotated[
        Format, typer.Option("--format", help="How to write the answer.")
    ] = Format.TEXT,
) -> int:
    """Show what would change and what is withheld; writes nothing.

    A machine's plan includes the identities that policy attaches to it. Exit code: 0 nothing to
    change and nothing withheld but by a rollout or an exemption, 2 something to change or withheld,
    1 error, or an id that is nowhere.
    """
    with look.opened(settings.from_environment()) as app:
        subjects = look.parse(app, ids)
        findings = subjects.findings()
        if output is Format.JSON:
            terminal.answer_json(json.plan(findings, app.policy))
        else:
            terminal.answer(text.plan_lines(findings, app.policy))
        warn_of_others(app, findings)
        if not app.settings.repair and any(finding.plan.todo for finding in findings):
            terminal.tell("note: RECONCILER_MODE is audit, so apply would refuse")
        nowhere = subjects.nowhere(findings)
        for place in nowhere:
            terminal.fail(is_nowhere(place))
    return 1 if nowhere else exit_code(findings)


def exit_code(findings: Sequence[Finding]) -> int:
    """Return 0 where only a rollout or an exemption holds something back, else 2."""
    return 0 if all(finding.plan.settled for finding in findings) else 2


def is_nowhere(place: ResourceId) -> str:
    """Say what to check about an id that is not there and that nothing of ours names."""
    return (
        f"{place} is nowhere: Azure does not find it, and nothing of ours names it; check its "
        "subscription, group, type and name, or wait some minutes where it was only just made"
    )


def warn_of_others(app: App, findings: Sequence[Finding]) -> None:
    """Say where assignments look foreign only because we are not signed in as the app."""
    number, writers = look.made_by_others(app, findings)
    if number:
        terminal.tell(
            f"note: {counted(number, 'role assignment')} with this deployment's marker made or "
            f"last written by {', '.join(sorted(writers))}; only if that is the app, name it in "
            "RECONCILER_MAKERS"
        )
