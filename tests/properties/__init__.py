"""Rules that hold for every input, tried by Hypothesis."""
