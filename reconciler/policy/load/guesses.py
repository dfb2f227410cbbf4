"""What an unknown name of policy was probably meant to be.

`reconciler.policy.load.messages` is the only caller.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from reconciler import roles
from reconciler.policy import language
from reconciler.suggestions import Suggestions, near_misses


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the nearest of what is known, if any is near, whatever the case."""
    return next(iter(near_misses(word, known)), None)


@dataclass(frozen=True, slots=True)
class Guesses:
    """Guesses of one run among what there may be many of; `names` are policy's."""

    names: language.Names
    suggestions: Suggestions = field(default_factory=Suggestions)

    def role(self, word: str) -> str:
        """Return the end of a message that names the built-in role that is meant."""
        return self.suggestions.did_you_mean("role", word, roles.table().suggest)

    def named(self, kind: str, word: str, known: frozenset[str] | None) -> str:
        """Return the end of a message that names the identity or map of policy that is meant."""
        return self.suggestions.did_you_mean(
            kind, word, lambda sought: nearest(sought, known or ())
        )
