"""ARM ids as the sandbox reads them; every service and the application use this one parser.

It is the sandbox's own on purpose: a parser shared with the product would share its bugs.
"""

import dataclasses
import functools

GROUP_TYPE = "Microsoft.Resources/subscriptions/resourceGroups"


@dataclasses.dataclass(frozen=True, slots=True)
class ArmId:
    """An ARM path, split. Spelling is kept; ``key`` is the form to compare and index by."""

    text: str
    key: str
    subscription: str
    group: str
    type: str
    name: str
    scope: str
    """What the id hangs on: the part before its last ``/providers/``."""

    @property
    def parent(self) -> str:
        """The path without its last segment."""
        return self.text.rpartition("/")[0]

    @property
    def outer(self) -> str:
        """What a nested resource, or a list of such, lies in."""
        return self.parent.rpartition("/")[0] if self.name else self.parent

    @property
    def names(self) -> str:
        """All its names, the outermost first: ``a/b``."""
        return "/".join(self.text.rpartition("/providers/")[2].split("/")[2::2])


@functools.lru_cache(maxsize=65536)
def parse(text: str) -> ArmId:
    """Split a path; lists (no last name) and actions parse as well, with an empty ``name``."""
    text = text.rstrip("/")
    segments = text.split("/")[1:]
    folded = [segment.lower() for segment in segments]
    subscription = segments[1] if len(segments) > 1 and folded[0] == "subscriptions" else ""
    in_group = len(segments) > 3 and folded[2] == "resourcegroups"  # noqa: PLR2004 - positions
    group = segments[3] if subscription and in_group else ""
    scope, kind, name = "", "", ""
    if "providers" in folded:
        at = len(folded) - 1 - folded[::-1].index("providers")
        scope = "/".join(["", *segments[:at]])
        rest = segments[at + 1 :]
        kind = "/".join([*rest[:1], *rest[1::2]])
        name = rest[-1] if len(rest) % 2 and len(rest) > 1 else ""
    elif group:
        # One segment more is a list in the group, or an action on it.
        kind, name = GROUP_TYPE, group if len(segments) == 4 else ""  # noqa: PLR2004 - positions
    elif subscription:
        kind, name = "Microsoft.Resources/subscriptions", subscription
    return ArmId(text, text.lower(), subscription, group, kind, name, scope)


def ancestors(key: str) -> tuple[str, ...]:
    """Return the scopes that contain a lower-case id inside a subscription, itself first."""
    found = [key]
    parsed = parse(key)
    resource = key
    # A child resource hangs on its parent: drop one type and name at a time.
    while "/providers/" in resource:
        head, _, tail = resource.rpartition("/providers/")
        parts = tail.split("/")
        resource = f"{head}/providers/{'/'.join(parts[:-2])}" if len(parts) > 3 else head  # noqa: PLR2004 - a namespace and two pairs
        found.append(resource)
    if parsed.subscription:
        top = f"/subscriptions/{parsed.subscription}"
        if top not in found:
            found.append(top)
    return tuple(scope for scope in dict.fromkeys(found) if scope)


def contains(scope: str, key: str) -> bool:
    """Return whether a lower-case id is a scope or lies below it, segment by segment."""
    return scope in ("", "/", key) or key.startswith(scope + "/")


def moved(resource: ArmId, group: ArmId) -> ArmId:
    """Return the id that a resource has in another group."""
    return parse("/".join([group.text, *resource.text.split("/")[5:]]))


def region(name: str) -> str:
    """Return a region's name as ids and indexes spell it: ``westus2`` for ``West US 2``."""
    return "".join(name.split()).lower()


def respell(text: str, literal: str) -> str:
    """Return an id with its group segment spelled as asked (``resourceGroups`` or lower case)."""
    segments = text.split("/")
    if len(segments) > 4 and segments[3].lower() == "resourcegroups":  # noqa: PLR2004 - positions
        segments[3] = literal
    return "/".join(segments)
