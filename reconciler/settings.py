"""Settings: read once from the environment, checked, and named in every error.

The only module that may read `os.environ`. On Azure they are app settings, locally the exports of
the sandbox's `env.sh`.
"""

import contextlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from reconciler.errors import ResourceIdError, SettingsError
from reconciler.ids import ResourceId, is_guid
from reconciler.suggestions import near_misses

PUBLIC_CLOUD: Final = "https://management.azure.com"
PUBLIC_AUTHORITY: Final = "https://login.microsoftonline.com"
_NAMES: Final = (
    "RECONCILER_OWNER",
    "RECONCILER_SUBSCRIPTIONS",
    "RECONCILER_MANAGEMENT_GROUPS",
    "RECONCILER_MODE",
    "RECONCILER_POLICIES",
    "RECONCILER_CLIENT_ID",
    "RECONCILER_HOME",
    "RECONCILER_MAKERS",
    "RECONCILER_FORMER_OWNERS",
    "RECONCILER_SETTLE",
    "RECONCILER_GONE_AFTER",
    "RECONCILER_SWEEP_SCHEDULE",
    "RECONCILER_TOPIC_ENDPOINT",
    "RECONCILER_ARM_ENDPOINT",
)
_STORAGE: Final = "AzureWebJobsStorage"
_ACCOUNT: Final = "AzureWebJobsStorage__accountName"
_QUEUES: Final = "AzureWebJobsStorage__queueServiceUri"
_CREDENTIAL: Final = "AzureWebJobsStorage__credential"
_QUEUE_CLIENT: Final = "AzureWebJobsStorage__clientId"
# The Functions host does not mind how these are spelt.
_HOST_NAMES: Final = {
    name.lower(): name for name in (_STORAGE, _ACCOUNT, _QUEUES, _CREDENTIAL, _QUEUE_CLIENT)
}
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
_OWNER = re.compile(r"[a-z0-9-]{1,40}")
_RESOURCE_GROUP = "Microsoft.Resources/subscriptions/resourceGroups"
_GROUP_ID = "/subscriptions/<id>/resourceGroups/<name>, the app's own, which comes first"
_GROUPS = "/providers/Microsoft.Management/managementGroups/"
# What Azure lets the id of a management group be (documented).
_GROUP_NAME = re.compile(r"(?=[A-Za-z0-9])[A-Za-z0-9_().-]{0,89}[A-Za-z0-9_()-]")
_HTTPS = re.compile(r"https://[A-Za-z0-9.-]+(?::[0-9]{1,5})?")
_TOPIC = re.compile(rf"{_HTTPS.pattern}(?:/[A-Za-z0-9_.()-]+)*/api/events")
_NCRONTAB = re.compile(r"(?:[0-9A-Za-z*/,-]+ ){5}[0-9A-Za-z*/,-]+")
_CONNECTION = re.compile(
    r"(?:^|;)(?:AccountName=|QueueEndpoint=|UseDevelopmentStorage=true)", re.IGNORECASE
)
_ACCOUNT_NAME = re.compile(r"[a-z0-9]{3,24}", re.IGNORECASE)
_QUEUE_SERVICE = re.compile(rf"{_HTTPS.pattern}(?:/[a-z0-9]{{3,24}})?/?")
_PART = re.compile(r"(?:^|;)\s*(AccountName|QueueEndpoint)=([^;]+)", re.IGNORECASE)
_LONGEST = 3600


@dataclass(frozen=True, slots=True)
class Settings:
    """What one deployment of the app is told from outside; see docs/settings.md."""

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
    """Read the process environment; raises `SettingsError` naming the first wrong setting."""
    return read(os.environ)


