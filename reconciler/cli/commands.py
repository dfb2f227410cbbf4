"""Composes the commands and turns whatever ends one into an exit code and one clear line."""

import logging
import traceback
from collections.abc import Sequence
from importlib import metadata
from typing import Annotated, Final, override

import typer

from reconciler.cli import interrupt, terminal
from reconciler.cli.apply import apply
from reconciler.cli.interrupt import Interrupted
from reconciler.cli.plan import plan
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
    if wanted:
        terminal.answer([f"identity-reconciler {_version()}"])
        raise typer.Exit


def _version() -> str:
    try:
        return metadata.version("identity-reconciler")
    except metadata.PackageNotFoundError:
        return "(not installed)"


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
    """Run one command; every error is one line on stderr, with a traceback under `--debug`."""
    terminal.prepare()
    debug = _DEBUG in arguments
    _log(debug=debug)
    try:
        chosen = [argument for argument in arguments if argument != _DEBUG]
        with interrupt.listening():
            code: int | None = app(chosen, prog_name="reconciler", standalone_mode=False)
    except Interrupted as interrupted:
        terminal.tell(str(interrupted))
        code = interrupted.code
    except Exception as error:  # noqa: BLE001 (the last frame of the program: say it and end)
        if debug:
            for line in traceback.format_exc().splitlines():
                terminal.tell(line)
        for line in _said(error):
            terminal.fail(line)
        code = 1
    return code or 0


def _log(*, debug: bool) -> None:
    """Log only on request: what matters is in the answer, and libraries log what we say better.

    That an outcome event was lost is in no answer, so it becomes a note.
    """
    shown = _Shown("%(levelname)s %(name)s: %(message)s" if debug else "note: %(message)s")
    if not debug:
        shown.addFilter(logging.Filter("reconciler.notify"))
    logging.basicConfig(level=logging.INFO if debug else logging.WARNING, handlers=[shown])


class _Shown(logging.Handler):
    """Shows on stderr what is logged, line by line."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter(form))

    @override
    def emit(self, record: logging.LogRecord) -> None:
        for line in self.format(record).splitlines():
            terminal.tell(line)


def _said(error: Exception) -> list[str]:
    """Return an error as lines that name the thing and the next step."""
    match error:
        case typer.TyperException():
            # "Value error" is pydantic's word, which typer passes on for a wrong choice.
            said = error.format_message().replace("Value error, ", "")
            return [f"{said.rstrip('.')}; see reconciler --help"]
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
