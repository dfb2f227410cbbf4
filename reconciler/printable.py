"""Makes a text that others wrote safe to show: in a terminal, in a log, in a build's log.

Names, tags, map keys, reasons and Azure's messages may hold anything. Whoever writes a line of them
passes it through `printable` as a whole, so that nothing depends on where in it the text stands.
"""

import re
from typing import Final

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
