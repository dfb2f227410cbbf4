"""`python -m sandbox demo`: a machine is recycled in a local Azure and gets its access back.

`main` plays the `steps` in a `scenario` and prints what came of each. Nothing is left behind.
"""

import os
import signal
import sys
import time
from typing import NoReturn

import requests

from sandbox.demo.scenario import DemoError, Scenario
from sandbox.demo.steps import Steps
from sandbox.seed import SeedError

_BOLD, _GREEN, _RED, _PLAIN = "\033[1m", "\033[32m", "\033[31m", "\033[0m"


def main() -> int:
    """Play the demo; return 0 where every step held, 1 where one did not.

    Ctrl-C raises `KeyboardInterrupt` once everything is stopped.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        with Scenario() as scenario:
            return _play(scenario)
    except BrokenPipeError:
        # The reader has seen enough, as `head` has; what is still buffered goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (DemoError, SeedError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _interrupt(*_: object) -> NoReturn:
    # A second one must not disturb the clearing up.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _play(scenario: Scenario) -> int:
    began = time.monotonic()
    print(f"A local Azure is at {scenario.url}, the function app at {scenario.app.url}.")
    print("Each step shows the time from event to effect, and the ARM calls that the app made.\n")
    steps = Steps(scenario).all()
    for number, (title, play) in enumerate(steps, 1):
        print(_styled(f"{number}. {title}", _BOLD), flush=True)
        calls, event = scenario.calls(), scenario.event
        try:
            text = play()
            scenario.quiet()
        except (DemoError, requests.RequestException) as error:
            print(f"   {_styled('failed', _RED)}  {error}")
            print("   The function app's last log lines:", *scenario.app.log(), sep="\n     ")
            return 1
        happened = scenario.event != event
        seconds = f"{scenario.effect - scenario.event:.1f} s" if happened else "-"
        cost = f"{seconds:>6}  {scenario.calls() - calls:>3} calls"
        print(f"   {_styled('ok', _GREEN)} {cost}  {text}", flush=True)
    took = time.monotonic() - began
    total = scenario.calls()
    print(f"\nAll {len(steps)} steps held in {took:.0f} s; the app made {total} ARM calls.")
    return 0


def _styled(text: str, style: str) -> str:
    if os.environ.get("NO_COLOR") or not sys.stdout.isatty():
        return text
    return f"{style}{text}{_PLAIN}"
