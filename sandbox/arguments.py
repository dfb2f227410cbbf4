"""How the sandbox's commands read their arguments: what is wrong is said in one line."""

import argparse
from typing import NoReturn

USAGE = 2
"""The exit code of wrong arguments."""
INTERRUPTED = 130
"""The exit code of who was interrupted."""


class Parser(argparse.ArgumentParser):
    """A parser without the usage text before its complaint."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one line."""
        self.exit(USAGE, f"{self.prog}: {message}\n")


def port(text: str) -> int:
    """Read a port; 0 is any."""
    number = int(text)
    if not 0 <= number < 1 << 16:
        raise ValueError(text)
    return number
