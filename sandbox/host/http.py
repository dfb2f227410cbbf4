"""The web entrance: functions' routes, the Event Grid webhook and, in memory, the queue service.

`command` serves it; tests may call the WSGI application. Of the storage service's REST interface
there is what the storage SDK needs to create a queue and send a message, delayed or not, so an app
can defer its own requests without a storage account.
"""

import base64
import json
import threading
from collections.abc import Generator
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

from sandbox.host import routes
from sandbox.host.blobs import StorageError
from sandbox.host.queues import MemoryQueues, QueueError
from sandbox.host.triggers import Host
from sandbox.host.worker import InvocationError, RpcHttp, TypedData

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
    """Return the AzureWebJobsStorage that reaches the queues served at this port."""
    key = base64.b64encode(b"opens nothing").decode()
    return (
        f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={key};"
        f"QueueEndpoint=http://{ADDRESS}:{port}/{ACCOUNT};"
    )


@contextmanager
def serving(app: "WSGIApplication", port: int = 0) -> Generator[int]:
    """Serve on loopback while the context lasts, at `port` or any free one; raises `OSError`."""
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
        """Log nothing."""


def application(host: Host, queues: MemoryQueues | None = None) -> "WSGIApplication":
    """Return the WSGI application; without `queues` it has no queue service."""

    @Request.application
    def respond(request: Request) -> Response:
        try:
            try:
                # The real host compares paths without regard to case.
                router = _ROUTES.bind_to_environ(request.environ)
                endpoint, values = router.match(request.path.lower())
            except NotFound:
                return _function(host, request)
            if endpoint == "handshake":
                # Agree to a CloudEvents subscription (documented, facts: Resource events).
                origin = request.headers.get("WebHook-Request-Origin", "*")
                allowed = {"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "*"}
                return Response(headers=allowed)
            if endpoint == "events":
                return _events(host, request)
            if queues is None:
                raise NotFound
            if endpoint == "create":
                return Response(status=201 if queues.create(values["queue"]) else 204)
            return _send(queues, values["queue"], request)
        except HTTPException as error:
            return Response(str(error), error.code)
        except QueueError as error:
            return Response(status=error.status, headers={"x-ms-error-code": error.code})

    return respond


def _events(host: Host, request: Request) -> Response:
    """Take a delivery; its statuses were read in the published source of the extension.

    Whatever it is about, the function must be there. What cannot be read is a fault of the server,
    which Event Grid delivers again.
    """
    function = request.args.get("functionName", "")
    if not host.triggered("eventGridTrigger", function):
        return Response(f"cannot find function: '{function}'", 404)
    kind = request.headers.get("aeg-event-type", "").lower()
    if kind not in ("subscriptionvalidation", "notification"):
        return Response(status=202 if kind == "unsubscribe" else 400)
    try:
        body: Any = json.loads(request.get_data())
        if kind == "subscriptionvalidation":
            # An array of one, or one object that has its data as text.
            data = body[0]["data"] if isinstance(body, list) else json.loads(body["data"])
            agreed = json.dumps({"validationResponse": data["validationCode"]})
            return Response(agreed, mimetype="application/json")
        if not isinstance(body, list | dict):
            raise TypeError(body)  # noqa: TRY301 - as what the worker cannot read
        failures: list[str] = []
        for event in body if isinstance(body, list) else [body]:
            try:
                host.deliver(event, function)
            except (InvocationError, StorageError) as error:
                failures.append(str(error))
        return Response(failures[0], 500) if failures else Response(status=202)
    except (LookupError, TypeError, ValueError) as error:
        return Response(f"the request cannot be read: {error!r}", 500)


def _send(queues: MemoryQueues, queue: str, request: Request) -> Response:
    """Put a message into a queue and return the receipt (documented: Put Message)."""
    # Only what the app's own SDK sends is read here, over the loopback address.
    try:
        text = ET.fromstring(request.get_data()).findtext("MessageText", "")  # noqa: S314 - see above.
    except ET.ParseError:
        raise QueueError(400, "InvalidXmlDocument") from None
    delay = request.args.get("visibilitytimeout", "0")
    if not delay.isdecimal():
        raise QueueError(400, "InvalidQueryParameterValue")
    message = queues.put(queue, text, timedelta(seconds=int(delay)))
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
    return Response(ET.tostring(listing, encoding="unicode"), 201, mimetype="application/xml")


def _function(host: Host, request: Request) -> Response:
    """Let the function at the path answer (documented: HTTP trigger; other statuses assumed)."""
    match = routes.find(host.routes, request.path, request.method)
    if match is None:
        raise NotFound
    route, parameters = match
    key = request.headers.get("x-functions-key", request.args.get("code", ""))
    if not route.opens(key, host.settings):
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
        answer = host.answer(route.function, sent)
    except (InvocationError, StorageError):
        # The reason is in the log; callers of a deployed app do not see it either.
        return Response(status=500)
    if not isinstance(answer, RpcHttp):
        return Response(str(answer))
    return Response(answer.body.bytes, int(answer.status_code), list(answer.headers.items()))
