"""How many interleaved runs of four workers with ten calls each the local Azure plays a second.

Run by `make bench`. A run has a fresh world, and its workers call through the session that the
SDKs' transport uses; the order is by chance.
"""

import time
from collections.abc import Callable

from sandbox import seed, transport
from sandbox.arm.app import Azure
from sandbox.identity import tokens
from sandbox.interleave import Gate, seeded

BUDGET = 30
WORKERS = 4
CALLS = 10
ROUNDS = 3
PER_ROUND = 30

SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg"
MACHINE = f"{GROUP}/providers/Microsoft.Compute/virtualMachines/vm"
CONTENT = {"subscriptions": [{"id": SUBSCRIPTION}], "virtualMachines": [{"id": MACHINE}]}


def play(number: int) -> None:
    """Let the workers tag and read one machine in turn."""
    azure = Azure(seed.load(CONTENT))
    token = tokens.mint(azure.world, azure.world.operator, "https://management.azure.com")
    gate = Gate()
    with transport.session(gate.around(azure)) as session:
        session.headers["Authorization"] = f"Bearer {token}"
        url = f"https://management.azure.com{MACHINE}?api-version=2024-07-01"

        def worker(name: str) -> Callable[[], None]:
            def work() -> None:
                for call in range(CALLS // 2):
                    assert session.patch(url, json={"tags": {name: str(call)}}).ok
                    assert session.get(url).ok

            return work

        works = {name: worker(name) for name in map(str, range(WORKERS))}
        moves = gate.run(works, seeded(number)).moves
    assert len(moves) == WORKERS * CALLS


def main() -> None:
    """Print one line, of the best round: what others do on the machine only slows."""
    best = 0.0
    for _ in range(ROUNDS):
        started = time.process_time()
        for number in range(PER_ROUND):
            play(number)
        best = max(best, PER_ROUND / (time.process_time() - started))
    print(f"interleaving: {best:.0f} runs/s of {WORKERS} workers x {CALLS} calls (budget {BUDGET})")


if __name__ == "__main__":
    main()
