"""What an unknown word was probably meant to be.

`reconciler.policy.load.messages` is the only caller.
"""

import difflib
import functools
from collections.abc import Callable
from dataclasses import dataclass, field

from reconciler import roles
from reconciler.policy import language

_MAX_WORD = 100
_MAX_GUESSES = 30
"""Per run: looking through all roles takes ten milliseconds, and nobody mends more at once."""


@functools.lru_cache(1024)
def nearest(word: str, known: frozenset[str]) -> str | None:
    """Return the nearest of what is known, if any is near, whatever the case."""
    spelled = {name.lower(): name for name in sorted(known)}
    near = difflib.get_close_matches(word[:_MAX_WORD].lower(), spelled, n=1)
    return spelled[near[0]] if near else None


def did_you_mean(near: str | None) -> str:
    """Return the end of a message that names what was probably meant, or nothing."""
    return f"; did you mean '{near}'?" if near else ""


@dataclass(frozen=True, slots=True)
class Guesses:
    """Guesses of one run among what there may be many of, each made once; `names` are policy's."""

    names: language.Names
    _made: dict[tuple[str, str], str | None] = field(
        default_factory=dict[tuple[str, str], str | None]
    )

    def role(self, word: str) -> str | None:
        """Return the built-in role that is meant."""
        return self._guess("role", word, lambda: roles.table().suggest(word[:_MAX_WORD]))

    def identity(self, word: str) -> str | None:
        """Return the identity of policy that is meant."""
        known = self.names.identities or frozenset()
        return self._guess("identity", word, lambda: nearest(word, known))

    def map(self, word: str) -> str | None:
        """Return the map of policy that is meant."""
        known = self.names.maps or frozenset()
        return self._guess("map", word, lambda: nearest(word, known))

    def _guess(self, kind: str, word: str, look: Callable[[], str | None]) -> str | None:
        if (kind, word) not in self._made and len(self._made) < _MAX_GUESSES:
            self._made[kind, word] = look()
        return self._made.get((kind, word))
