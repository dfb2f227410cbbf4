"""What queues and blobs have in common: the storage account of both, and its errors."""

from collections.abc import Generator
from contextlib import contextmanager

from azure.core.exceptions import AzureError, HttpResponseError

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
