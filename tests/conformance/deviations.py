"""Where the local Azure answers otherwise than the recordings, each with its reason.

The replay fails for a difference that is not here, and for one that is here and does not occur.
What lies outside of its surface is not played; how many exchanges that are is stated and checked,
so that nothing is left out unseen.
"""

import dataclasses
import json
import re
from collections.abc import Iterator

from tests.conformance.recordings import Recording

_LINKS = ("azure-asyncoperation", "location")


@dataclasses.dataclass(frozen=True, slots=True)
class Deviation:
    """Differences that are known."""

    recordings: str
    """A regular expression over their names."""
    place: str
    """A regular expression over ``#index place``."""
    reason: str

    def covers(self, recording: str, place: str) -> bool:
        """Return whether a difference of a recording is this one."""
        found = re.fullmatch(self.recordings, recording) and re.fullmatch(self.place, place)
        return found is not None


@dataclasses.dataclass(frozen=True, slots=True)
class Outside:
    """Requests that the local Azure does not claim to serve."""

    requests: str
    """A regular expression that finds them by ``METHOD url body``."""
    count: int
    """How many exchanges are left out: these requests, and the polls of what they began."""
    reason: str


DEVIATIONS: tuple[Deviation, ...] = (
    Deviation(
        "test_account_cmk_encryption",
        r"#[134] body\.tags",
        "an Azure Policy of the recorded subscription sets this tag on every resource",
    ),
    Deviation(
        r"test_(vm_msi|vm_msi_no_scope|vm_explicit_msi|invoke_action)",
        r"#\d+ body\.properties\.instanceView\.(?!statuses)\w+",
        "what a machine's agent reports; only how its operations and its power stand is shown here",
    ),
    Deviation(
        r"test_(account_cmk_encryption|azconfig_identity|backup_identity|\w+_resource_lock)",
        r"#\d+ (azure-async\w+|location)",
        "each provider announces its operations in a style of its own; all have Compute's here",
    ),
    Deviation(
        r"test_(azconfig_identity|\w+_resource_lock)",
        r"#0 etag",
        "the answer to a creation has no entity tag there",
    ),
    Deviation(
        r"test_azconfig_identity",
        r"#\d+ body\.id",
        "the store's id ends in its name in lower case there",
    ),
)

OUTSIDE: tuple[Outside, ...] = (
    Outside(
        r"^GET \S+/providers/Microsoft\.ManagedIdentity/operations\?",
        1,
        "a catalogue of action names and texts for people",
    ),
    Outside(
        r"^GET \S+/providers/Microsoft\.(AppConfiguration|NetApp)/locations/\w+/operation",
        6,
        "polls of an operation in the provider's own style",
    ),
    Outside(
        r"^\S+ \S+/federatedIdentityCredentials\b",
        9,
        "the reconciler never reads or writes federated credentials",
    ),
    Outside(
        r"^POST \S+/listAssociatedResources\?",
        1,
        "a preview of one api-version; Resource Graph tells the same",
    ),
    Outside(
        r"^POST \S+/resources\?\S+ .*communitygalleryresources",
        1,
        "a table of Resource Graph that lists public images",
    ),
    Outside(
        r"^POST \S+/virtualMachines/[^/]+/(generalize|capture)\?",
        4,
        "makes an image of a machine",
    ),
)


def left_out(recording: Recording) -> Iterator[tuple[int, Outside]]:
    """Yield the numbers of the exchanges that are not played, each with the row that says why."""
    begun: dict[str, Outside] = {}
    for index, exchange in enumerate(recording.exchanges):
        request = f"{exchange.method} {exchange.url} {json.dumps(exchange.request)}"
        row = next((each for each in OUTSIDE if re.search(each.requests, request)), None)
        if row is not None:
            links = (exchange.headers.get(name) for name in _LINKS)
            begun |= {link: row for link in links if link}
        row = row or begun.get(exchange.url)
        if row is not None:
            yield index, row
