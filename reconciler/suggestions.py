"""What an unknown word was probably meant to be: the one place that looks for near misses.

The loader of policy, the table of roles, the settings and Resource Graph's ids suggest by these.
Looking through a thousand names takes ten milliseconds, so words are cut, and `Suggestions` bounds
how many are looked for in one run.
"""

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

_LONGEST_WORD: Final = 100
_MOST_SOUGHT: Final = 30
"""Words of one run; nobody mends more of them at once."""


def near_misses(
    word: str,
    candidates: Iterable[str],
    *,
    most: int = 1,
    cutoff: float = 0.6,
    any_case: bool = True,
) -> list[str]:
    """Return the candidates that are spelled nearly as a word, the nearest first.

    `cutoff` is how much of the letters must agree, from 0 to 1 (see `difflib`).
    """
    spelled = {name.lower() if any_case else name: name for name in sorted(candidates)}
    sought = word[:_LONGEST_WORD]
    near = difflib.get_close_matches(
        sought.lower() if any_case else sought, spelled, n=most, cutoff=cutoff
    )
    return [spelled[name] for name in near]


def nearest(word: str, candidates: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """Return the candidate that is spelled most nearly as a word, none where no one is near."""
    return next(iter(near_misses(word, candidates, cutoff=cutoff)), None)


def did_you_mean(suggestion: str | None) -> str:
    """Return the end of a message that names what was probably meant, empty for nothing."""
    return f"; did you mean '{suggestion}'?" if suggestion else ""


@dataclass(frozen=True, slots=True)
class Suggestions:
    """The suggestions of one run: each word is looked for once, and only the first of them are."""

    _made: dict[tuple[str, str], str | None] = field(
        default_factory=dict[tuple[str, str], str | None]
    )

    def did_you_mean(self, kind: str, word: str, search: Callable[[str], str | None]) -> str:
        """Return the end of a message about a word of some kind, such as the name of a role."""
        if (kind, word) not in self._made and len(self._made) < _MOST_SOUGHT:
            self._made[kind, word] = search(word)
        return did_you_mean(self._made.get((kind, word)))
