"""Queues as Azure Storage has them: in memory, or in a storage account such as Azurite's.

`triggers` takes messages from here and `http` puts the app's own there. A message that is taken
stays, invisible until its lease ends; only whoever holds its latest receipt may delete it. One
contract test runs on both kinds.
"""

import itertools
import threading
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from azure.core.exceptions import ResourceExistsError
from azure.storage.queue import QueueClient, QueueMessage, QueueServiceClient

from sandbox.host.storage import StorageError, translated

NOW = timedelta()
# How long a message is kept (documented: Put Message, the default time to live).
TIME_TO_LIVE = timedelta(days=7)
# Documented: a message as stored has at most so many bytes, base64 included.
LARGEST = 64 * 1024


class QueueError(StorageError):
    """The queue store refused."""


@dataclass(frozen=True)
class Message:
    """A message; `text` is as stored, so still base64 where the sender encoded it."""

    id: str
    text: str
    inserted: datetime
    expires: datetime
    visible: datetime
    receipt: str
    dequeued: int = 0


class Queues(Protocol):
    """What a host needs of its queues; every method raises `QueueError`."""

    def create(self, queue: str) -> bool:
        """Make sure that the queue exists; tell whether it was missing."""

    def put(self, queue: str, text: str, delay: timedelta = NOW) -> Message:
        """Add a message that becomes visible after `delay`."""

    def get(self, queue: str, lease: timedelta, limit: int = 1) -> list[Message]:
        """Take up to `limit` visible messages and hide them for the time of `lease`."""

    def release(self, queue: str, message: Message, delay: timedelta = NOW) -> Message:
        """Make a taken message visible after `delay`; return it with its new receipt."""

    def delete(self, queue: str, message: Message) -> None:
        """Remove a taken message for good."""

    def waiting(self, queue: str) -> bool:
        """Tell whether a message is visible now; delayed and taken ones are not."""


@dataclass
class MemoryQueues:
    """Queues that last as long as the process, on an injected clock; safe between threads."""

    clock: Callable[[], datetime]
    _queues: dict[str, dict[str, Message]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def create(self, queue: str) -> bool:
        """See `Queues`."""
        with self._lock:
            missing = queue not in self._queues
            self._queues.setdefault(queue, {})
            return missing

    def put(self, queue: str, text: str, delay: timedelta = NOW) -> Message:
        """See `Queues`."""
        if len(text.encode()) > LARGEST:
            raise QueueError(413, "RequestBodyTooLarge")
        if delay >= TIME_TO_LIVE:
            raise QueueError(400, "OutOfRangeQueryParameterValue")
        now = self.clock()
        message = Message(_guid(), text, now, now + TIME_TO_LIVE, now + delay, _guid())
        with self._lock:
            self._find(queue)[message.id] = message
        return message

    def get(self, queue: str, lease: timedelta, limit: int = 1) -> list[Message]:
        """See `Queues`."""
        until = self.clock() + lease
        with self._lock:
            taken = [
                replace(one, visible=until, receipt=_guid(), dequeued=one.dequeued + 1)
                for one in itertools.islice(self._visible(queue), limit)
            ]
            self._find(queue).update({one.id: one for one in taken})
        return taken

    def release(self, queue: str, message: Message, delay: timedelta = NOW) -> Message:
        """See `Queues`."""
        until = self.clock() + delay
        with self._lock:
            held = replace(self._held(queue, message), visible=until, receipt=_guid())
            self._find(queue)[held.id] = held
        return held

    def delete(self, queue: str, message: Message) -> None:
        """See `Queues`."""
        with self._lock:
            held = self._held(queue, message)
            del self._find(queue)[held.id]

    def waiting(self, queue: str) -> bool:
        """See `Queues`."""
        with self._lock:
            return any(self._visible(queue))

    def _find(self, queue: str) -> dict[str, Message]:
        if queue not in self._queues:
            raise QueueError(404, "QueueNotFound")
        return self._queues[queue]

    def _visible(self, queue: str) -> Iterator[Message]:
        now = self.clock()
        return (one for one in self._find(queue).values() if one.visible <= now < one.expires)

    def _held(self, queue: str, message: Message) -> Message:
        held = self._find(queue).get(message.id)
        if held is None:
            raise QueueError(404, "MessageNotFound")
        if held.receipt != message.receipt:
            raise QueueError(400, "PopReceiptMismatch")
        return held


class StorageQueues:
    """The queues of a storage account; close it when done."""

    def __init__(self, connection: str) -> None:
        """Connect lazily.

        Raises:
            ValueError: the connection string is malformed.
        """
        # The host looks again by itself, and must not hang in the client's patience.
        self._service = QueueServiceClient.from_connection_string(connection, retry_total=0)

    def close(self) -> None:
        """Let go of the connections."""
        self._service.close()

    def create(self, queue: str) -> bool:
        """See `Queues`."""
        with self._queue(queue) as client:
            try:
                client.create_queue()
            except ResourceExistsError:
                return False
            return True

    def put(self, queue: str, text: str, delay: timedelta = NOW) -> Message:
        """See `Queues`; the service counts delays in whole seconds."""
        with self._queue(queue) as client:
            return _message(client.send_message(text, visibility_timeout=_seconds(delay)))

    def get(self, queue: str, lease: timedelta, limit: int = 1) -> list[Message]:
        """See `Queues`."""
        with self._queue(queue) as client:
            taken = client.receive_messages(max_messages=limit, visibility_timeout=_seconds(lease))
            return [_message(one) for one in taken]

    def release(self, queue: str, message: Message, delay: timedelta = NOW) -> Message:
        """See `Queues`."""
        with self._queue(queue) as client:
            found = client.update_message(
                message.id, message.receipt, visibility_timeout=_seconds(delay)
            )
        until = found.next_visible_on or message.visible
        return replace(message, visible=until, receipt=found.pop_receipt or "")

    def delete(self, queue: str, message: Message) -> None:
        """See `Queues`."""
        with self._queue(queue) as client:
            client.delete_message(message.id, message.receipt)

    def waiting(self, queue: str) -> bool:
        """See `Queues`."""
        with self._queue(queue) as client:
            return bool(client.peek_messages())

    @contextmanager
    def _queue(self, name: str) -> Generator[QueueClient]:
        with translated(QueueError):
            yield self._service.get_queue_client(name)


def _message(sent: QueueMessage) -> Message:
    times = (sent.inserted_on, sent.expires_on, sent.next_visible_on)
    inserted, expires, visible = (one for one in times if one)
    text, receipt = str(sent.content), sent.pop_receipt or ""
    return Message(sent.id, text, inserted, expires, visible, receipt, sent.dequeue_count or 0)


def _seconds(span: timedelta) -> int:
    return int(span.total_seconds())


def _guid() -> str:
    return str(uuid.uuid4())
