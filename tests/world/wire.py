"""What lies between the app and the local Azure: a place for faults, and for others' moves.

`Cloud` puts it in front of the sandbox's WSGI application. Every call of the app passes here.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from sandbox.transport import App, StartResponse, run
from sandbox.world.clock import Clock

TICK = 0.05
"""Seconds of virtual time that one call takes, so that no two calls happen at once."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the app, as it was sent."""

    method: str
    path: str
    body: Any = None
    if_match: str | None = None

    @property
    def writes(self) -> bool:
        """Whether it could change anything; Resource Graph is asked by POST."""
        return self.method in {"PUT", "PATCH", "DELETE"}


RESET = 0
"""The status of an answer that never comes: the connection is closed."""


@dataclass(slots=True)
class Step:
    """What happens on the next calls of one kind: an answer of its own, or somebody's move."""

    method: str
    part: str
    times: int
    holding: str = ""
    skip: int = 0
    act: Callable[[], None] | None = None
    status: int = 0
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)
    done: bool = False

    def concerns(self, call: Call) -> bool:
        """Tell whether this is about a call."""
        return (
            self.times > 0
            and self.method == call.method
            and self.part.lower() in call.path
            and self.holding in json.dumps(call.body)
        )


@dataclass
class Wire:
    """A WSGI application around another one; remembers every call that it saw."""

    azure: App
    clock: Clock
    calls: list[Call] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    tick: float = TICK

    def answer(  # noqa: PLR0913 (the parts of an answer)
        self,
        method: str,
        part: str,
        status: int,
        code: str = "",
        *,
        times: int = 1,
        holding: str = "",
        skip: int = 0,
        text: str = "made up",
        body: object = None,
        headers: dict[str, str] | None = None,
        done: bool = False,
    ) -> None:
        """Answer the next calls whose path holds `part`, and body `holding`, without Azure.

        Args:
            method: of these calls.
            part: what their path holds, in any case.
            status: of the answer; `RESET` closes the connection instead.
            code: of the error in the body, unless a body is given.
            times: how many calls are answered so.
            holding: what their body holds.
            skip: how many of them pass first.
            text: of that error.
            body: JSON, or bytes that are sent as they are, whatever they are.
            headers: more of them; a `Content-Type` in place of JSON's.
            done: whether Azure does it all the same, so that only its answer is lost.
        """
        content = body if body is not None else {"error": {"code": code, "message": text}}
        step = Step(method, part, times, holding, skip, None, status, content, headers or {}, done)
        self.steps.append(step)

    def before(self, method: str, part: str, act: Callable[[], None], *, times: int = 1) -> None:
        """Let somebody act just before the next calls whose path holds `part`."""
        self.steps.append(Step(method, part, times, act=act))

    def clear(self) -> None:
        """Let everything pass again."""
        self.steps.clear()

    @property
    def writes(self) -> list[Call]:
        """The calls that could have changed something."""
        return [call for call in self.calls if call.writes]

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Note the call, then answer it or hand it on."""
        self.clock.forward(self.tick)
        call = _call(environ)
        self.calls.append(call)
        for step in [step for step in self.steps if step.concerns(call)]:
            if step.skip:
                step.skip -= 1
                continue
            step.times -= 1
            if step.act is None:
                if step.done:
                    run(self.azure, environ)
                if step.status == RESET:
                    raise ConnectionResetError
                body = step.body
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                headers = {"Content-Type": "application/json", **step.headers}
                start_response(f"{step.status} Made up", list(headers.items()))
                return [content]
            step.act()
        return self.azure(environ, start_response)


def _call(environ: dict[str, Any]) -> Call:
    stream = environ["wsgi.input"]
    raw = stream.read()
    stream.seek(0)
    return Call(
        environ["REQUEST_METHOD"],
        environ["PATH_INFO"].lower(),
        json.loads(raw) if raw else None,
        environ.get("HTTP_IF_MATCH"),
    )
