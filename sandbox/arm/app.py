"""The WSGI application: authentication, api-version, routing, authorization, error envelope.

``sandbox.wsgi`` puts it in process behind ``requests``; ``sandbox.server`` serves it over HTTPS.
"""

import functools
import json
import math
import random
import uuid
from collections.abc import Callable, Iterable
from typing import Any

import werkzeug.http
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import Map, MapAdapter, Rule

from sandbox.arm import (
    errors,
    groups,
    ids,
    locks,
    operations,
    routing,
    tags,
    tenancy,
)
from sandbox.arm.incoming import Environ, Incoming
from sandbox.arm.routing import Call, Reply, Route
from sandbox.authorization import (
    access,
    assignments,
    definitions,
    managementgroups,
    quota,
)
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
    quota.routes,
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

type StartResponse = Callable[[str, list[tuple[str, str]]], object]


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
            self._note(request, 0)
            raise
        self._note(request, reply.status)
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

    def _note(self, request: Incoming, status: int) -> None:
        if request.arm:
            app_id = request.caller.app_id if request.caller else ""
            line = Request(request.method, request.path, status, app_id, self.world.now())
            self.world.requests.append(line)

    def _serve(self, request: Incoming) -> Reply:
        world = self.world
        request.remaining = throttling.full(request.method, request.path)
        route, args = self._match(request.method, request.path)
        request.arm = route.arm
        if not route.arm:
            request.remaining = {}
        else:
            authorization = request.headers.get("authorization", "")
            request.caller = tokens.check(world, authorization, None, request.origin)
            request.check_version()
            if world.faults.throttling:
                request.remaining = throttling.arm(
                    world, request.caller, request.method, request.path
                )
        if route in control.routes:
            return self._answer(request, route, args)
        return world.injector.serve(
            request.method, request.path, lambda late: self._answer(request, route, args, late)
        )

    def _match(self, method: str, path: str) -> tuple[Route, dict[str, Any]]:
        """Find the route. An extension resource hangs on any scope, which the rules call ``~``."""
        folded = path.lower()
        at = -1
        if not folded.startswith(_OUTSIDE_ARM):
            at = max(folded.rfind(each) for each in _EXTENSIONS)
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

    def _answer(
        self,
        request: Incoming,
        route: Route,
        args: dict[str, Any],
        late: errors.AzureError | None = None,
    ) -> Reply:
        caller = request.caller

        def may(action: str, scope: str) -> bool:
            oid = caller.oid if caller else ""
            return access.right(self.world, oid, action, scope) is not None

        call = Call(
            world=self.world,
            method=request.method,
            id=ids.parse(request.path),
            args=args,
            query=request.query,
            headers=request.headers,
            body=request.body(),
            origin=request.origin,
            caller=caller,
            may=may,
            late=late,
        )
        context = None
        if caller is not None:
            url = f"https://management.azure.com{request.target}"
            correlation = request.correlation_id
            context = events.Context(caller, request.method, url, correlation, body=call.body)
        with self.world.transaction(context):
            if caller is not None:
                self._authorize(route, call, caller)
            return route.handler(call)

    def _authorize(self, route: Route, call: Call, caller: Principal) -> None:
        subscription = call.id.subscription
        if subscription and subscription.lower() not in self.world.subscriptions:
            raise errors.subscription_not_found(subscription)
        if route.action == "":
            return
        action = route.action or routing.action(call.id.type, call.method)
        scope = _scope(call.id)
        attributes = access.attributes(call)
        found = access.right(self.world, caller.oid, action, scope, attributes=attributes)
        if found is None:
            unfulfilled = any(access.rights(self.world, caller.oid, action, scope))
            raise errors.not_authorized(caller, action, scope, condition=unfulfilled)
        target = ids.parse(scope)
        tenancy.refuse_unregistered(self.world, call.method, target)
        locks.refuse(self.world, call.method, target)
        operations.refuse_conflict(self.world, call.method, target)
        self.world.authorize(found, self.world.roles[found.role].name)


@functools.cache
def _router() -> MapAdapter:
    """Compile the routes once: that takes longer than many a test, and no world has others."""
    rules = [_rule(route) for each in (*SERVICES, control.routes) for route in each]
    return Map(rules, strict_slashes=False, merge_slashes=False).bind("")


def _rule(route: Route) -> Rule:
    rule = Rule(route.rule, endpoint=route, methods=[route.method], merge_slashes=False)
    if rule.methods and route.method != "HEAD":
        # Werkzeug answers HEAD wherever GET is; ARM does not.
        rule.methods.discard("HEAD")
    return rule


def _scope(path: ids.ArmId) -> str:
    """Return what a right is asked for: the id, or what a list or an action hangs on."""
    if path.name:
        return path.text
    nested = path.type.count("/") > 1
    return path.parent if nested else path.scope or "/"
