"""ABAC conditions: what can be told of them without Azure, which alone knows their grammar.

`reconciler.policy.language.texts` is the only caller.
"""

import re

from reconciler.policy.language import shapes

_NEVER_IN_TEXTS = re.compile(f"[{shapes.NEVER_IN_TEXTS}]")
# A quoted text that is not closed runs to the end of the condition. It is possessive, so that every
# character is read once, whatever is in it.
_SIGN = re.compile(r"'(?:[^'\\]|\\.)*+(?P<closed>')?|[()\[\]{}]", re.DOTALL)
_OPENED_BY = {")": "(", "]": "[", "}": "{"}


def condition(text: str) -> str:
    """Check a condition, and return it without blanks at its edges."""
    # A block scalar ends in a line break, which would differ from what Azure stores.
    if not text.strip():
        raise ValueError("the condition is empty; write one, or delete the key")
    if found := _NEVER_IN_TEXTS.search(text):
        raise ValueError(f"the condition holds {found.group()!r}; delete it")
    _check_closed(text.strip())
    return text.strip()


def _check_closed(text: str) -> None:
    opened: list[re.Match[str]] = []
    for found in _SIGN.finditer(text):
        sign = found[0]
        if found["closed"]:
            continue
        if sign not in _OPENED_BY:
            opened.append(found)
        elif opened and opened[-1][0] == _OPENED_BY[sign]:
            opened.pop()
        elif not opened:
            raise ValueError(f"the condition's {_shown(found)} closes nothing; delete it")
        else:
            break
    if opened:
        raise ValueError(f"the condition's {_shown(opened[-1])} is never closed; close it")


def _shown(found: re.Match[str]) -> str:
    return f'"{found[0][0]}", character {found.start() + 1} of it,'
