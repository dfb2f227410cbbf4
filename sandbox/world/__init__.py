"""The state of the local Azure, its clock and its faults."""
