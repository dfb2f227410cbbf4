"""Reads and plans for `plan` and `apply`: opens the app, checks ids, looks at each subject."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Final

import typer

from reconciler import app as application
from reconciler.app import App
from reconciler.changes import is_unwanted, unwanted_id
from reconciler.cli import terminal
from reconciler.errors import Again, Conflict, ReconcilerError
from reconciler.ids import ResourceId
from reconciler.model import Removals, Request, Resource, UserIdentity
from reconciler.observe import desired_of
from reconciler.render.text import Finding
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

_ATTEMPTS: Final = 3
_SECONDS: Final = 5.0


@contextmanager
def opened(told: Settings) -> Iterator[App]:
    """Make the app as these settings say, and close its connections at the end."""
    with application.sign_in(told) as credential:
        app = application.create(told, credential=credential)
        with closing(app.arm):
            yield app


@dataclass(frozen=True, slots=True)
class Look:
    """Looks at the subjects of one command; `subjects` are those that were asked for."""

    app: App
    subjects: tuple[ResourceId, ...]

    def findings(self) -> tuple[Finding, ...]:
        """Look at each subject and at the identities that policy attaches to it.

        Raises `ArmError` where one cannot be read.
        """
        found: dict[ResourceId, Finding] = {}
        for subject in self.subjects:
            finding = self._at(subject, found)
            if isinstance(finding.observed.subject, Resource):
                for wanted in finding.desired.attach:
                    self._at(wanted.what, found)
        return tuple(found.values())

    def _at(self, subject: ResourceId, found: dict[ResourceId, Finding]) -> Finding:
        if subject not in found:
            with terminal.busy(f"reading {subject.name}"):
                found[subject] = _patiently(lambda: self._finding(subject))
        return found[subject]

    def _finding(self, subject: ResourceId) -> Finding:
        # A person looks at the plan, so all that is unwanted may go.
        removals = Removals(self.app.policy.digest, ids=None)
        observed, plan = self.app.reconciler.plan(Request(subject, removals=removals))
        return Finding(observed, desired_of(self.app.policy, observed.subject), plan)

    def nowhere(self, findings: Sequence[Finding]) -> tuple[ResourceId, ...]:
        """Return the ids that were asked for, are not there, and that nothing of ours names."""
        return tuple(
            one.plan.id
            for one in findings
            if one.observed.subject is None
            and one.plan.compliant
            and one.plan.id in self.subjects
            and not self._names(one)
        )

    def _names(self, finding: Finding) -> bool:
        """Return whether policy, or a marker of this deployment, names what was not found."""
        place, policy, ownership = finding.plan.id, self.app.policy, self.app.context.ownership
        if finding.is_identity and any(
            entry.id.may_be(place) for entry in policy.identities.values()
        ):
            return True
        return any(
            marker.resource == place
            for one in finding.observed.assignments
            if (marker := ownership.claimed(one))
        )

    def request(
        self, finding: Finding, *, at_once: bool = False, made: Mapping[ResourceId, UserIdentity]
    ) -> tuple[Request, str]:
        """Return the request by which a plan that was shown is applied, and the fingerprint it has.

        It names what may go; with `at_once` also what is kept until its replacement is there.
        `made` are identities that the command creates for another subject first.
        """
        plan, observed = finding.plan, finding.observed
        named = {unwanted_id(change) for change in plan.todo if is_unwanted(change)}
        if at_once:
            named |= {unwanted_id(held.change) for held in plan.kept}
        removals = Removals(self.app.policy.digest, frozenset(named), at_once=at_once)
        request = Request(plan.id, removals=removals)
        there = {one: made[one] for one in observed.identities if one in made}
        if at_once or there:
            # The same findings, but for what was agreed and what will be there by then.
            observed = replace(observed, identities={**observed.identities, **there})
            plan = self.app.reconciler.decide(observed, request)
        return request, plan.fingerprint


def parse(app: App, texts: Sequence[str]) -> Look:
    """Check the ids of a command line; raises `ReconcilerError` naming the first that is wrong."""
    subjects: dict[ResourceId, None] = {}
    for text in texts:
        subject = ResourceId.parse(text)
        refusal = _patiently(partial(app.refusal, subject))
        if refusal:
            raise ReconcilerError(refusal)
        if not is_reconciled(subject):
            raise ReconcilerError(
                f"{subject} is no virtual machine or user-assigned identity; give the ids of those"
            )
        subjects[subject] = None
    return Look(app, tuple(subjects))


def made_by_others(app: App, findings: Sequence[Finding]) -> tuple[int, frozenset[str]]:
    """Count the assignments that are ours but for who made them or wrote them last; name those.

    At a desk these are most likely the app's own.
    """
    ownership = app.context.ownership
    writers: dict[ResourceId, set[str]] = {}
    for finding in findings:
        for one in finding.observed.assignments:
            others = {one.created_by, one.updated_by} - {None, *ownership.makers}
            if others and ownership.claimed(one):
                writers[one.id] = {other for other in others if other}
    return len(writers), frozenset().union(*writers.values())


def _patiently[T](look: Callable[[], T]) -> T:
    """Repeat a look that Azure answered with a passing refusal; without any answer it fails."""
    for _ in range(_ATTEMPTS):
        try:
            return look()
        except Again as error:
            if not error.status and not isinstance(error, Conflict):
                raise
            seconds = error.retry_after.total_seconds() if error.retry_after else _SECONDS
            terminal.tell(f"waiting {seconds:.0f} s: {error}")
            time.sleep(seconds)
    return look()
