"""Event Grid between the local Azure and the function app: each event goes to the webhook.

The stage starts it. It hands every event over in order, and tries again while the app does not
take it.
"""

import queue
import threading
import time
from typing import Any, Final, Self

import requests

type Event = dict[str, Any]

_RETRY: Final = 0.5
"""Seconds until an event that was not taken is sent again; Event Grid itself waits ten."""

_TIMEOUT: Final = 60.0
"""Seconds that the app may take; Event Grid itself waits thirty."""


class Delivery:
    """Delivers from a thread of its own while the context lasts."""

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
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="event-grid")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._events.put(None)
        self._thread.join()

    def accept(self, event: Event) -> None:
        """Take an event from the world."""
        if event["data"]["claims"]["appid"] == self._operator:
            self.last = time.monotonic()
        self._events.put(event)

    def _run(self) -> None:
        with requests.Session() as session:
            session.trust_env = False
            while event := self._events.get():
                while not self._stopped.is_set() and not self._taken(session, event):
                    self._stopped.wait(_RETRY)

    def _taken(self, session: requests.Session, event: Event) -> bool:
        headers = {"aeg-event-type": "Notification"}
        try:
            answer = session.post(self._webhook, json=[event], headers=headers, timeout=_TIMEOUT)
        except requests.RequestException:
            return False
        return answer.ok
