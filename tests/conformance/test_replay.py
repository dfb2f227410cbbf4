"""Recorded exchanges of real clients, played again: the answers agree in all that clients read."""

import collections
import re
from pathlib import Path

import pytest

from tests.conformance.deviations import DEVIATIONS, OUTSIDE, left_out
from tests.conformance.player import Player
from tests.conformance.recordings import Recording, recordings
from tests.conftest import ROOT

FOLDER = ROOT.parent / "shared" / "data" / "arm" / "interactions"
# Without the recordings there is one test, which says why it is skipped.
RECORDINGS = list(recordings(FOLDER)) or [Recording("none", ())]


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda each: each.name)
def test_the_answers_are_those_recorded(recording: Recording, shared: Path) -> None:
    """Status, headers and bodies agree, but for the deviations that are listed with a reason."""
    assert shared.is_dir()
    known = [each for each in DEVIATIONS if re.fullmatch(each.recordings, recording.name)]

    found = Player(recording).play()

    unknown = [
        f"{place}: {what}"
        for place, what in found
        if not any(each.covers(recording.name, place) for each in known)
    ]
    assert not unknown, "\n".join(unknown)
    gone = [
        each for each in known if not any(each.covers(recording.name, place) for place, _ in found)
    ]
    assert not gone, "these deviations no longer occur"


def test_only_the_stated_exchanges_are_left_out(shared: Path) -> None:
    """As many as each row says, so that nothing drops out of the replay unseen."""
    found = list(recordings(shared / "arm" / "interactions"))
    counts = collections.Counter(row for recording in found for _, row in left_out(recording))

    assert {row: row.count for row in OUTSIDE} == counts
    assert sum(len(recording.exchanges) for recording in found) == 235
    for each in DEVIATIONS:
        assert any(re.fullmatch(each.recordings, recording.name) for recording in found), each
