"""Let the published ``az`` work on the local Azure and write down what it did; run by `make az`.

Every command must exit with 0 and answer what is expected here, else nothing is written. The
transcript stands in docs/az-transcript.md with ports, times and most GUIDs replaced, so that two
runs differ only where something changed.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import jwt

from sandbox import seed
from sandbox.server import Server

ROOT = Path(__file__).parent.parent
AZ = ROOT / ".tools" / "az" / "bin" / "python"
TRANSCRIPT = ROOT / "docs" / "az-transcript.md"

SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg"
MACHINE = f"{GROUP}/providers/Microsoft.Compute/virtualMachines/vm"
IDENTITY = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/web"
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
SEED = {
    "subscriptions": [{"id": SUBSCRIPTION, "name": "lab"}],
    "virtualMachines": [{"id": MACHINE}],
}

HEAD = """# `az` on the local Azure

Made by `make az`, which runs {version} from its package against the sandbox's HTTPS entrance,
registered as a cloud of its own. That the token is a JWT with the claims `tid` and `xms_mirid` was
checked in the run. GUIDs other than the subscription's and the role's are numbered.

The sandbox has no Microsoft Graph. `az ad` fails there, and `--assignee` takes an object id only,
with a warning; `--assignee-object-id` with `--assignee-principal-type`, and
`--fill-principal-name false` for lists, do without.

