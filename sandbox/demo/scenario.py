"""The scenario of the demo: a local Azure over HTTPS, the function app in its host, who acts in it.

`Scenario` sets everything up for as long as the context lasts and leaves nothing behind. The app
has a process of its own and the settings that it would have in Azure, and is reached only as there:
it signs in at the identity endpoint, and Event Grid posts events to its webhook.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, Self

from sandbox import seed
from sandbox.demo.fixtures import SUBSCRIPTION, Operator, Workload
from sandbox.eventgrid.delivery import Deliveries
from sandbox.server import Server

ROOT: Final = Path(__file__).parents[2]
HERE: Final = Path(__file__).parent
FUNCTION: Final = "event_grid_trigger"
_EVENTS: Final = f"{SUBSCRIPTION}/providers/Microsoft.EventGrid/eventSubscriptions/app"
_TIMEOUT: Final = 120.0
"""Seconds that a busy machine may take for anything; what takes longer hangs."""
_INDEX_DELAY: Final = 0.5
"""Seconds for which Resource Manager answers 404 for what is new, so that events come earlier."""
_QUIET: Final = 0.4
_POLL: Final = 0.05
_TAIL: Final = 12
# Settings of the desk that would lead the app or its sign-in elsewhere.
_FOREIGN: Final = ("AZURE", "IDENTITY_", "MSI_", "RECONCILER_")


class DemoError(Exception):
    """Something is not as a step expects; the message names it."""


class FunctionApp:
    """`python -m sandbox host` with the project's function app, in a process of its own."""

    def __init__(self, log: Path, settings: dict[str, str]) -> None:
        self.url = ""
        self._log = log
        self._settings = settings

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "sandbox", "host", "--port", "0", "--app", str(ROOT)]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the project's own command
                command, cwd=ROOT, env=self._settings, stdout=subprocess.PIPE, stderr=log, text=True
            )
        try:
            output = self._process.stdout
            with self._killed_when_late():
                ready, _, self.url = (output.readline() if output else "").strip().partition(" ")
            if ready != "ready":
                self._process.wait()
                reason = " ".join(self.log(1)).removeprefix("error: ")
                raise DemoError(f"the function app does not start: {reason}")  # noqa: TRY301 - stopped below
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        with self._killed_when_late():
            self._process.communicate()

    @contextmanager
    def _killed_when_late(self) -> Iterator[None]:
        """Wait inside for the process; what waits for its output then ends, too."""
        late = threading.Timer(_TIMEOUT, self._process.kill)
        late.start()
        try:
            yield
        finally:
            late.cancel()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let the app stand still, as Azure may for a while: meanwhile nothing is healed."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def log(self, lines: int = _TAIL) -> list[str]:
        """Return the last lines that the app or its host logged."""
        return self._log.read_text("utf-8", "replace").splitlines()[-lines:]


class Scenario:
    """Everything that the steps need; `until` waits for an effect and `calls` counts."""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            self.world = seed.load(seed.read(HERE / "seed.yaml"))
            self.world.faults = self.world.faults.changed({"index_delay": _INDEX_DELAY})
            server = stack.enter_context(Server(self.world, folder))
            self.url = server.url
            self.settings = _settings(server.environment())
            self.app = stack.enter_context(FunctionApp(folder / "app.log", self.settings))
            authority = folder / "ca.pem"
            self.operator = stack.enter_context(Operator(server.url, authority, self.world))
            self.workload = stack.enter_context(Workload(server.url, authority))
            stack.enter_context(Deliveries(self.world))
            url = f"{self.app.url}/runtime/webhooks/eventgrid?functionName={FUNCTION}"
            webhook = {"endpointType": "WebHook", "properties": {"endpointUrl": url}}
            self.operator.build(_EVENTS, {"properties": {"destination": webhook}})
            self.event = self.effect = 0.0
            """When the operator's last event came, and when the last awaited effect was there, by
            `time.monotonic`."""
            self.world.feed.subscribe(self._note)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _note(self, event: dict[str, Any]) -> None:
        if event["data"]["claims"]["appid"] == self.world.operator.app_id:
            self.event = time.monotonic()

    def calls(self) -> int:
        """Return how many ARM calls the function app's identity has made."""
        app = self.world.app.app_id
        return sum(request.app_id == app for request in list(self.world.requests))

    def until(self, expected: str, look: Callable[[], str | None]) -> None:
        """Wait until `look` returns none; until then it says what is there instead.

        Raises `DemoError` where that takes too long.
        """
        deadline = time.monotonic() + _TIMEOUT
        while lacking := look():
            if time.monotonic() > deadline:
                raise DemoError(f"expected that {expected}; after {_TIMEOUT:g} s {lacking}")
            time.sleep(_POLL)
        self.effect = time.monotonic()

    def quiet(self) -> None:
        """Wait until the function app has made no call for a moment; raises `DemoError`."""
        before, since = self.calls(), time.monotonic()
        deadline = since + _TIMEOUT
        while time.monotonic() - since < _QUIET:
            time.sleep(_POLL)
            if self.calls() != before:
                before, since = self.calls(), time.monotonic()
            if since > deadline:
                raise DemoError("the function app does not come to rest")

    def plan(self, *resources: str) -> tuple[int, str]:
        """Ask the command line for a plan; return its exit code and what it printed."""
        done = subprocess.run(  # noqa: S603 - the project's own command
            [sys.executable, "-m", "reconciler", "plan", *resources],
            cwd=ROOT,
            env=self.settings,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )
        return done.returncode, (done.stdout + done.stderr).strip()


def _settings(given: dict[str, str]) -> dict[str, str]:
    """Return the environment of the function app and of the command line."""
    desk = {
        name: value for name, value in os.environ.items() if not name.upper().startswith(_FOREIGN)
    }
    return {
        **desk,
        **given,
        # Where both spellings are set, the lower-case one counts.
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
        "RECONCILER_POLICIES": str(HERE / "policies"),
        # Here the activity log is not late, so what is gone need not be waited for.
        "RECONCILER_GONE_AFTER": "0",
        # The demo is about events, so no sweep comes to their aid.
        "RECONCILER_SWEEP_SCHEDULE": "0 0 0 29 2 *",
    }
