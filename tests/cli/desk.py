"""A desk: the real command in a process of its own, and a hand that works on Azure itself."""

import os
import pty
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from io import RawIOBase
from pathlib import Path
from typing import Any

import requests

from tests.conftest import ROOT
from tests.world.children import PATIENCE, until
from tests.world.ids import SUB

APP_GROUP = f"{SUB}/resourceGroups/rg-app"
DATA_GROUP = f"{SUB}/resourceGroups/rg-data"
SHARED = (
    f"{SUB}/resourceGroups/rg-id/providers/Microsoft.ManagedIdentity/userAssignedIdentities/shared"
)
STRANGER = "99999999-9999-9999-9999-999999999999"
COMMAND = [sys.executable, "-m", "reconciler"]
_ASSIGNMENTS = "/providers/Microsoft.Authorization/roleAssignments"
_VERSIONS = {
    _ASSIGNMENTS: "2022-04-01",
    "/Microsoft.Authorization/locks/": "2020-05-01",
    "/Microsoft.Compute/": "2024-07-01",
    "/Microsoft.ManagedIdentity/": "2024-11-30",
}

POLICY = f"""\
version: 1
identities:
  shared:
    id: {SHARED}
    mode: repair
    grants:
      - {{role: Storage Blob Data Reader, scope: {DATA_GROUP}}}
rules:
  - name: machines
    mode: repair
    within: [{APP_GROUP}]
    match: {{type: Microsoft.Compute/virtualMachines, name: [vm-*]}}
    attach: [shared]
    allowDefaultChange: true
    system:
      grants:
        - {{role: Reader, scope: "{{resourceGroup}}"}}
"""

GUARDRAILS = f"""\
version: 1
grants:
  - {{scope: {APP_GROUP}, roles: [Reader]}}
  - {{scope: {DATA_GROUP}, roles: [Storage Blob Data Reader]}}
identities: [{SUB}/resourceGroups/rg-id]
"""


def machine(name: str) -> str:
    """Return a machine's id."""
    return f"{APP_GROUP}/providers/Microsoft.Compute/virtualMachines/{name}"


def reconciler(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the command with these settings and no others of its own."""
    return subprocess.run(
        [*COMMAND, *arguments],
        env=environment(settings),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a desk; warnings, as of an open connection, are shown."""
    kept = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
    return {**kept, "PYTHONWARNINGS": "default", **settings}


def exported(env_sh: Path) -> dict[str, str]:
    """Read the exports that the sandbox wrote."""
    words = shlex.split(env_sh.read_text("utf-8"))
    return dict(word.split("=", 1) for word in words if word != "export")


@dataclass(frozen=True, slots=True)
class Desk:
    """A running sandbox, policy that lies beside it, and the settings that lead there."""

    settings: dict[str, str]
    session: requests.Session

    def run(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run the command against the sandbox."""
        return reconciler(*arguments, **{**self.settings, **settings})

    def start(
        self, *arguments: str, stdout: int = subprocess.PIPE, **settings: str
    ) -> subprocess.Popen[str]:
        """Start the command against the sandbox."""
        return subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=ROOT,
            env=environment({**self.settings, **settings}),
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
        )

    def at_a_terminal(
        self, *arguments: str, **settings: str
    ) -> tuple[subprocess.Popen[bytes], int]:
        """Start the command as its terminal's own, without colours; return it and the other end."""
        mine, theirs = pty.openpty()
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=ROOT,
            env=environment({**self.settings, "NO_COLOR": "1", "TERM": "xterm", **settings}),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            # The first terminal that a new session opens is the one whose Ctrl-C it gets.
            preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),  # noqa: PLW1509 (it takes no lock)
        )
        os.close(theirs)
        return process, mine

    def call(self, method: str, place: str, body: object = None) -> Any:  # noqa: ANN401 (JSON)
        """Call ARM itself with the token of the identity endpoint."""
        answer = self._send(method, place, body)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def _send(self, method: str, place: str, body: object = None) -> requests.Response:
        settings = self.settings
        mark = "&" if "?" in place else "?"
        version = next(api for part, api in _VERSIONS.items() if part in place)
        return self.session.request(
            method,
            f"{settings['RECONCILER_ARM_ENDPOINT']}{place}{mark}api-version={version}",
            json=body,
            headers={"Authorization": f"Bearer {self._token()}"},
            timeout=PATIENCE,
        )

    def create(self, name: str, **more: object) -> str:
        """Create a machine, wait until it is built, and return its id."""
        self.call("PUT", machine(name), {"location": "westeurope", "properties": {}, **more})
        self.built(machine(name))
        return machine(name)

    def built(self, subject: str) -> Any:  # noqa: ANN401 (JSON)
        """Return a machine once no operation runs on it: until then its entries may be empty."""
        until(lambda: self.call("GET", subject)["properties"]["provisioningState"] == "Succeeded")
        return self.call("GET", subject)

    def delete(self, subject: str) -> None:
        """Delete a machine; until it is gone, nothing can be built under its name."""
        self.call("DELETE", subject)
        until(lambda: self._send("GET", subject).status_code == HTTPStatus.NOT_FOUND)

    def lock(self, scope: str) -> None:
        """Let nothing but reads through at a scope."""
        place = f"{scope}/providers/Microsoft.Authorization/locks/keep"
        self.call("PUT", place, {"properties": {"level": "ReadOnly"}})

    def assign(self, name: str, scope: str, role: str, principal: str) -> None:
        """Create a role assignment under a name."""
        definition = f"{SUB}/providers/Microsoft.Authorization/roleDefinitions/{role}"
        properties = {
            "roleDefinitionId": definition,
            "principalId": principal,
            "principalType": "ServicePrincipal",
        }
        self.call("PUT", f"{scope}{_ASSIGNMENTS}/{name}", {"properties": properties})

    def holders(self, scope: str) -> list[str]:
        """Return the principals that hold a role assignment exactly there."""
        rows = self.call("GET", f"{scope}{_ASSIGNMENTS}?$filter=atScope()")["value"]
        return [
            row["properties"]["principalId"]
            for row in rows
            if row["properties"]["scope"].lower() == scope.lower()
        ]

    def _token(self) -> str:
        settings = self.settings
        answer = self.session.get(
            settings["IDENTITY_ENDPOINT"],
            params={
                "api-version": "2019-08-01",
                "resource": settings["RECONCILER_ARM_ENDPOINT"],
                "client_id": settings["RECONCILER_CLIENT_ID"],
            },
            headers={"X-IDENTITY-HEADER": settings["IDENTITY_HEADER"]},
            timeout=PATIENCE,
        )
        return str(answer.json()["access_token"])


def read_screen(screen: RawIOBase, until: str = "") -> str:
    """Read what a process writes to its terminal, until a text comes or it ends."""
    read = b""
    while not until or until.encode() not in read:
        try:
            part = screen.read(4096)
        except OSError:  # Linux says so at the end of a terminal.
            part = b""
        if not part:
            break
        read += part
    return read.decode()
