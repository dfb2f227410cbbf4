"""A fresh local Azure for each test."""

import pytest

from tests.sandbox.arm import Arm
from tests.sandbox.grid import Grid


@pytest.fixture
def arm() -> Arm:
    """A client of a small seeded world."""
    return Arm()


@pytest.fixture
def grid() -> Grid:
    """Event Grid over such a world."""
    return Grid()
