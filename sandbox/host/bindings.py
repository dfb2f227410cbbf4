"""What surrounds a function's trigger: blobs that it reads, queues and blobs that it writes.

`triggers` checks an app here when it starts, and asks for each invocation's inputs and outputs.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sandbox.host import messages
from sandbox.host.blobs import Blobs
from sandbox.host.protocol import TypedData
from sandbox.host.queues import Queues
from sandbox.host.storage import CONNECTION
from sandbox.host.worker import AppError, Binding, Function

# What this host can do; an app with another binding is refused rather than run without it.
SUPPORTED = frozenset(
    {
        ("eventGridTrigger", "IN"),
        ("httpTrigger", "IN"),
        ("queueTrigger", "IN"),
        ("timerTrigger", "IN"),
        ("blob", "IN"),
        ("blob", "OUT"),
        ("queue", "OUT"),
        ("http", "OUT"),
    }
)


@dataclass(frozen=True)
class Bindings:
    """The stores behind an app's bindings; `base64` is how messages are encoded."""

    queues: Queues
    blobs: Blobs
    settings: Mapping[str, str]
    base64: bool

    def check(self, functions: Iterable[Function]) -> None:
        """Refuse, by its name, a binding that this host cannot serve.

        Raises:
            AppError: there is one.
        """
        for function in functions:
            for binding in function.bindings:
                kind, connection = binding["type"], binding.get("connection", CONNECTION)
                if (kind, binding["direction"]) not in SUPPORTED or connection != CONNECTION:
                    raise AppError(
                        f"this host has no {kind} binding on {connection}, which"
                        f" {function.name} asks for as {binding['name']!r}"
                    )
                if kind == "blob":
                    self._path(function, binding)

    def resolved(self, text: str) -> str:
        """Replace each `%NAME%` by that setting, or by nothing where it is not set."""
        return re.sub("%(.+?)%", lambda found: self.settings.get(found[1], ""), text)

    def queue(self, binding: Binding) -> str:
        """Return the name of a binding's queue."""
        return self.resolved(binding["queueName"])

    def inputs(self, function: Function) -> dict[str, TypedData]:
        """Read the function's blobs; one that is missing is no value, so the app sees None."""
        found: dict[str, TypedData] = {}
        for binding in function.bindings:
            if binding["type"] == "blob" and binding["direction"] == "IN":
                content = self.blobs.read(*self._path(function, binding))
                found[binding["name"]] = (
                    TypedData() if content is None else TypedData(bytes=content)
                )
        return found

    def store(self, function: Function, outputs: Mapping[str, object]) -> None:
        """Write what the function produced; what it did not set stays as it is."""
        for binding in function.outputs:
            output = outputs.get(binding["name"])
            if binding["type"] == "queue":
                for text in messages.texts(output):
                    self._send(self.queue(binding), text)
            elif binding["type"] == "blob" and isinstance(output, str | bytes):
                content = output.encode() if isinstance(output, str) else output
                self.blobs.write(*self._path(function, binding), content)

    def _send(self, queue: str, text: str) -> None:
        # The real host creates a queue when the first message goes there.
        self.queues.create(queue)
        self.queues.put(queue, messages.encode(text) if self.base64 else text)

    def _path(self, function: Function, binding: Binding) -> tuple[str, str]:
        container, _, name = self.resolved(binding["path"]).partition("/")
        if not container or not name or "{" in container + name:
            raise AppError(
                f"{function.name}: {binding['path']!r} of {binding['name']!r} is not the path of"
                " one blob, container/name"
            )
        return container, name
