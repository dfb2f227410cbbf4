"""The ways out of the local Azure's Event Grid: webhooks over HTTP, queues and blobs in a storage.

``python -m sandbox serve`` and tests build the deliveries' outlets here. One storage, in memory or
behind a connection string (Azurite's), stands for every storage account of the world.
"""

import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping
from typing import Protocol

import requests
from azure.core.exceptions import AzureError, HttpResponseError
from azure.storage.blob import BlobClient
from azure.storage.queue import QueueClient, QueueServiceClient
from urllib3.exceptions import LocationParseError

from sandbox.eventgrid import retry
from sandbox.eventgrid.outlets import Answer, Outlets

_CREATED = 201
_TOO_LARGE = 413
# Documented: so many bytes a queue takes, base64 included.
_LARGEST_MESSAGE = 64 * 1024


class Storage(Protocol):
    """What takes the queue messages and dead letters; both methods raise ``OSError``."""

    def enqueue(self, account: str, queue: str, text: str) -> int:
        """Put a text into a queue; return the status."""

    def store(self, account: str, container: str, name: str, body: bytes) -> int:
        """Write a blob; return the status."""


@dataclasses.dataclass
class MemoryStorage:
    """Keeps all for as long as the process; queues and containers are there when they are used."""

    queues: dict[tuple[str, str], list[str]] = dataclasses.field(default_factory=dict)
    """Texts by account and queue."""
    blobs: dict[tuple[str, str, str], bytes] = dataclasses.field(default_factory=dict)
    """Contents by account, container and name."""

    def enqueue(self, account: str, queue: str, text: str) -> int:
        """See `Storage`."""
        if len(text) > _LARGEST_MESSAGE:
            return _TOO_LARGE
        self.queues.setdefault((account, queue), []).append(text)
        return _CREATED

    def store(self, account: str, container: str, name: str, body: bytes) -> int:
        """See `Storage`."""
        self.blobs[account, container, name] = body
        return _CREATED


class RealStorage:
    """The storage behind a connection string."""

    def __init__(self, connection: str) -> None:
        """Connect lazily.

        Raises:
            ValueError: the connection string is malformed.
        """
        QueueServiceClient.from_connection_string(connection).close()
        self._connection = connection

    def enqueue(self, account: str, queue: str, text: str) -> int:  # noqa: ARG002 - one for all
        """See `Storage`."""
        client = QueueClient.from_connection_string(self._connection, queue, retry_total=0)
        with client:
            return _status(lambda: client.send_message(text))

    def store(self, account: str, container: str, name: str, body: bytes) -> int:  # noqa: ARG002 - one for all
        """See `Storage`."""
        client = BlobClient.from_connection_string(self._connection, container, name, retry_total=0)
        with client:
            return _status(lambda: client.upload_blob(body, overwrite=True))


def _status(request: Callable[[], object]) -> int:
    """Make a request and return the status of its answer; raises ``OSError`` without one."""
    try:
        request()
    except HttpResponseError as error:
        return error.status_code or retry.UNREACHABLE
    except AzureError as error:
        raise ConnectionError(str(error)) from error
    return _CREATED


def outlets(storage: Storage) -> Outlets:
    """Return the outlets over HTTP and a storage."""
    return Outlets(_call, storage.enqueue, storage.store)


def _call(
    method: str, url: str, headers: Mapping[str, str], body: bytes, patience: dt.timedelta
) -> Answer:
    with requests.Session() as session:
        # Everything is on loopback, whatever proxy the machine has.
        session.trust_env = False
        try:
            answer = session.request(
                method,
                url,
                headers=dict(headers),
                data=body,
                timeout=patience.total_seconds(),
                allow_redirects=False,
            )
        except requests.Timeout as error:
            raise TimeoutError(str(error)) from error
        except LocationParseError as error:
            # A host name that no resolver is asked for; requests lets it through.
            raise ConnectionError(str(error)) from error
        found = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(answer.status_code, answer.content, found, answer.elapsed)
