"""The HTTPS entrance: the local Azure on loopback, with what clients need to find and trust it.

``python -m sandbox serve`` and the demo start it. Werkzeug's own server closes every connection;
real clients keep theirs, so the few lines that speak HTTP/1.1 are here.
"""

import datetime as dt
import ipaddress
import re
import shlex
import signal
import socket
import ssl
import sys
import threading
import traceback
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sandbox import seed as seeds
from sandbox import transport
from sandbox.arm.app import Azure
from sandbox.eventgrid.delivery import Deliveries
from sandbox.eventgrid.sending import StorageOutlets
from sandbox.world.clock import wall_clock
from sandbox.world.world import World

_USAGE = 2
_DIGITS = re.compile(r"[0-9]{1,9}")
_DAY = dt.timedelta(days=1)


def main(folder: Path, seed: Path, port: int, speed: float, storage: str | None) -> int:
    """Serve the world of a seed file and deliver its events until SIGINT or SIGTERM.

    Prints `ready` and the address; returns 0, or 2 after one line about what is wrong.
    """
    try:
        world = seeds.load(seeds.read(seed), clock=wall_clock(speed))
        outlets = StorageOutlets(storage) if storage else None
        server = Server(world, folder, port)
    except seeds.SeedError as error:
        reason = f"{seed}: {error}"
    except OSError as error:
        # Of what a server sets up only the port has no file name.
        reason = f"{error.filename or f'port {port}'}: {error.strerror}"
    except ValueError as error:
        reason = f"--storage: {error}"
    else:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        with server, Deliveries(world, outlets):
            print(f"ready {server.url}", flush=True)
            stop.wait()
        return 0
    print(f"python -m sandbox serve: {reason}", file=sys.stderr)
    return _USAGE


class Server:
    """The local Azure over HTTPS; a context manager that serves from a thread."""

    def __init__(self, world: World, folder: Path, port: int = 0) -> None:
        """Bind the port, 0 is any, and write ``ca.pem`` and ``env.sh``; raises ``OSError``."""
        folder.mkdir(parents=True, exist_ok=True)
        self.world = world
        self.folder = folder
        self._listener = _Listener(port, _tls_context(folder), Azure(world))
        self.url = f"https://127.0.0.1:{self._listener.server_port}"
        exports = [
            f"export {name}={shlex.quote(value)}" for name, value in self.environment().items()
        ]
        (folder / "env.sh").write_text("\n".join(exports) + "\n")
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.05,))

    def environment(self) -> dict[str, str]:
        """Return the variables that SDKs and the application need to use this server."""
        authority = str((self.folder / "ca.pem").resolve())
        world = self.world
        variables = {
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
            variables["RECONCILER_HOME"] = world.app.resource_id.partition("/providers/")[0]
        return variables

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown()
        self._listener.hang_up()
        self._listener.server_close()
        self._thread.join()


class _Listener(ThreadingHTTPServer):
    # Whoever stops the server waits for the threads of its connections.
    daemon_threads = False
    request_queue_size = 128

    def __init__(self, port: int, context: ssl.SSLContext, app: transport.App) -> None:
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
        for connection in list(self._open):
            try:
                # By its own method, TLS would be taken away from under the thread that reads.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
            except OSError:
                continue

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - the base's
        # Only a fault of the sandbox is of interest; clients may hang up at any time.
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
        made = transport.environ(self.command, self.path, host, self.headers.items(), body)
        status, headers, content = transport.run(self.server.app, made)
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


def _tls_context(folder: Path) -> ssl.SSLContext:
    """Return a TLS context for loopback; leaves ``ca.pem``, the authority alone, in the folder.

    Authority and certificate are made anew for each server. The authority's key is never written,
    so nothing else can be signed with it.
    """
    authority_key = ec.generate_private_key(ec.SECP256R1())
    key = ec.generate_private_key(ec.SECP256R1())
    now, signer = dt.datetime.now(dt.UTC), authority_key.public_key()

    def certificate(subject: str, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        authority = public == signer
        names = [
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
            for name in (subject, "identity-reconciler sandbox")
        ]
        usage = x509.KeyUsage(
            digital_signature=not authority,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=authority,
            crl_sign=authority,
            encipher_only=False,
            decipher_only=False,
        )
        limits = x509.BasicConstraints(ca=authority, path_length=0 if authority else None)
        signed_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer)
        return (
            x509.CertificateBuilder()
            .subject_name(names[0])
            .issuer_name(names[1])
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _DAY)
            .not_valid_after(now + 30 * _DAY)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(signed_by, critical=False)
            .add_extension(limits, critical=True)
            .add_extension(usage, critical=True)
        )

    hosts = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    authority = certificate("identity-reconciler sandbox", signer).sign(
        authority_key, hashes.SHA256()
    )
    leaf = (
        certificate("localhost", key.public_key())
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(authority.public_bytes(pem))
    chain = folder / "server.pem"
    chain.touch(mode=0o600)
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chain.write_bytes(private + leaf.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    # The context keeps what it has read; a key need not lie around.
    chain.unlink()
    return context
