"""`python -m sandbox host`: runs a function app until it is told to stop."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from sandbox.arguments import INTERRUPTED, Parser, port
from sandbox.host import http
from sandbox.host.blobs import CONNECTION, StorageBlobs, StorageError, expanded
from sandbox.host.queues import MemoryQueues, StorageQueues
from sandbox.host.timers import now
from sandbox.host.triggers import Host
from sandbox.host.worker import AppError, Worker


def main(argv: Sequence[str]) -> int:
    """Serve an app with its storage in memory, or in the account of AzureWebJobsStorage.

    Prints `ready` and the address, and ends on SIGINT or SIGTERM, as soon as the functions that run
    have ended; on a second one at once, with 130. Returns 0, or 1 after one line about what is
    wrong; leaves with 2 where the arguments are.
    """
    parser = Parser(prog="python -m sandbox host", description=__doc__)
    parser.add_argument("--port", type=port, default=7071, help="0 picks a free one (%(default)s)")
    parser.add_argument("--app", type=Path, default=Path(), help="folder of function_app.py")
    options = parser.parse_args(argv)
    # The app's own log is what its author wants to see, not each request of the SDKs.
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("azure").setLevel(logging.WARNING)
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: _end(stop))
    try:
        _serve(options.app, options.port, stop)
    except (AppError, OSError, StorageError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _end(stop: threading.Event) -> None:
    """Ask all to stop; who is asked a second time does not wait for functions any more."""
    if stop.is_set():
        os._exit(INTERRUPTED)
    stop.set()


def _serve(app: Path, port: int, stop: threading.Event) -> None:
    with ExitStack() as stack:
        if account := expanded(os.environ.get(CONNECTION, "")):
            memory = None
            queues = stack.enter_context(closing(StorageQueues(account)))
            blobs = stack.enter_context(closing(StorageBlobs(account)))
            host = Host(Worker(app), queues, blobs=blobs)
        else:
            memory = MemoryQueues(now)
            host = Host(Worker(app), memory)
        bound = stack.enter_context(http.serving(http.application(host, memory), port))
        # The app sends what it defers there itself.
        os.environ[CONNECTION] = account or http.connection_string(bound)
        stack.enter_context(host)
        print(f"ready http://{http.ADDRESS}:{bound}", flush=True)
        stop.wait()
