"""`python -m sandbox host`: runs a function app until a signal stops it."""

import logging
import os
import signal
import sys
import threading
from contextlib import ExitStack, closing
from pathlib import Path

from sandbox.host import http
from sandbox.host.blobs import CONNECTION, StorageBlobs, StorageError, expanded
from sandbox.host.queues import MemoryQueues, StorageQueues
from sandbox.host.timers import now
from sandbox.host.triggers import Host
from sandbox.host.worker import AppError, Worker

_INTERRUPTED = 130


def main(app: Path, port: int) -> int:
    """Serve an app with its storage in memory, or in the account of AzureWebJobsStorage.

    Prints `ready` and the address, and ends on SIGINT or SIGTERM, as soon as the functions that run
    have ended; on a second one at once, with 130. Returns 0, or 1 after one line about what is
    wrong.
    """
    # The app's own log is what its author wants to see, not each request of the SDKs.
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("azure").setLevel(logging.WARNING)
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    stop = threading.Event()

    def end(*_: object) -> None:
        # Who is asked a second time does not wait for functions any more.
        if stop.is_set():
            os._exit(_INTERRUPTED)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    try:
        with ExitStack() as stack:
            account = expanded(os.environ.get(CONNECTION, ""))
            memory = None if account else MemoryQueues(now)
            if memory:
                host = Host(Worker(app), memory)
            else:
                queues = stack.enter_context(closing(StorageQueues(account)))
                blobs = stack.enter_context(closing(StorageBlobs(account)))
                host = Host(Worker(app), queues, blobs=blobs)
            bound = stack.enter_context(http.serving(http.application(host, memory), port))
            # The app sends what it defers there itself.
            os.environ[CONNECTION] = account or http.connection_string(bound)
            stack.enter_context(host)
            print(f"ready http://{http.ADDRESS}:{bound}", flush=True)
            stop.wait()
    except (AppError, OSError, StorageError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
