"""One sandbox for each module, served as users serve it."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
import requests
import yaml

from reconciler.ids import ResourceId
from reconciler.marker import Marker, assignment_name
from tests.cli import desk
from tests.cli.desk import APP_GROUP, DATA_GROUP, GUARDRAILS, POLICY, SHARED, STRANGER, Desk
from tests.conftest import ROOT
from tests.world.children import child
from tests.world.ids import READER


def _seed() -> dict[str, object]:
    """A stranger holds Reader in the machines' group: marked as ours, but made by another.

    Of the two management groups the app may read `corp`.
    """
    scope = ResourceId.parse(APP_GROUP)
    return {
        "subscriptions": [{"id": "11111111-1111-1111-1111-111111111111", "name": "lab"}],
        "groups": [{"id": APP_GROUP}, {"id": DATA_GROUP}],
        "identities": [{"id": SHARED}],
        "principals": [{"name": "stranger", "id": STRANGER}],
        "managementGroups": [
            {"name": "corp", "subscriptions": ["11111111-1111-1111-1111-111111111111"]},
            {"name": "secret"},
        ],
        "assignments": [
            {
                "scope": "/providers/Microsoft.Management/managementGroups/corp",
                "role": "Reader",
                "principal": "reconciler",
            },
            {
                "scope": APP_GROUP,
                "role": "Reader",
                "principal": "stranger",
                "name": assignment_name(scope, READER, STRANGER),
                "description": str(Marker("sandbox", ResourceId.parse(desk.machine("vm-once")))),
            },
        ],
    }


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A sandbox with its exports, and policy for the machines in one group."""
    folder = tmp_path_factory.mktemp("desk")
    policies = folder / "policies"
    policies.mkdir()
    (policies / "machines.yaml").write_text(POLICY, "utf-8")
    (policies / "guardrails.yaml").write_text(GUARDRAILS, "utf-8")
    (folder / "seed.yaml").write_text(yaml.safe_dump(_seed()), "utf-8")
    command = [sys.executable, "-m", "sandbox", "serve", "--dir", str(folder)]
    started = subprocess.Popen(
        [*command, "--seed", str(folder / "seed.yaml")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    with child(started) as process:
        assert process.stdout
        assert process.stdout.readline().startswith("ready ")
        settings = desk.exported(folder / "env.sh")
        with requests.Session() as session:
            session.trust_env = False  # Else REQUESTS_CA_BUNDLE of this machine wins.
            session.verify = settings["REQUESTS_CA_BUNDLE"]
            yield Desk({**settings, "RECONCILER_POLICIES": str(policies)}, session)
        process.terminate()
