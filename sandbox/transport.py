"""The in-process entrance for azure-core clients: their waiting turns the clock.

Retries and pollers of the SDKs sleep through their transport, so that ten minutes of polling cost
milliseconds.
"""

from azure.core.pipeline.transport import RequestsTransport

from sandbox import wsgi
from sandbox.world.clock import Clock


class Transport(RequestsTransport):  # type: ignore[misc]  # azure-core loads it lazily
    """A transport whose https:// calls run a WSGI application, and whose sleep turns a clock."""

    def __init__(self, app: wsgi.App, clock: Clock) -> None:
        """Make one for an application and the clock that its world goes by."""
        super().__init__(session=wsgi.session(app), session_owner=False)
        self._clock = clock

    def sleep(self, duration: float) -> None:
        """Let time pass without waiting; azure-core calls it between tries and polls."""
        self._clock.forward(duration)
