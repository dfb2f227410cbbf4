"""Listens to the queue of one function: batches, leases and their renewal, attempts, poison.

`triggers` starts a listener for each queue trigger. What the documentation leaves open was read in
the published source of the queue extension.
"""

import logging
import re
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self

from sandbox.host.bindings import decode
from sandbox.host.blobs import StorageError
from sandbox.host.queues import Message, QueueError, Queues
from sandbox.host.worker import InvocationError, Worker

# How often queues and timers are looked at, in seconds of real time: an injected clock may jump.
POLL = 0.05
# Documented: no more messages can be had at once.
_MOST = 32
# How long a taken message stays hidden (documented) unless this lease is renewed.
_LEASE = timedelta(minutes=10)
_POISON = "-poison"
# Documented: a queue's name has at most so many characters.
_LONGEST_NAME = 63
# A lease is renewed when half of it is over, or so soon after that went wrong.
_SOON = timedelta(minutes=1)
# Seconds of real time until a queue that cannot be read is looked at again.
_PAUSE = 1.0
_ENCODINGS = {"base64": True, "none": False}
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class QueueOptions:
    """The section `extensions.queues`, with the defaults of version 2 (documented: host.json)."""

    batch_size: int = 16
    new_batch_threshold: int = 8
    max_dequeue_count: int = 5
    visibility_timeout: timedelta = timedelta()
    base64: bool = True

    @classmethod
    def read(cls, worker: Worker) -> Self:
        """Read the app's `host.json`, with defaults for what is missing; raises `ValueError`."""
        section = worker.section("queues")
        batch_size = _number(section, "batchSize", cls.batch_size, 1, _MOST)
        encoding = section.get("messageEncoding", "base64")
        if encoding not in _ENCODINGS:
            raise ValueError(f"host.json: messageEncoding is base64 or none, not {encoding!r}")
        span = section.get("visibilityTimeout", "00:00:00")
        match = re.fullmatch(r"(\d\d):([0-5]\d):([0-5]\d)", str(span))
        if match is None:
            raise ValueError(f"host.json: visibilityTimeout is hh:mm:ss, not {span!r}")
        hours, minutes, seconds = map(int, match.groups())
        return cls(
            batch_size=batch_size,
            new_batch_threshold=_number(section, "newBatchThreshold", batch_size // 2, 0),
            max_dequeue_count=_number(section, "maxDequeueCount", cls.max_dequeue_count, 1),
            visibility_timeout=timedelta(hours=hours, minutes=minutes, seconds=seconds),
            base64=_ENCODINGS[encoding],
        )


def _number(
    section: Mapping[str, Any], name: str, default: int, least: int, most: int | None = None
) -> int:
    value = section.get(name, default)
    if type(value) is not int or value < least or (most is not None and value > most):
        limits = f"from {least}" + (f" to {most}" if most else "")
        raise ValueError(f"host.json: {name} is a number {limits}, not {value!r}")
    return value


@dataclass
class Activity:
    """How much runs just now, and how much ever began; safe between threads."""

    running: int = 0
    begun: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self) -> None:
        """Count something that begins."""
        with self._lock:
            self.running += 1
            self.begun += 1

    def end(self) -> None:
        """Count its end."""
        with self._lock:
            self.running -= 1

    __enter__ = begin

    def __exit__(self, *_: object) -> None:
        self.end()

    def counts(self) -> tuple[int, int]:
        """Return both numbers as they are together."""
        with self._lock:
            return self.running, self.begun


@dataclass
class _Held:
    """A message that was taken; the lock is held by whoever renews its lease or ends that."""

    message: Message
    renewal: datetime
    over: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass
