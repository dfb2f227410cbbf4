"""What surrounds a function's trigger: blobs that it reads, queues and blobs that it writes.

`triggers` checks an app here when it starts, and asks for each invocation's inputs and outputs.
What a queue message looks like to a function, and a function's output to a queue, was read in the
published source of the Functions host; nothing of that was recorded.
"""

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sandbox.host.blobs import CONNECTION, Blobs
from sandbox.host.queues import Message, Queues
from sandbox.host.worker import AppError, Binding, Function, TypedData

# What this host can do; an app with another binding is refused rather than run without it.
SUPPORTED = {
    "IN": ("eventGridTrigger", "httpTrigger", "queueTrigger", "timerTrigger", "blob"),
    "OUT": ("blob", "queue", "http"),
}


def encode(text: str) -> str:
    """Return what is stored of a text with the default `messageEncoding`."""
    return base64.b64encode(text.encode()).decode()


def decode(stored: str) -> str:
    """Return the text of what is stored; raises `ValueError` unless it is base64 of UTF-8."""
    return base64.b64decode(stored, validate=True).decode()


def metadata(message: Message, text: str) -> dict[str, TypedData]:
    """Return what is known of a taken message: texts as they are, numbers and times as JSON."""
    times = {
        "ExpirationTime": message.expires,
        "InsertionTime": message.inserted,
        "NextVisibleTime": message.visible,
    }
    return {
        "QueueTrigger": TypedData(string=text),
        "Id": TypedData(string=message.id),
        "PopReceipt": TypedData(string=message.receipt),
        "DequeueCount": TypedData(json=json.dumps(message.dequeued)),
        **{name: TypedData(json=json.dumps(time.isoformat())) for name, time in times.items()},
    }


def _texts(output: object) -> list[str]:
    """Split an output into the texts of messages: an array is one message per item.

    A text that is itself a JSON array or object is parsed first, as the real host does it.
    """
    if output is None:
        return []
    if isinstance(output, bytes):
        return [output.decode()]
    if isinstance(output, str):
        try:
            parsed = json.loads(output)
        except ValueError:
            return [output]
        output = parsed if isinstance(parsed, list | dict) else output
    items = output if isinstance(output, list) else [output]
    return [item if isinstance(item, str) else json.dumps(item, indent=2) for item in items]


@dataclass(frozen=True)
class Bindings:
    """The stores behind an app's bindings; `base64` is how messages are encoded."""

    queues: Queues
    blobs: Blobs
    settings: Mapping[str, str]
    base64: bool

    def check(self, functions: Iterable[Function]) -> None:
        """Refuse, by its name, a binding that this host cannot serve; raises `AppError`."""
        for function in functions:
            for binding in function.bindings:
                kind, connection = binding["type"], binding.get("connection", CONNECTION)
                supported = kind in SUPPORTED.get(binding["direction"], ())
                if not supported or connection != CONNECTION:
                    raise AppError(
                        f"this host has no {kind} binding on {connection}, which"
                        f" {function.name} asks for as {binding['name']!r}"
                    )
                if kind == "blob":
                    self._path(function, binding)

    def resolved(self, text: str) -> str:
        """Replace each `%NAME%` by that setting, or by nothing where it is not set."""
        return re.sub("%(.+?)%", lambda match: self.settings.get(match[1], ""), text)

    def queue(self, binding: Binding) -> str:
        """Return the name of a binding's queue."""
        return self.resolved(binding["queueName"])

    def inputs(self, function: Function) -> dict[str, TypedData]:
        """Read the function's blobs; one that is missing is no value, so the app sees None."""
        values: dict[str, TypedData] = {}
        for binding in function.bindings:
            if binding["type"] == "blob" and binding["direction"] == "IN":
                content = self.blobs.read(*self._path(function, binding))
                value = TypedData() if content is None else TypedData(bytes=content)
                values[binding["name"]] = value
        return values

    def store(self, function: Function, outputs: Mapping[str, object]) -> None:
        """Write what the function produced; what it did not set stays as it is."""
        for binding in function.bindings:
            if binding["direction"] != "OUT":
                continue
            output = outputs.get(binding["name"])
            if binding["type"] == "queue":
                queue = self.queue(binding)
                for text in _texts(output):
                    # The real host creates a queue when the first message goes there.
                    self.queues.create(queue)
                    self.queues.put(queue, encode(text) if self.base64 else text)
            elif binding["type"] == "blob" and isinstance(output, str | bytes):
                content = output.encode() if isinstance(output, str) else output
                self.blobs.write(*self._path(function, binding), content)

    def _path(self, function: Function, binding: Binding) -> tuple[str, str]:
        container, _, name = self.resolved(binding["path"]).partition("/")
        if not container or not name or "{" in container + name:
            raise AppError(
                f"{function.name}: {binding['path']!r} of {binding['name']!r} is not the path of"
                " one blob, container/name"
            )
        return container, name
