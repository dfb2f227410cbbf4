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
    assignments,
    compute,
    dataplane,
    errors,
    eventgrid,
    graph,
    identities,
    ids,
    operations,
    resources,
    roledefinitions,
    signin,
    tokens,
)
from sandbox.azure.routing import Call, Reply, Route
from sandbox.azure.state import Principal
from sandbox.azure.world import Request, World

SERVICES = (
    resources.routes,
    compute.routes,
    identities.routes,
    assignments.routes,
    roledefinitions.routes,
    graph.routes,
    operations.routes,
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
        method: str = environ["REQUEST_METHOD"]
        # WSGI hands paths over as latin-1; ids are UTF-8.
        path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
        request_id = str(uuid.UUID(int=self._random.getrandbits(128), version=4))
        caller: Principal | None = None
        arm = True
        try:
            route, args = self._match(method, path)
            arm = route.arm
            if arm:
                authorization = environ.get("HTTP_AUTHORIZATION", "")
                caller = tokens.check(self.world, authorization, None, _origin(environ))
            reply = self._answer(environ, route, args, path, request_id, caller)
        except errors.AzureError as error:
            reply = Reply(error.status, error.body(), error.headers)
        now = self.world.now()
        if arm:
            app_id = caller.app_id if caller else ""
            self.world.requests.append(Request(method, path, reply.status, app_id, now))
        body = b"" if reply.body is None else json.dumps(reply.body).encode()
        headers = {
            "Content-Length": str(len(body)),
            "Date": werkzeug.http.http_date(now),
            "x-ms-request-id": request_id,
            "x-ms-correlation-request-id": request_id,
            **(_remaining(method, path) if arm else {}),
            **reply.headers,
        }
        if body:
            headers.setdefault("Content-Type", "application/json; charset=utf-8")
        reason = werkzeug.http.HTTP_STATUS_CODES.get(reply.status, "Unknown")
        start_response(f"{reply.status} {reason}", list(headers.items()))
        return [b"" if method == "HEAD" else body]

    def _match(self, method: str, path: str) -> tuple[Route, dict[str, Any]]:
        """Find the route. An extension resource hangs on any scope, which the rules call ``~``."""
        folded = path.lower()
        at = -1 if folded.startswith(_OUTSIDE_ARM) else folded.rfind(_EXTENSION)
        try:
            endpoint, args = self._router.match("/~" + folded[at:] if at >= 0 else folded, method)
        except MethodNotAllowed:
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

    def _answer(  # noqa: PLR0913, PLR0917 - what is known of the request so far
        self,
        environ: Environ,
        route: Route,
        args: dict[str, Any],
        path: str,
        request_id: str,
        caller: Principal | None,
    ) -> Reply:
        query = {name.lower(): value for name, value in _query(environ["QUERY_STRING"])}
        if route.arm:
            _check_version(query)

        def may(action: str, scope: str) -> bool:
            oid = caller.oid if caller else ""
            return access.right(self.world, oid, action, scope) is not None

        call = Call(
            world=self.world,
            method=route.method,
            id=ids.parse(path),
            args=args,
            query=query,
            headers=_headers(environ),
            body=_body(environ),
            origin=_origin(environ),
            caller=caller,
            may=may,
        )
        context = None
        if caller is not None:
            url = f"https://management.azure.com{path}?{environ['QUERY_STRING']}"
            context = eventgrid.Context(caller, route.method, url, request_id)
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
        found = access.right(self.world, caller.oid, action, scope)
        if found is None:
            raise errors.AzureError(
                403,
                "AuthorizationFailed",
                f"The client '{caller.app_id}' with object id '{caller.oid}' does not have "
                f"authorization to perform action '{action}' over scope '{scope}' or the scope is "
                "invalid. If access was recently granted, please refresh your credentials.",
                gateway=True,
            )
        self.world.authorize(found, self.world.roles[found.role].name)


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


def _origin(environ: Environ) -> str:
    return f"{environ['wsgi.url_scheme']}://{environ['HTTP_HOST']}"


def _headers(environ: Environ) -> dict[str, str]:
    found = {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    found["content-type"] = environ.get("CONTENT_TYPE", "")
    return found


def _query(text: str) -> list[tuple[str, str]]:
    return parse_qsl(text, keep_blank_values=True)


def _body(environ: Environ) -> Any:  # noqa: ANN401 - JSON
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if not length:
        return None
    raw: bytes = environ["wsgi.input"].read(length)
    if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        return dict(_query(raw.decode()))
    try:
        return json.loads(raw)
    except ValueError:
        raise errors.bad_content("the body is not JSON") from None


def _remaining(method: str, path: str) -> dict[str, str]:
    kind = _VERBS.get(method, "write").replace("action", "write")
    shown = _REMAINING[kind]
    if not path.lower().startswith("/subscriptions/"):
        shown = {f"tenant-{kind}s": "249" if kind == "read" else "199"}
    return {f"x-ms-ratelimit-remaining-{name}": value for name, value in shown.items()}
