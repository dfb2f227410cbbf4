"""Runs one function app in the worker library that runs Python apps in Azure.

`Worker` imports and indexes `function_app.py` and invokes its functions; `triggers` decides when
and with what. The library is asynchronous and keeps its state in modules, so it gets an event loop
in a thread of its own, and a process runs one app at a time.

The library asks its caller for the namespace of message classes, which in Azure is generated
protobuf code, and only ever reads and sets attributes; so plain classes stand in for it here.
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
from azure.functions.decorators.core import BindingDirection, DataType

# The library derives the name of the module to import from the script's name.
APP_MODULE = "function_app"

type Binding = Mapping[str, Any]


class AppError(Exception):
    """The app could not be indexed; the text is the app's own exception."""


class InvocationError(Exception):
    """A function raised; the message is the exception's type and text, the stack its traceback."""

    def __init__(self, message: str, stack: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.stack = stack


class TypedData(SimpleNamespace):
    """A value that travels to or from the worker: `TypedData(json=...)`, `string=`, `bytes=`."""

    def WhichOneof(self, _group: str) -> str | None:  # noqa: N802 - protobuf's own name.
        """Return the field that is set, or None."""
        return next(iter(vars(self)), None)


class RpcHttp(SimpleNamespace):
    """A web request or answer; its body is `TypedData`."""


class _ParameterBinding(SimpleNamespace):
    def WhichOneof(self, _group: str) -> str:  # noqa: N802 - protobuf's own name.
        """Return which value is set: never shared memory, always the data itself."""
        return "data"


class _BindingInfo(SimpleNamespace):
    # The library compares these with what the SDK's decorators put into a binding: numbers.
    out = BindingDirection.OUT.value
    inout = BindingDirection.INOUT.value
    undefined = DataType.UNDEFINED.value


class _StatusResult(SimpleNamespace):
    Success = "Success"
    Failure = "Failure"


_PLAIN = (
    "FunctionLoadResponse FunctionMetadataResponse InvocationResponse RpcException "
    "RpcFunctionMetadata RpcRetryOptions WorkerInitResponse WorkerMetadata"
)
_MESSAGES = SimpleNamespace(
    **dict.fromkeys(_PLAIN.split(), SimpleNamespace),
    BindingInfo=_BindingInfo,
    ParameterBinding=_ParameterBinding,
    RpcHttp=RpcHttp,
    StatusResult=_StatusResult,
    TypedData=TypedData,
)


@dataclass(frozen=True)
class Function:
    """A function as indexed; each binding is what `function.json` would hold."""

    name: str
    id: str
    bindings: tuple[Binding, ...]

    @property
    def trigger(self) -> Binding:
        """The one binding that starts the function."""
        return next(binding for binding in self.bindings if binding["type"].endswith("Trigger"))


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

    def section(self, name: str) -> Mapping[str, Any]:
        """Return a section of `extensions` in `host.json`, or nothing; raises `ValueError`."""
        file = self.app_dir / "host.json"
        content = json.loads(file.read_text("utf-8")) if file.exists() else {}
        for key in ("extensions", name):
            content = content.get(key, {}) if isinstance(content, dict) else None
        if not isinstance(content, dict):
            raise ValueError(f"host.json: extensions.{name} is not an object")  # noqa: TRY004 - of the file
        return content

    def start(self) -> None:
        """Import and index the app unless it runs already; raises `AppError`."""
        if self._thread:
            return
        if not (self.app_dir / f"{APP_MODULE}.py").exists():
            raise AppError(f"no {APP_MODULE}.py in {self.app_dir}")
        ready = threading.Event()

        def run_loop() -> None:
            with asyncio.Runner() as runner:
                self._loop = runner.get_loop()
                self._loop.call_soon(ready.set)
                self._loop.run_forever()

        self._thread = threading.Thread(target=run_loop, name="worker-loop")
        self._thread.start()
        ready.wait()
        # The library imports the app by name. A module left by an earlier start would be another
        # app's, or the same app's, whose functions can be indexed only once. Modules that the app
        # imports stay: its folder may hold the whole project, and this host with it.
        sys.modules.pop(APP_MODULE, None)
        importlib.invalidate_caches()
        sys.path.insert(0, str(self.app_dir))
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
    ) -> Mapping[str, object]:
        """Run a function to its end and return what it produced, by binding name.

        JSON is parsed, `$return` is the return value. Several threads may do so at once. Raises
        `InvocationError` where the function does, and `LookupError` where there is none.
        """
        function = next((indexed for indexed in self.functions if indexed.name == name), None)
        if function is None:
            raise LookupError(f"the app has no function {name!r}")
        invocation = SimpleNamespace(
            invocation_id=str(uuid.uuid4()),
            function_id=function.id,
            input_data=[_ParameterBinding(name=key, data=data) for key, data in inputs.items()],
            trigger_metadata=dict(metadata or {}),
            trace_context=SimpleNamespace(trace_parent="", trace_state="", attributes={}),
            retry_context=SimpleNamespace(retry_count=0, max_retry_count=0, exception=None),
        )
        answer = self._call(runtime.invocation_request(_request(invocation_request=invocation)))
        if answer.result.status == _StatusResult.Failure:
            raise InvocationError(
                answer.result.exception.message, answer.result.exception.stack_trace
            )
        outputs = {binding.name: _plain(binding.data) for binding in answer.output_data}
        if answer.return_value is not None:
            outputs["$return"] = _plain(answer.return_value)
        return outputs

    async def _index(self) -> tuple[Function, ...]:
        init = SimpleNamespace(capabilities={}, function_app_directory=str(self.app_dir))
        answer = await runtime.worker_init_request(_request(worker_init_request=init))
        if answer.result.status == _StatusResult.Failure:
            raise AppError(answer.result.exception.message)
        listed = await runtime.functions_metadata_request(_request())
        functions = tuple(
            Function(row.name, row.function_id, tuple(map(json.loads, row.raw_bindings)))
            for row in listed.function_metadata_results or ()
        )
        # As in Azure, though this library has loaded them all with the listing and refuses none.
        for function in functions:
            load = SimpleNamespace(function_id=function.id)
            await runtime.function_load_request(_request(function_load_request=load))
        return functions

    def _call[T](self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            work.close()
            raise RuntimeError("the worker is not running")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def _request(**content: object) -> SimpleNamespace:
    properties = {"protos": _MESSAGES, "host": "127.0.0.1"}
    return SimpleNamespace(request=SimpleNamespace(**content), properties=properties)


def _plain(data: TypedData | None) -> object:
    kind = data.WhichOneof("data") if data else None
    if kind is None:
        return None
    value = getattr(data, kind)
    return json.loads(value) if kind == "json" else value
