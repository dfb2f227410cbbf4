"""Runs one function app in the worker library that runs Python apps in Azure.

`Worker` imports and indexes `function_app.py` and invokes its functions; `triggers` decides when
and with what. The library is asynchronous and keeps its state in modules, so it gets an event loop
in a thread of its own, and a process runs one app at a time.
"""

import asyncio
import importlib
import json
import sys
import threading
import uuid
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import azure_functions_runtime as runtime

from sandbox.host.protocol import MESSAGES, ParameterBinding, StatusResult, TypedData

# The library derives the name of the module to import from the script's name.
APP_MODULE = "function_app"

type Binding = Mapping[str, Any]


class AppError(Exception):
    """The app could not be indexed; the text is the app's own exception."""


class InvocationError(Exception):
    """A function raised.

    Attributes:
        message: the exception's type and text.
        stack: its formatted traceback.
    """

    def __init__(self, message: str, stack: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.stack = stack


@dataclass(frozen=True)
class Function:
    """A function as indexed; each binding is what `function.json` would hold."""

    name: str
    id: str
    bindings: tuple[Binding, ...]

    @property
    def trigger(self) -> Binding:
        """The one binding that starts the function."""
        return next(one for one in self.bindings if one["type"].endswith("Trigger"))

    @property
    def outputs(self) -> tuple[Binding, ...]:
        """The bindings that carry what the function produced."""
        return tuple(one for one in self.bindings if one["direction"] == "OUT")


@dataclass(frozen=True)
class Invocation:
    """What a function produced, by binding name: JSON is parsed, `$return` is the return value."""

    outputs: Mapping[str, object]


class Worker:
    """The function app in a folder."""

    def __init__(self, app_dir: Path) -> None:
        self.app_dir = app_dir.resolve()
        self.functions: tuple[Function, ...] = ()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Import and index the app; nothing happens when it runs already.

        Raises:
            AppError: the app cannot be imported or its bindings are wrong.
        """
        if self._thread:
            return
        if not (self.app_dir / f"{APP_MODULE}.py").exists():
            raise AppError(f"no {APP_MODULE}.py in {self.app_dir}")
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run_loop, args=(ready,), name="worker-loop")
        self._thread.start()
        ready.wait()
        self._import_afresh()
        runtime.start_threadpool_executor()
        try:
            self.functions = self._call(self._index())
        except AppError:
            self.stop()
            raise

    def stop(self) -> None:
        """Finish running invocations and let go of the app's module and of all threads."""
        if not self._thread or not self._loop:
            return
        runtime.stop_threadpool_executor()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._thread = self._loop = None
        self.functions = ()
        sys.modules.pop(APP_MODULE, None)
        if str(self.app_dir) in sys.path:
            sys.path.remove(str(self.app_dir))

    def invoke(
        self,
        name: str,
        inputs: Mapping[str, TypedData],
        metadata: Mapping[str, TypedData] | None = None,
    ) -> Invocation:
        """Run a function to its end; several threads may do so at once.

        Raises:
            InvocationError: the function raised, or an input does not fit its parameter.
            LookupError: the app has no such function.
        """
        function = next((one for one in self.functions if one.name == name), None)
        if function is None:
            raise LookupError(f"the app has no function {name!r}")
        invocation = SimpleNamespace(
            invocation_id=str(uuid.uuid4()),
            function_id=function.id,
            input_data=[ParameterBinding(name=key, data=data) for key, data in inputs.items()],
            trigger_metadata=dict(metadata or {}),
            trace_context=SimpleNamespace(trace_parent="", trace_state="", attributes={}),
            retry_context=SimpleNamespace(retry_count=0, max_retry_count=0, exception=None),
        )
        answer = self._call(runtime.invocation_request(_request(invocation_request=invocation)))
        if answer.result.status == StatusResult.Failure:
            raise InvocationError(
                answer.result.exception.message, answer.result.exception.stack_trace
            )
        outputs = {binding.name: _plain(binding.data) for binding in answer.output_data}
        if answer.return_value is not None:
            outputs["$return"] = _plain(answer.return_value)
        return Invocation(outputs)

    async def _index(self) -> tuple[Function, ...]:
        init = SimpleNamespace(capabilities={}, function_app_directory=str(self.app_dir))
        answer = await runtime.worker_init_request(_request(worker_init_request=init))
        if answer.result.status == StatusResult.Failure:
            raise AppError(answer.result.exception.message)
        listed = await runtime.functions_metadata_request(_request())
        found = tuple(
            Function(one.name, one.function_id, tuple(map(json.loads, one.raw_bindings)))
            for one in listed.function_metadata_results or ()
        )
        # As in Azure, though this library has loaded them all with the listing and refuses none.
        for one in found:
            load = SimpleNamespace(function_id=one.id)
            await runtime.function_load_request(_request(function_load_request=load))
        return found

    def _import_afresh(self) -> None:
        # The library imports the app by name. A module left by an earlier start would be another
        # app's, or the same app's, whose functions can be indexed only once. Modules that the app
        # imports stay: its folder may hold the whole project, and this host with it.
        sys.modules.pop(APP_MODULE, None)
        importlib.invalidate_caches()
        sys.path.insert(0, str(self.app_dir))

    def _run_loop(self, ready: threading.Event) -> None:
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            self._loop.call_soon(ready.set)
            self._loop.run_forever()

    def _call[T](self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            work.close()
            raise RuntimeError("the worker is not running")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def _request(**content: object) -> SimpleNamespace:
    properties = {"protos": MESSAGES, "host": "127.0.0.1"}
    return SimpleNamespace(request=SimpleNamespace(**content), properties=properties)


def _plain(data: TypedData | None) -> object:
    kind = data.WhichOneof("data") if data else None
    if kind is None:
        return None
    value = getattr(data, kind)
    return json.loads(value) if kind == "json" else value
