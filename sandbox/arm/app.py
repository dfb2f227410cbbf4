"""The WSGI application: authentication, api-version, routing, authorization, error envelope.

``sandbox.transport`` calls it in process; ``sandbox.server`` serves it over HTTPS.
"""

import functools
import json
import math
import random
import re
import uuid
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl

import werkzeug.http
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import Map, MapAdapter, Rule

from sandbox.arm import errors, groups, ids, locks, operations, routing, tags, tenancy
from sandbox.arm.routing import Call, Reply, Route
from sandbox.authorization import access, assignments, definitions, managementgroups
from sandbox.compute import machines, scalesets
from sandbox.eventgrid import subscriptions, topics
from sandbox.graph import activity, queries
from sandbox.identity import identities, probe, signin, tokens
from sandbox.resources import generic
from sandbox.world import control, events, faults, throttling
from sandbox.world.state import Principal, Request
from sandbox.world.world import World

SERVICES = (
    tenancy.routes,
    managementgroups.routes,
    groups.routes,
    generic.routes,
    machines.routes,
    scalesets.routes,
    identities.routes,
    locks.routes,
    tags.routes,
    assignments.routes,
    definitions.routes,
    queries.routes,
    subscriptions.routes,
    topics.routes,
    activity.routes,
    operations.routes,
    tenancy.open_routes,
    signin.routes,
    probe.routes,
    topics.publishing,
)

_EXTENSIONS = (
    "/providers/microsoft.authorization/",
    "/providers/microsoft.eventgrid/eventsub",
    "/providers/microsoft.resources/tags/",
)
_OUTSIDE_ARM = ("/imds/", "/dataplane/", "/eventgrid/", "/msi/", "/sandbox/")

_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(-preview)?", re.IGNORECASE)
_SLASHES = re.compile("/{2,}")
_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"

type Environ = dict[str, Any]
type StartResponse = Callable[[str, list[tuple[str, str]]], object]


class Incoming:
    """One request as WSGI hands it over, and what is found out about it on the way."""

    def __init__(self, environ: Environ, request_id: str) -> None:
        self._environ = environ
        self.id = request_id
        self.method: str = environ["REQUEST_METHOD"]
        # WSGI hands paths over as latin-1; ids are UTF-8.
        sent = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
        self.target = f"{sent}?{environ['QUERY_STRING']}"
        # Clients that put a scope into a template begin with two slashes, and ARM reads one
        # (cloud-custodian LockActionTest.test_lock_action_resource).
        self.path = _SLASHES.sub("/", sent)
        options = parse_qsl(environ["QUERY_STRING"], keep_blank_values=True)
        self.query = {name.lower(): value for name, value in options}
        self.origin = f"{environ['wsgi.url_scheme']}://{environ['HTTP_HOST']}"
        self.headers = {
            name[5:].replace("_", "-").lower(): value
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }
        self.correlation_id = self.headers.get("x-ms-correlation-request-id") or request_id
        """The client's own correlation id, or the request's (documented)."""
        self.arm = True
        """Whether it is for ARM, as far as is known."""
        self.caller: Principal | None = None
        self.remaining: dict[str, str] = {}
        """Headers that show what is left of ARM's limits."""

    def echoes(self) -> dict[str, str]:
        """Return the headers by which a client finds its request again (documented)."""
        found = {
            "x-ms-request-id": self.id,
            "x-ms-correlation-request-id": self.correlation_id,
        }
        asked = self.headers.get("x-ms-return-client-request-id", "").lower() == "true"
        if asked and "x-ms-client-request-id" in self.headers:
            found["x-ms-client-request-id"] = self.headers["x-ms-client-request-id"]
        return found

    def body(self) -> Any:  # noqa: ANN401 - JSON
        """Return the body: JSON, None, or beside ARM a form; raises ``AzureError`` 400 or 415."""
        length = int(self._environ.get("CONTENT_LENGTH") or 0)
        if not length:
            return None
        raw: bytes = self._environ["wsgi.input"].read(length)
        kind = self._environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
        if self.arm and kind != _JSON:
            # Known from a provider that answers in ARM's place (ARO-RP).
            raise errors.AzureError(
                415,
                "UnsupportedMediaType",
                f"The content media type '{kind}' is not supported. Only '{_JSON}' is supported.",
                gateway=True,
            )
        if kind == _FORM and not raw.lstrip().startswith(b"{"):
            # What curl sends as a form by default may well be JSON.
            return dict(parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True))
        try:
            return json.loads(raw)
        except ValueError:
            raise errors.bad_content("the body is not JSON") from None


