"""The HTTPS entrance: the local Azure on loopback, with what clients need to find it.

``python -m sandbox serve`` and the demo start it. Werkzeug's own server closes every connection;
real clients keep theirs, so the few lines that speak HTTP/1.1 are here.
"""

import re
import shlex
import socket
import ssl
import sys
import threading
import traceback
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

from sandbox import tls, wsgi
from sandbox.arm.app import Azure
from sandbox.world.world import World

_DIGITS = re.compile(r"[0-9]{1,9}")


class _Listener(ThreadingHTTPServer):
    # Whoever stops the server waits for the threads of its connections.
    daemon_threads = False
    request_queue_size = 128

    def __init__(self, port: int, context: ssl.SSLContext, app: wsgi.App) -> None:
        super().__init__(("127.0.0.1", port), _Connection)
        self.app = app
        self._open: set[socket.socket] = set()
        # The handshake belongs to the connection's own thread, so that nobody holds up others.
        self.socket = context.wrap_socket(
            self.socket, server_side=True, do_handshake_on_connect=False
        )

    def process_request(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        if isinstance(request, socket.socket):
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        if isinstance(request, socket.socket):
            self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        for each in list(self._open):
            try:
                # By its own method, TLS would be taken away from under the thread that reads.
                socket.socket.shutdown(each, socket.SHUT_RDWR)
            except OSError:
                continue

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - the base's
        """Report a fault of the sandbox; clients may hang up at any time."""
        if not isinstance(sys.exception(), OSError):
            traceback.print_exc()


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Listener

    def _answer(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not _DIGITS.fullmatch(length):
            # Nobody can tell where the body ends, so what follows must not be read as a request.
            self.close_connection = True
            self.send_error(HTTPStatus.LENGTH_REQUIRED, explain="The sandbox reads no chunks.")
            return
        body = self.rfile.read(int(length))
        host = self.headers.get("Host", "127.0.0.1")
        made = wsgi.environ(self.command, self.path, host, self.headers.items(), body)
        status, headers, content = wsgi.run(self.server.app, made)
        code, _, reason = status.partition(" ")
        self.send_response_only(int(code), reason)
        for name, value in headers:
            # A 204 has no body and says no length.
            if code != "204" or name != "Content-Length":
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815 - the base looks for these names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Requests are in the world's own log."""


class Server:
    """The local Azure over HTTPS; a context manager that serves from a thread."""

    def __init__(self, world: World, folder: Path, port: int = 0) -> None:
        """Bind the port (0 is any) and write ``ca.pem`` and ``env.sh`` into the folder.

        Raises:
            OSError: the port is taken or the folder cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.world = world
        self.folder = folder
        self._listener = _Listener(port, tls.server_context(folder), Azure(world))
        self.url = f"https://127.0.0.1:{self._listener.server_port}"
        exports = [
            f"export {name}={shlex.quote(each)}" for name, each in self.environment().items()
        ]
        (folder / "env.sh").write_text("\n".join(exports) + "\n")
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.05,))

    def environment(self) -> dict[str, str]:
        """Return the variables that SDKs and the application need to use this server."""
        authority = str((self.folder / "ca.pem").resolve())
        world = self.world
        found = {
            "REQUESTS_CA_BUNDLE": authority,
            "SSL_CERT_FILE": authority,
            "IDENTITY_ENDPOINT": f"{self.url}/msi/token",
            "IDENTITY_HEADER": world.identity_secret,
            "AZURE_AUTHORITY_HOST": self.url,
            "RECONCILER_ARM_ENDPOINT": self.url,
            "RECONCILER_OWNER": "sandbox",
            "RECONCILER_SUBSCRIPTIONS": ",".join(world.subscriptions),
            "RECONCILER_MODE": "repair",
            "RECONCILER_SETTLE": "1",
            "RECONCILER_CLIENT_ID": world.app.app_id,
            # For those who act as a person beside the application.
            "SANDBOX_TENANT": world.tenant,
            "SANDBOX_OPERATOR_CLIENT_ID": world.operator.app_id,
            "SANDBOX_OPERATOR_SECRET": world.operator.secret or "",
        }
        if world.app.resource_id:
            home = world.app.resource_id.partition("/providers/")[0]
            found["RECONCILER_HOME"] = home
        return found

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown()
        self._listener.hang_up()
        self._listener.server_close()
        self._thread.join()
