"""`reconciler plan`: shows what would change, and writes nothing.

`reconciler apply` reads its subjects through `Subjects`, too.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Annotated, Final

import typer

from reconciler import app as application
from reconciler import settings
from reconciler.app import App
from reconciler.cli import terminal
from reconciler.cli.terminal import Format
from reconciler.errors import Again, Conflict, ReconcilerError
from reconciler.ids import ResourceId
from reconciler.model import USER_ASSIGNED_IDENTITY, Removals, Request, Resource
from reconciler.observe import desired_of
from reconciler.render import json, text
from reconciler.render.comparison import Comparison
from reconciler.resource_types import is_reconciled
from reconciler.settings import Settings

Ids = Annotated[
    list[str],
    typer.Argument(
        metavar="ID...",
        help="ARM ids of virtual machines and user-assigned identities.",
        show_default=False,
    ),
]
"""The ids that a command is about."""

_RETRIES: Final = 3
_RETRY_SECONDS: Final = 5.0
"""How long a retry waits where Azure names no time."""


def plan(ids: Ids, output: Format = "text") -> int:
    """Show what would change and what is withheld; writes nothing.

    A machine's plan includes the identities that policy attaches to it. Exit code: 0 nothing to
    change and nothing withheld but by a rollout or an exemption, 2 something to change or withheld,
    1 error, or an id that is nowhere.
    """
    with open_subjects(settings.from_environment(), ids) as subjects:
        app = subjects.app
        comparisons = subjects.compare()
        if output == "json":
            terminal.answer_json(json.plan(comparisons, app.policy))
        else:
            terminal.answer(text.plan_lines(comparisons, app.policy))
        note_other_makers(app, comparisons)
        if not app.settings.repair and any(comparison.plan.todo for comparison in comparisons):
            terminal.info("note: RECONCILER_MODE is audit, so apply would refuse")
        mistyped = subjects.mistyped(comparisons)
        for message in mistyped:
            terminal.error(message)
    if mistyped:
        return 1
    return 0 if all(comparison.plan.settled for comparison in comparisons) else 2


@dataclass(frozen=True, slots=True)
class Subjects:
    """The ids that a command was given, and the app that reads them."""

    app: App
    ids: tuple[ResourceId, ...]

    def compare(self) -> tuple[Comparison, ...]:
        """Return each subject, followed by the identities that policy attaches to it.

        Reads them all and writes nothing. Raises `ArmError` where one cannot be read.
        """
        policy = self.app.policy
        comparisons: dict[ResourceId, Comparison] = {}
        unread = list(self.ids)
        while unread:
            subject = unread.pop(0)
            if subject in comparisons:
                continue
            # A person reads the plan, so it removes all that is unwanted, not only what a sweep
            # has named.
            request = Request(subject, removals=Removals(policy.digest, ids=None))
            with terminal.progress(f"reading {subject.name}"):
                for retries in count():
                    try:
                        observed, subject_plan = self.app.reconciler.plan(request)
                        break
                    except Again as error:
                        _wait_for_retry(error, retries)
            desired = desired_of(policy, observed.subject)
            comparison = Comparison(observed, desired, subject_plan)
            comparisons[subject] = comparison
            if isinstance(observed.subject, Resource):
                # The plan shows the identities of a machine right below it.
                unread[:0] = [wanted.what for wanted in desired.attach]
        return tuple(comparisons.values())

    def mistyped(self, comparisons: Sequence[Comparison]) -> list[str]:
        """Return an error message for each given id that is most likely mistyped.

        Azure does not find such an id, its plan is empty, and neither policy nor a marker of this
        deployment names it.
        """
        policy = self.app.policy
        messages = []
        for comparison in comparisons:
            subject, observed = comparison.plan.id, comparison.observed
            if observed.subject or subject not in self.ids or not comparison.plan.compliant:
                continue
            if subject.is_type(USER_ASSIGNED_IDENTITY) and any(
                entry.id.may_be(subject) for entry in policy.identities.values()
            ):
                continue
            markers = map(self.app.context.ownership.claimed, observed.assignments)
            if any(marker and marker.resource == subject for marker in markers):
                continue
            messages.append(
                f"{subject} is nowhere: Azure does not find it, and nothing of ours names it; "
                "check its subscription, group, type and name, or wait some minutes where it was "
                "only just made"
            )
        return messages


@contextmanager
def open_subjects(config: Settings, arguments: Sequence[str]) -> Iterator[Subjects]:
    """Sign in, check the ids of a command line, and close all connections at the end.

    Raises `SettingsError` and `PolicyError`, and `ReconcilerError` for the first id that the app
    does not reconcile.
    """
    with application.sign_in(config) as credential:
        app = application.create(config, credential=credential)
        with closing(app.arm):
            ids: dict[ResourceId, None] = {}
            for argument in arguments:
                subject = ResourceId.parse(argument)
                for retries in count():
                    try:
                        refusal = app.refusal(subject)
                        break
                    except Again as error:
                        _wait_for_retry(error, retries)
                if refusal:
                    raise ReconcilerError(refusal)
                if not is_reconciled(subject):
                    raise ReconcilerError(
                        f"{subject} is no virtual machine or user-assigned identity; give the ids "
                        "of those"
                    )
                ids[subject] = None
            yield Subjects(app, tuple(ids))


def note_other_makers(app: App, comparisons: Sequence[Comparison]) -> None:
    """Note on stderr who else made, or wrote last, assignments with this deployment's marker.

    Where a person is signed in, that is most likely the app itself.
    """
    ownership = app.context.ownership
    writers: dict[ResourceId, set[str]] = {}
    for comparison in comparisons:
        for assignment in comparison.observed.assignments:
            authors = {assignment.created_by, assignment.updated_by} - {*ownership.makers}
            others = {author for author in authors if author}
            if others and ownership.claimed(assignment):
                writers[assignment.id] = others
    if writers:
        terminal.info(
            f"note: {text.counted(len(writers), 'role assignment')} with this deployment's marker "
            f"made or last written by {', '.join(sorted(set().union(*writers.values())))}; only if "
            "that is the app, name it in RECONCILER_MAKERS"
        )


def _wait_for_retry(error: Again, retries: int) -> None:
    """Wait where Azure refused a read for now; raise the error where no answer came at all."""
    answered = error.status or isinstance(error, Conflict)
    if retries >= _RETRIES or not answered:
        raise error
    seconds = error.retry_after.total_seconds() if error.retry_after else _RETRY_SECONDS
    terminal.info(f"waiting {seconds:.0f} s: {error}")
    time.sleep(seconds)
