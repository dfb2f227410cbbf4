"""The HTTPS entrance as its users start it."""

import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
import yaml
from azure.identity import ClientSecretCredential, ManagedIdentityCredential

from sandbox import seed
from sandbox.identity import tokens
from sandbox.server import Server
from tests.world.arm import GROUP, MACHINE, SEED, identity
from tests.world.children import PATIENCE, child
from tests.world.ids import SUB

ROOT = Path(__file__).parent.parent.parent
SERVE = [sys.executable, "-m", "sandbox", "serve"]


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A running server's env.sh, exported; it must end cleanly on SIGTERM."""
    machine = {"id": MACHINE, "identities": [identity("id1")]}
    seed_file = tmp_path / "seed.yaml"
    seed_file.write_text(yaml.safe_dump({**SEED, "virtualMachines": [machine]}), "utf-8")
    command = [*SERVE, "--dir", str(tmp_path), "--seed", str(seed_file)]
    started = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with child(started) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("ready https://127.0.0.1:"), line
        lines = (tmp_path / "env.sh").read_text("utf-8").splitlines()
        found = dict(each.removeprefix("export ").split("=", 1) for each in lines)
        for name, value in found.items():
            monkeypatch.setenv(name, value)
        yield found
        process.terminate()
        _, errors = process.communicate()
    assert (process.returncode, errors) == (0, "")


def test_published_credentials_sign_in_and_call(served: dict[str, str]) -> None:
    """Managed identity by the App Service protocol, client secret by Entra's, over real TLS."""
    arm = served["RECONCILER_ARM_ENDPOINT"]
    app = ManagedIdentityCredential(client_id=served["RECONCILER_CLIENT_ID"])
    operator = ClientSecretCredential(
        served["SANDBOX_TENANT"],
        served["SANDBOX_OPERATOR_CLIENT_ID"],
        served["SANDBOX_OPERATOR_SECRET"],
        authority=arm,
        disable_instance_discovery=True,
    )
    with app, operator, requests.Session() as session:
        for credential in (app, operator):
            token = credential.get_token(f"{arm}/.default").token
            headers = {"Authorization": f"Bearer {token}"}
            for _ in range(2):  # The second call goes over the same connection.
                url = f"{arm}{served['RECONCILER_HOME']}?api-version=2022-09-01"
                answer = session.get(url, headers=headers)
                assert answer.status_code == 200
        assert answer.headers.get("Connection") is None
        assert served["RECONCILER_SUBSCRIPTIONS"] == SUB.rpartition("/")[2]


def test_a_machine_gets_its_own_token(
    served: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The published credential reaches the metadata service of one machine."""
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER"):
        monkeypatch.delenv(name)
    arm = served["RECONCILER_ARM_ENDPOINT"]
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", f"{arm}/imds{MACHINE}")
    with ManagedIdentityCredential() as credential:
        token = credential.get_token("https://storage.azure.com/.default").token
    probe = f"{arm}/dataplane{GROUP}/providers/Microsoft.Storage/storageAccounts/store"
    answer = requests.get(
        f"{probe}?action=x", headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE
    )

    assert answer.status_code == 403


def test_many_clients_write_at_once(tmp_path: Path) -> None:
    """Every write of every connection succeeds once and is told once; then all is closed."""
    world = seed.load(SEED)
    token = tokens.mint(world, world.operator, "https://management.azure.com")
    headers = {"Authorization": f"Bearer {token}"}
    events: list[str] = []
    world.feed.subscribe(lambda event: events.append(event["subject"]))

    def write(client: int) -> set[int]:
        with requests.Session() as session:
            # A REQUESTS_CA_BUNDLE of the machine would win over the session's own.
            session.trust_env = False
            session.verify = str(tmp_path / "ca.pem")
            urls = [f"{server.url}{identity(f'c{client}-{number}')}" for number in range(10)]
            body = {"location": "westus"}
            answers = [
                session.put(f"{url}?api-version=2024-11-30", json=body, headers=headers)
                for url in urls
            ]
            return {answer.status_code for answer in answers}

    with Server(world, tmp_path) as server, ThreadPoolExecutor(8) as pool:
        assert list(pool.map(write, range(8))) == [{201}] * 8
    assert len(events) == len(set(events)) == 80


@pytest.mark.parametrize(
    "framing", ["Transfer-Encoding: chunked", "Content-Length: many", "Content-Length: -1"]
)
def test_a_body_without_a_length_ends_the_connection(tmp_path: Path, framing: str) -> None:
    """What follows its head is never taken for a request of its own."""
    context = ssl.create_default_context()
    with Server(seed.load(SEED), tmp_path) as server:
        context.load_verify_locations(tmp_path / "ca.pem")
        address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
        with (
            socket.create_connection(address) as plain,
            context.wrap_socket(plain, server_hostname=address[0]) as client,
        ):
            client.sendall(f"PUT / HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n".encode())
            with client.makefile("rb") as answers:
                answer = answers.read()

    assert answer.startswith(b"HTTP/1.1 411 ")
    assert answer.count(b"HTTP/1.1") == 1


def refused(folder: Path, *arguments: str) -> str:
    """Return what a start says that must end with exit code 2 and one line on stderr."""
    ended = subprocess.run(
        [*SERVE, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    return line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dir", ".", "--seed", "x", "--port", "many"], "invalid port value: 'many'"),
        (["--dir", ".", "--seed", "x", "--port", "70000"], "invalid port value: '70000'"),
        (["--dir", ".", "--seed", "x", "--port", "-1"], "invalid port value: '-1'"),
        (["--dir", ".", "--seed", "x", "--speed", "fast"], "invalid speed value: 'fast'"),
        (["--dir", ".", "--seed", "x", "--speed", "-1"], "invalid speed value: '-1'"),
        (["--dir", ".", "--seed", "missing.yaml"], "missing.yaml: No such file or directory"),
        (["--dir", ".", "--seed", "."], ".: Is a directory"),
        (["--dir", "good.yaml", "--seed", "good.yaml"], "good.yaml: File exists"),
        (["--dir", "."], "the following arguments are required: --seed"),
        (["--seed", "good.yaml"], "the following arguments are required: --dir"),
        ([], "the following arguments are required: --dir, --seed"),
        (["--dir", ".", "--seed", "x", "--colour"], "unrecognized arguments: --colour"),
    ],
)
def test_a_wrong_start_is_one_clear_line(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    """Exit code 2 and one line that names the argument."""
    (tmp_path / "good.yaml").write_text(yaml.safe_dump(SEED), "utf-8")

    assert refused(tmp_path, *arguments).endswith(message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: [", "seed.yaml: not YAML: while parsing a flow node"),
        (b"a: \xff", "seed.yaml: not UTF-8: "),
        (b"- a", "seed.yaml: seed: must be a mapping"),
        (b"", "seed.yaml: seed: must be a mapping"),
        (b"machines: []", "seed.yaml: seed: unknown key 'machines'"),
    ],
)
def test_a_wrong_seed_is_one_clear_line(tmp_path: Path, content: bytes, message: str) -> None:
    """Exit code 2 and one line that names the file and the place in it."""
    (tmp_path / "seed.yaml").write_bytes(content)

    assert message in refused(tmp_path, "--dir", ".", "--seed", "seed.yaml")


def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    """The port is named."""
    (tmp_path / "seed.yaml").write_text(yaml.safe_dump(SEED), "utf-8")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        line = refused(tmp_path, "--dir", ".", "--seed", "seed.yaml", "--port", port)

    assert line.endswith(f"port {port}: Address already in use")
