"""Which function answers a web request, and which key it asks for.

`triggers` reads the routes of an app when it starts; `http` looks requests up. Templates are
ASP.NET's, with no constraint but `int`; case does not matter, and literals go first.
"""

import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox.host.options import section
from sandbox.host.worker import AppError, Function

FUNCTION_KEY = "sandbox-function-key"
MASTER_KEY = "sandbox-master-key"
_PARAMETER = re.compile(r"\{(?P<rest>\*)?(?P<name>\w+)(?P<int>:int)?(?P<optional>\?)?\}")


@dataclass(frozen=True)
class Keys:
    """The keys that open functions; the master key opens all (documented: access keys)."""

    function: str = FUNCTION_KEY
    master: str = MASTER_KEY

    @classmethod
    def read(cls, settings: Mapping[str, str]) -> "Keys":
        """Take them from `SANDBOX_FUNCTION_KEY` and `SANDBOX_MASTER_KEY`, where set."""
        return cls(
            settings.get("SANDBOX_FUNCTION_KEY") or FUNCTION_KEY,
            settings.get("SANDBOX_MASTER_KEY") or MASTER_KEY,
        )

    def open(self, route: "Route", key: str) -> bool:
        """Tell whether a key, empty where none was sent, opens a route."""
        fitting = {"FUNCTION": (self.function, self.master), "ADMIN": (self.master,)}
        sent = key.encode()
        return route.level == "ANONYMOUS" or any(
            hmac.compare_digest(sent, each.encode()) for each in fitting[route.level]
        )


@dataclass(frozen=True)
class Route:
    """A function's place on the web."""

    function: Function
    pattern: re.Pattern[str]
    rank: tuple[int, ...]
    """Sorts literals before parameters, segment by segment."""
    methods: frozenset[str]
    """Empty: all."""
    level: str


def read(functions: Iterable[Function], app_dir: Path) -> tuple[Route, ...]:
    """Return the routes of the functions with an HTTP trigger, in the order of their precedence.

    Raises:
        AppError: a template is not one that this host understands.
        ValueError: `host.json` is of another form.
    """
    prefix = section(app_dir, "http").get("routePrefix", "api")
    if not isinstance(prefix, str):
        raise ValueError(f"host.json: routePrefix is a text, not {prefix!r}")  # noqa: TRY004 - of the file
    found = [_route(one, prefix) for one in functions if one.trigger["type"] == "httpTrigger"]
    return tuple(sorted(found, key=lambda route: route.rank))


def find(routes: Iterable[Route], path: str, method: str) -> tuple[Route, dict[str, str]] | None:
    """Return the first route that fits, with its parameters."""
    for route in routes:
        match = route.pattern.fullmatch(path.strip("/"))
        if match and (not route.methods or method in route.methods):
            return route, {key: value for key, value in match.groupdict().items() if value}
    return None


def _route(function: Function, prefix: str) -> Route:
    trigger = function.trigger
    template = "/".join(filter(None, [prefix, trigger.get("route") or function.name]))
    pattern, rank = "", []
    for segment in template.strip("/").split("/"):
        parameter = _PARAMETER.fullmatch(segment)
        if not parameter and re.search(r"[{}]", segment):
            raise AppError(f"{function.name}: route segment {segment!r} is not understood here")
        slash = "/" if pattern else ""
        rank.append(_rank(parameter))
        pattern += _expression(parameter, slash) if parameter else slash + re.escape(segment)
    methods = frozenset(method.upper() for method in trigger.get("methods") or ())
    level = trigger.get("authLevel", "FUNCTION").upper()
    return Route(function, re.compile(pattern, re.IGNORECASE), tuple(rank), methods, level)


def _rank(parameter: re.Match[str] | None) -> int:
    if parameter is None:
        return 0
    return 3 if parameter["rest"] else 1 if parameter["int"] else 2


def _expression(parameter: re.Match[str], slash: str) -> str:
    kind = ".*" if parameter["rest"] else r"-?\d+" if parameter["int"] else "[^/]+"
    group = f"{slash}(?P<{parameter['name']}>{kind})"
    return f"(?:{group})?" if parameter["optional"] or parameter["rest"] else group