class Azure:
    """The local Azure as a WSGI callable over one world."""

    def __init__(self, world: World) -> None:
        self.world = world
        # Apart from the world's own, so that reading does not change what is created later.
        self._random = random.Random(0)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        request = Incoming(environ, str(uuid.UUID(int=self._random.getrandbits(128), version=4)))
        try:
            reply = self._serve(request)
        except errors.AzureError as error:
            reply = Reply(error.status, error.body(), error.headers)
        except faults.DroppedError:
            self._log(request, 0)
            raise
        self._log(request, reply.status)
        silent = reply.body is None or request.method == "HEAD"
        sent = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        body = b"" if silent else sent
        headers = {
            "Content-Length": str(len(body)),
            "Date": werkzeug.http.http_date(self.world.now()),
            **request.echoes(),
            **request.remaining,
            **reply.headers,
        }
        if self.world.clock.speed > 1 and "Retry-After" in headers:
            # Who waits does so by the wall.
            wait = int(headers["Retry-After"]) / self.world.clock.speed
            headers["Retry-After"] = str(max(1, math.ceil(wait)))
        if body:
            headers.setdefault("Content-Type", "application/json; charset=utf-8")
        reason = werkzeug.http.HTTP_STATUS_CODES.get(reply.status, "Unknown")
        start_response(f"{reply.status} {reason}", list(headers.items()))
        return [body]

    def _log(self, request: Incoming, status: int) -> None:
        if request.arm:
            app_id = request.caller.app_id if request.caller else ""
            line = Request(request.method, request.path, status, app_id, self.world.now())
            self.world.requests.append(line)

    def _serve(self, request: Incoming) -> Reply:
        """Return the answer to a request: what ARM itself checks, then the service's or a fault's.

        Raises ``AzureError`` for a refusal, ``DroppedError`` where there is to be no answer.
        """
        world = self.world
        request.remaining = throttling.full(request.method, request.path)
        route, args = _match(request.method, request.path)
        request.arm = route.arm
        if not route.arm:
            request.remaining = {}
        else:
            request.caller = self._authenticated(request, None)
            version = request.query.get("api-version", "")
            if not version:
                raise errors.AzureError(
                    400,
                    "MissingApiVersionParameter",
                    "The api-version query parameter (?api-version=) is required for all requests.",
                    gateway=True,
                )
            if not _VERSION.fullmatch(version):
                raise errors.AzureError(
                    400,
                    "InvalidApiVersionParameter",
                    f"The api-version '{version}' is invalid.",
                    gateway=True,
                )
            if world.faults.throttling:
                request.remaining = throttling.arm(
                    world, request.caller, request.method, request.path
                )
        if route in control.routes:
            return self._answer(request, route, args, None)
        return world.injector.serve(
            request.method, request.path, lambda late: self._answer(request, route, args, late)
        )

    def _authenticated(self, request: Incoming, audience: str | None) -> Principal:
        authorization = request.headers.get("authorization", "")
        return tokens.check(self.world, authorization, audience, request.origin)

    def _answer(
        self,
        request: Incoming,
        route: Route,
        args: dict[str, Any],
        late: errors.AzureError | None,
    ) -> Reply:
        """Return the handler's answer, once the caller is known to have the right to it.

        Args:
            request: the request.
            route: what it is for.
            args: the route's placeholders.
            late: how the operation that it starts is to end, if not well.
        """
        world, caller = self.world, request.caller

        def may(
            action: str, scope: str, *, principal: Principal | None = caller, data: bool = False
        ) -> bool:
            oid = principal.oid if principal else ""
            return access.right(world, oid, action, scope, data=data) is not None

        call = Call(
            world=world,
            method=request.method,
            id=ids.parse(request.path),
            args=args,
            query=request.query,
            headers=request.headers,
            body=request.body(),
            origin=request.origin,
            caller=caller,
            may=may,
            authenticated=functools.partial(self._authenticated, request),
            late=late,
        )
        context = None
        if caller is not None:
            url = f"https://management.azure.com{request.target}"
            correlation = request.correlation_id
            context = events.Context(caller, request.method, url, correlation, body=call.body)
        with world.transaction(context):
            if caller is not None:
                self._authorize(route, call, caller)
            return route.handler(call)

    def _authorize(self, route: Route, call: Call, caller: Principal) -> None:
        """Raise ``AzureError`` unless the caller has the right, and nothing forbids the write."""
        world, path = self.world, call.id
        if path.subscription and path.subscription.lower() not in world.subscriptions:
            raise errors.subscription_not_found(path.subscription)
        if route.action == "":
            return
        action = route.action or routing.action(path.type, call.method)
        # The right is asked for at the id, or at what a list or an action hangs on.
        scope = path.text
        if not path.name:
            scope = path.parent if path.type.count("/") > 1 else path.scope or "/"
        attributes = access.attributes(call)
        right = access.right(world, caller.oid, action, scope, attributes=attributes)
        if right is None:
            unfulfilled = any(access.rights(world, caller.oid, action, scope))
            raise errors.not_authorized(caller, action, scope, condition=unfulfilled)
        target = ids.parse(scope)
        tenancy.refuse_unregistered(world, call.method, target)
        locks.refuse(world, call.method, target)
        operations.refuse_conflict(world, call.method, target)
        world.authorize(right, world.roles[right.role].name)


def _match(method: str, path: str) -> tuple[Route, dict[str, Any]]:
    """Return the route of a request and its placeholders; raises ``AzureError`` 400 or 405.

    An extension resource hangs on any scope, which the rules call ``~``.
    """
    folded = path.lower()
    at = -1
    if not folded.startswith(_OUTSIDE_ARM):
        at = max(folded.rfind(extension) for extension in _EXTENSIONS)
    try:
        endpoint, args = _router().match("/~" + folded[at:] if at >= 0 else folded, method)
    except MethodNotAllowed:
        if method == "POST":
            # An action of the provider, which may well exist.
            raise errors.unsupported(f"{method} {path}") from None
        raise errors.AzureError(
            405,
            "MethodNotAllowed",
            f"The requested resource does not support http method '{method}'.",
            gateway=True,
        ) from None
    except HTTPException:
        raise errors.unsupported(f"{method} {path}") from None
    route: Route = endpoint
    return route, dict(args)


@functools.cache
def _router() -> MapAdapter:
    """Compile the routes once: that takes longer than many a test, and no world has others."""
    rules = []
    for route in (route for service in (*SERVICES, control.routes) for route in service):
        rule = Rule(route.rule, endpoint=route, methods=[route.method], merge_slashes=False)
        if rule.methods and route.method != "HEAD":
            # Werkzeug answers HEAD wherever GET is; ARM does not.
            rule.methods.discard("HEAD")
        rules.append(rule)
    return Map(rules, strict_slashes=False, merge_slashes=False).bind("")
