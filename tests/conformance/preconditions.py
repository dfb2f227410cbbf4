"""Makes the world such that a recording can have happened: what existed before its client began.

One rule: whatever an exchange shows or needs, and no earlier one mentioned, was there before. Its
state is read from the recorded answer by ``restore``.
"""

import dataclasses
import datetime as dt
import re
from collections.abc import Iterator
from http import HTTPStatus
from http.client import OK
from typing import Any

from sandbox.arm import ids
from sandbox.resources.types import traits_of
from tests.conformance.pages import Pages
from tests.conformance.recordings import TRIMMED, Exchange, Json, Recording
from tests.conformance.restore import Restorer
from tests.world.arm import Arm

_GROUP = re.compile(r"/subscriptions/[^/?]+/resourcegroups/[^/?]+", re.IGNORECASE)
_ROLES = "microsoft.authorization/roledefinitions"
# These refusals come after the scope was found.
_FOUND = ("", "OperationNotAllowed", "RoleAssignmentExists", "PrincipalNotFound")
_FULL_PAGE = 1000


class Preconditions:
    """What was there, by world and by what was mentioned so far."""

    def __init__(self, arm: Arm, recording: Recording) -> None:
        self._world = arm.world
        self._known = untouched(recording)
        self._restorer = Restorer(arm, self._known)
        self._pages = Pages(recording)
        self._mentioned: set[str] = set()
        self._written: set[str] = set()

    def before(self, exchange: Exchange) -> None:
        """Put what an exchange presupposes."""
        with self._world.transaction():
            if not _lacks_group(exchange):
                for found in _GROUP.findall(exchange.path):
                    self._restorer.group(found)
            self._registration(exchange)
            self._principal(exchange)
            self._identities(exchange)
            self._follow_others(exchange)
            for page in self._pages.from_here(exchange):
                for body in _shown(page):
                    if self._new(body["id"], exchange):
                        self._restorer.put(body)
            self._target(exchange)
            self._hide_roles(exchange)
            if exchange.code == "RoleAssignmentExists":
                self._restorer.rights.same_assignment(exchange.path, exchange.request["properties"])
            if TRIMMED in (exchange.body or {}) and "nextLink" in exchange.body:
                self._fill(exchange.body["value"][0])

    def after(self, exchange: Exchange) -> None:
        """Remember what an exchange mentioned."""
        self._mentioned |= {each["id"].lower() for each in _shown(exchange)}
        if (exchange.method, exchange.status) != ("GET", HTTPStatus.NOT_FOUND):
            # What a read does not find others may make before it looks again.
            self._mentioned.add(ids.parse(exchange.path).key)
        if exchange.method != "GET":
            self._written.add(ids.parse(exchange.path).key)

    def _new(self, text: str, exchange: Exchange) -> bool:
        """Tell whether something was there before; or was made by what the recording leaves out."""
        key = text.lower()
        known = key in self._world.resources or key in self._world.groups
        cut = exchange.method != "GET" and not exchange.follows
        return not known and (key not in self._mentioned or cut)

    def _follow_others(self, exchange: Exchange) -> None:
        """Take over what a whole list shows, but for what the client wrote.

        The recorded tenants were shared: others write locks, roles and assignments meanwhile.
        """
        listed = ids.parse(exchange.path)
        whole = "$filter" not in exchange.url and TRIMMED not in (exchange.body or {})
        if listed.name or not whole or exchange.method != "GET" or exchange.status != OK:
            return
        self._restorer.forget(listed, self._mine)
        shown = {each["id"].lower() for each in _shown(exchange)}
        self._mentioned -= {each for each in shown if not self._mine(each)}

    def _mine(self, key: str) -> bool:
        return any(ids.contains(each, key) for each in self._written)

    def _target(self, exchange: Exchange) -> None:
        """Put what is acted upon: a scope, the parent of an action or of a list, or itself."""
        if exchange.code not in _FOUND or exchange.status == 204:  # It was not there.
            return
        target = ids.parse(_acted_upon(exchange))
        if target.name and "/providers/" in target.key and self._new(target.text, exchange):
            answer = exchange.body if isinstance(exchange.body, dict) else {}
            shown = answer.get("properties") or {} if "error" not in answer else {}
            same = target.key == ids.parse(exchange.path).key
            body = {"id": target.text, "type": target.type, "location": _region(exchange)}
            known = self._known.get(target.key) or body
            self._restorer.put(body | {"properties": shown} if same else known)

    def _hide_roles(self, exchange: Exchange) -> None:
        """Let filters lag behind a change of a role that was cut out.

        See facts: Role assignments, recorded.
        """
        world = self._world
        listed = exchange.path.lower().endswith(_ROLES) and exchange.status == 200
        if not listed or exchange.follows or exchange.body["value"]:
            return
        world.faults = world.faults.changed({"role_filter_delay": 86400})
        for role in [each for each in world.roles.values() if each.custom]:
            world.roles[role.guid] = dataclasses.replace(role, updated=world.now())

    def _registration(self, exchange: Exchange) -> None:
        """Let a namespace be as little registered as an exchange presupposes."""
        if exchange.code == "MissingSubscriptionRegistration":
            target = ids.parse(exchange.path)
            namespace = target.type.partition("/")[0].lower()
            self._world.unregistered.add((target.subscription, namespace))

    def _principal(self, exchange: Exchange) -> None:
        """Put the principal that an assignment names, unless the answer says it is not there."""
        wanted: Any = exchange.request.get("properties") if exchange.request else None
        if not isinstance(wanted, dict) or "roleDefinitionId" not in wanted:
            return
        if exchange.code == "PrincipalNotFound":
            if "replication" in exchange.body["error"]["message"]:
                made = self._restorer.rights.principal(wanted["principalId"], "ServicePrincipal")
                made.created = self._world.now() + dt.timedelta(microseconds=1)
            return
        answer = (exchange.body or {}).get("properties") or {}
        kind = answer.get("principalType") or wanted.get("principalType") or "ServicePrincipal"
        self._restorer.rights.principal(wanted["principalId"], kind)

    def _identities(self, exchange: Exchange) -> None:
        """Put the identities that an accepted request attaches."""
        block = exchange.request.get("identity") if isinstance(exchange.request, dict) else None
        if exchange.status >= HTTPStatus.BAD_REQUEST or not isinstance(block, dict):
            return
        for text, value in (block.get("userAssignedIdentities") or {}).items():
            if value is not None:
                self._restorer.identity(text)

    def _fill(self, like: Json) -> None:
        """Fill a page, so that a further one follows."""
        found = ids.parse(like["id"])
        for number in range(_FULL_PAGE):
            self._restorer.put({**like, "id": f"{found.parent}/another{number}"})


