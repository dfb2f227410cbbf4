"""How many requests a second the local Azure answers at its WSGI interface, on one core.

Run by `make bench`. Nothing but the application is measured: no TLS, no sockets, no client.
"""

import io
import json
import time
from collections.abc import Callable
from typing import Any

from sandbox import seed, transport
from sandbox.arm.app import Azure
from sandbox.identity import tokens

BUDGET = 2000
MACHINES = 200
ROUNDS = 5
PER_ROUND = 3000

SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg"
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"

type Call = dict[str, Any]


def machine(number: int) -> str:
    """Return a machine's id."""
    return f"{GROUP}/providers/Microsoft.Compute/virtualMachines/vm-{number}"


def world() -> Azure:
    """Return a local Azure with machines that each hold a right on their group."""
    machines = [{"id": machine(number), "system": True} for number in range(MACHINES)]
    held = [{"scope": GROUP, "role": "Reader", "principal": each["id"]} for each in machines]
    content = {
        "subscriptions": [{"id": SUBSCRIPTION}],
        "virtualMachines": machines,
        "assignments": held,
    }
    return Azure(seed.load(content))


def calls(azure: Azure) -> Callable[[int], Call]:
    """Return what makes the mix: in turn GET a machine, list a principal's rights, PUT a right."""
    token = tokens.mint(azure.world, azure.world.operator, "https://management.azure.com")
    sent = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    principals = []
    for number in range(MACHINES):
        system = azure.world.resources[machine(number).lower()].system
        assert system is not None
        principals.append(system.oid)
    authorization = "providers/Microsoft.Authorization/roleAssignments"

    def request(number: int) -> Call:
        turn, which = number % 3, number // 3 % MACHINES
        method, body = "GET", b""
        if turn == 0:
            target = f"{machine(which)}?api-version=2024-07-01"
        elif turn == 1:
            text = f"$filter=principalId+eq+'{principals[which]}'"
            target = f"{GROUP}/{authorization}?api-version=2022-04-01&{text}"
        else:
            # The name belongs to the triple, so that later rounds update what is there.
            name = f"00000000-0000-4000-8000-{which:012d}"
            target = f"{machine(which)}/{authorization}/{name}?api-version=2022-04-01"
            properties = {
                "roleDefinitionId": (
                    f"/providers/Microsoft.Authorization/roleDefinitions/{READER}"
                ),
                "principalId": principals[which],
                "principalType": "ServicePrincipal",
            }
            method, body = "PUT", json.dumps({"properties": properties}).encode()
        return transport.environ(method, target, "management.azure.com", sent.items(), body)

    return request


def measure(azure: Azure) -> float:
    """Return requests per second of the best round: what others do on the machine only slows."""
    request = calls(azure)
    made = [request(number) for number in range(PER_ROUND)]
    best = 0.0
    for _ in range(ROUNDS):
        started = time.process_time()
        for each in made:
            status, _, _ = transport.run(azure, dict(each))
            assert status[0] == "2", status
            each["wsgi.input"].seek(0, io.SEEK_SET)
        best = max(best, PER_ROUND / (time.process_time() - started))
    return best


def main() -> None:
    """Print one line."""
    print(f"sandbox: {measure(world()):.0f} requests/s at WSGI (budget {BUDGET})")


if __name__ == "__main__":
    main()
