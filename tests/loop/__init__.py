"""The whole loop in process: the app over the local Azure, on a clock that the test turns."""
