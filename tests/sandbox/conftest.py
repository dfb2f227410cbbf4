"""A fresh local Azure for each test."""

import pytest

from tests.sandbox.grid import Grid
from tests.world.arm import Arm


@pytest.fixture
def arm() -> Arm:
    """A client of a small seeded world."""
    return Arm()


@pytest.fixture
def grid() -> Grid:
    """Event Grid over such a world."""
    return Grid()
