"""Where the local Azure answers otherwise than the recordings, each with its reason.

The replay fails for a difference that is not here, and for one that is here and does not occur.
What lies outside of its surface is not played.
"""

import dataclasses
import re


@dataclasses.dataclass(frozen=True, slots=True)
class Deviation:
    """Differences that are known."""

    recording: str
    place: str
    """A regular expression over ``#index place``."""
    reason: str

    def covers(self, recording: str, place: str) -> bool:
        """Tell whether a difference is this one."""
        return recording == self.recording and re.fullmatch(self.place, place) is not None


@dataclasses.dataclass(frozen=True, slots=True)
class Outside:
    """Requests that the local Azure does not claim to serve."""

    requests: str
    """A regular expression that finds them by ``METHOD url body``."""
    reason: str


DEVIATIONS: tuple[Deviation, ...] = (
    Deviation(
        "test_account_cmk_encryption",
        r"#[134] body\.tags",
        "an Azure Policy of the recorded subscription sets this tag on every resource",
    ),
)

OUTSIDE: tuple[Outside, ...] = (
    Outside(
        r"^GET \S+/providers/Microsoft\.ManagedIdentity/operations\?",
        "a catalogue of action names and texts for people",
    ),
    Outside(
        r"^POST \S+/resources\?\S+ .*communitygalleryresources",
        "a table of Resource Graph that lists public images",
    ),
    Outside(
        r"^POST \S+/virtualMachines/[^/]+/capture\?",
        "copies the disk of a machine and answers with a template to deploy it",
    ),
)


def outside(request: str) -> bool:
    """Tell whether a request, as ``METHOD url body``, lies outside of the surface."""
    return any(re.search(each.requests, request) for each in OUTSIDE)
