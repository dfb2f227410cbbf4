"""`reconciler apply`: shows the plan, asks, and brings the subjects to it."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from reconciler import changes, settings
from reconciler.app import App
from reconciler.changes import CreateIdentity, Status, is_unwanted
from reconciler.cli import look, terminal
from reconciler.cli.interrupt import Interrupted
from reconciler.cli.look import Look
from reconciler.cli.plan import exit_code, is_nowhere, warn_of_others
from reconciler.cli.terminal import Format
from reconciler.cli.work import Work
from reconciler.errors import ReconcilerError
from reconciler.ids import ResourceId
from reconciler.model import Request, UserIdentity
from reconciler.render import json, text
from reconciler.render.text import Finding
from reconciler.settings import Settings

_Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
_Expect = Annotated[
    str,
    typer.Option(
        metavar="FINGERPRINT",
        help="Refuse unless the plan has this fingerprint.",
        show_default=False,
    ),
]
_Minutes = Annotated[
    float, typer.Option(metavar="MINUTES", min=0, help="Wait no longer than this.")
]
_Output = Annotated[Format, typer.Option("--format", help="How to write the answer.")]


def apply(
    ids: look.Ids,
    *,
    yes: _Yes = False,
    expect: _Expect = "",
    timeout: _Minutes = 60,
    output: _Output = Format.TEXT,
) -> int:
    """Show the plan, ask, and carry it out.

    Goes on until nothing is left to do, and waits for what needs time, such as a machine that is
    still being built. Where an identity or machine has changed since the plan was shown, nothing is
    done to it. Rights that are kept until what replaces them is there go only where a person says
    so when asked once more. Exit code, by the plan after it: 0 nothing left but what a rollout or
    an exemption holds back, 2 something is left or withheld; 1 error, refused or blocked.
    """
    told = settings.from_environment()
    _refuse(told, yes=yes, output=output)
    with look.opened(told) as app:
        subjects = look.parse(app, ids)
        before = subjects.findings()
        if output is Format.TEXT:
            terminal.answer(text.plan_lines(before, app.policy))
            warn_of_others(app, before)
        _check(subjects, before, expect)
        confirmed = _confirmed(subjects, before, yes=yes)
        work = Work(app, timeout, told_at_once=output is Format.TEXT)
        after = None
        try:
            after = _carried_out(subjects, work, confirmed) if confirmed else before
        finally:
            # What was done is told, however it ended.
            _conclude(app, before, after, work, output)
        _tell_of_others(work, after)
    blocked = any(outcome.status is Status.BLOCKED for outcome in work.outcomes)
    return 1 if blocked else exit_code(after)


def _refuse(told: Settings, *, yes: bool, output: Format) -> None:
    """Refuse, before anything is read, what could only end without a write."""
    if not told.repair:
        raise ReconcilerError(
            "RECONCILER_MODE is audit, so nothing is written; set RECONCILER_MODE=repair to apply"
        )
    if not yes and output is Format.JSON:
        raise ReconcilerError("nobody can be asked in the middle of JSON; give --yes")
    if not yes and not sys.stdin.isatty():
        raise ReconcilerError("nobody can be asked, as this is no terminal; give --yes")


def _check(subjects: Look, findings: Sequence[Finding], expect: str) -> None:
    """Refuse what is nowhere, another plan than was reviewed, and too much at once."""
    for place in subjects.nowhere(findings):
        raise ReconcilerError(f"{is_nowhere(place)}; nothing was written")
    fingerprint = changes.fingerprint(tuple(finding.plan for finding in findings))
    if expect and expect.lower() != fingerprint:
        raise ReconcilerError(
            f"the plan's fingerprint is {fingerprint}, not {expect}; nothing was written, "
            "look at the new plan"
        )
    unwanted = sum(is_unwanted(change) for one in findings for change in one.plan.todo)
    if len(subjects.subjects) > 1 and not expect and unwanted > (most := _most(subjects.app)):
        raise ReconcilerError(
            f"{unwanted} unwanted rights and identities would go, and maxRemovals in "
            f"guardrails.yaml allows {most} at once; nothing was written, look at each of them and "
            f"give --expect {fingerprint}"
        )


def _most(app: App) -> int:
    """Return how many unwanted rights and identities may go at once, as in a sweep."""
    limits, ownership = app.policy.guardrails.max_removals, app.context.ownership
    made = app.reconciler.observer.inventory.made_by(ownership.makers)
    ours = sum(ownership.marker_of(one) is not None for one in made)
    return max(limits.count, ours * limits.percent // 100)


def _confirmed(
    subjects: Look, findings: Sequence[Finding], *, yes: bool
) -> list[tuple[Request, str]]:
    """Return the requests that a person agrees to, each with the fingerprint of its plan."""
    todo = [finding for finding in findings if finding.plan.todo]
    if todo and not yes:
        asked = f"{text.todo([finding.plan for finding in todo])}?"
        if not terminal.confirmed(asked):
            raise ReconcilerError("not confirmed; nothing was written")
    # What is kept goes only where somebody has read what replaces it and is not there.
    at_once = frozenset() if yes else _asked_once_more(findings)
    confirmed: list[tuple[Request, str]] = []
    made: dict[ResourceId, UserIdentity] = {}
    for finding in _rights_first(findings):
        kept = finding.plan.id in at_once
        if finding.plan.todo or kept:
            confirmed.append(subjects.request(finding, at_once=kept, made=made))
        for change in finding.plan.changes:
            if isinstance(change, CreateIdentity):
                made[change.new.id] = UserIdentity(change.new.id, principal="")
    return confirmed


def _asked_once_more(findings: Sequence[Finding]) -> frozenset[ResourceId]:
    """Ask whether rights go although what replaces them is not there; return whose."""
    keeping = [finding for finding in findings if finding.plan.kept]
    number = sum(len(finding.plan.kept) for finding in keeping)
    if not number:
        return frozenset()
    kept = text.counted(number, "unwanted right is", "unwanted rights are")
    them, that = ("it", "it") if number == 1 else ("them", "they")
    asked = f"{kept} kept until what replaces {them} is there; {that} may still be needed"
    if not terminal.confirmed(f"{asked}. Remove {them} now?"):
        return frozenset()
    return frozenset(finding.plan.id for finding in keeping)


def _carried_out(
    subjects: Look, work: Work, confirmed: Sequence[tuple[Request, str]]
) -> tuple[Finding, ...]:
    """Do the work, and return what a look at the subjects finds after it.

    What was confirmed is done or nothing: each first look must plan just what was shown.
    """
    try:
        work.do(confirmed)
        return subjects.findings()
    except Interrupted as interrupted:
        interrupted.add_note("what was done so far stays")
        raise


def _rights_first(findings: Sequence[Finding]) -> list[Finding]:
    """Put identities before the resources that carry them.

    A granted role takes minutes to be effective (facts: Rights) while an identity is attached in
    seconds, so the slow leg starts first, and a machine never holds an identity without its rights.
    """
    return sorted(findings, key=lambda finding: not finding.is_identity)


def _conclude(
    app: App,
    before: Sequence[Finding],
    after: Sequence[Finding] | None,
    work: Work,
    output: Format,
) -> None:
    if output is Format.JSON:
        terminal.answer_json(
            {
                "before": json.plan(before, app.policy),
                "outcomes": [json.outcome(outcome) for outcome in work.outcomes],
                "after": None if after is None else json.plan(after, app.policy),
            }
        )
    elif after is not None and after is not before:
        left = [finding for finding in after if not finding.plan.compliant]
        terminal.answer(["", *text.subject_lines(left, app.policy)])
        terminal.answer([f"now: {text.summary([finding.plan for finding in after])}"])


def _tell_of_others(work: Work, findings: Sequence[Finding]) -> None:
    """Name what an identity's repair leads to; it was not in the plan, so it is not done here."""
    others = work.others - {finding.plan.id for finding in findings}
    if others:
        first = min(others, key=lambda other: other.key)
        number = text.counted(len(others), "resource")
        terminal.tell(f"note: {number} may need it too, beginning with {first}; plan it by its id")
