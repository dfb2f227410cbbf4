"""Settings: read once from the environment, checked, and named in every error.

The only module that may read `os.environ`. On Azure they are app settings, locally the exports of
the sandbox's `env.sh`. One row of `_TABLE` is all that is known of how a setting is written;
docs/settings.md shows the same to operators.
"""

import contextlib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from reconciler.errors import ResourceIdError, SettingsError
from reconciler.ids import ResourceId
from reconciler.wording import near_misses

PUBLIC_CLOUD: Final = "https://management.azure.com"
PUBLIC_AUTHORITY: Final = "https://login.microsoftonline.com"
_STORAGE: Final = "AzureWebJobsStorage"
_ACCOUNT: Final = "AzureWebJobsStorage__accountName"
_QUEUES: Final = "AzureWebJobsStorage__queueServiceUri"
_CREDENTIAL: Final = "AzureWebJobsStorage__credential"
_QUEUE_CLIENT: Final = "AzureWebJobsStorage__clientId"

_GUID = r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
_IS_GUID = "is {text!r}; it must be a GUID with dashes"
_OWNER = r"[a-z0-9-]{1,40}"
_IS_OWNER = "is {text!r}; it must be 1 to 40 of a-z, 0-9 and '-'"
_SECONDS = r"3600|3[0-5][0-9]{2}|[0-2][0-9]{3}|[0-9]{1,3}"
_IS_SECONDS = "is {text!r}; it must be whole seconds from 0 to 3600"
# Without a path: ids are appended to it, and tokens sent there.
_HOST = r"https://[A-Za-z0-9.-]+(?::[0-9]{1,5})?"
_IS_HOST = "is {text!r}; it must be https://<host> without a path"
_GROUPS = "/providers/Microsoft.Management/managementGroups/"
_SCHEDULE = "0 */30 * * * *"


@dataclass(frozen=True, slots=True)
class _Row:
    """How a setting is written, and what is wrong with a value that is not written so.

    `wrong` quotes the value as `{text!r}`, but not where it may hold a key.
    """

    form: str = "(?s:.*)"
    wrong: str = ""
    default: str = ""
    many: bool = False
    """Whether it is a list, separated by commas."""
    clean: Callable[[str], str] = str
    """Brings a value into the spelling that is checked and kept."""


