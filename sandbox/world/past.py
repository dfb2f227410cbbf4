"""What was there a while ago: for lists and indexes that lag behind.

See facts: Role assignments and Resource Graph.
"""

import datetime as dt
from collections.abc import Iterator

_ALWAYS = dt.datetime.min.replace(tzinfo=dt.UTC)


class Past[T]:
    """The states of things by key, each with the time from which on it was so."""

    def __init__(self) -> None:
        self._states: dict[str, list[tuple[dt.datetime, T | None]]] = {}

    def note(self, key: str, state: T | None, at: dt.datetime, keep: dt.timedelta) -> None:
        """Note what became of a thing, None when it is gone; what nobody can ask for is dropped.

        Args:
            key: names the thing.
            state: what it is now; it must not change any more.
            at: the time now.
            keep: how far back others will look.
        """
        states = self._states.setdefault(key, [(_ALWAYS, None)])
        states.append((at, state))
        # One state that is old enough for everybody stays, as the oldest that is known.
        while len(states) > 1 and states[1][0] <= at - keep:
            del states[0]
        if len(states) == 1 and state is None:
            del self._states[key]

    def at(self, moment: dt.datetime) -> Iterator[T]:
        """Yield all that was there at a moment, or as far back as is known."""
        for states in self._states.values():
            seen = next((state for when, state in reversed(states) if when <= moment), states[0][1])
            if seen is not None:
                yield seen
