"""Carries requests to their end, as the queue does for the app: what is due later is waited for."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from reconciler.app import App
from reconciler.changes import (
    PLAN_CHANGED,
    Change,
    CreateIdentity,
    Hold,
    Outcome,
    Result,
    Status,
)
from reconciler.cli import interrupt, terminal
from reconciler.ids import ResourceId
from reconciler.model import Request
from reconciler.render import text

_PASSING: Final = frozenset({Status.AGAIN, Status.CONFLICT})


@dataclass
class Work:
    """Answers requests until each is converged or blocked; `minutes` is how long it may take.

    `others` are ids that should be looked at as well, but that nobody asked for here.
    """

    app: App
    minutes: float
    told_at_once: bool
    others: set[ResourceId] = field(default_factory=set)
    _outcomes: dict[Change | ResourceId, Outcome] = field(default_factory=dict)

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """What became of each change that is settled, one way or the other."""
        return tuple(self._outcomes.values())

    def do(self, requests: Sequence[tuple[Request, str]]) -> None:
        """Answer the requests in their order, and their copies when those are due.

        With each goes the fingerprint that its first plan must have, or none. Raises `Rejected`
        where Azure says that a call of ours is wrong.
        """
        end = time.monotonic() + self.minutes * 60
        pending = [(time.monotonic(), request, "", expect) for request, expect in requests]
        while pending:
            pending.sort(key=lambda item: item[0])
            due, request, why, expect = pending.pop(0)
            _wait(due, why)
            with interrupt.finishing():
                with terminal.busy(f"working on {request.id.name}"):
                    result = self.app.handle(request, expect)
                self.others |= {other.id for other in result.requests}
                self._take(request.id, result)
            if result.again and result.again_after and self._is_worth_waiting(result):
                due = time.monotonic() + result.again_after.total_seconds()
                why = f"{request.id.name}: {_why(result)}"
                if due <= end:
                    # What could not be read was not yet compared.
                    pending.append((due, result.again, why, "" if result.plans else expect))
                else:
                    terminal.tell(f"not waited for: {why}")

    def _take(self, subject: ResourceId, result: Result) -> None:
        for outcome in result.outcomes:
            key = outcome.change or subject
            if outcome.status not in _PASSING and self._outcomes.get(key) != outcome:
                self._outcomes[key] = outcome
                if self.told_at_once:
                    terminal.answer([text.outcome_line(outcome, subject)])

    def _is_worth_waiting(self, result: Result) -> bool:
        """Return whether time may help: what is blocked or withheld waits for a person, not for us.

        An identity that was just created may not be visible yet.
        """
        if any(outcome.code == PLAN_CHANGED for outcome in result.outcomes):
            # A copy would do what nobody confirmed.
            return False
        if any(outcome.status in _PASSING for outcome in result.outcomes) or _holds(result):
            return True
        if any(outcome.status is Status.BLOCKED for outcome in result.outcomes):
            return False
        last = result.plans[-1] if result.plans else None
        absent = last and any(held.hold is Hold.IDENTITY_ABSENT for held in last.withheld)
        created = any(isinstance(change, CreateIdentity) for change in self._outcomes)
        return bool(last and last.changes) or bool(absent and created)


def _wait(due: float, why: str) -> None:
    seconds = due - time.monotonic()
    if seconds > 0:
        terminal.tell(f"waiting {seconds:.0f} s: {why}")
        with terminal.busy(f"waiting: {why}"):
            time.sleep(seconds)


def _why(result: Result) -> str:
    details = [outcome.detail for outcome in result.outcomes if outcome.status in _PASSING]
    return next(iter([*_holds(result), *details]), "Azure does not show yet what was written")


def _holds(result: Result) -> list[str]:
    """Return the passing holds of the last look."""
    withheld = result.plans[-1].withheld if result.plans else ()
    return [f"goes on once {text.once(held)}" for held in withheld if held.hold.passing]
