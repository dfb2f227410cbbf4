"""The command line: `reconciler`, or `python -m reconciler`.

`main` is the entry of both. `commands` composes what is here, one module a command; `look` reads
and plans for them, `terminal` writes.
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
