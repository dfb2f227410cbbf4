"""How a sweep's many pages get through Resource Graph's quota: by turns, without beginning anew."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from reconciler.azure.client import Arm
from reconciler.errors import Again
from sandbox.transport import StartResponse, Transport
from sandbox.world.clock import Clock
from tests.properties.wire import ENDPOINT, Token

WINDOW, QUOTA = 5, 15


@dataclass
class Graph:
    """Answers queries with pages of one row, and counts as Resource Graph does (documented)."""

    clock: Clock
    pages: int
    seconds: float
    answered: list[int] = field(default_factory=list[int])
    _began: float = 0
    _left: int = QUOTA

    def __call__(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        """Answer a page, or 429 once the window's queries are used up."""
        self.clock.forward(self.seconds)
        now = self.clock().timestamp()
        if now - self._began >= WINDOW:
            self._began, self._left = now, QUOTA
        resets = f"00:00:{max(1, round(WINDOW - (now - self._began))):02}"
        refused = self._left == 0
        self._left -= not refused
        content = json.loads(environ["wsgi.input"].read())
        page = int(content["options"].get("$skipToken", "0")) + 1
        body: dict[str, Any] = {"data": [{"id": f"/subscriptions/{page}"}]}
        if page < self.pages:
            body["$skipToken"] = str(page)
        self.answered.append(429 if refused else 200)
        headers = {
            "Content-Type": "application/json",
            "x-ms-user-quota-remaining": str(self._left),
            "x-ms-user-quota-resets-after": resets,
        }
        start(f"{self.answered[-1]} OK", list(headers.items()))
        return [json.dumps({"error": {"code": "RateLimiting"}} if refused else body).encode()]


def asked(seconds: float, pages: int) -> tuple[Arm, Graph]:
    """Return the seam to a Resource Graph whose queries take so long."""
    clock = Clock()
    graph = Graph(clock, pages, seconds)
    return Arm(Token(), ENDPOINT, clock, Transport(graph, clock)), graph


@pytest.mark.parametrize("seconds", [0.02, 0.15, 0.25, 1])
def test_a_sweep_of_many_pages_asks_for_each_once(seconds: float) -> None:
    """Four questions of forty pages, whatever the quota leaves at a time."""
    arm, graph = asked(seconds, pages=40)

    patient = timedelta(seconds=20)
    found = [len(list(arm.query("resources", (), leave=5, patience=patient))) for _ in range(4)]

    assert found == [40] * 4
    assert graph.answered.count(200) == 160
    assert graph.answered.count(429) <= 1


def test_a_look_does_not_wait() -> None:
    """A worker that waits is paid for; its message comes again."""
    arm, graph = asked(0.02, pages=2 * QUOTA)
    with pytest.raises(Again):
        list(arm.query("resources", ()))

    assert graph.answered.count(429) <= 1
