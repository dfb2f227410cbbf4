"""A fresh local Azure for each test."""

import pytest

from tests.sandbox.arm import Arm


@pytest.fixture
def arm() -> Arm:
    """A client of a small seeded world."""
    return Arm()
