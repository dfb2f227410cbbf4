"""Web requests that functions answer, the keys they ask for, and the blobs they keep."""

from collections.abc import Generator

import pytest
from werkzeug.test import Client

from sandbox.host.blobs import Blobs
from sandbox.host.http import application
from sandbox.host.queues import MemoryQueues
from sandbox.host.routes import FUNCTION_KEY, MASTER_KEY, find, read
from sandbox.host.triggers import Host
from sandbox.host.worker import AppError, Function, Worker
from tests.host.conftest import APPS, Clock, empty_blobs, texts

SETTINGS = {"CONTAINER": "kept"}


@pytest.fixture(params=["memory"])
def blobs(request: pytest.FixtureRequest) -> Blobs:
    """No blobs yet, in memory or in a storage emulator."""
    return empty_blobs(request)


@pytest.fixture
def client(clock: Clock, queues: MemoryQueues, blobs: Blobs) -> Generator[Client]:
    """A web client of the app with HTTP triggers."""
    with Host(Worker(APPS / "web"), queues, clock, SETTINGS, blobs) as host:
        yield Client(application(host))


def test_a_function_gets_the_request_and_gives_the_answer(client: Client) -> None:
    """Method, parameters, query and headers arrive; status and headers come back."""
    answer = client.get("/API/Reports/2026/by/Group?a=1&b=2&b=3", headers={"X-Sent": "me"})

    assert answer.status_code == 203
    assert answer.json == ["GET", {"year": "2026", "group": "Group"}, {"a": "1", "b": "2,3"}]
    assert (answer.headers["X-Seen"], answer.mimetype) == ("me", "application/json")


def test_a_literal_goes_before_a_parameter(client: Client) -> None:
    """A bare text is an answer too."""
    answer = client.get("/api/reports/latest")

    assert (answer.status_code, answer.text) == (200, "the latest")


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/absent"), ("GET", "/api/reports/2026/by"), ("PUT", "/api/reports/latest")],
)
def test_where_no_function_is_nothing_is_found(client: Client, method: str, path: str) -> None:
    """Path and method have to fit."""
    assert client.open(path, method=method).status_code == 404


@pytest.mark.parametrize(
    ("path", "key", "status"),
    [
        ("keep", "", 401),
        ("keep", "wrong", 401),
        ("keep", FUNCTION_KEY, 200),
        ("keep", MASTER_KEY, 200),
        ("reset", FUNCTION_KEY, 401),
        ("reset", MASTER_KEY, 200),
    ],
)
def test_a_function_opens_to_the_keys_of_its_level(
    client: Client, path: str, key: str, status: int
) -> None:
    """By header or by query; only the master key opens what is for administrators."""
    by_header = client.post(f"/api/{path}", headers={"x-functions-key": key})
    by_query = client.post(f"/api/{path}", query_string={"code": key})

    assert (by_header.status_code, by_query.status_code) == (status, status)


@pytest.mark.parametrize("blobs", ["memory", "azurite"], indirect=True)
def test_a_blob_is_read_and_written(client: Client, blobs: Blobs, queues: MemoryQueues) -> None:
    """A missing one is None; what is not set stays, and a failed function writes nothing."""
    headers = {"x-functions-key": FUNCTION_KEY}
    answers = [
        client.post("/api/keep", data=body, headers=headers) for body in ("a", "b", "", "fail")
    ]

    assert [one.text for one in answers[:3]] == ["nothing", "nothing,a", "nothing,a,b"]
    assert answers[3].status_code == 500
    assert blobs.read("kept", "report.json") == b"nothing,a,b"
    assert texts(queues, "noted") == ["a", "b"]


def test_a_path_that_names_no_single_blob_is_refused_at_the_start(queues: MemoryQueues) -> None:
    """Such as one whose container is a setting that is not there."""
    with pytest.raises(AppError, match=r"keep: '%CONTAINER%/report.json' of .* is not the path"):
        Host(Worker(APPS / "web"), queues, settings={}).start()


def test_keys_come_from_settings(clock: Clock, queues: MemoryQueues) -> None:
    """The documented ones then open nothing."""
    settings = SETTINGS | {"SANDBOX_FUNCTION_KEY": "ours", "SANDBOX_MASTER_KEY": "mine"}
    with Host(Worker(APPS / "web"), queues, clock, settings) as host:
        client = Client(application(host))
        statuses = [
            client.post("/api/keep", headers={"x-functions-key": key}).status_code
            for key in ("ours", "mine", FUNCTION_KEY, MASTER_KEY)
        ]

    assert statuses == [200, 200, 401, 401]


def function(route: str) -> Function:
    """Return a function at a route."""
    trigger = {"type": "httpTrigger", "direction": "IN", "name": "req", "route": route}
    return Function(route, "1", (trigger,))


def test_the_prefix_comes_from_host_json(tmp_path_factory: pytest.TempPathFactory) -> None:
    """An empty one is none."""
    folder = tmp_path_factory.mktemp("app")
    (folder / "host.json").write_text('{"extensions": {"http": {"routePrefix": ""}}}')
    prefix = Worker(folder).section("http")["routePrefix"]
    routes = read([function("items/{name}")], prefix)

    assert [bool(find(routes, path, "GET")) for path in ("/items", "/items/a", "/api/items")] == [
        False,
        True,
        False,
    ]


def test_a_template_that_is_not_understood_is_refused() -> None:
    """Nothing is guessed of a constraint."""
    with pytest.raises(AppError, match=r"segment '\{id:guid\}' is not understood"):
        read([function("items/{id:guid}")], "api")
