"""Plays a recording against a fresh local Azure and collects where the answers differ."""

import json
import re
import uuid
from http.client import ACCEPTED, CREATED, OK

import requests

from sandbox.identity import tokens
from tests.conformance import pages
from tests.conformance.agreement import Agreement
from tests.conformance.deviations import left_out
from tests.conformance.preconditions import Preconditions
from tests.conformance.recordings import Exchange, Recording
from tests.world.arm import Arm

_SUBSCRIPTION = re.compile(r"/subscriptions/([0-9a-f-]{36})", re.IGNORECASE)
_ASSIGNMENT = "/providers/microsoft.authorization/roleassignments/"
_ENDED = ("Succeeded", "Failed", "Canceled")


class Player:
    """One replay: a world whose clock moves one second with every exchange."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        found = {each[1] for one in recording.exchanges for each in _SUBSCRIPTION.finditer(one.url)}
        names = sorted(found) or [str(uuid.UUID(int=0))]
        # Who made the recordings managed the tenant.
        right = {"scope": "/", "role": "Owner", "principal": "operator"}
        seed = {"subscriptions": [{"id": each} for each in names], "assignments": [right]}
        self.arm = Arm(seed)
        world = self.arm.world
        self._stranger = world.new_principal("aaa@foo.com", kind="User")
        own = [each.id for each in world.assignments]
        own += [world.app.resource_id or "", world.hierarchy.root.id]
        self._agreement = Agreement(made_here=frozenset(each.lower() for each in own))
        # Role assignments name who writes them: the client.
        writers = [
            exchange.body["properties"]["updatedBy"]
            for exchange in recording.exchanges
            if (exchange.method, exchange.status) == ("PUT", CREATED)
            and _ASSIGNMENT in exchange.path.lower()
        ]
        if writers:
            self._agreement.same(writers[0], world.operator.oid)
        self._preconditions = Preconditions(self.arm, recording)

    def play(self) -> list[tuple[str, str]]:
        """Return where the answers differ: the exchange's number and place, and what differs."""
        found: list[tuple[str, str]] = []
        skipped = dict(left_out(self._recording))
        for index, exchange in enumerate(self._recording.exchanges):
            if index in skipped:
                self.arm.clock.forward(1)
                continue
            known = self._agreement.translated(exchange)
            self._preconditions.before(known)
            switches = {"operation_delay": self._until_done(index), **pages.switches(exchange)}
            self.arm.world.faults = self.arm.world.faults.changed(switches)
            self._agreement.answer(exchange, self.send(exchange))
            self._preconditions.after(known)
            self.arm.clock.forward(1)
            found += [(f"#{index} {place}", what) for place, what in self._agreement.differences]
            self._agreement.differences.clear()
        return found

    def send(self, exchange: Exchange) -> requests.Response:
        """Send a recorded request."""
        # Who was refused there is somebody without any right here.
        caller = self._stranger if exchange.code == "AuthorizationFailed" else self.arm.caller
        token = tokens.mint(self.arm.world, caller, "https://management.azure.com")
        body = None
        if exchange.request is not None:
            body = self._agreement.ours(json.dumps(exchange.request))
        headers = {"Authorization": f"Bearer {token}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        url = self._agreement.link(exchange.url)
        return self.arm.session.request(exchange.method, url, data=body, headers=headers)

    def _until_done(self, start: int) -> float:
        """Return how many seconds an operation started now runs, so that the recorded polls fit.

        It ends half a second before the first exchange that shows it ended, or after the last
        that shows it running.
        """
        exchanges = self._recording.exchanges
        link = exchanges[start].headers.get("azure-asyncoperation")
        location = None if link else exchanges[start].headers.get("location")
        running = start
        for index in range(start + 1, len(exchanges)):
            body = exchanges[index].body
            polled = exchanges[index].url == link and isinstance(body, dict)
            if exchanges[index].url == location and exchanges[index].status != ACCEPTED:
                return index - start - 0.5
            read = exchanges[start].path.startswith(exchanges[index].path)
            state = body.get("status") if polled else None
            if read and isinstance(body, dict):
                state = (body.get("properties") or {}).get("provisioningState")
            if state in _ENDED:
                return index - start - 0.5
            running = index if state else running
        # Nothing says that it went on after a plain answer.
        plain = (exchanges[start].method, exchanges[start].status) == ("PUT", OK)
        over = plain and running == start and not link and not location
        return 0 if over else running - start + 0.5
