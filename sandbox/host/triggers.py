"""The triggers of a function app: Event Grid events, queue messages, timers and web requests.

`Host` invokes the worker's functions with their bindings. `http` delivers events and requests to
it, `command` and the tests start and stop it.
"""

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Self

from sandbox.host import messages, routes, schedule
from sandbox.host.activity import Activity
from sandbox.host.bindings import Bindings
from sandbox.host.blobs import Blobs, MemoryBlobs
from sandbox.host.listening import Listener
from sandbox.host.options import POLL, QueueOptions
from sandbox.host.protocol import RpcHttp, TypedData
from sandbox.host.queues import Message, Queues
from sandbox.host.storage import StorageError
from sandbox.host.timers import Timer, Timers, information, now
from sandbox.host.worker import Function, InvocationError, Worker

log = logging.getLogger(__name__)


class Host:
    """A running function app: `with Host(worker, queues) as host: host.deliver(event)`."""

    def __init__(
        self,
        worker: Worker,
        queues: Queues,
        clock: Callable[[], datetime] = now,
        settings: Mapping[str, str] = os.environ,
        blobs: Blobs | None = None,
    ) -> None:
        self.worker = worker
        self.queues = queues
        self.blobs = blobs or MemoryBlobs()
        self.clock = clock
        self.keys = routes.Keys.read(settings)
        self.routes: tuple[routes.Route, ...] = ()
        self.options = QueueOptions.read(worker.app_dir)
        self._bindings = Bindings(queues, self.blobs, settings, self.options.base64)
        self._stopped = threading.Event()
        self._stopped.set()
        self._threads: list[threading.Thread] = []
        self._activity = Activity()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the worker, then listen to the queues and run the timers.

        Raises:
            AppError: the app cannot be indexed, or has a binding that this host lacks.
            ValueError: a timer's schedule cannot be read.
            StorageError: the storage account does not answer.
        """
        self.worker.start()
        try:
            self._bindings.check(self.worker.functions)
            self.routes = routes.read(self.worker.functions, self.worker.app_dir)
            timers = self._timers()
            listeners = [self._listener(one) for one in self._triggered("queueTrigger")]
            for listener in listeners:
                self.queues.create(listener.queue)
            timers.start()
        except BaseException:
            self.worker.stop()
            raise
        self._stopped.clear()
        for listener in listeners:
            self._spawn(listener.listen, self._stopped)
        if timers.timers:
            self._spawn(self._tick, timers)

    def stop(self) -> None:
        """Let running functions finish, then stop everything."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        while self._activity.running:
            time.sleep(POLL)
        self.worker.stop()

    def deliver(self, event: Mapping[str, Any], function: str | None = None) -> None:
        """Hand one event, of either schema, to the Event Grid functions or the named one.

        Raises:
            InvocationError: a function raised, or the host does not run.
            LookupError: there is no such function.
            StorageError: what the function produced could not be stored.
        """
        self._fire("eventGridTrigger", function, event)

    def takes_events(self, function: str) -> bool:
        """Tell whether there is an Event Grid function of this name, in its own spelling."""
        return bool(self._triggered("eventGridTrigger", function))

    def fire_timer(self, name: str, *, past_due: bool = False) -> None:
        """Run a timer's function now, whatever its schedule says.

        Raises:
            InvocationError: the function raised, or the host does not run.
            LookupError: there is no such timer.
            StorageError: what the function produced could not be stored.
        """
        self._fire("timerTrigger", name, information(late=past_due))

    def answer(self, route: routes.Route, request: RpcHttp) -> object:
        """Let a function answer a web request; returns what it returned.

        Raises:
            InvocationError: the function raised, or the host does not run.
            StorageError: what the function produced could not be stored.
        """
        with self._activity.one():
            self._require_running()
            return self._run(route.function, TypedData(http=request)).get("$return")

    def drain(self, timeout: float) -> None:
        """Wait until no message is visible and nothing runs; delayed messages may remain.

        Raises:
            TimeoutError: that takes longer than `timeout` seconds of real time.
        """
        deadline = time.monotonic() + timeout
        while not self._idle():
            if time.monotonic() > deadline:
                raise TimeoutError(f"the queues are not empty after {timeout:g} s")
            time.sleep(POLL / 5)

    def _triggered(self, kind: str, name: str | None = None) -> list[Function]:
        return [
            one
            for one in self.worker.functions
            if one.trigger["type"] == kind and name in (None, one.name)
        ]

    def _fire(self, kind: str, name: str | None, data: Mapping[str, Any]) -> None:
        with self._activity.one():
            self._require_running()
            found = self._triggered(kind, name)
            if not found:
                raise LookupError(f"cannot find function: {name!r}")
            for one in found:
                self._run(one, TypedData(json=json.dumps(data)))

    def _require_running(self) -> None:
        if self._stopped.is_set():
            raise InvocationError("the host does not run")

    def _run(
        self,
        function: Function,
        data: TypedData,
        metadata: Mapping[str, TypedData] | None = None,
    ) -> Mapping[str, object]:
        with self._activity.one():
            inputs = self._bindings.inputs(function) | {function.trigger["name"]: data}
            try:
                result = self.worker.invoke(function.name, inputs, metadata)
            except InvocationError as error:
                log.info("function %s failed: %s", function.name, error.stack)
                raise
            self._bindings.store(function, result.outputs)
            return result.outputs

    def _listener(self, function: Function) -> Listener:
        def run(message: Message, text: str) -> None:
            self._run(function, TypedData(string=text), messages.metadata(message, text))

        queue = self._bindings.queue(function.trigger)
        return Listener(queue, self.queues, lambda: self.options, self.clock, self._activity, run)

    def _timers(self) -> Timers:
        found = [
            Timer(
                one.name,
                self._schedule(one),
                on_start=one.trigger.get("runOnStartup", False),
                watched=one.trigger.get("useMonitor", True),
            )
            for one in self._triggered("timerTrigger")
        ]
        app = self.worker.app_dir.name
        return Timers(app, tuple(found), self.blobs, self.clock, self._ring)

    def _schedule(self, function: Function) -> schedule.Schedule:
        try:
            return schedule.parse(self._bindings.resolved(function.trigger["schedule"]))
        except ValueError as error:
            raise ValueError(f"timer {function.name}: {error}") from error

    def _tick(self, timers: Timers) -> None:
        while not self._stopped.wait(POLL):
            try:
                timers.ring()
            except StorageError as error:
                log.error("cannot note when timers rang: %s", error)  # noqa: TRY400 - one line

    def _ring(self, name: str, told: Mapping[str, Any]) -> None:
        # A timer that failed, or that was stopped just now, is due again at its next time.
        try:
            self._fire("timerTrigger", name, told)
        except (InvocationError, StorageError) as error:
            log.warning("timer %s failed: %s", name, error)

    def _spawn(self, work: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=work, args=args, name=work.__name__)
        self._threads.append(thread)
        thread.start()

    def _idle(self) -> bool:
        """Tell whether all is quiet, and was so while the queues were looked at one by one."""
        before = self._activity.counts()
        quiet = not any(
            self.queues.waiting(self._bindings.queue(one.trigger))
            for one in self._triggered("queueTrigger")
        )
        return quiet and before == (0, self._activity.counts()[1])
