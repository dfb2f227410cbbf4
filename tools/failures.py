"""Write docs/failures.md, the table of what Azure's refusals mean.

Run by `make docs`. The rows are those of `reconciler.azure.failures.TABLE`, in its order.
"""

import sys
from collections.abc import Collection
from pathlib import Path

from reconciler.azure.failures import A_NUMBER, NO_ANSWER, NO_CODE, TABLE, Failure
from reconciler.errors import Again, AlreadyExists, ArmError, Blocked, Conflict, NotFound, Rejected

PAGE = Path(__file__).parent.parent / "docs" / "failures.md"

# The first that fits names the row's kind.
_KINDS: tuple[tuple[type[ArmError], str], ...] = (
    (Conflict, "decided anew"),
    (Again, "again later"),
    (Blocked, "blocked"),
    (Rejected, "a bug of ours"),
    (NotFound, "absent"),
    (AlreadyExists, "present"),
)
_WORDS = {NO_CODE: "none", A_NUMBER: "a number"}

_HEAD = """\
<!-- Made by `make docs` from reconciler/azure/failures.py. -->

# Failures

What the app makes of a call that Azure refuses, or that gets no answer. The first row that fits the
answer counts: its status, its code, and where the row quotes one, its text. The next step is what
`reconciler plan` and `apply` print, and what the log, the [JSON](cli.md#plan) and
[outcome events](outcomes.md) hold (`nextStep`).

* *Again later*: the request is asked again by itself, after what `Retry-After` says (an hour at
  most), else after 10 seconds, doubling to 5 minutes. After the time in this table a person must
  act.
* *Decided anew*: another writer came first. The same run looks again at once, unless `Retry-After`
  names a wait; what is refused again is *again later*.
* *Blocked*: a person must act. The rest of the plan is done all the same.
* *A bug of ours*: the rest of the plan is done, and then the request fails, so that it is seen.
* *Absent*: the only answer that means that something is not there. What is done then depends on
  what was asked for; a scope that is absent blocks its grant.
* *Present*: somebody else has granted the same already.

| status | code | kind | how long | next step |
|---|---|---|---|---|
"""


def page() -> str:
    """Return the whole page."""
    return _HEAD + "".join(f"{_line(row)}\n" for row in TABLE)


def _line(row: Failure) -> str:
    codes = ", ".join(_WORDS.get(code, f"`{code}`") for code in row.codes) or "any"
    if row.text:
        codes += f", with a text like `{row.text}`"
    kind = next(words for kind, words in _KINDS if issubclass(row.kind, kind))
    cells = (statuses(row.statuses), codes, kind, str(row.repeat), row.next_step)
    return f"| {' | '.join(text.replace('|', '\\|') for text in cells)} |"


def statuses(numbers: Collection[int]) -> str:
    """Return how a row's statuses are written: a range by its ends, no answer in words."""
    if not numbers:
        return "any"
    if isinstance(numbers, range):
        return f"{numbers.start} to {numbers.stop - 1}"
    return ", ".join("no answer" if one == NO_ANSWER else str(one) for one in sorted(numbers))


def main() -> int:
    """Write the page."""
    PAGE.write_text(page(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
