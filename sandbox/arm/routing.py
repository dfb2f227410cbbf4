"""How a service declares its routes, and what a handler receives and returns.

Each service module owns a ``Routes``; the application collects them. Every route says how well
its behaviour is known, so that the fidelity table can be generated.
"""

import dataclasses
import enum
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from sandbox.arm import errors, ids

if TYPE_CHECKING:
    from sandbox.world.state import Principal
    from sandbox.world.world import World

type Json = dict[str, Any]

_VERBS = {"GET": "read", "HEAD": "read", "POST": "action", "DELETE": "delete"}


def merge(old: Json, new: Json) -> Json:
    """Return an object with another merged into it: null removes, objects merge, others replace."""
    merged = dict(old)
    for name, value in new.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            known = merged.get(name)
            merged[name] = merge(known if isinstance(known, dict) else {}, value)
        else:
            merged[name] = value
    return merged


def action(resource_type: str, method: str) -> str:
    """Return the action that a request to a type is, where its route names no other."""
    return f"{resource_type}/{_VERBS.get(method, 'write')}"


class Evidence(enum.Enum):
    """Where the behaviour of a route is known from."""

    RECORDED = "recorded"
    DOCUMENTED = "documented"
    ISSUES = "issue thread"
    ASSUMED = "assumed"


@dataclasses.dataclass(frozen=True, slots=True)
class Reply:
    """An answer: status, JSON body (None sends no body) and extra headers."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)


class May(Protocol):
    """The question whether somebody has a right."""

    def __call__(
        self, action: str, scope: str, *, principal: "Principal | None" = ..., data: bool = False
    ) -> bool:
        """Return whether a principal may perform an action, perhaps on data, at a scope.

        It is asked of the caller unless another principal is named.
        """


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """One request, authenticated if its route is ARM's."""

    world: "World"
    method: str
    id: ids.ArmId
    """The path as the client spelled it."""
    args: Mapping[str, str]
    """The route's placeholders, in lower case."""
    query: Mapping[str, str]
    """Query options; names are in lower case."""
    headers: Mapping[str, str]
    """Request headers; names are in lower case."""
    body: Any
    """JSON, a form for sign-in, or None."""
    origin: str
    """``https://host[:port]`` as the client addressed it."""
    caller: "Principal | None"
    may: May
    authenticated: "Callable[[str | None], Principal]"
    """Returns the principal of the request's token for an audience, None for ARM; raises 401."""
    late: "errors.AzureError | None" = None
    """How the operation that it starts is to end, if not well."""

    @property
    def failure(self) -> Json | None:
        """The error that such an operation shows at its end, if it is not to end well."""
        return {"code": self.late.code, "message": self.late.message} if self.late else None

    def require(self, action: str, scope: str) -> None:
        """Raise ``AzureError`` 403 unless the caller may perform an action at a scope."""
        if self.caller and not self.may(action, scope):
            raise errors.not_authorized(self.caller, action, scope, condition=False)

    def object_body(self) -> Json:
        """Return the body, which must be a JSON object; raises ``AzureError`` 400."""
        if not isinstance(self.body, dict):
            raise errors.bad_content("a JSON object is required")
        return self.body

    def member(self, name: str) -> Json | None:
        """Return an object of the body, None when absent or null; raises ``AzureError`` 400."""
        value = self.object_body().get(name)
        if value is not None and not isinstance(value, dict):
            raise errors.bad_content(f"an object is required. Path '{name}'")
        return value


type Handler = Callable[[Call], Reply]


@dataclasses.dataclass(frozen=True, slots=True)
class Route:
    """A method and a rule, its handler, and how well it is known."""

    method: str
    rule: str
    handler: Handler
    evidence: Evidence
    source: str
    action: str | None
    """The action to authorize; None derives it from type and method, "" asks for no right."""
    arm: bool
    """Whether ARM's checks apply: bearer token, api-version, authorization."""


class Routes:
    """The routes of one service, in the order of their declaration."""

    def __init__(self, *, arm: bool = True) -> None:
        """Start empty; ``arm=False`` for endpoints outside ARM (sign-in, access probe)."""
        self._routes: list[Route] = []
        self._arm = arm

    def __iter__(self) -> Iterator[Route]:
        """Yield the routes."""
        return iter(self._routes)

    def route(
        self,
        method: str,
        rule: str,
        evidence: Evidence,
        source: str,
        *,
        action: str | None = None,
    ) -> Callable[[Handler], Handler]:
        """Declare a handler. ``rule`` is lower case; ``/~`` stands for any scope.

        Args:
            method: HTTP method.
            rule: Werkzeug rule over the lower-case path.
            evidence: how well the behaviour is known.
            source: the facts section, recording or page that says so.
            action: the right to ask for, where it does not follow from type and method.
        """

        def declare(handler: Handler) -> Handler:
            self._routes.append(Route(method, rule, handler, evidence, source, action, self._arm))
            return handler

        return declare
