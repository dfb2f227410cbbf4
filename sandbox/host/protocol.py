"""The messages between a Functions host and its Python worker, as plain classes.

The worker library asks its caller for the namespace of message classes, which in Azure is generated
protobuf code, and only ever reads and sets attributes. So `MESSAGES` stands in for it without
protobuf or gRPC. `worker` hands it over; `triggers` builds `TypedData`.
"""

from types import SimpleNamespace

from azure.functions.decorators.core import BindingDirection, DataType


class TypedData(SimpleNamespace):
    """A value that travels to or from the worker: `TypedData(json=...)`, `string=`, `bytes=`."""

    def WhichOneof(self, _group: str) -> str | None:  # noqa: N802 - protobuf's own name.
        """Name the field that is set, or None."""
        return next(iter(vars(self)), None)


class ParameterBinding(SimpleNamespace):
    """A named value: one input or output of a function."""

    def WhichOneof(self, _group: str) -> str:  # noqa: N802 - protobuf's own name.
        """Name the field that is set: never shared memory, always the data itself."""
        return "data"


class BindingInfo(SimpleNamespace):
    """How one parameter of a function is bound."""

    # The library compares these with what the SDK's decorators put into a binding: numbers.
    out = BindingDirection.OUT.value
    inout = BindingDirection.INOUT.value
    undefined = DataType.UNDEFINED.value


class RpcHttp(SimpleNamespace):
    """A web request or answer; its body is `TypedData`."""


class RpcHttpCookie(SimpleNamespace):
    """A cookie of an answer; attributes that were not set are None, others have a `value`."""

    SameSite = SimpleNamespace(Lax="Lax", Strict="Strict", ExplicitNone="None")


# A name that cannot be written as a keyword argument.
setattr(RpcHttpCookie.SameSite, "None", None)


class StatusResult(SimpleNamespace):
    """Whether a call to the worker went well, and the exception if not."""

    Success = "Success"
    Failure = "Failure"


MESSAGES = SimpleNamespace(
    BindingInfo=BindingInfo,
    FunctionLoadResponse=SimpleNamespace,
    FunctionMetadataResponse=SimpleNamespace,
    InvocationResponse=SimpleNamespace,
    NullableBool=SimpleNamespace,
    NullableDouble=SimpleNamespace,
    NullableString=SimpleNamespace,
    NullableTimestamp=SimpleNamespace,
    ParameterBinding=ParameterBinding,
    RpcException=SimpleNamespace,
    RpcFunctionMetadata=SimpleNamespace,
    RpcHttp=RpcHttp,
    RpcHttpCookie=RpcHttpCookie,
    RpcRetryOptions=SimpleNamespace,
    StatusResult=StatusResult,
    Timestamp=SimpleNamespace,
    TypedData=TypedData,
    WorkerInitResponse=SimpleNamespace,
    WorkerMetadata=SimpleNamespace,
)