def _acted_upon(exchange: Exchange) -> str:
    found = ids.parse(exchange.path)
    if found.type.lower().startswith("microsoft.authorization/"):
        return found.scope
    nested = found.type.count("/") > 1
    if exchange.method == "POST" or (exchange.method == "GET" and not found.name and nested):
        return found.parent
    # Some providers answer so when they create, too; their resource is a new one.
    replaced = exchange.status == HTTPStatus.OK != traits_of(found.type).created
    written = exchange.method == "PUT" and replaced
    return found.text if written or exchange.method in ("DELETE", "PATCH") else ""


def untouched(recording: Recording) -> dict[str, Json]:
    """Return, by lower-case id, what reads show before the recording writes it."""
    found: dict[str, Json] = {}
    written: set[str] = set()
    for exchange in recording.exchanges:
        for body in _shown(exchange):
            if body["id"].lower() not in written:
                found.setdefault(body["id"].lower(), body)
        if exchange.method in ("PUT", "PATCH", "DELETE"):
            written.add(ids.parse(exchange.path).key)
    return found


def _lacks_group(exchange: Exchange) -> bool:
    """Tell whether an answer says that the group of the path was not there, or makes it."""
    group = _GROUP.fullmatch(exchange.path) is not None
    made = (exchange.method, exchange.status) == ("PUT", 201)
    absent = exchange.status == 404 and exchange.body is None
    return exchange.code == "ResourceGroupNotFound" or (group and (made or absent))


def _shown(exchange: Exchange) -> Iterator[Json]:
    """Yield the resources and groups that a successful read shows."""
    if exchange.method != "GET" or exchange.status != 200 or not isinstance(exchange.body, dict):
        return
    for body in (exchange.body, *(exchange.body.get("value") or ())):
        if not isinstance(body, dict) or "type" not in body:
            continue
        text = str(body.get("id"))
        if "/providers/" in text or _GROUP.fullmatch(text):
            yield body


def _region(exchange: Exchange) -> str:
    found = re.search(r"/locations/([^/]+)/", exchange.headers.get("azure-asyncoperation", ""))
    return found[1] if found else "westus"
