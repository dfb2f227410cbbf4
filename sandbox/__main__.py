"""``python -m sandbox``: serve the local Azure, run the Functions host, or play the demo."""

import argparse
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from sandbox.world.clock import FASTEST

USAGE = 2  # The exit code of wrong arguments.
INTERRUPTED = 130  # The exit code after Ctrl-C.
_COMMANDS = {"serve": "sandbox.server", "host": "sandbox.host.command", "demo": "sandbox.demo"}


class _Parser(argparse.ArgumentParser):
    """A parser that prints what is wrong in one line, without the usage text before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"{self.prog}: {message}\n")


def _number(name: str, kind: type[int | float], most: float) -> Callable[[str], int | float]:
    def read(text: str) -> int | float:
        number = kind(text)
        if not 0 <= number <= most:
            raise ValueError(text)
        return number

    # What argparse calls it in the message about another value.
    read.__name__ = name
    return read


def _options(arguments: list[str]) -> argparse.Namespace:
    port = _number("port", int, 65535)
    speed = _number("speed", float, FASTEST)
    parser = _Parser(prog="python -m sandbox", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, parser_class=_Parser)
    serve = commands.add_parser("serve", help="serve the local Azure over HTTPS on loopback")
    serve.add_argument("--port", type=port, default=0, help="0 is any")
    serve.add_argument(
        "--dir", dest="folder", type=Path, required=True, help="folder for ca.pem and env.sh"
    )
    serve.add_argument("--seed", type=Path, required=True, help="YAML file of the first state")
    serve.add_argument("--speed", type=speed, default=1.0, help="seconds that pass in one")
    serve.add_argument("--storage", help="connection string; memory if none")
    host = commands.add_parser("host", help="run the function app in a local Functions host")
    host.add_argument("--port", type=port, default=7071, help="0 picks a free one (%(default)s)")
    host.add_argument("--app", type=Path, default=Path(), help="folder of function_app.py")
    commands.add_parser("demo", help="play the demo")
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        commands.choices[options.command].error(f"unrecognized arguments: {' '.join(unknown)}")
    return options


def main(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    options = vars(_options(arguments))
    command = options.pop("command")
    # Imported late, so that Ctrl-C in that second is met below.
    try:
        module = importlib.import_module(_COMMANDS[command])
    except ModuleNotFoundError as error:
        print(f"python -m sandbox {command}: {error}", file=sys.stderr)
        return USAGE
    code: int = module.main(**options)
    return code


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
