"""One contract for blobs, in memory and in a real storage emulator."""

from contextlib import closing

import pytest

from sandbox.host.blobs import BlobError, Blobs, StorageBlobs, expanded
from sandbox.host.http import connection_string
from tests.host.conftest import empty_blobs


@pytest.fixture(params=["memory", "azurite"])
def blobs(request: pytest.FixtureRequest) -> Blobs:
    """A store of either kind."""
    return empty_blobs(request)


def test_what_was_written_is_read(blobs: Blobs) -> None:
    """The container is made when it is needed; a later content replaces the earlier one."""
    for content in (b"first", b"", b"\x00last"):
        blobs.write("kept", "folder/report.json", content)

        assert blobs.read("kept", "folder/report.json") == content


def test_what_is_missing_is_nothing(blobs: Blobs) -> None:
    """Neither a missing container nor a missing blob is an error."""
    blobs.write("present", "one", b"1")

    assert blobs.read("present", "other") is None
    assert blobs.read("absent", "one") is None


def test_an_account_that_does_not_answer_is_an_error() -> None:
    """Missing is told apart from unknown."""
    nowhere = connection_string(1) + "BlobEndpoint=http://127.0.0.1:1/devstoreaccount1;"
    with closing(StorageBlobs(nowhere)) as store, pytest.raises(BlobError, match="503 the storage"):
        store.read("any", "thing")


@pytest.mark.parametrize("shortcut", ["UseDevelopmentStorage=true", "usedevelopmentstorage=True;"])
def test_development_storage_is_azurite_at_its_ports(shortcut: str) -> None:
    """The Python SDKs do not know the shortcut; any other text stays as it is."""
    found = dict(part.split("=", 1) for part in expanded(shortcut).split(";") if part)

    assert found["BlobEndpoint"] == "http://127.0.0.1:10000/devstoreaccount1"
    assert found["QueueEndpoint"] == "http://127.0.0.1:10001/devstoreaccount1"
    assert expanded(connection_string(1)) == connection_string(1)
