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

from sandbox.host import bindings, routes, timers
from sandbox.host.bindings import Bindings
from sandbox.host.blobs import Blobs, MemoryBlobs, StorageError
from sandbox.host.listening import POLL, Activity, Listener, QueueOptions
from sandbox.host.queues import Message, Queues
from sandbox.host.timers import Timer, Timers
from sandbox.host.worker import Function, InvocationError, RpcHttp, TypedData, Worker

log = logging.getLogger(__name__)


class Host:
    """A running function app: `with Host(worker, queues) as host: host.deliver(event)`."""

    def __init__(
        self,
        worker: Worker,
        queues: Queues,
        clock: Callable[[], datetime] = timers.now,
        settings: Mapping[str, str] = os.environ,
        blobs: Blobs | None = None,
    ) -> None:
        self.worker = worker
        self.queues = queues
        self.settings = settings
        self.options = QueueOptions.read(worker)
        self.routes: tuple[routes.Route, ...] = ()
        self._clock = clock
        self._blobs = blobs or MemoryBlobs()
        self._bindings = Bindings(queues, self._blobs, settings, self.options.base64)
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

        Raises `AppError` where the app asks for what this host lacks, `ValueError` for a schedule
        or an option, and `StorageError` where the storage account does not answer.
        """
        self.worker.start()
        try:
            self._bindings.check(self.worker.functions)
            prefix = self.worker.section("http").get("routePrefix", "api")
            self.routes = routes.read(self.worker.functions, prefix)
            ringing = Timers(
                self.worker.app_dir.name,
                tuple(map(self._timer, self.triggered("timerTrigger"))),
                self._blobs,
                self._clock,
                self._ring,
            )
            listeners = [self._listener(function) for function in self.triggered("queueTrigger")]
            for listener in listeners:
                self.queues.create(listener.queue)
            ringing.start()
        except BaseException:
            self.worker.stop()
            raise
        self._stopped.clear()
        for listener in listeners:
            self._spawn(listener.listen, self._stopped)
        if ringing.timers:
            self._spawn(self._tick, ringing)

    def stop(self) -> None:
        """Let running functions finish, then stop everything."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        while self._activity.running:
            time.sleep(POLL)
        self.worker.stop()

    def triggered(self, kind: str, name: str | None = None) -> list[Function]:
        """Return the functions with a kind of trigger, or the one of a name in its spelling."""
        return [
            function
            for function in self.worker.functions
            if function.trigger["type"] == kind and name in (None, function.name)
        ]

    def deliver(self, event: Mapping[str, Any], function: str | None = None) -> None:
        """Hand one event, of either schema, to the Event Grid functions or the named one.

        Raises `InvocationError` where a function does or the host does not run, `LookupError` where
        there is no such function, and `StorageError` where its outputs could not be stored.
        """
        self._fire("eventGridTrigger", function, event)

    def fire_timer(self, name: str, *, past_due: bool = False) -> None:
        """Run a timer's function now, whatever its schedule says; raises as `deliver` does."""
        self._fire("timerTrigger", name, timers.information(late=past_due))

    def answer(self, function: Function, request: RpcHttp) -> object:
        """Return a function's answer to a web request; raises as `deliver` does."""
        with self._activity:
            self._require_running()
            return self._run(function, TypedData(http=request)).get("$return")

    def drain(self, timeout: float) -> None:
        """Wait until no message is visible and nothing runs; delayed messages may remain.

        Raises `TimeoutError` after so many seconds of real time.
        """
        deadline = time.monotonic() + timeout
        while True:
            # All is quiet if it was so while the queues were looked at one by one.
            before = self._activity.counts()
            quiet = not any(
                self.queues.waiting(self._bindings.queue(function.trigger))
                for function in self.triggered("queueTrigger")
            )
            if quiet and before == (0, self._activity.counts()[1]):
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"the queues are not empty after {timeout:g} s")
            time.sleep(POLL / 5)

    def _fire(self, kind: str, name: str | None, data: Mapping[str, Any]) -> None:
        with self._activity:
            self._require_running()
            functions = self.triggered(kind, name)
            if not functions:
                raise LookupError(f"cannot find function: {name!r}")
            for function in functions:
                self._run(function, TypedData(json=json.dumps(data)))

    def _require_running(self) -> None:
        if self._stopped.is_set():
            raise InvocationError("the host does not run")

    def _run(
        self, function: Function, data: TypedData, metadata: Mapping[str, TypedData] | None = None
    ) -> Mapping[str, object]:
        with self._activity:
            inputs = self._bindings.inputs(function) | {function.trigger["name"]: data}
            try:
                outputs = self.worker.invoke(function.name, inputs, metadata)
            except InvocationError as error:
                log.info("function %s failed: %s", function.name, error.stack)
                raise
            self._bindings.store(function, outputs)
            return outputs

    def _listener(self, function: Function) -> Listener:
        def run(message: Message, text: str) -> None:
            self._run(function, TypedData(string=text), bindings.metadata(message, text))

        queue = self._bindings.queue(function.trigger)
        return Listener(queue, self.queues, lambda: self.options, self._clock, self._activity, run)

    def _timer(self, function: Function) -> Timer:
        trigger = function.trigger
        try:
            schedule = timers.parse(self._bindings.resolved(trigger["schedule"]))
        except ValueError as error:
            raise ValueError(f"timer {function.name}: {error}") from error
        on_start, watched = trigger.get("runOnStartup", False), trigger.get("useMonitor", True)
        return Timer(function.name, schedule, on_start, watched)

    def _tick(self, ringing: Timers) -> None:
        while not self._stopped.wait(POLL):
            try:
                ringing.ring()
            except StorageError as error:
                log.error("cannot note when timers rang: %s", error)  # noqa: TRY400 - one line

    def _ring(self, name: str, information: Mapping[str, Any]) -> None:
        # A timer that failed, or that was stopped just now, is due again at its next time.
        try:
            self._fire("timerTrigger", name, information)
        except (InvocationError, StorageError) as error:
            log.warning("timer %s failed: %s", name, error)

    def _spawn(self, work: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=work, args=args, name=work.__name__)
        self._threads.append(thread)
        thread.start()
