"""Queues as Azure Storage has them, in memory or in a storage account such as Azurite's.

`listening` takes messages from here and `http` puts the app's own there. A message that is taken
stays, invisible until its lease ends; only whoever holds its latest receipt may delete it. One
contract test runs on both kinds.
"""

import threading
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from azure.core.exceptions import ResourceExistsError
from azure.storage.queue import QueueClient, QueueMessage, QueueServiceClient

from sandbox.host.blobs import StorageError, translated

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


@dataclass
class MemoryQueues:
    """Queues that last as long as the process, on an injected clock; safe between threads.

    Every method raises `QueueError` where Azure Storage would refuse.
    """

    clock: Callable[[], datetime]
    _queues: dict[str, dict[str, Message]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def create(self, queue: str) -> bool:
        """Make sure that the queue exists; return whether it was missing."""
        with self._lock:
            missing = queue not in self._queues
            self._queues.setdefault(queue, {})
            return missing

    def put(self, queue: str, text: str, delay: timedelta = NOW) -> Message:
        """Add a message that becomes visible after `delay`."""
        if len(text.encode()) > LARGEST:
            raise QueueError(413, "RequestBodyTooLarge")
        if delay >= TIME_TO_LIVE:
            raise QueueError(400, "OutOfRangeQueryParameterValue")
        now = self.clock()
        message = Message(_guid(), text, now, now + TIME_TO_LIVE, now + delay, _guid())
        with self._lock:
            self._messages(queue)[message.id] = message
        return message

    def get(self, queue: str, lease: timedelta, limit: int = 1) -> list[Message]:
        """Take up to `limit` visible messages and hide them for the time of `lease`."""
        until = self.clock() + lease
        with self._lock:
            taken = [
                replace(message, visible=until, receipt=_guid(), dequeued=message.dequeued + 1)
                for message in self._visible(queue)[:limit]
            ]
            self._messages(queue).update({message.id: message for message in taken})
        return taken

    def release(self, queue: str, message: Message, delay: timedelta = NOW) -> Message:
        """Make a taken message visible after `delay`; return it with its new receipt."""
        until = self.clock() + delay
        with self._lock:
            held = replace(self._held(queue, message), visible=until, receipt=_guid())
            self._messages(queue)[held.id] = held
        return held

    def delete(self, queue: str, message: Message) -> None:
        """Remove a taken message for good."""
        with self._lock:
            del self._messages(queue)[self._held(queue, message).id]

    def waiting(self, queue: str) -> bool:
        """Return whether a message is visible now; delayed and taken ones are not."""
        with self._lock:
            return bool(self._visible(queue))

    def _messages(self, queue: str) -> dict[str, Message]:
        if queue not in self._queues:
            raise QueueError(404, "QueueNotFound")
        return self._queues[queue]

    def _visible(self, queue: str) -> list[Message]:
        now, messages = self.clock(), self._messages(queue).values()
        return [message for message in messages if message.visible <= now < message.expires]

    def _held(self, queue: str, message: Message) -> Message:
        held = self._messages(queue).get(message.id)
        if held is None:
            raise QueueError(404, "MessageNotFound")
        if held.receipt != message.receipt:
            raise QueueError(400, "PopReceiptMismatch")
        return held


class StorageQueues:
    """The queues of a storage account; close it when done."""

    def __init__(self, connection: str) -> None:
        """Connect lazily; raises ``ValueError`` for a malformed connection string."""
        # The host looks again by itself, and must not hang in the client's patience.
        self._service = QueueServiceClient.from_connection_string(connection, retry_total=0)

    def close(self) -> None:
        """Let go of the connections."""
        self._service.close()

    def create(self, queue: str) -> bool:
        """See `MemoryQueues`."""
        with self._queue(queue) as client:
            try:
                client.create_queue()
            except ResourceExistsError:
                return False
            return True

    def put(self, queue: str, text: str, delay: timedelta = NOW) -> Message:
        """See `MemoryQueues`; the service counts delays in whole seconds."""
        with self._queue(queue) as client:
            return _message(client.send_message(text, visibility_timeout=_seconds(delay)))

    def get(self, queue: str, lease: timedelta, limit: int = 1) -> list[Message]:
        """See `MemoryQueues`."""
        with self._queue(queue) as client:
            taken = client.receive_messages(max_messages=limit, visibility_timeout=_seconds(lease))
            return [_message(message) for message in taken]

    def release(self, queue: str, message: Message, delay: timedelta = NOW) -> Message:
        """See `MemoryQueues`."""
        with self._queue(queue) as client:
            updated = client.update_message(
                message.id, message.receipt, visibility_timeout=_seconds(delay)
            )
        until = updated.next_visible_on or message.visible
        return replace(message, visible=until, receipt=updated.pop_receipt or "")

    def delete(self, queue: str, message: Message) -> None:
        """See `MemoryQueues`."""
        with self._queue(queue) as client:
            client.delete_message(message.id, message.receipt)

    def waiting(self, queue: str) -> bool:
        """See `MemoryQueues`."""
        with self._queue(queue) as client:
            return bool(client.peek_messages())

    @contextmanager
    def _queue(self, name: str) -> Generator[QueueClient]:
        with translated(QueueError):
            yield self._service.get_queue_client(name)


type Queues = MemoryQueues | StorageQueues


def _message(sent: QueueMessage) -> Message:
    times = (sent.inserted_on, sent.expires_on, sent.next_visible_on)
    inserted, expires, visible = (time for time in times if time)
    text, receipt = str(sent.content), sent.pop_receipt or ""
    return Message(sent.id, text, inserted, expires, visible, receipt, sent.dequeue_count or 0)


def _seconds(span: timedelta) -> int:
    return int(span.total_seconds())


def _guid() -> str:
    return str(uuid.uuid4())
