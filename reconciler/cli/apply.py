"""`reconciler apply`: shows the plan, asks, and carries it out.

The plans are those of `reconciler.cli.plan`. `LocalQueue` stands for the storage queue through
which the deployed app sees a request again: what is due later is waited for here.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Final

import typer

from reconciler import changes, settings
from reconciler.app import App
from reconciler.changes import (
    PLAN_CHANGED,
    Change,
    CreateIdentity,
    Hold,
    Outcome,
    Result,
    Status,
    unwanted_id,
)
from reconciler.cli import terminal
from reconciler.cli.plan import Ids, Subjects, note_other_makers, open_subjects
from reconciler.cli.terminal import Format, Interrupted
from reconciler.errors import ReconcilerError
from reconciler.ids import ResourceId
from reconciler.model import USER_ASSIGNED_IDENTITY, Removals, Request, UserIdentity
from reconciler.render import json, text
from reconciler.render.comparison import Comparison

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

_PASSING: Final = frozenset({Status.AGAIN, Status.CONFLICT})


def apply(
    ids: Ids,
    *,
    yes: _Yes = False,
    expect: _Expect = "",
    timeout: _Minutes = 60,
    output: Format = "text",
) -> int:
    """Show the plan, ask, and carry it out.

    Goes on until nothing is left to do, and waits for what needs time, such as a machine that is
    still being built. Where an identity or machine has changed since the plan was shown, nothing is
    done to it. Rights that are kept until what replaces them is there go only where a person says
    so when asked once more. Exit code, by the plan after it: 0 nothing left but what a rollout or
    an exemption holds back, 2 something is left or withheld; 1 error, refused or blocked.
    """
    config = settings.from_environment()
    # Refuse before any read what could not end in a write.
    if not config.repair:
        raise ReconcilerError(
            "RECONCILER_MODE is audit, so nothing is written; set RECONCILER_MODE=repair to apply"
        )
    if not yes and output == "json":
        raise ReconcilerError("nobody can be asked in the middle of JSON; give --yes")
    if not yes and not sys.stdin.isatty():
        raise ReconcilerError("nobody can be asked, as this is no terminal; give --yes")
    with open_subjects(config, ids) as subjects:
        app = subjects.app
        before = subjects.compare()
        if output == "text":
            terminal.answer(text.plan_lines(before, app.policy))
            note_other_makers(app, before)
        _refuse_unsafe(subjects, before, expect)
        released = frozenset() if yes else _confirm(before)
        queue = LocalQueue(app, timeout, print_outcomes=output == "text")
        after = _carry_out(subjects, queue, before, released, output)
        # What an identity's repair leads to was not in the plan, so it is named and not done.
        others = queue.other_ids - {comparison.plan.id for comparison in after}
        if others:
            number = text.counted(len(others), "resource")
            first = min(others, key=lambda other: other.key)
            terminal.info(
                f"note: {number} may need it too, beginning with {first}; plan it by its id"
            )
    if any(outcome.status is Status.BLOCKED for outcome in queue.outcomes.values()):
        return 1
    return 0 if all(comparison.plan.settled for comparison in after) else 2


def confirmed_requests(
    app: App, comparisons: Sequence[Comparison], released: frozenset[ResourceId] = frozenset()
) -> list[tuple[Request, str]]:
    """Return a request for each subject with something to do, and the fingerprint of its plan.

    A request names what may be removed; for the `released` ids also the rights that are kept until
    their replacement is there. The app writes nothing where its plan has another fingerprint.
    """
    requests = []
    created: dict[ResourceId, UserIdentity] = {}
    # A granted role takes minutes to be effective (facts: Rights) while an identity is attached in
    # seconds. So identities come first, and no machine holds one without its rights.
    for comparison in sorted(
        comparisons, key=lambda comparison: not comparison.plan.id.is_type(USER_ASSIGNED_IDENTITY)
    ):
        plan, observed = comparison.plan, comparison.observed
        release = plan.id in released
        if plan.todo or release:
            removable = {unwanted_id(change) for change in plan.todo if change.reason.unwanted}
            if release:
                removable |= {unwanted_id(held.change) for held in plan.kept}
            removals = Removals(app.policy.digest, frozenset(removable), at_once=release)
            request = Request(plan.id, removals=removals)
            ready = {id_: created[id_] for id_ in observed.identities if id_ in created}
            if release or ready:
                # The app will find the identities that were created for other subjects by then.
                observed = replace(observed, identities={**observed.identities, **ready})
                plan = app.reconciler.decide(observed, request)
            requests.append((request, plan.fingerprint))
        for change in comparison.plan.changes:
            if isinstance(change, CreateIdentity):
                created[change.new.id] = UserIdentity(change.new.id, principal="")
    return requests


@dataclass
class LocalQueue:
    """Has the app answer requests until each is converged or blocked, for some minutes at most.

    `outcomes` holds the last outcome of each change, or of an id whose look failed. `other_ids` are
    those that should be looked at as well, and that nobody asked for here.
    """

    app: App
    minutes: float
    print_outcomes: bool
    outcomes: dict[Change | ResourceId, Outcome] = field(default_factory=dict)
    other_ids: set[ResourceId] = field(default_factory=set)

    def drain(self, requests: Sequence[tuple[Request, str]]) -> None:
        """Answer the requests in their order, and their copies when those are due.

        Each request comes with the fingerprint that its first plan must have, or "" for any plan.
        Raises `Rejected` where Azure says that a call of ours is wrong, and `Interrupted` between
        two requests.
        """
        end = time.monotonic() + self.minutes * 60
        pending = [(time.monotonic(), request, "", expect) for request, expect in requests]
        while pending:
            # The sort is stable, so what is due already keeps the order of the requests.
            pending.sort(key=lambda item: item[0])
            due, request, reason, expect = pending.pop(0)
            seconds = due - time.monotonic()
            if seconds > 0:
                terminal.info(f"waiting {seconds:.0f} s: {reason}")
                with terminal.progress(f"waiting: {reason}"):
                    time.sleep(seconds)
            with terminal.defer_interrupts():
                with terminal.progress(f"working on {request.id.name}"):
                    result = self.app.handle(request, expect)
                self.other_ids |= {other.id for other in result.requests}
                for outcome in result.outcomes:
                    key = outcome.change or request.id
                    if outcome.status in _PASSING or self.outcomes.get(key) == outcome:
                        continue
                    self.outcomes[key] = outcome
                    if self.print_outcomes:
                        terminal.answer([text.outcome_line(outcome, request.id)])
            if not result.again or not result.again_after:
                continue
            awaited = self._awaited(result)
            if awaited is None:
                continue
            reason = f"{request.id.name}: {awaited}"
            due = time.monotonic() + result.again_after.total_seconds()
            if due <= end:
                # A run that read nothing has made no plan, so the fingerprint is still to check.
                pending.append((due, result.again, reason, "" if result.plans else expect))
            else:
                terminal.info(f"not waited for: {reason}")

    def _awaited(self, result: Result) -> str | None:
        """Return what a copy of the request would wait for, or none where waiting does not help."""
        if any(outcome.code == PLAN_CHANGED for outcome in result.outcomes):
            # A copy is not held to the fingerprint, and would do what nobody confirmed.
            return None
        last = result.plans[-1] if result.plans else None
        if last and last.waiting:
            return f"goes on once {text.wait_condition(last.waiting[0])}"
        passing = [outcome for outcome in result.outcomes if outcome.status in _PASSING]
        if passing:
            return passing[0].detail
        if last is None or any(outcome.status is Status.BLOCKED for outcome in result.outcomes):
            return None
        # An identity that was just created may not be visible yet.
        created = any(isinstance(change, CreateIdentity) for change in self.outcomes)
        absent = any(held.hold is Hold.IDENTITY_ABSENT for held in last.withheld)
        if last.changes or (created and absent):
            return "Azure does not show yet what was written"
        return None


def _refuse_unsafe(subjects: Subjects, before: Sequence[Comparison], expect: str) -> None:
    """Raise `ReconcilerError` for a mistyped id, an unexpected plan, and too much at once."""
    for message in subjects.mistyped(before):
        raise ReconcilerError(f"{message}; nothing was written")
    fingerprint = changes.fingerprint(tuple(comparison.plan for comparison in before))
    if expect and expect.lower() != fingerprint:
        raise ReconcilerError(
            f"the plan's fingerprint is {fingerprint}, not {expect}; nothing was written, "
            "look at the new plan"
        )
    unwanted = sum(
        change.reason.unwanted for comparison in before for change in comparison.plan.todo
    )
    if len(subjects.ids) == 1 or expect or not unwanted:
        return
    # Several ids at once are held to the limit of a sweep.
    app = subjects.app
    limits, ownership = app.policy.guardrails.max_removals, app.context.ownership
    made = app.reconciler.observer.inventory.made_by(ownership.makers)
    owned = sum(ownership.marker_of(assignment) is not None for assignment in made)
    most = max(limits.count, owned * limits.percent // 100)
    if unwanted > most:
        raise ReconcilerError(
            f"{unwanted} unwanted rights and identities would go, and maxRemovals in "
            f"guardrails.yaml allows {most} at once; nothing was written, look at each of them and "
            f"give --expect {fingerprint}"
        )


def _confirm(before: Sequence[Comparison]) -> frozenset[ResourceId]:
    """Ask for the plan, and return the ids whose kept rights may go before they are replaced.

    Raises `ReconcilerError` where the plan is not confirmed.
    """
    plans = [comparison.plan for comparison in before]
    if any(plan.todo for plan in plans) and not terminal.confirm(text.question(plans)):
        raise ReconcilerError("not confirmed; nothing was written")
    number = sum(len(plan.kept) for plan in plans)
    if not number:
        return frozenset()
    kept = text.counted(number, "unwanted right is", "unwanted rights are")
    them, they = ("it", "it") if number == 1 else ("them", "they")
    confirmed = terminal.confirm(
        f"{kept} kept until what replaces {them} is there; {they} may still be needed. "
        f"Remove {them} now?"
    )
    return frozenset(plan.id for plan in plans if plan.kept and confirmed)


def _carry_out(
    subjects: Subjects,
    queue: LocalQueue,
    before: tuple[Comparison, ...],
    released: frozenset[ResourceId],
    output: Format,
) -> tuple[Comparison, ...]:
    """Return the comparisons after the work, once what was done and what is left is shown.

    Raises `Interrupted`, and what `LocalQueue.drain` and `Subjects.compare` raise.
    """
    policy = subjects.app.policy
    after: tuple[Comparison, ...] | None = None
    requests = confirmed_requests(subjects.app, before, released)
    try:
        queue.drain(requests)
        after = subjects.compare() if requests else before
    except Interrupted as interrupted:
        interrupted.add_note("what was done so far stays")
        raise
    finally:
        # Whatever ended the work, what was done is shown; text has shown the outcomes already.
        if output == "json":
            terminal.answer_json(
                {
                    "before": json.plan(before, policy),
                    "outcomes": [json.outcome(outcome) for outcome in queue.outcomes.values()],
                    "after": None if after is None else json.plan(after, policy),
                }
            )
        elif after is not None and after is not before:
            left = [comparison for comparison in after if not comparison.plan.compliant]
            terminal.answer(["", *text.subject_lines(left, policy)])
            terminal.answer([f"now: {text.summary([comparison.plan for comparison in after])}"])
    return after
