"""The WSGI application: authentication, api-version, routing, authorization, error envelope.

``sandbox.wsgi`` puts it in process behind ``requests``; ``sandbox.server`` serves it over HTTPS.
"""

import json
import random
import re
import uuid
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl

import werkzeug.http
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import Map, MapAdapter, Rule

from sandbox.azure import (
    access,
    activity,
    assignments,
    compute,
    dataplane,
    errors,
    eventgrid,
    extensions,
    federated,
    graph,
    identities,
    ids,
    locks,
    operations,
    providers,
    quota,
    resources,
    roledefinitions,
    scalesets,
    signin,
    tenancy,
    tokens,
)
from sandbox.azure.routing import Call, Reply, Route
from sandbox.azure.state import Principal
from sandbox.azure.world import Request, World

SERVICES = (
    tenancy.routes,
    providers.routes,
    resources.routes,
    compute.routes,
    extensions.routes,
    scalesets.routes,
    identities.routes,
    federated.routes,
    locks.routes,
    assignments.routes,
    quota.routes,
    roledefinitions.routes,
    graph.routes,
    activity.routes,
    operations.routes,
    providers.open_routes,
    signin.routes,
    dataplane.routes,
)

_EXTENSION = "/providers/microsoft.authorization/"
_OUTSIDE_ARM = ("/imds/", "/dataplane/", "/msi/")
_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(-preview)?", re.IGNORECASE)
_VERBS = {
    "GET": "read",
    "HEAD": "read",
    "PUT": "write",
    "PATCH": "write",
    "POST": "action",
    "DELETE": "delete",
}
# What a full token bucket shows (facts A2.6 and B3; reads are stripped from the recordings).
_REMAINING = {
    "read": {"subscription-reads": "249", "subscription-global-reads": "3749"},
    "write": {"subscription-writes": "199", "subscription-global-writes": "2999"},
    "delete": {"subscription-deletes": "199", "subscription-global-deletes": "2999"},
}

type StartResponse = Callable[[str, list[tuple[str, str]]], object]
type Environ = dict[str, Any]


class Azure:
    """The local Azure as a WSGI callable over one world."""

    def __init__(self, world: World) -> None:
        self.world = world
        # Apart from the world's own, so that reading does not change what is created later.
        self._random = random.Random(0)
        self.routes: tuple[Route, ...] = tuple(route for each in SERVICES for route in each)
        rules = [_rule(route) for route in self.routes]
        self._router: MapAdapter = Map(rules, strict_slashes=False, merge_slashes=False).bind("")

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        request = _Incoming(environ, str(uuid.UUID(int=self._random.getrandbits(128), version=4)))
        caller: Principal | None = None
        arm = True
        try:
            route, args = self._match(request.method, request.path)
            arm = route.arm
            if arm:
                authorization = request.headers.get("authorization", "")
                caller = tokens.check(self.world, authorization, None, request.origin)
                _check_version(request.query)
            reply = self._answer(request, route, args, caller)
        except errors.AzureError as error:
            reply = Reply(error.status, error.body(), error.headers)
        now = self.world.now()
        if arm:
            app_id = caller.app_id if caller else ""
            line = Request(request.method, request.path, reply.status, app_id, now)
            self.world.requests.append(line)
        body = b"" if reply.body is None else json.dumps(reply.body).encode()
        headers = {
            "Content-Length": str(len(body)),
            "Date": werkzeug.http.http_date(now),
            "x-ms-request-id": request.id,
            "x-ms-correlation-request-id": request.id,
            **(_remaining(request) if arm else {}),
            **reply.headers,
        }
        if body:
            headers.setdefault("Content-Type", "application/json; charset=utf-8")
        reason = werkzeug.http.HTTP_STATUS_CODES.get(reply.status, "Unknown")
        start_response(f"{reply.status} {reason}", list(headers.items()))
        return [b"" if request.method == "HEAD" else body]

    def _match(self, method: str, path: str) -> tuple[Route, dict[str, Any]]:
        """Find the route. An extension resource hangs on any scope, which the rules call ``~``."""
        folded = path.lower()
        at = -1 if folded.startswith(_OUTSIDE_ARM) else folded.rfind(_EXTENSION)
        try:
            endpoint, args = self._router.match("/~" + folded[at:] if at >= 0 else folded, method)
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
        self, request: "_Incoming", route: Route, args: dict[str, Any], caller: Principal | None
    ) -> Reply:
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
        )
        context = None
        if caller is not None:
            url = f"https://management.azure.com{request.target}"
            context = eventgrid.Context(caller, request.method, url, request.id)
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
        action = route.action or f"{call.id.type}/{_VERBS[call.method]}"
        scope = _scope(call.id)
        attributes = access.attributes(call)
        found = access.right(self.world, caller.oid, action, scope, attributes=attributes)
        if found is None:
            unfulfilled = any(access.rights(self.world, caller.oid, action, scope))
            raise errors.not_authorized(caller, action, scope, condition=unfulfilled)
        locks.refuse(self.world, call.method, ids.parse(scope))
        self.world.authorize(found, self.world.roles[found.role].name)


class _Incoming:
    """A request as WSGI hands it over."""

    def __init__(self, environ: Environ, request_id: str) -> None:
        self._environ = environ
        self.id = request_id
        self.method: str = environ["REQUEST_METHOD"]
        # WSGI hands paths over as latin-1; ids are UTF-8.
        self.path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
        self.target = f"{self.path}?{environ['QUERY_STRING']}"
        options = parse_qsl(environ["QUERY_STRING"], keep_blank_values=True)
        self.query = {name.lower(): value for name, value in options}
        self.origin = f"{environ['wsgi.url_scheme']}://{environ['HTTP_HOST']}"
        self.headers = {
            name[5:].replace("_", "-").lower(): value
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }

    def body(self) -> Any:  # noqa: ANN401 - JSON
        """Return the body: JSON, a form, or None; raises ``AzureError`` 400."""
        length = int(self._environ.get("CONTENT_LENGTH") or 0)
        if not length:
            return None
        raw: bytes = self._environ["wsgi.input"].read(length)
        if self._environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
            return dict(parse_qsl(raw.decode(), keep_blank_values=True))
        try:
            return json.loads(raw)
        except ValueError:
            raise errors.bad_content("the body is not JSON") from None


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


def _check_version(query: dict[str, str]) -> None:
    version = query.get("api-version", "")
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


def _remaining(request: _Incoming) -> dict[str, str]:
    kind = _VERBS.get(request.method, "write").replace("action", "write")
    shown = _REMAINING[kind]
    if not request.path.lower().startswith("/subscriptions/"):
        shown = {f"tenant-{kind}s": "249" if kind == "read" else "199"}
    return {f"x-ms-ratelimit-remaining-{name}": value for name, value in shown.items()}
