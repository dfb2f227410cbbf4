"""Write docs/holds.md, the table of what may keep a change from being made.

Run by `make docs`. Codes, reasons and next steps are those of `reconciler.changes.Hold`; which
changes each may stop, and in which order they are named, is `reconciler.plan.holds.HOLDS`.
"""

import sys
from collections.abc import Iterator
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
# One check asks for all that proves something dead, and names what is missing (plan.evidence).
_UNPROVED = (Hold.CARRIED, Hold.GONE_UNPROVED, Hold.REPLACED_UNPROVED)
_ALSO: dict[Hold, tuple[Hold, ...]] = {
    Hold.UNCONFIRMED: (*_UNPROVED, Hold.BUSY, Hold.SETTLING),
    Hold.REPLACEMENT: (Hold.REPLACING,),
}
# What is replaced or gone without its resource is about rights alone.
_RIGHTS_ALONE = frozenset({Hold.CARRIED, Hold.REPLACED_UNPROVED, Hold.BUSY, Hold.SETTLING})

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
    stopped = _stopped()
    if missing := set(Hold) - set(stopped):
        raise KeyError(f"no check comes to {', '.join(sorted(hold.name for hold in missing))}")
    return _HEAD + "".join(f"{_row(hold, kinds)}\n" for hold, kinds in stopped.items())


def _stopped() -> dict[Hold, set[type]]:
    """Return which changes each hold may stop, in the order in which they are named."""
    stopped: dict[Hold, set[type]] = {}
    for named, kinds, _ in HOLDS:
        stopped.setdefault(named, set()).update(kinds)
        for hold in _ALSO.get(named, ()):
            alone = {DeleteAssignment} if hold in _RIGHTS_ALONE else set(kinds)
            stopped.setdefault(hold, set()).update(alone)
    return stopped


def _row(hold: Hold, kinds: set[type]) -> str:
    if kinds == set(_DONE):
        stops = "anything"
    else:
        stops = ", ".join(done for kind, done in _DONE.items() if kind in kinds)
    lasts = "asked for" if hold.agreed else "passing" if hold.passing else "lasting"
    return f"| {' | '.join(_cells((f'`{hold.name}`', stops, str(hold), hold.next_step, lasts)))} |"


def _cells(texts: tuple[str, ...]) -> Iterator[str]:
    yield from (text.replace("|", "\\|") for text in texts)


def main() -> int:
    """Write the page."""
    PAGE.write_text(page(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
