"""Blobs as Azure Storage has them, in memory or in a storage account such as Azurite's.

`bindings` reads and writes the app's blobs here, `timers` keeps what it must remember over a
restart. One contract test runs on both kinds. `queues` shares the account and its errors.
"""

from collections.abc import Generator
from contextlib import contextmanager

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobServiceClient

CONNECTION = "AzureWebJobsStorage"
# Azurite's one account and its default ports (documented: Use the Azurite emulator).
_DEVELOPMENT = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;"
    "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
)


class StorageError(Exception):
    """The store refused, with the status and error code of the storage service (documented)."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code


class BlobError(StorageError):
    """The blob store refused."""


def expanded(connection: str) -> str:
    """Return a connection string as the Python SDKs read it: they do not know the emulator's."""
    shortcut = connection.strip().rstrip(";").lower() == "usedevelopmentstorage=true"
    return _DEVELOPMENT if shortcut else connection


@contextmanager
def translated(kind: type[StorageError]) -> Generator[None]:
    """Raise the SDK's errors as ours."""
    try:
        yield
    except HttpResponseError as error:
        if error.status_code is None:
            raise kind(401, f"cannot sign in to the storage account: {error}") from error
        code = getattr(error, "error_code", None) or error.reason
        raise kind(error.status_code, str(getattr(code, "value", code))) from error
    except AzureError as error:
        raise kind(503, f"the storage account does not answer: {error}") from error


class MemoryBlobs:
    """Blobs that last as long as the process; safe between threads, as single steps of a dict."""

    def __init__(self) -> None:
        self._contents: dict[tuple[str, str], bytes] = {}

    def read(self, container: str, name: str) -> bytes | None:
        """Return the content; none where the blob or its container is missing."""
        return self._contents.get((container, name))

    def write(self, container: str, name: str, content: bytes) -> None:
        """Create or replace a blob, and its container where that is missing."""
        self._contents[container, name] = content


class StorageBlobs:
    """The blobs of a storage account; close it when done."""

    def __init__(self, connection: str) -> None:
        """Connect lazily; raises ``ValueError`` for a malformed connection string."""
        self._service = BlobServiceClient.from_connection_string(connection, retry_total=0)

    def close(self) -> None:
        """Let go of the connections."""
        self._service.close()

    def read(self, container: str, name: str) -> bytes | None:
        """See `MemoryBlobs`; raises `BlobError`."""
        with translated(BlobError):
            try:
                return self._service.get_blob_client(container, name).download_blob().readall()
            except ResourceNotFoundError:
                return None

    def write(self, container: str, name: str, content: bytes) -> None:
        """See `MemoryBlobs`; raises `BlobError`."""
        with translated(BlobError):
            client = self._service.get_container_client(container)
            if not client.exists():
                client.create_container()
            client.upload_blob(name, content, overwrite=True)


type Blobs = MemoryBlobs | StorageBlobs
