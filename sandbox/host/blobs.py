"""Blobs as Azure Storage has them: in memory, or in a storage account such as Azurite's.

`bindings` reads and writes the app's blobs here, `timers` keeps what it must remember over a
restart. One contract test runs on both kinds.
"""

import threading
from dataclasses import dataclass, field
from typing import Protocol

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient

from sandbox.host.storage import StorageError, translated


class BlobError(StorageError):
    """The blob store refused."""


class Blobs(Protocol):
    """What a host needs of its blobs; both methods raise `BlobError`."""

    def read(self, container: str, name: str) -> bytes | None:
        """Return the content; none where the blob or its container is missing."""

    def write(self, container: str, name: str, content: bytes) -> None:
        """Create or replace a blob, and its container where that is missing."""


@dataclass
class MemoryBlobs:
    """Blobs that last as long as the process; safe between threads."""

    _contents: dict[tuple[str, str], bytes] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self, container: str, name: str) -> bytes | None:
        """See `Blobs`."""
        with self._lock:
            return self._contents.get((container, name))

    def write(self, container: str, name: str, content: bytes) -> None:
        """See `Blobs`."""
        with self._lock:
            self._contents[container, name] = content


class StorageBlobs:
    """The blobs of a storage account; close it when done."""

    def __init__(self, connection: str) -> None:
        """Connect lazily.

        Raises:
            ValueError: the connection string is malformed.
        """
        self._service = BlobServiceClient.from_connection_string(connection, retry_total=0)

    def close(self) -> None:
        """Let go of the connections."""
        self._service.close()

    def read(self, container: str, name: str) -> bytes | None:
        """See `Blobs`."""
        with translated(BlobError):
            try:
                return self._service.get_blob_client(container, name).download_blob().readall()
            except ResourceNotFoundError:
                return None

    def write(self, container: str, name: str, content: bytes) -> None:
        """See `Blobs`."""
        with translated(BlobError):
            place = self._service.get_container_client(container)
            if not place.exists():
                place.create_container()
            place.upload_blob(name, content, overwrite=True)
