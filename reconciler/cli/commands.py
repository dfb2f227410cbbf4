"""The typer app: registers the commands, and turns their errors into exit codes and messages.

`reconciler.cli.main` calls `run`.
"""

import io
import logging
import sys
import traceback
from collections.abc import Sequence
from importlib import metadata
from typing import Annotated, Final, override

import typer

from reconciler.cli import terminal
from reconciler.cli.apply import apply
from reconciler.cli.plan import plan
from reconciler.cli.terminal import Interrupted
from reconciler.cli.validate import validate
from reconciler.errors import ArmError, PolicyError, ReconcilerError, Rejected

_DEBUG: Final = "--debug"

app = typer.Typer(
    name="reconciler",
    help="Keep Azure managed identities and their role assignments as policy asks.",
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command in (validate, plan, apply):
    app.command(epilog=f"Anywhere: {_DEBUG} logs, and shows where an error comes from.")(_command)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 (typer calls it so)
    if not wanted:
        return
    try:
        version = metadata.version("identity-reconciler")
    except metadata.PackageNotFoundError:
        version = "(not installed)"
    terminal.answer([f"identity-reconciler {version}"])
    raise typer.Exit


@app.callback()
def _main(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it.")
    ] = False,
    debug: Annotated[
        bool, typer.Option(_DEBUG, help="Log, and show where an error comes from.")
    ] = False,
) -> None:
    """Keep Azure managed identities and their role assignments as policy asks."""


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code.

    Every error is one line on stderr, with a traceback under `--debug`.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a character shows its number instead.
            stream.reconfigure(errors="backslashreplace")
    # What matters is in the answer, so nothing is logged unless asked for. Only that an outcome
    # event was lost is in no answer, and becomes a note.
    debug = _DEBUG in arguments
    handler = _TerminalHandler()
    if not debug:
        handler.addFilter(logging.Filter("reconciler.notify"))
    logging.basicConfig(
        level=logging.INFO if debug else logging.WARNING,
        format="%(levelname)s %(name)s: %(message)s" if debug else "note: %(message)s",
        handlers=[handler],
    )
    try:
        chosen = [argument for argument in arguments if argument != _DEBUG]
        with terminal.raise_interrupts():
            code: int | None = app(chosen, prog_name="reconciler", standalone_mode=False)
    except Interrupted as interrupted:
        terminal.info(str(interrupted))
        code = interrupted.code
    except Exception as error:  # noqa: BLE001 (the last frame of the program: report it and end)
        if debug:
            for line in traceback.format_exc().splitlines():
                terminal.info(line)
        for message in _error_messages(error):
            terminal.error(message)
        code = 1
    return code or 0


class _TerminalHandler(logging.Handler):
    """Shows on stderr what is logged, line by line."""

    @override
    def emit(self, record: logging.LogRecord) -> None:
        for line in self.format(record).splitlines():
            terminal.info(line)


def _error_messages(error: Exception) -> list[str]:
    """Return an error as lines that name the thing and the next step."""
    match error:
        case typer.TyperException():
            # "Value error" is pydantic's word, which typer passes on for a wrong choice.
            message = error.format_message().replace("Value error, ", "")
            return [f"{message.rstrip('.')}; see reconciler --help"]
        case PolicyError():
            return [str(problem) for problem in error.problems]
        case Rejected():
            return [f"{error}; this is a bug of identity-reconciler, please report it"]
        case ArmError(code="AuthorizationFailed"):
            return [f"{str(error).rstrip('.')}; give whoever is signed in that right"]
        case ReconcilerError():
            return [str(error)]
        case _:
            name = type(error).__name__
            return [f"unexpected {name}: {error}; run it again with {_DEBUG} to see where"]
