"""Write docs/fidelity.md from the routes of the local Azure and the table of its deviations.

Run by `make docs`.
"""

import re
import sys
from collections import Counter
from pathlib import Path

from sandbox.arm.app import SERVICES
from sandbox.arm.routing import Evidence, Route
from sandbox.resources.types import TYPES
from tests.conformance.deviations import DEVIATIONS, OUTSIDE

PAGE = Path(__file__).parent.parent / "docs" / "fidelity.md"
BEHAVIOUR_IN_TIME = Path(__file__).parent / "fidelity_times.md"
"""When what was written is visible, counts and is told, each with its switch. Edited by hand."""

HEAD = """# How faithful the local Azure is

Made by `make docs` from the routes of `sandbox`. What a route answers is

- **recorded**: read off recorded traffic ({recorded} routes), which the tests replay against it but
  for the recordings named `azure-cli`: those were replayed when the route was written;
- **documented**: as Microsoft's documentation says, not seen in a recording ({documented});
- **assumed**: neither; the best guess ({assumed}).

Anything else is refused with 400 `UnsupportedBySandbox`, which names what is not supported.
`{{scope}}` is any ARM id: nothing (the tenant), a management group, a subscription, a resource
group or a resource. In the last column, `facts` are sections of [azure-facts.md](azure-facts.md),
`test_...` and `misc_...` recordings of other clients' tests, `REST` and the like Microsoft's
documentation.
"""

TYPE_HEAD = """
## Resource types

How types differ in their identity block and in the answers to writes. One that is not here behaves
in the commonest way, which is **assumed**.

| type | known |
|---|---|
"""

TIMES = """
## Behaviour in time

When what was written is seen, counts and is told. The switches are those of
[faults.md](faults.md); where there is none, it is always so. What an **issue thread** says was
seen by somebody and stated by nobody.

"""

DIFFERENCES = """
## Known differences

Where an answer differs from the recording; the replay fails for any other difference, and for one
of these that no longer occurs.

| recordings | place | reason |
|---|---|---|
"""

UNSERVED = """
## Recorded, but not served

"""

_ANY = re.compile(r"<any\(([^)]*)\):\w+>")
_PLACEHOLDER = re.compile(r"<(?:\w+:)?(\w+)>")


def page() -> str:
    """Return the whole page."""
    routes = sorted((route for each in SERVICES for route in each), key=_order)
    counts = Counter(route.evidence for route in routes)
    head = HEAD.format(**{each.value: counts[each] for each in Evidence})
    return "".join(
        (
            head,
            "\n| method | path | known | from |\n|---|---|---|---|\n",
            *map(_row, routes),
            TYPE_HEAD,
            *(f"| `{each.type}` | {each.evidence.value} |\n" for each in TYPES),
            TIMES,
            BEHAVIOUR_IN_TIME.read_text("utf-8"),
            DIFFERENCES,
            *(
                f"| `{_cell(each.recordings)}` | `{_cell(each.place)}` | {_cell(each.reason)} |\n"
                for each in DEVIATIONS
            ),
            UNSERVED,
            *(f"- `{each.requests}`: {each.reason}\n" for each in OUTSIDE),
        )
    )


def _order(route: Route) -> tuple[str, str]:
    return _path(route), route.method


def _path(route: Route) -> str:
    rule = route.rule.replace("/~", "{scope}")
    alternatives = _ANY.sub(lambda found: f"{{{found[1].replace(',', ', ')}}}", rule)
    return _PLACEHOLDER.sub(r"{\1}", alternatives)


def _row(route: Route) -> str:
    return (
        f"| {route.method} | `{_path(route)}` | {route.evidence.value} | {_cell(route.source)} |\n"
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> int:
    """Write the page."""
    PAGE.write_text(page(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
