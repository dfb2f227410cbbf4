"""Counts what runs just now, so that one can wait until nothing does."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Activity:
    """How much runs, and how much ever began; safe between threads."""

    running: int = 0
    begun: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self) -> None:
        """Count something that begins."""
        with self._lock:
            self.running += 1
            self.begun += 1

    def end(self) -> None:
        """Count its end."""
        with self._lock:
            self.running -= 1

    @contextmanager
    def one(self) -> Generator[None]:
        """Count what runs inside."""
        self.begin()
        try:
            yield
        finally:
            self.end()

    def counts(self) -> tuple[int, int]:
        """Return both numbers as they are together."""
        with self._lock:
            return self.running, self.begun