def read(environment: Mapping[str, str]) -> Settings:
    """Read settings from any mapping; raises `SettingsError` naming the first wrong one."""
    values = {
        _HOST_NAMES.get(name.lower(), name): text.strip()
        for name, text in environment.items()
        if text.strip()
    }
    _refuse_slips(values)
    repair = _choice(values, "RECONCILER_MODE", ("audit", "repair")) == "repair"
    home = _home(values)
    if repair and not home:
        raise SettingsError(
            "RECONCILER_HOME is not set: RECONCILER_MODE=repair needs the id of the app's own "
            "resource group, so that no grant can reach it"
        )
    owner = _owner(_required(values, "RECONCILER_OWNER"), "RECONCILER_OWNER")
    subscriptions, groups = _subscriptions(values), _management_groups(values)
    if not subscriptions and not groups:
        raise SettingsError(
            "RECONCILER_SUBSCRIPTIONS is not set, nor is RECONCILER_MANAGEMENT_GROUPS: one of them "
            "must list what is watched; see docs/settings.md"
        )
    endpoint = _host(values, "RECONCILER_ARM_ENDPOINT", PUBLIC_CLOUD)
    authority = _authority(values, "AZURE_AUTHORITY_HOST")
    connection = _connection(values, _STORAGE)
    service = _queue_service(values, endpoint, authority)
    return Settings(
        owner=owner,
        subscriptions=subscriptions,
        management_groups=groups,
        repair=repair,
        policies=Path(values.get("RECONCILER_POLICIES", "policies")),
        # The Azure libraries' own name for it is what most deployments set.
        client_id=_client(values, "RECONCILER_CLIENT_ID") or _client(values, "AZURE_CLIENT_ID"),
        home=home,
        makers=frozenset(_guid(maker, name) for name, maker in _items(values, "RECONCILER_MAKERS")),
        former_owners=frozenset(
            _owner(owner, name) for name, owner in _items(values, "RECONCILER_FORMER_OWNERS")
        ),
        settle=_seconds(values, "RECONCILER_SETTLE", 60),
        gone_after=_seconds(values, "RECONCILER_GONE_AFTER", 600),
        arm_endpoint=endpoint,
        authority=authority,
        sweep_schedule=_schedule(values, "RECONCILER_SWEEP_SCHEDULE", "0 */30 * * * *"),
        queue_connection=connection,
        queue_service=service,
        queue_client_id=None if connection or not service else _queue_client(values),
        storage_account=_storage_account(connection, service),
        topic_endpoint=_topic(values, "RECONCILER_TOPIC_ENDPOINT"),
    )


def _refuse_slips(values: Mapping[str, str]) -> None:
    """Refuse a misspelt name: an optional setting that is not read would be missed in silence."""
    for name in sorted(values.keys() - set(_NAMES)):
        # Other programs' variables may be spelled as ours in another case.
        near = near_misses(name, _NAMES, cutoff=0.88, any_case=False)
        if near:
            raise SettingsError(f"{name} is no setting; did you mean {near[0]}?")


def _required(values: Mapping[str, str], name: str) -> str:
    if name not in values:
        raise SettingsError(f"{name} is not set; see docs/settings.md")
    return values[name]