class Listener:
    """Runs `run` with each message of a queue and its text, until `stopped`."""

    queue: str
    queues: Queues
    options: Callable[[], QueueOptions]  # Asked each time, so that it may change meanwhile.
    clock: Callable[[], datetime]
    activity: Activity
    run: Callable[[Message, str], None]
    """Raises `InvocationError` or `StorageError` where the message is to come again."""
    _held: list[_Held] = field(default_factory=list)
    _lost: bool = False

    def listen(self, stopped: threading.Event) -> None:
        """Take messages; in the end wait for the functions that still run."""
        # As documented, a new batch is fetched when no more than the threshold are still running.
        options = self.options()
        most = options.batch_size + options.new_batch_threshold
        running: set[Future[None]] = set()
        with ThreadPoolExecutor(most, thread_name_prefix=f"queue-{self.queue}") as pool:
            while not stopped.is_set():
                self._renew()
                if len(running) > options.new_batch_threshold:
                    running = wait(running, POLL, return_when=FIRST_COMPLETED).not_done
                    continue
                with self.activity:
                    begun = {self._submit(pool, message) for message in self._take()}
                if not begun:
                    stopped.wait(_PAUSE if self._lost else POLL)
                running = {future for future in running | begun if not future.done()}
            while running:
                self._renew()
                running = wait(running, POLL).not_done

    def _take(self) -> list[Message]:
        """Take a batch; that there is none to be had is logged once, until there is again."""
        try:
            taken = self.queues.get(self.queue, _LEASE, self.options().batch_size)
        except QueueError as error:
            if not self._lost:
                log.error("cannot read queue %s: %s", self.queue, error)  # noqa: TRY400 - one line
            self._lost = True
            return []
        if self._lost:
            log.info("queue %s can be read again", self.queue)
        self._lost = False
        return taken

    def _submit(self, pool: ThreadPoolExecutor, message: Message) -> Future[None]:
        self.activity.begin()
        held = _Held(message, self.clock() + _LEASE / 2)
        self._held.append(held)

        def done(work: Future[None]) -> None:
            self.activity.end()
            if error := work.exception():
                log.error("the host itself failed", exc_info=error)

        future = pool.submit(self._process, held)
        future.add_done_callback(done)
        return future

    def _renew(self) -> None:
        """Renew the leases that are half over, so that nobody else takes these messages."""
        self._held = [held for held in self._held if not held.over]
        for held in self._held:
            with held.lock:
                # The clock may be turned while the store answers; the lease began before that.
                now = self.clock()
                if held.over or now < held.renewal:
                    continue
                try:
                    held.message = self.queues.release(self.queue, held.message, _LEASE)
                    held.renewal = now + _LEASE / 2
                except QueueError:
                    log.exception("cannot renew message %s of %s", held.message.id, self.queue)
                    held.renewal = now + _SOON

    def _process(self, held: _Held) -> None:
        """Run the function with a message, then delete it or let it come again."""
        options, message, reason = self.options(), held.message, ""
        try:
            if message.dequeued > options.max_dequeue_count:
                reason = "it was taken too often"
            else:
                self.run(message, decode(message.text) if options.base64 else message.text)
        except (InvocationError, StorageError, ValueError) as error:
            reason = str(error) or type(error).__name__
        finally:
            with held.lock:
                held.over = True
        try:
            # Its lease may have been renewed meanwhile, by another receipt.
            if reason:
                self._fail(held.message, reason)
            else:
                self.queues.delete(self.queue, held.message)
        except QueueError:
            # Its lease ends at some time, and the message comes again.
            log.exception("message %s of queue %s is left", held.message.id, self.queue)

    def _fail(self, message: Message, reason: str) -> None:
        poison = self.queue + _POISON
        endless = self.queue.endswith(_POISON) or len(poison) > _LONGEST_NAME
        if message.dequeued >= self.options().max_dequeue_count and not endless:
            # That undecodable text goes the same way as what functions refuse is assumed.
            log.error("message %s moves to %s: %s", message.id, poison, reason)
            self.queues.create(poison)
            self.queues.put(poison, message.text)
            self.queues.delete(self.queue, message)
            return
        log.warning("message %s of queue %s failed: %s", message.id, self.queue, reason)
        # Without a poison queue it stays hidden, so that it does not come again at once.
        if not endless:
            self.queues.release(self.queue, message, self.options().visibility_timeout)