_TABLE: Final[Mapping[str, _Row]] = {
    "RECONCILER_OWNER": _Row(_OWNER, _IS_OWNER),
    "RECONCILER_SUBSCRIPTIONS": _Row(
        _GUID,
        _IS_GUID,
        many=True,
        clean=lambda text: text.lower().removeprefix("/subscriptions/"),
    ),
    "RECONCILER_MANAGEMENT_GROUPS": _Row(
        # What Azure accepts as the id of a management group (documented).
        rf"(?:(?ai:{re.escape(_GROUPS)}))?"
        r"(?=[A-Za-z0-9])[A-Za-z0-9_().-]{0,89}[A-Za-z0-9_()-]",
        "is {text!r}; it must list the ids of management groups",
        many=True,
    ),
    "RECONCILER_MODE": _Row(
        "audit|repair",
        "is {text!r}; it must be one of: audit, repair",
        default="audit",
        clean=str.lower,
    ),
    "RECONCILER_POLICIES": _Row(default="policies"),
    "RECONCILER_CLIENT_ID": _Row(_GUID, _IS_GUID),
    "AZURE_CLIENT_ID": _Row(_GUID, _IS_GUID),
    # Read as ids by `_home`.
    "RECONCILER_HOME": _Row(many=True),
    "RECONCILER_MAKERS": _Row(_GUID, _IS_GUID, many=True),
    "RECONCILER_FORMER_OWNERS": _Row(_OWNER, _IS_OWNER, many=True),
    "RECONCILER_SETTLE": _Row(_SECONDS, _IS_SECONDS, default="60"),
    "RECONCILER_GONE_AFTER": _Row(_SECONDS, _IS_SECONDS, default="600"),
    "RECONCILER_SWEEP_SCHEDULE": _Row(
        # The Functions host reads what the fields mean.
        "(?:[0-9A-Za-z*/,-]+ ){5}[0-9A-Za-z*/,-]+",
        f"is {{text!r}}; it must be six NCRONTAB fields, such as {_SCHEDULE!r}",
        default=_SCHEDULE,
    ),
    "RECONCILER_TOPIC_ENDPOINT": _Row(
        rf"{_HOST}(?:/[A-Za-z0-9_.()-]+)*/api/events",
        "is no endpoint of a custom topic: it must be "
        "https://<topic>.<region>-1.eventgrid.azure.net/api/events or alike, without a query",
    ),
    "RECONCILER_ARM_ENDPOINT": _Row(
        _HOST, _IS_HOST, default=PUBLIC_CLOUD, clean=lambda text: text.rstrip("/")
    ),
    "AZURE_AUTHORITY_HOST": _Row(
        _HOST,
        _IS_HOST,
        default=PUBLIC_AUTHORITY,
        # The Azure libraries take it without its scheme too.
        clean=lambda text: (text if "://" in text else f"https://{text}").rstrip("/"),
    ),
    _STORAGE: _Row(
        r"(?si:(?:.*;)?(?:AccountName=|QueueEndpoint=|UseDevelopmentStorage=true).*)",
        "is no connection string: it must hold AccountName=... or QueueEndpoint=..., "
        "or be UseDevelopmentStorage=true",
    ),
    _ACCOUNT: _Row("(?i:[a-z0-9]{3,24})", "is {text!r}; it must be 3 to 24 of a-z and 0-9"),
    _QUEUES: _Row(
        rf"{_HOST}(?:/[a-z0-9]{{3,24}})?/?",
        "is no address of a queue service: it must be "
        "https://<account>.queue.core.windows.net or alike, without a query",
    ),
    _CREDENTIAL: _Row(
        "(?ai:managedidentity)", "is {text!r}; it must be 'managedidentity' or not be set"
    ),
    _QUEUE_CLIENT: _Row(_GUID, _IS_GUID),
}
_NAMES: Final = tuple(name for name in _TABLE if name.startswith("RECONCILER_"))
# The Functions host does not mind how these are spelt.
_HOST_NAMES: Final = {name.lower(): name for name in _TABLE if name.startswith(_STORAGE)}
# Storage's own domain by where Resource Manager is asked, else by where one signs in (documented).
_STORAGE_DOMAINS: Final = {
    "management.azure.com": "core.windows.net",
    "management.usgovcloudapi.net": "core.usgovcloudapi.net",
    "management.chinacloudapi.cn": "core.chinacloudapi.cn",
    "login.microsoftonline.com": "core.windows.net",
    "login.microsoftonline.us": "core.usgovcloudapi.net",
    "login.chinacloudapi.cn": "core.chinacloudapi.cn",
    "login.partner.microsoftonline.cn": "core.chinacloudapi.cn",
}
_RESOURCE_GROUP = "Microsoft.Resources/subscriptions/resourceGroups"
_GROUP_ID = "/subscriptions/<id>/resourceGroups/<name>, the app's own, which comes first"
_PART = re.compile(r"(?:^|;)\s*(AccountName|QueueEndpoint)=([^;]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one deployment of the app; see docs/settings.md."""

    owner: str
    subscriptions: tuple[ResourceId, ...] = ()
    management_groups: tuple[ResourceId, ...] = ()
    repair: bool = False
    policies: Path = Path("policies")
    client_id: str | None = None
    home: tuple[ResourceId, ...] = ()
    makers: frozenset[str] = frozenset()
    former_owners: frozenset[str] = frozenset()
    settle: timedelta = timedelta(seconds=60)
    gone_after: timedelta = timedelta(minutes=10)
    arm_endpoint: str = PUBLIC_CLOUD
    authority: str = PUBLIC_AUTHORITY
    sweep_schedule: str = "0 */30 * * * *"
    queue_connection: str | None = None
    queue_service: str | None = None
    queue_client_id: str | None = None
    """Whose queue it is, where not the app's own identity: a client id, or "" for the system's."""
    storage_account: str | None = None
    """The name of the account with the queues, which no grant may reach; none for an emulator."""
    topic_endpoint: str | None = None


def from_environment() -> Settings:
    """Return the settings of the process environment; raise `SettingsError` as `read` does."""
    return read(os.environ)


def read(environment: Mapping[str, str]) -> Settings:
    """Return the settings in a mapping; raise `SettingsError` that names the first wrong one."""
    values = {
        _HOST_NAMES.get(name.lower(), name): text.strip()
        for name, text in environment.items()
        if text.strip()
    }
    # An optional setting with a misspelt name would be missed in silence.
    for name in sorted(values.keys() - set(_NAMES)):
        # Other programs' variables may be spelled as ours in another case, so case counts.
        if near := near_misses(name, _NAMES, cutoff=0.88, any_case=False):
            raise SettingsError(f"{name} is no setting; did you mean {near[0]}?")
    repair = _text(values, "RECONCILER_MODE") == "repair"
    home = _home(values)
    if repair and not home:
        raise SettingsError(
            "RECONCILER_HOME is not set: RECONCILER_MODE=repair needs the id of the app's own "
            "resource group, so that no grant can reach it"
        )
    owner = _text(values, "RECONCILER_OWNER")
    if not owner:
        raise SettingsError("RECONCILER_OWNER is not set; see docs/settings.md")
    guids = _text(values, "RECONCILER_SUBSCRIPTIONS").split()
    subscriptions = [f"/subscriptions/{guid}" for guid in guids]
    names = _text(values, "RECONCILER_MANAGEMENT_GROUPS").split()
    groups = [f"{_GROUPS}{name.rsplit('/', 1)[-1]}" for name in names]
    if not subscriptions and not groups:
        raise SettingsError(
            "RECONCILER_SUBSCRIPTIONS is not set, nor is RECONCILER_MANAGEMENT_GROUPS: one of them "
            "must list what is watched; see docs/settings.md"
        )
    endpoint = _text(values, "RECONCILER_ARM_ENDPOINT")
    authority = _text(values, "AZURE_AUTHORITY_HOST")
    connection, service, queue_client, account = _queues(values, endpoint, authority)
    # The Azure libraries' own name for it is what most deployments set.
    client = _text(values, "RECONCILER_CLIENT_ID") or _text(values, "AZURE_CLIENT_ID")
    return Settings(
        owner=owner,
        subscriptions=tuple(dict.fromkeys(map(ResourceId.parse, subscriptions))),
        management_groups=tuple(dict.fromkeys(map(ResourceId.parse, groups))),
        repair=repair,
        policies=Path(_text(values, "RECONCILER_POLICIES")),
        client_id=client.lower() or None,
        home=home,
        makers=frozenset(_text(values, "RECONCILER_MAKERS").lower().split()),
        former_owners=frozenset(_text(values, "RECONCILER_FORMER_OWNERS").split()),
        settle=timedelta(seconds=int(_text(values, "RECONCILER_SETTLE"))),
        gone_after=timedelta(seconds=int(_text(values, "RECONCILER_GONE_AFTER"))),
        arm_endpoint=endpoint,
        authority=authority,
        sweep_schedule=_text(values, "RECONCILER_SWEEP_SCHEDULE"),
        queue_connection=connection or None,
        queue_service=service or None,
        queue_client_id=queue_client,
        storage_account=account,
        topic_endpoint=_text(values, "RECONCILER_TOPIC_ENDPOINT") or None,
    )


def _text(values: Mapping[str, str], name: str) -> str:
    """Return the value of a setting as its row in `_TABLE` says, empty where it has none.

    The items of a list come back with blanks between them, which none of them may hold. Raises
    `SettingsError` for a value that is not written as the row says.
    """
    row = _TABLE[name]
    text = values.get(name, row.default)
    items = [item.strip() for item in text.split(",")] if row.many else [text]
    cleaned = [row.clean(item) for item in items if item]
    for item in cleaned:
        if not re.fullmatch(row.form, item):
            raise SettingsError(f"{name} {row.wrong.format(text=item)}")
    return " ".join(cleaned)


def _home(values: Mapping[str, str]) -> tuple[ResourceId, ...]:
    """Return the app's own resource group, and whatever else of it lies elsewhere."""
    name = "RECONCILER_HOME"
    places: dict[ResourceId, None] = {}
    for text in filter(None, map(str.strip, values.get(name, "").split(","))):
        wanted = "the id of something in a subscription" if places else _GROUP_ID
        try:
            place = ResourceId.parse(text)
        except ResourceIdError as error:
            raise SettingsError(f"{name}: {error}; it must be {wanted}") from error
        misplaced = not places and not place.is_type(_RESOURCE_GROUP)
        if misplaced or not re.fullmatch(_GUID, place.subscription or ""):
            raise SettingsError(f"{name} names {text!r}; it must be {wanted}")
        places[place] = None
    return tuple(places)


def _queues(
    values: Mapping[str, str], endpoint: str, authority: str
) -> tuple[str, str, str | None, str | None]:
    """Return how the queues are reached, who opens them, and the name of their account.

    That is their connection string, the address of their service, a client id (empty for the
    system-assigned identity, none for the app's own), and none as the name for an emulator's.
    """
    connection, service = _text(values, _STORAGE), _text(values, _QUEUES).rstrip("/")
    if not service and (account := _text(values, _ACCOUNT)):
        for address, (known, domain) in product((endpoint, authority), _STORAGE_DOMAINS.items()):
            host = urlsplit(address).hostname or ""
            # Each region has an endpoint of its own in front of the cloud's.
            if host == known or host.endswith(f".{known}"):
                service = f"https://{account.lower()}.queue.{domain}"
                break
        else:
            raise SettingsError(
                f"{_ACCOUNT} is set, but the cloud of {endpoint} is not known; "
                f"set {_QUEUES} to the address of the queue service instead"
            )
    client: str | None = None
    if service and not connection:
        # As the host reads them: with a credential and no client, it is the system-assigned one.
        credential = _text(values, _CREDENTIAL)
        client = _text(values, _QUEUE_CLIENT).lower() or ("" if credential else None)
    parts = {name.lower(): text.strip() for name, text in _PART.findall(connection)}
    address, host = parts.get("queueendpoint") or ("" if connection else service), ""
    if address:
        with contextlib.suppress(ValueError):
            host = urlsplit(address).hostname or ""
        if not host:
            raise SettingsError(f"{_STORAGE}: its QueueEndpoint is no address of a queue service")
        # An emulator is reached by a number or by a name without a domain.
        if "." not in host or ":" in host or re.fullmatch(r"[0-9.]+", host):
            return connection, service, client, None
    name = (parts.get("accountname") or host.partition(".")[0]).lower()
    return connection, service, client, name or None
