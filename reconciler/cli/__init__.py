"""The command line: `reconciler`, or `python -m reconciler`.

`main` is the entry of both, and imports nothing else of this package before it runs. `commands`
composes the commands, one module each: `plan`, `apply`, `validate`. All of them write, ask and wait
through `terminal`.
"""

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command (by default the process's arguments) and return its exit code."""
    try:
        # The function package ships without the command line's own dependencies.
        from reconciler.cli.commands import run  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name not in {"rich", "typer"}:
            raise
        sys.stderr.write(
            f"error: the command line needs {error.name}: "
            "install identity-reconciler with the extra `cli`\n"
        )
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
    return run(sys.argv[1:] if arguments is None else arguments)