```console
"""

_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r'\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.\d]*(?:Z|[+]00:00)?|(?<="expires_on": )\d+')
_PORT = re.compile(r"127\.0\.0\.1:\d+")
_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+")


class UnexpectedError(Exception):
    """A command that failed, or an answer other than the expected one."""


def holds(found: Any, expected: Any) -> bool:  # noqa: ANN401 - JSON
    """Tell whether an answer has at least what is expected; ``...`` expects anything.

    Lists must be of equal length.
    """
    if expected is ...:
        return True
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(
            name in found and holds(found[name], value) for name, value in expected.items()
        )
    if isinstance(expected, list):
        return (
            isinstance(found, list)
            and len(found) == len(expected)
            and all(map(holds, found, expected))
        )
    return bool(found == expected)


class Az:
    """Runs commands of ``az`` and keeps the transcript."""

    def __init__(self, server: Server, folder: Path) -> None:
        self._environment = {
            **os.environ,
            **server.environment(),
            "AZURE_CONFIG_DIR": str(folder),
            "AZURE_CORE_COLLECT_TELEMETRY": "no",
            "AZURE_CORE_NO_COLOR": "yes",
            "PYTHONWARNINGS": "ignore",
        }
        self._numbers: dict[str, str] = {}
        self.lines: list[str] = []

    def run(self, command: str, expected: Any = ...) -> Any:  # noqa: ANN401 - JSON
        """Run one command and return its JSON, None for no output; raises ``UnexpectedError``."""
        ended = subprocess.run(  # noqa: S603 - our own commands
            [AZ, "-m", "azure.cli", *shlex.split(command)],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode:
            raise UnexpectedError(f"az {command}: exit {ended.returncode}: {ended.stderr.strip()}")
        answer = json.loads(ended.stdout) if ended.stdout.strip() else None
        if not holds(answer, expected):
            raise UnexpectedError(f"az {command}: expected {expected}, got {ended.stdout}")
        self.lines += [self._stable(f"$ az {command}"), *self._stable(ended.stdout).splitlines()]
        return answer

    def _stable(self, text: str) -> str:
        for pattern, shown in ((_TIME, "<time>"), (_PORT, "127.0.0.1:<port>"), (_TOKEN, "<token>")):
            text = pattern.sub(shown, text)
        return _GUID.sub(self._numbered, text)

    def _numbered(self, guid: re.Match[str]) -> str:
        if guid[0] in {SUBSCRIPTION, READER}:
            return guid[0]
        return self._numbers.setdefault(guid[0], f"<guid-{len(self._numbers) + 1}>")


def sign_in(az: Az, url: str, world_tenant: str, app: str | None) -> None:
    """Register the cloud and sign in with the application's managed identity."""
    az.run(f"cloud register --name Sandbox --endpoint-resource-manager {url}", None)
    az.run("cloud set --name Sandbox", None)
    az.run("login --identity", [{"id": SUBSCRIPTION, "environmentName": "Sandbox"}])
    token = az.run("account get-access-token", {"tokenType": "Bearer", "tenant": world_tenant})
    claims = jwt.decode(token["accessToken"], options={"verify_signature": False})
    if (claims.get("tid"), claims.get("xms_mirid")) != (world_tenant, app):
        raise UnexpectedError(f"the token names {claims.get('tid')}, {claims.get('xms_mirid')}")


def identities(az: Az) -> str:
    """Create an identity, attach it beside the machine's own, remove both; return its principal."""
    az.run("group list --query [].name", ["rg-reconciler", "rg"])
    az.run(
        "identity create --resource-group rg --name web --location westeurope",
        {"name": "web", "type": "Microsoft.ManagedIdentity/userAssignedIdentities", "tags": {}},
    )
    made = az.run("identity show --resource-group rg --name web", {"resourceGroup": "rg"})
    entry = {"principalId": made["principalId"], "clientId": made["clientId"]}
    machine = "--resource-group rg --name vm"
    az.run(
        f"vm identity assign {machine} --identities web",
        {"systemAssignedIdentity": "", "userAssignedIdentities": {IDENTITY: entry}},
    )
    az.run(
        f"vm identity assign {machine} --identities [system]",
        {"userAssignedIdentities": {IDENTITY: entry}},
    )
    az.run(f"vm identity show {machine}", {"type": "SystemAssigned, UserAssigned"})
    az.run(f"vm identity remove {machine} --identities web", {"type": "SystemAssigned"})
    az.run(f"vm identity remove {machine} --identities [system]", None)
    az.run(f"vm identity show {machine}", None)
    return str(made["principalId"])


def rights(az: Az, principal: str) -> None:
    """Grant a role, find it and take it away again."""
    az.run("role definition list --name Reader", [{"name": READER, "roleName": "Reader"}])
    made = az.run(
        f"role assignment create --role Reader --scope {GROUP} "
        f"--assignee-object-id {principal} --assignee-principal-type ServicePrincipal",
        {"principalId": principal, "scope": GROUP, "principalType": "ServicePrincipal"},
    )
    listing = (
        f"role assignment list --scope {GROUP} --assignee-object-id {principal} "
        "--fill-principal-name false"
    )
    az.run(listing, [{"id": made["id"], "roleDefinitionName": "Reader"}])
    az.run(f"role assignment delete --ids {made['id']}", None)
    az.run(listing, [])


def move(az: Az) -> None:
    """Move the machine to a group of its own."""
    az.run("group create --name other --location westeurope", {"name": "other"})
    az.run(f"resource move --ids {MACHINE} --destination-group other", None)
    az.run("resource list --resource-group other --query [].name", ["vm"])


def endings(az: Az) -> None:
    """Delete machine and identity, and look at what is left by a plain request."""
    az.run("vm delete --resource-group other --name vm --yes", None)
    az.run("identity delete --resource-group rg --name web", None)
    az.run("resource list --resource-group rg", [])
    url = f"{GROUP}?api-version=2021-04-01"
    az.run(f"rest --method get --url '{url}'", {"id": GROUP, "name": "rg"})


def main() -> int:
    """Run everything; 1 with what went wrong on stderr, when something did."""
    world = seed.load(SEED)
    with tempfile.TemporaryDirectory() as name, Server(world, Path(name)) as server:
        az = Az(server, Path(name) / "config")
        try:
            version = az.run("version")["azure-cli"]
            az.lines.clear()
            sign_in(az, server.url, world.tenant, world.app.resource_id)
            rights(az, identities(az))
            move(az)
            endings(az)
        except UnexpectedError as error:
            print(f"az: {error}", file=sys.stderr)
            return 1
    head = HEAD.format(version=f"azure-cli {version}")
    TRANSCRIPT.write_text(head + "\n".join(az.lines) + "\n```\n", "utf-8")
    commands = sum(line.startswith("$ ") for line in az.lines)
    print(f"az: {commands} commands answered as expected; see {TRANSCRIPT.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
