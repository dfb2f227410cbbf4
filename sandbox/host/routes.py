"""Which function answers a web request, and which key it asks for.

`triggers` reads the routes of an app when it starts; `http` looks requests up. Templates are
ASP.NET's, with plain parameters alone; case does not matter, and literals go first. Unlike Core
Tools this asks for keys, as Azure does, so that callers can be tested.
"""

import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sandbox.host.worker import AppError, Function

FUNCTION_KEY = "sandbox-function-key"
MASTER_KEY = "sandbox-master-key"
_PARAMETER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Route:
    """A function's place on the web."""

    function: Function
    pattern: re.Pattern[str]
    rank: tuple[bool, ...]  # Whether each segment is a parameter: literals go first.
    methods: frozenset[str]  # Empty: all.
    level: str

    def opens(self, key: str, settings: Mapping[str, str]) -> bool:
        """Return whether a key, empty where none was sent, opens the route.

        The master key opens all (documented: access keys).
        """
        keys = [settings.get("SANDBOX_MASTER_KEY") or MASTER_KEY]
        if self.level == "FUNCTION":
            keys.append(settings.get("SANDBOX_FUNCTION_KEY") or FUNCTION_KEY)
        fits = any(hmac.compare_digest(key.encode(), opening.encode()) for opening in keys)
        return fits or self.level == "ANONYMOUS"


def read(functions: Iterable[Function], prefix: object) -> tuple[Route, ...]:
    """Return the routes of the functions with an HTTP trigger, in the order of their precedence.

    Raises `AppError` for a template, and `ValueError` for a prefix from `host.json`.
    """
    if not isinstance(prefix, str):
        raise ValueError(f"host.json: routePrefix is a text, not {prefix!r}")  # noqa: TRY004 - of the file
    routes: list[Route] = []
    for function in functions:
        trigger = function.trigger
        if trigger["type"] != "httpTrigger":
            continue
        template = "/".join(filter(None, [prefix, trigger.get("route") or function.name]))
        pattern, rank = "", []
        for segment in template.strip("/").split("/"):
            slash = "/" if pattern else ""
            parameter = _PARAMETER.fullmatch(segment)
            if not parameter and re.search(r"[{}]", segment):
                raise AppError(f"{function.name}: route segment {segment!r} is not understood here")
            rank.append(parameter is not None)
            pattern += slash + (f"(?P<{parameter[1]}>[^/]+)" if parameter else re.escape(segment))
        methods = frozenset(method.upper() for method in trigger.get("methods") or ())
        level = trigger.get("authLevel", "FUNCTION").upper()
        expression = re.compile(pattern, re.IGNORECASE)
        routes.append(Route(function, expression, tuple(rank), methods, level))
    return tuple(sorted(routes, key=lambda route: route.rank))


def find(routes: Iterable[Route], path: str, method: str) -> tuple[Route, dict[str, str]] | None:
    """Return the first route that fits, with its parameters."""
    for route in routes:
        match = route.pattern.fullmatch(path.strip("/"))
        if match and (not route.methods or method in route.methods):
            return route, match.groupdict()
    return None
