"""``python -m sandbox``: serve the local Azure, run the Functions host, or play the demo."""

import argparse
import importlib
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.arguments import INTERRUPTED, USAGE, Parser, port
from sandbox.world.clock import FASTEST

if TYPE_CHECKING:
    from sandbox.eventgrid.sending import StorageOutlets

_OTHERS = {"host": "sandbox.host.command", "demo": "sandbox.demo"}


def _speed(text: str) -> float:
    speed = float(text)
    if not 0 <= speed <= FASTEST:
        raise ValueError(text)
    return speed


_speed.__name__ = "speed"


def _storage(text: str) -> "StorageOutlets":
    from sandbox.eventgrid.sending import StorageOutlets  # noqa: PLC0415 - as the commands below

    return StorageOutlets(text)


_storage.__name__ = "connection string"


def _parser() -> Parser:
    parser = Parser(prog="python -m sandbox", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, parser_class=Parser)
    serve = commands.add_parser("serve", help="serve the local Azure over HTTPS on loopback")
    serve.add_argument("--port", type=port, default=0, help="0 is any")
    serve.add_argument("--dir", type=Path, required=True, help="folder for ca.pem and env.sh")
    serve.add_argument("--seed", type=Path, required=True, help="YAML file of the first state")
    serve.add_argument("--speed", type=_speed, default=1.0, help="seconds that pass in one")
    serve.add_argument("--storage", type=_storage, help="connection string; memory if none")
    commands.add_parser("host", help="run the function app in a local Functions host")
    commands.add_parser("demo", help="play the demo")
    return parser


def _serve(options: argparse.Namespace) -> int:
    # Imported late, as the other commands are, so that Ctrl-C in that second is met below.
    from sandbox import seed  # noqa: PLC0415 - see above
    from sandbox.eventgrid.delivery import Deliveries  # noqa: PLC0415 - see above
    from sandbox.server import Server  # noqa: PLC0415 - see above
    from sandbox.world.clock import wall_clock  # noqa: PLC0415 - see above

    try:
        world = seed.load(seed.read(options.seed), clock=wall_clock(options.speed))
        server = Server(world, options.dir, options.port)
    except seed.SeedError as error:
        return _refuse(f"{options.seed}: {error}")
    except OSError as error:
        # Of what a server sets up only the port has no file name.
        return _refuse(f"{error.filename or f'port {options.port}'}: {error.strerror}")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with server, Deliveries(world, options.storage):
        print(f"ready {server.url}", flush=True)
        stop.wait()
    return 0


def _refuse(reason: str) -> int:
    print(f"python -m sandbox serve: {reason}", file=sys.stderr)
    return USAGE


def main(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    if arguments[:1] and arguments[0] in _OTHERS:
        name = _OTHERS[arguments[0]]
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            print(f"python -m sandbox {arguments[0]}: {error}", file=sys.stderr)
            return USAGE
        command: Callable[[list[str]], int] = module.main
        return command(arguments[1:])
    return _serve(_parser().parse_args(arguments))


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
