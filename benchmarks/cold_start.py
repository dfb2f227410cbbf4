"""What a start and an event cost: the function app's own, beside its packages alone.

Run by `make bench`. In turn a process imports what the app names of the packages that it requires,
and nothing else, and another one the app; a slow machine slows both, so their ratio is what counts.
"""

import ast
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from sandbox import seed
from sandbox.demo.fixtures import SHARED, Operator, machine
from sandbox.demo.scenario import HERE
from sandbox.server import Server

TIME_BUDGET = 1.3
MEMORY_BUDGET = 1.24
WARM_BUDGET = 1.8
"""Percent of the start of the packages alone, which a slow machine slows too: half of what Cloud
Custodian's function takes for an event (10.6 ms) on a machine that started them in 0.30 s."""
ROUNDS = 12
EVENTS = 50

ROOT = Path(__file__).parent.parent
MACHINE = machine("app-1")
# The highest that the process has been at: its parent's own does not count, as in `getrusage`.
TELL = r"""
import re, time
from pathlib import Path
peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
print(time.process_time(), int(peak[1]) / 1024)
"""
APP = f"""
import json, sys
from reconciler.events import decode
from function_app import deployment
(request,) = deployment.requests(decode(json.load(sys.stdin)))
{TELL}
result = deployment.handle(request)
assert result.plans, result
{TELL}
from dataclasses import replace
from datetime import UTC, datetime
for _ in range({EVENTS}):
    result = deployment.handle(replace(request, since=datetime.now(UTC)))
    assert len(result.plans) == 1, result
{TELL}
"""


class Cost(NamedTuple):
    """CPU seconds and megabytes of one process, from its beginning."""

    seconds: float
    megabytes: float


def packages() -> str:
    """Return the import statements of the app that are about its required packages."""
    sources = [ROOT / "function_app.py", *sorted((ROOT / "reconciler").rglob("*.py"))]
    shipped = [path for path in sources if path.parent.name != "cli"]
    return "\n".join(line for path in shipped for line in _foreign(ast.parse(path.read_text())))


def _foreign(tree: ast.Module) -> Iterator[str]:
    """Yield imports at the top of a module; what is imported later costs no start."""
    for node in tree.body:
        match node:
            case ast.ImportFrom(module=str(name)) | ast.Import(names=[ast.alias(name=name)]):
                if name.partition(".")[0] not in {*sys.stdlib_module_names, "reconciler"}:
                    yield ast.unparse(node)
            case _:
                pass


def run(code: str, event: str, environment: dict[str, str]) -> list[Cost]:
    """Run code in a process of its own and return what it told."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        input=event,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return [Cost(*map(float, line.split())) for line in done.stdout.splitlines()]


def measure() -> list[list[Cost]]:
    """Return rounds: the packages alone; the app's start and event, its first look, many more."""
    world = seed.load(seed.read(HERE / "seed.yaml"), operation_delay=0.0)
    events: list[dict[str, Any]] = []
    world.feed.subscribe(events.append)
    with (
        tempfile.TemporaryDirectory() as folder,
        Server(world, Path(folder)) as server,
        Operator(server.url, Path(folder) / "ca.pem", world) as operator,
    ):
        for place in (SHARED, MACHINE):
            operator.put(place, {})
        event = json.dumps(events[-1])
        told = {"RECONCILER_POLICIES": str(HERE / "policies"), "RECONCILER_SETTLE": "0"}
        environment = server.environment() | told
        alone = packages() + TELL
        # The first run compiles what has not run before, and repairs the machine.
        run(alone, event, environment)
        run(APP, event, environment)
        return [
            [*run(alone, event, environment), *_steps(run(APP, event, environment))]
            for _ in range(ROUNDS)
        ]


def _steps(costs: list[Cost]) -> Iterator[Cost]:
    """Yield what each step added to the one before."""
    for before, after in pairwise([Cost(0, 0), *costs]):
        yield Cost(after.seconds - before.seconds, after.megabytes - before.megabytes)


def _best(costs: Iterable[Cost]) -> Cost:
    """Return the least of each: what others do on the machine only adds."""
    return Cost(*map(min, zip(*costs, strict=True)))


def main() -> None:
    """Print a line for the start, one for the first look at a machine, one for every further."""
    rounds = measure()
    alone, started, looked, warm = (_best(costs) for costs in zip(*rounds, strict=True))
    # Neighbours in time met the same machine, so each round has its own ratio.
    time = median(app.seconds / packages.seconds for packages, app, *_ in rounds)
    memory = median(app.megabytes / packages.megabytes for packages, app, *_ in rounds)
    print(
        f"cold start: {started.seconds:.2f} s and {started.megabytes:.0f} MB, "
        f"{time:.2f} x the time (budget {TIME_BUDGET}) and "
        f"{memory:.2f} x the memory (budget {MEMORY_BUDGET}) "
        f"of the packages alone ({alone.seconds:.2f} s, {alone.megabytes:.0f} MB)"
    )
    print(f"first look: {looked.seconds:.2f} s and {looked.megabytes:.0f} MB more")
    each = warm.seconds / EVENTS
    share = median(events.seconds / EVENTS / packages.seconds for packages, _, _, events in rounds)
    print(
        f"warm event: {each * 1000:.1f} ms where nothing is to be done, {100 * share:.1f} % of the "
        f"start of the packages alone (budget {WARM_BUDGET})"
    )


if __name__ == "__main__":
    main()
