"""Which files of a folder are policy, and which only look like it.

`reconciler.policy.load` reads the former; `reconciler validate` tells of the latter.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from reconciler.errors import PolicyError, Problem
from reconciler.policy.load import signs

_SUFFIXES = frozenset({".yaml", ".yml"})
_SCHEMA = "schema.json"
"""How the names end of those JSON files that belong beside policy."""


def files(folder: Path) -> list[Path]:
    """Return the files directly in a folder that are policy; raises `PolicyError` for none."""
    try:
        if folder.is_file():
            message = "this is a file; give the folder that it lies in, whose files are one policy"
            raise PolicyError((about(folder, message),))
        # In any case, so that no file is passed over which looks like policy to its author.
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        message = f"the policy folder cannot be read: {reason}"
        raise PolicyError((about(folder, message),)) from error
    if not paths:
        message = "the folder has no policy (*.yaml); that never means that rights are taken away"
        passed_over = next(unread(folder), None)
        message += f"; {passed_over}" if passed_over else ""
        raise PolicyError((about(folder, message),))
    return paths


def unread(folder: Path) -> Iterator[str]:
    """Yield what is said of files that look like policy and are not read; nothing is raised."""
    with contextlib.suppress(OSError, ValueError):
        for path in sorted(folder.iterdir()):
            if _looks_like_policy(path):
                stem = signs.visible(path.name.split(".")[0])
                shown = signs.visible(str(path))
                yield f"{shown} is not read: name it {stem}.yaml if it is policy"
        for suffix in sorted(_SUFFIXES):
            for path in sorted(folder.glob(f"[!.]*/*{suffix}")):
                shown = signs.visible(str(path))
                yield f"{shown} is not read: it lies in a folder of its own"


def _looks_like_policy(path: Path) -> bool:
    if path.suffix.lower() in _SUFFIXES or path.name.startswith("."):
        return False
    inner = any(suffix.lower() in _SUFFIXES for suffix in path.suffixes)
    return inner or (path.suffix.lower() == ".json" and not path.name.endswith(_SCHEMA))


def about(folder: Path, message: str) -> Problem:
    """Return a mistake of the folder itself."""
    return Problem(str(folder), 0, 0, message)
