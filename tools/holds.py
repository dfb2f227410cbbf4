"""Write docs/holds.md, the table of what may keep a change from being made.

Run by `make docs`. Codes, reasons and next steps are those of `reconciler.changes.Hold`; which
changes each may stop, and in which order they are named, is `reconciler.plan.holds.HOLDS`.
"""

import sys
from pathlib import Path

from reconciler.changes import (
    AttachIdentity,
    CreateAssignment,
    CreateIdentity,
    DeleteAssignment,
    DetachIdentity,
    Hold,
    UpdateAssignment,
)
from reconciler.plan.holds import HOLDS

PAGE = Path(__file__).parent.parent / "docs" / "holds.md"

_DONE = {
    CreateIdentity: "create an identity",
    AttachIdentity: "attach",
    DetachIdentity: "detach",
    CreateAssignment: "grant",
    UpdateAssignment: "update a grant",
    DeleteAssignment: "remove a right",
}

_HEAD = """\
<!-- Made by `make docs` from reconciler/changes.py and reconciler/plan/holds.py. -->

# Holds

A change that policy leads to and that may not be made is *withheld*, with one of these codes.
`reconciler plan` shows why and the next step, and so do the log, the [JSON](cli.md#plan) (`hold`,
`because`, `nextStep`) and [outcome events](outcomes.md). Where several apply, the first of this
table is named.

A *passing* hold lifts by itself: the change counts as to be done later. A *lasting* one stays until
somebody acts, and `plan` exits 2. What policy itself *asks for* is shown, is no drift, and lets
`plan` exit 0.

| code | stops | because | next step | kind |
|---|---|---|---|---|
"""


def page() -> str:
    """Return the whole page; raises `KeyError` for a hold that no check comes to."""
    stopped: dict[Hold, set[type]] = {}
    for row in HOLDS:
        kinds = row.stops if isinstance(row.stops, tuple) else (row.stops,)
        for hold in (row.hold, *row.also):
            stopped.setdefault(hold, set()).update(kinds)
    if missing := set(Hold) - set(stopped):
        raise KeyError(f"no check comes to {', '.join(sorted(hold.name for hold in missing))}")
    return _HEAD + "".join(f"{_line(hold, kinds)}\n" for hold, kinds in stopped.items())


def _line(hold: Hold, kinds: set[type]) -> str:
    """Return a hold's line of the table, with the changes that it may stop."""
    named = ", ".join(done for kind, done in _DONE.items() if kind in kinds)
    stops = "anything" if kinds == set(_DONE) else named
    lasts = "asked for" if hold.agreed else "passing" if hold.passing else "lasting"
    cells = (f"`{hold.name}`", stops, str(hold), hold.next_step, lasts)
    return f"| {' | '.join(text.replace('|', '\\|') for text in cells)} |"


def main() -> int:
    """Write the page."""
    PAGE.write_text(page(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
