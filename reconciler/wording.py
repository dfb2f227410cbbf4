"""Words for people: foreign text made safe to show, and what a misspelled word may have meant.

Names, tags, map keys, reasons and Azure's messages may hold anything that others wrote. Whoever
writes a line of them to a terminal or a log passes it through `printable` as a whole, so that
nothing depends on where in it the text stands.

Settings, the loader of policy, roles and Resource Graph suggest by `near_misses`. Looking through
a thousand names takes ten milliseconds, so words are cut, and `Suggestions` bounds how many are
looked for in one run.
"""

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

_LONGEST_WORD: Final = 100
_MOST_SOUGHT: Final = 30
"""Words of one run; nobody mends more of them at once."""

_REPLACED: Final = "\N{REPLACEMENT CHARACTER}"

# These count as printable, yet nothing is seen of them.
_UNSEEN: Final = re.compile(
    r"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    r"\U000e0100-\U000e01ef]"
)
# Azure Pipelines, GitHub and TeamCity seek `##vso[`, `##[` and `##teamcity[` anywhere in a line;
# GitHub obeys `::` at its beginning, also after blanks. They compare as their language's culture
# does, which may pass over what we put in place of a sign.
_HASHES: Final = re.compile(rf"#(?={_REPLACED}*#)")
_COLONS: Final = re.compile(rf"\A([\s{_REPLACED}]*):(?={_REPLACED}*:)")


def printable(text: str) -> str:
    """Return a text as one line that neither a terminal nor a CI runner obeys.

    Control, bidirectional and invisible characters are replaced, and `##` anywhere and `::` at the
    beginning are broken up.
    """
    if not text.isascii() or not text.isprintable():
        text = "".join(sign if sign.isprintable() else _REPLACED for sign in text)
        text = _UNSEEN.sub(_REPLACED, text)
    return _COLONS.sub(r"\1: ", _HASHES.sub("# ", text))


def printable_json(text: str) -> str:
    """Return JSON that means the same and in which no CI runner finds a command.

    Everything outside ASCII must be escaped in it already, and no line begins with a text's own
    signs, since each stands in quotes.
    """
    # Outside a string JSON has no such sign.
    return text.replace("##", r"#\u0023")


def near_misses(
    word: str,
    candidates: Iterable[str],
    *,
    most: int = 1,
    cutoff: float = 0.6,
    any_case: bool = True,
) -> list[str]:
    """Return the candidates that are spelled nearly as a word, the nearest first.

    `cutoff` is how much of the letters must agree, from 0 to 1 (see `difflib`); without `any_case`
    another case is another letter.
    """
    spell = str.lower if any_case else str
    spelled = {spell(name): name for name in sorted(candidates)}
    sought = spell(word[:_LONGEST_WORD])
    near = difflib.get_close_matches(sought, spelled, n=most, cutoff=cutoff)
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
