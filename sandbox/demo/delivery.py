"""Event Grid between the local Azure and the function app: each event goes to the webhook.

The stage starts it. It hands every event over once and in order, and tries again while the app
does not take it.
"""

import queue
import threading
import time
from typing import Any, Final, Self

import requests

type Event = dict[str, Any]

_RETRY: Final = 0.5
"""Seconds until an event that was not taken is sent again; Event Grid itself waits ten."""


class Delivery:
    """Delivers from a thread of its own while the context lasts; `hold` keeps events back."""

    def __init__(self, webhook: str, operator: str) -> None:
        """Deliver to a webhook.

        Args:
            webhook: the address.
            operator: the `appid` whose last event sets `last`.
        """
        self.last = 0.0
        """When the operator's last event came, by `time.monotonic`."""
        self._webhook = webhook
        self._operator = operator
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._open = threading.Event()
        self._open.set()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="event-grid")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._open.set()
        self._events.put(None)
        self._thread.join()

    def accept(self, event: Event) -> None:
        """Take an event from the world."""
        if event["data"]["claims"]["appid"] == self._operator:
            self.last = time.monotonic()
        self._events.put(event)

    def hold(self) -> None:
        """Keep events back, so that what they lead to cannot happen yet."""
        self._open.clear()

    def release(self) -> None:
        """Deliver what was kept back and what comes."""
        self._open.set()

    def _run(self) -> None:
        with requests.Session() as session:
            session.trust_env = False
            while event := self._events.get():
                self._open.wait()
                while not self._stopped.is_set() and not self._taken(session, event):
                    self._stopped.wait(_RETRY)

    def _taken(self, session: requests.Session, event: Event) -> bool:
        headers = {"aeg-event-type": "Notification"}
        try:
            answer = session.post(self._webhook, json=[event], headers=headers, timeout=10)
        except requests.RequestException:
            return False
        return answer.ok
