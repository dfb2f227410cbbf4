"""The web entrance: functions' routes, the Event Grid webhook and, in memory, the queue service.

`command` serves it; tests may call the WSGI application. Of the storage service's REST interface
there is what the storage SDK needs to create a queue and send a message, delayed or not, so an app
can defer its own requests without a storage account.
"""

import base64
import json
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import timedelta
from email.utils import format_datetime
from socket import create_server
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from werkzeug.exceptions import HTTPException, NotFound, Unauthorized
from werkzeug.routing import Map, Rule
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from sandbox.host.protocol import RpcHttp, TypedData
from sandbox.host.queues import MemoryQueues, Message, QueueError
from sandbox.host.routes import find
from sandbox.host.storage import StorageError
from sandbox.host.triggers import Host
from sandbox.host.worker import InvocationError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

ADDRESS = "127.0.0.1"
ACCOUNT = "devstoreaccount1"
WEBHOOK = "/runtime/webhooks/eventgrid"

_ROUTES = Map(
    [
        Rule(WEBHOOK, methods=["OPTIONS"], endpoint="handshake"),
        Rule(WEBHOOK, methods=["POST"], endpoint="events"),
        Rule(f"/{ACCOUNT}/<queue>", methods=["PUT"], endpoint="create"),
        Rule(f"/{ACCOUNT}/<queue>/messages", methods=["POST"], endpoint="send"),
    ]
)


def connection_string(port: int) -> str:
    """Give the AzureWebJobsStorage that reaches the queues served at this port."""
    key = base64.b64encode(b"opens nothing").decode()
    return (
        f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={key};"
        f"QueueEndpoint=http://{ADDRESS}:{port}/{ACCOUNT};"
    )


def application(host: Host, queues: MemoryQueues | None = None) -> "WSGIApplication":
    """Build the WSGI application; without `queues` it has no queue service."""

    @Request.application
    def respond(request: Request) -> Response:
        # The real host compares paths without regard to case.
        routes = _ROUTES.bind_to_environ(request.environ)
        try:
            try:
                endpoint, values = routes.match(request.path.lower())
            except NotFound:
                return _function(host, request)
            if endpoint == "handshake":
                return _handshake(request)
            if endpoint == "events":
                return _events(host, request)
            if queues is None:
                raise NotFound
            return _STORAGE[endpoint](queues, values["queue"], request)
        except HTTPException as error:
            return Response(str(error), error.code)
        except QueueError as error:
            return Response(status=error.status, headers={"x-ms-error-code": error.code})

    return respond


@contextmanager
def serving(app: "WSGIApplication", port: int = 0) -> Generator[int]:
    """Serve on the loopback address while the context lasts, at `port` or any free one.

    Raises:
        OSError: the port is taken.
    """
    with create_server((ADDRESS, port)) as listener:
        server = make_server(
            ADDRESS, port, app, threaded=True, request_handler=_Quiet, fd=listener.fileno()
        )
    thread = threading.Thread(target=server.serve_forever, name="http")
    thread.start()
    try:
        yield server.port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Quiet(WSGIRequestHandler):
    """Logs nothing, and closes each connection so that none outlives the server."""

    protocol_version = "HTTP/1.0"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