def _choice(values: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    """Return one of the choices; the first is the default."""
    text = values.get(name, choices[0]).lower()
    if text not in choices:
        raise SettingsError(f"{name} is {text!r}; it must be one of: {', '.join(choices)}")
    return text


def _items(values: Mapping[str, str], name: str) -> list[tuple[str, str]]:
    """Return the comma-separated items of a setting, each with the setting's name for errors."""
    parts = (part.strip() for part in values.get(name, "").split(","))
    return [(name, part) for part in parts if part]


def _owner(text: str, name: str) -> str:
    if not _OWNER.fullmatch(text):
        raise SettingsError(f"{name} is {text!r}; it must be 1 to 40 of a-z, 0-9 and '-'")
    return text


def _guid(text: str, name: str) -> str:
    if not is_guid(text):
        raise SettingsError(f"{name} is {text!r}; it must be a GUID with dashes")
    return text.lower()


def _client(values: Mapping[str, str], name: str) -> str | None:
    return _guid(values[name], name) if name in values else None


def _subscriptions(values: Mapping[str, str]) -> tuple[ResourceId, ...]:
    found: dict[ResourceId, None] = {}
    for name, text in _items(values, "RECONCILER_SUBSCRIPTIONS"):
        guid = text.lower().removeprefix("/subscriptions/")
        found[ResourceId.parse(f"/subscriptions/{_guid(guid, name)}")] = None
    return tuple(found)


def _management_groups(values: Mapping[str, str]) -> tuple[ResourceId, ...]:
    found: dict[ResourceId, None] = {}
    for name, text in _items(values, "RECONCILER_MANAGEMENT_GROUPS"):
        group = text[len(_GROUPS) :] if text.lower().startswith(_GROUPS.lower()) else text
        if not _GROUP_NAME.fullmatch(group):
            raise SettingsError(f"{name} is {text!r}; it must list the ids of management groups")
        found[ResourceId.parse(_GROUPS + group)] = None
    return tuple(found)


def _home(values: Mapping[str, str]) -> tuple[ResourceId, ...]:
    """Return the app's own resource group, and whatever else of it lies elsewhere."""
    found: dict[ResourceId, None] = {}
    for name, text in _items(values, "RECONCILER_HOME"):
        wanted = "the id of something in a subscription" if found else _GROUP_ID
        try:
            home = ResourceId.parse(text)
        except ResourceIdError as error:
            raise SettingsError(f"{name}: {error}; it must be {wanted}") from error
        first = not found and not home.is_type(_RESOURCE_GROUP)
        if first or not is_guid(home.subscription or ""):
            raise SettingsError(f"{name} names {text!r}; it must be {wanted}")
        found[home] = None
    return tuple(found)


def _seconds(values: Mapping[str, str], name: str, default: int) -> timedelta:
    text = values.get(name, str(default))
    if not re.fullmatch(r"[0-9]{1,4}", text) or int(text) > _LONGEST:
        raise SettingsError(f"{name} is {text!r}; it must be whole seconds from 0 to {_LONGEST}")
    return timedelta(seconds=int(text))


def _schedule(values: Mapping[str, str], name: str, default: str) -> str:
    """Return an NCRONTAB expression; the Functions host reads what its fields say."""
    text = values.get(name, default)
    if not _NCRONTAB.fullmatch(text):
        raise SettingsError(
            f"{name} is {text!r}; it must be six NCRONTAB fields, such as {default!r}"
        )
    return text


def _authority(values: Mapping[str, str], name: str) -> str:
    """Return where to sign in; the Azure libraries take it without its scheme too."""
    text = values.get(name, PUBLIC_AUTHORITY)
    return _host({name: text if "://" in text else f"https://{text}"}, name, PUBLIC_AUTHORITY)


def _connection(values: Mapping[str, str], name: str) -> str | None:
    """Return a connection string; its secrets are in no message."""
    text = values.get(name)
    if text and not _CONNECTION.search(text):
        raise SettingsError(
            f"{name} is no connection string: it must hold AccountName=... or QueueEndpoint=..., "
            "or be UseDevelopmentStorage=true"
        )
    return text


def _queue_service(values: Mapping[str, str], endpoint: str, authority: str) -> str | None:
    """Return the address of the queues; a wrong one may hold a key, so it is in no message."""
    service = values.get(_QUEUES)
    if service:
        if not _QUEUE_SERVICE.fullmatch(service):
            raise SettingsError(
                f"{_QUEUES} is no address of a queue service: it must be "
                "https://<account>.queue.core.windows.net or alike, without a query"
            )
        return service.rstrip("/")
    account = values.get(_ACCOUNT)
    if not account:
        return None
    if not _ACCOUNT_NAME.fullmatch(account):
        raise SettingsError(f"{_ACCOUNT} is {account!r}; it must be 3 to 24 of a-z and 0-9")
    for address in (endpoint, authority):
        host = urlsplit(address).hostname or ""
        for known, domain in _STORAGE_DOMAINS.items():
            # Each region has an endpoint of its own in front of the cloud's.
            if host == known or host.endswith(f".{known}"):
                return f"https://{account.lower()}.queue.{domain}"
    raise SettingsError(
        f"{_ACCOUNT} is set, but the cloud of {endpoint} is not known; "
        f"set {_QUEUES} to the address of the queue service instead"
    )


def _queue_client(values: Mapping[str, str]) -> str | None:
    """Return whose identity opens the queues, "" for the system-assigned one, as the host reads it.

    None where nothing is said: then it is the app's own.
    """
    by = values.get(_CREDENTIAL)
    if by and by.lower() != "managedidentity":
        raise SettingsError(f"{_CREDENTIAL} is {by!r}; it must be 'managedidentity' or not be set")
    return _client(values, _QUEUE_CLIENT) or ("" if by else None)


def _storage_account(connection: str | None, service: str | None) -> str | None:
    """Return the name of the account with the queues; none where they are an emulator's."""
    parts = {name.lower(): text.strip() for name, text in _PART.findall(connection or "")}
    address = parts.get("queueendpoint") or (None if connection else service)
    host = ""
    if address:
        with contextlib.suppress(ValueError):
            host = urlsplit(address).hostname or ""
        if not host:
            raise SettingsError(f"{_STORAGE}: its QueueEndpoint is no address of a queue service")
        # An emulator is asked by a number or by a name without a domain.
        if "." not in host or ":" in host or re.fullmatch(r"[0-9.]+", host):
            return None
    return (parts.get("accountname") or host.partition(".")[0]).lower() or None


def _host(values: Mapping[str, str], name: str, default: str) -> str:
    """Return an https address without a path: ids are appended to it, and tokens sent there."""
    text = values.get(name, default).rstrip("/")
    if not _HTTPS.fullmatch(text):
        raise SettingsError(f"{name} is {text!r}; it must be https://<host> without a path")
    return text


def _topic(values: Mapping[str, str], name: str) -> str | None:
    """Return a custom topic's endpoint; a wrong one may hold a key, so it is in no message."""
    text = values.get(name)
    if text and not _TOPIC.fullmatch(text):
        raise SettingsError(
            f"{name} is no endpoint of a custom topic: it must be "
            "https://<topic>.<region>-1.eventgrid.azure.net/api/events or alike, without a query"
        )
    return text
