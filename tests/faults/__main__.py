"""`python -m tests.faults [WORKERS]`: every call of every scenario with every wrong answer."""

import logging
import multiprocessing
import os
import sys
import time
from collections import Counter

from tests.faults.answers import FAULTS
from tests.faults.matrix import broken, cells
from tests.faults.scenarios import SCENARIOS


def main() -> int:
    """Play all of it on all cores; print a line a scenario, and every violation."""
    logging.disable(logging.CRITICAL)
    workers = int(sys.argv[1]) if len(sys.argv) > 1 else os.cpu_count() or 1
    began, runs, found = time.monotonic(), Counter[str](), list[str]()
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        for name in SCENARIOS:
            todo = list(cells(name))
            for violation in pool.imap_unordered(broken, todo, chunksize=8):
                runs[name] += 1
                if violation:
                    found.append(violation)
                    print(violation, flush=True)
            print(f"{name}: {len(todo) // len(FAULTS)} calls, {runs[name]} runs", flush=True)
    print(
        f"{runs.total()} runs of {len(SCENARIOS)} scenarios with {len(FAULTS)} wrong answers each: "
        f"{len(found)} violations, {time.monotonic() - began:.0f} s"
    )
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
