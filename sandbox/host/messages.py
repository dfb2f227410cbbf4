"""What a queue message looks like to a function, and a function's output to a queue.

`triggers` converts with these. How arrays are split and in which forms metadata travel was read in
the published source of the Functions host; nothing here was recorded.
"""

import base64
import json

from sandbox.host.protocol import TypedData
from sandbox.host.queues import Message


def encode(text: str) -> str:
    """Turn a text into what is stored with the default `messageEncoding`."""
    return base64.b64encode(text.encode()).decode()


def decode(stored: str) -> str:
    """Turn what is stored back into the text.

    Raises:
        ValueError: it is not base64 of UTF-8.
    """
    return base64.b64decode(stored, validate=True).decode()


def metadata(message: Message, text: str) -> dict[str, TypedData]:
    """Say what is known of a taken message: texts as they are, numbers and times as JSON."""
    return {
        "QueueTrigger": TypedData(string=text),
        "Id": TypedData(string=message.id),
        "PopReceipt": TypedData(string=message.receipt),
        "DequeueCount": TypedData(json=json.dumps(message.dequeued)),
        "ExpirationTime": TypedData(json=json.dumps(message.expires.isoformat())),
        "InsertionTime": TypedData(json=json.dumps(message.inserted.isoformat())),
        "NextVisibleTime": TypedData(json=json.dumps(message.visible.isoformat())),
    }


def texts(output: object) -> list[str]:
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
    return [one if isinstance(one, str) else json.dumps(one, indent=2) for one in items]
