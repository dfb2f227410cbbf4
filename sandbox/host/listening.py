"""Listens to the queue of one function: batches, leases and their renewal, attempts, poison.

`triggers` starts a listener for each queue trigger. What the documentation leaves open was read in
the published source of the queue extension.
"""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sandbox.host import messages
from sandbox.host.activity import Activity
from sandbox.host.options import LEASE, POLL, QueueOptions
from sandbox.host.queues import Message, QueueError, Queues
from sandbox.host.storage import StorageError
from sandbox.host.worker import InvocationError

_POISON = "-poison"
# Documented: a queue's name has at most so many characters.
_LONGEST_NAME = 63
# A lease is renewed when half of it is over, or so soon after that went wrong.
_SOON = timedelta(minutes=1)
# Seconds of real time until a queue that cannot be read is looked at again.
_PAUSE = 1.0
log = logging.getLogger(__name__)


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
    options: Callable[[], QueueOptions]
    """Asked each time, so that it may change meanwhile."""
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
                with self.activity.one():
                    begun = {self._submit(pool, message) for message in self._take()}
                if not begun:
                    stopped.wait(_PAUSE if self._lost else POLL)
                running = {one for one in running | begun if not one.done()}
            while running:
                self._renew()
                running = wait(running, POLL).not_done

    def _take(self) -> list[Message]:
        """Take a batch; that there is none to be had is said once, until there is again."""
        try:
            found = self.queues.get(self.queue, LEASE, self.options().batch_size)
        except QueueError as error:
            if not self._lost:
                log.error("cannot read queue %s: %s", self.queue, error)  # noqa: TRY400 - one line
            self._lost = True
            return []
        if self._lost:
            log.info("queue %s can be read again", self.queue)
        self._lost = False
        return found

    def _submit(self, pool: ThreadPoolExecutor, message: Message) -> Future[None]:
        self.activity.begin()
        held = _Held(message, self.clock() + LEASE / 2)
        self._held.append(held)
        future = pool.submit(self._process, held)
        future.add_done_callback(self._done)
        return future

    def _done(self, work: Future[None]) -> None:
        self.activity.end()
        if error := work.exception():
            log.error("the host itself failed", exc_info=error)

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
                    held.message = self.queues.release(self.queue, held.message, LEASE)
                    held.renewal = now + LEASE / 2
                except QueueError:
                    log.exception("cannot renew message %s of %s", held.message.id, self.queue)
                    held.renewal = now + _SOON

    def _process(self, held: _Held) -> None:
        try:
            reason = self._why_not(held.message)
        finally:
            with held.lock:
                held.over = True
        try:
            if reason:
                self._fail(held.message, reason)
            else:
                self.queues.delete(self.queue, held.message)
        except QueueError:
            # Its lease ends at some time, and the message comes again.
            log.exception("message %s of queue %s is left", held.message.id, self.queue)

    def _why_not(self, message: Message) -> str:
        """Run the function; return why the message is not done, an empty text if it is."""
        options = self.options()
        if message.dequeued > options.max_dequeue_count:
            return "it was taken too often"
        try:
            self.run(message, messages.decode(message.text) if options.base64 else message.text)
        except (InvocationError, StorageError, ValueError) as error:
            return str(error) or type(error).__name__
        return ""

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