def _handshake(request: Request) -> Response:
    """Agree to a CloudEvents subscription (documented, facts: Resource events)."""
    origin = request.headers.get("WebHook-Request-Origin", "*")
    return Response(headers={"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "*"})


def _events(host: Host, request: Request) -> Response:
    """Take a delivery; its statuses were read in the published source of the extension.

    Whatever it is about, the function must be there. What cannot be read is a fault of the server,
    which Event Grid delivers again.
    """
    function = request.args.get("functionName", "")
    if not host.takes_events(function):
        return Response(f"cannot find function: '{function}'", 404)
    kind = request.headers.get("aeg-event-type", "").lower()
    try:
        if kind == "subscriptionvalidation":
            return _agree(json.loads(request.get_data()))
        if kind == "notification":
            return _deliver(host, json.loads(request.get_data()), function)
    except (LookupError, TypeError, ValueError) as error:
        return Response(f"the request cannot be read: {error!r}", 500)
    return Response(status=202 if kind == "unsubscribe" else 400)


def _agree(body: Any) -> Response:  # noqa: ANN401 - JSON
    """Return the code: of an array of one, or of one object that has its data as text."""
    data = body[0]["data"] if isinstance(body, list) else json.loads(body["data"])
    return _json({"validationResponse": data["validationCode"]})


def _deliver(host: Host, body: Any, function: str) -> Response:  # noqa: ANN401 - JSON
    """Hand over every event, of an array or one alone, and fail if one of them does."""
    if not isinstance(body, list | dict):
        raise TypeError(body)
    failures: list[str] = []
    for event in body if isinstance(body, list) else [body]:
        try:
            host.deliver(event, function)
        except (InvocationError, StorageError) as error:
            failures.append(str(error))
    return Response(failures[0], 500) if failures else Response(status=202)


def _function(host: Host, request: Request) -> Response:
    """Let the function at the path answer (documented: HTTP trigger; other statuses assumed).

    Unlike Core Tools this asks for keys, as Azure does, so that callers can be tested.
    """
    found = find(host.routes, request.path, request.method)
    if found is None:
        raise NotFound
    route, parameters = found
    if not host.keys.open(
        route, request.headers.get("x-functions-key", request.args.get("code", ""))
    ):
        raise Unauthorized
    sent = RpcHttp(
        method=request.method,
        url=request.url,
        headers=dict(request.headers),
        params=parameters,
        # One that is there twice arrives as one text (read in the host's published source).
        query={name: ",".join(values) for name, values in request.args.lists()},
        body=TypedData(bytes=request.get_data()),
    )
    try:
        return _answer(host.answer(route, sent))
    except (InvocationError, StorageError):
        # The reason is in the log; callers of a deployed app do not see it either.
        return Response(status=500)


def _answer(value: object) -> Response:
    if not isinstance(value, RpcHttp):
        return Response(str(value))
    response = Response(value.body.bytes, int(value.status_code), list(value.headers.items()))
    for cookie in value.cookies or ():
        response.set_cookie(
            cookie.name,
            cookie.value,
            max_age=cookie.max_age and int(cookie.max_age.value),
            expires=cookie.expires and cookie.expires.value.seconds,
            path=_set(cookie.path),
            domain=_set(cookie.domain),
            secure=bool(_set(cookie.secure)),
            httponly=bool(_set(cookie.http_only)),
            samesite=cookie.same_site,
        )
    return response


def _set(attribute: Any) -> Any:  # noqa: ANN401 - the library's message classes
    """Return an attribute of a cookie, none where it was not set."""
    return attribute and (attribute.value or None)


def _create(queues: MemoryQueues, queue: str, _request: Request) -> Response:
    return Response(status=201 if queues.create(queue) else 204)


def _send(queues: MemoryQueues, queue: str, request: Request) -> Response:
    # Only what the app's own SDK sends is read here, over the loopback address.
    try:
        text = ET.fromstring(request.get_data()).findtext("MessageText", "")  # noqa: S314 - see above.
    except ET.ParseError:
        raise QueueError(400, "InvalidXmlDocument") from None
    delay = request.args.get("visibilitytimeout", "0")
    if not delay.isdecimal():
        raise QueueError(400, "InvalidQueryParameterValue")
    message = queues.put(queue, text, timedelta(seconds=int(delay)))
    return Response(_receipt(message), 201, mimetype="application/xml")


_STORAGE: dict[str, Callable[[MemoryQueues, str, Request], Response]] = {
    "create": _create,
    "send": _send,
}


def _receipt(message: Message) -> str:
    """Write the answer to Put Message (documented)."""
    listing = ET.Element("QueueMessagesList")
    entry = ET.SubElement(listing, "QueueMessage")
    for name, value in {
        "MessageId": message.id,
        "InsertionTime": format_datetime(message.inserted, usegmt=True),
        "ExpirationTime": format_datetime(message.expires, usegmt=True),
        "PopReceipt": message.receipt,
        "TimeNextVisible": format_datetime(message.visible, usegmt=True),
    }.items():
        ET.SubElement(entry, name).text = value
    return ET.tostring(listing, encoding="unicode")


def _json(value: object) -> Response:
    return Response(json.dumps(value), mimetype="application/json")
