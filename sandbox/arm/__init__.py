"""The front door of the local Azure: what every call passes, and what every resource shares."""
