"""Every hold of the planner, at each kind of change that it can stop."""

from tests.unit.holds import bounds, states

HOLDS = bounds.HOLDS | states.HOLDS
