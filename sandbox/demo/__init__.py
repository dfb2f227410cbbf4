"""`python -m sandbox demo`: a machine is recycled in a local Azure and gets its access back.

`main` plays `story` on a `stage` and tells it in the terminal. Nothing is left behind.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import NoReturn

import requests

from sandbox.demo.stage import DemoError, Stage
from sandbox.demo.story import Story
from sandbox.seed import SeedError

_BOLD, _GREEN, _RED, _PLAIN = "\033[1m", "\033[32m", "\033[31m", "\033[0m"


def main(argv: Sequence[str]) -> int:
    """Play the demo; return 0 where every step held, 1 where one did not.

    Ctrl-C raises `KeyboardInterrupt` once everything is stopped.
    """
    argparse.ArgumentParser(prog="python -m sandbox demo", description=__doc__).parse_args(argv)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        with Stage() as stage:
            return _play(stage)
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


def _play(stage: Stage) -> int:
    began = time.monotonic()
    print(f"A local Azure is at {stage.url}, the function app at {stage.app.url}.")
    print("Each step shows the time from event to effect, and the ARM calls that the app made.\n")
    steps = Story(stage).steps
    for number, (title, play) in enumerate(steps, 1):
        print(_styled(f"{number}. {title}", _BOLD), flush=True)
        try:
            print(_row(stage, play), flush=True)
        except (DemoError, requests.RequestException) as error:
            print(f"   {_styled('failed', _RED)}  {error}")
            print("   The function app's last log lines:", *stage.app.log(), sep="\n     ")
            return 1
    took = time.monotonic() - began
    print(f"\nAll {len(steps)} steps held in {took:.0f} s; the app made {stage.calls()} ARM calls.")
    return 0


def _row(stage: Stage, play: Callable[[], str]) -> str:
    """Play one step and return its row: what came of it, how soon, at what cost."""
    calls, event = stage.calls(), stage.delivery.last
    text = play()
    stage.quiet()
    happened = stage.delivery.last != event
    seconds = f"{stage.effect - stage.delivery.last:.1f} s" if happened else "-"
    cost = f"{seconds:>6}  {stage.calls() - calls:>3} calls"
    return f"   {_styled('ok', _GREEN)} {cost}  {text}"


def _styled(text: str, style: str) -> str:
    if os.environ.get("NO_COLOR") or not sys.stdout.isatty():
        return text
    return f"{style}{text}{_PLAIN}"
