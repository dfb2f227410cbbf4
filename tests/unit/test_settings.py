"""Settings are read from a mapping, checked, and named where they are wrong."""

import ast
import re
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler import settings
from reconciler.errors import SettingsError
from reconciler.ids import ResourceId

ROOT = Path(__file__).parent.parent.parent
GUID = "aaaaaaaa-1111-1111-1111-111111111111"
OTHER = "bbbbbbbb-2222-2222-2222-222222222222"
HOME = f"/subscriptions/{GUID}/resourceGroups/rg-app"
STORE = f"/subscriptions/{OTHER}/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/s"
LEAST = {"RECONCILER_OWNER": "prod", "RECONCILER_SUBSCRIPTIONS": GUID}


def subscription(guid: str) -> ResourceId:
    """Return the id of a subscription."""
    return ResourceId.parse(f"/subscriptions/{guid}")


def management_group(name: str) -> ResourceId:
    """Return the id of a management group."""
    return ResourceId.parse(f"/providers/Microsoft.Management/managementGroups/{name}")


def settings_read() -> set[str]:
    """Return the names of settings that the source mentions as whole strings."""
    tree = ast.parse(Path(settings.__file__).read_text(encoding="utf-8"))
    texts = {str(node.value) for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    return {text for text in texts if re.fullmatch(r"(RECONCILER_|AZURE_|AzureWebJobs)\w+", text)}


def test_owner_and_subscription_are_enough() -> None:
    """Everything else has a default, and the defaults change nothing in Azure."""
    found = settings.read(LEAST)

    assert found == settings.Settings(owner="prod", subscriptions=(subscription(GUID),))
    assert not found.repair
    assert found.policies == Path("policies")
    assert found.settle == timedelta(seconds=60)
    assert found.gone_after == timedelta(minutes=10)
    assert found.arm_endpoint == "https://management.azure.com"


def test_every_setting_is_read() -> None:
    """Each name ends in its own field."""
    found = settings.read(
        LEAST
        | {
            "RECONCILER_MANAGEMENT_GROUPS": "corp",
            "RECONCILER_MODE": "repair",
            "RECONCILER_HOME": f"{HOME}, {STORE}",
            "RECONCILER_POLICIES": "/srv/policies",
            "RECONCILER_CLIENT_ID": GUID,
            "RECONCILER_MAKERS": OTHER.upper(),
            "RECONCILER_FORMER_OWNERS": "pilot, lab",
            "RECONCILER_SETTLE": "0",
            "RECONCILER_GONE_AFTER": "3600",
            "RECONCILER_SWEEP_SCHEDULE": "0 0 * * * *",
            "RECONCILER_ARM_ENDPOINT": "https://localhost:8443/",
            "AZURE_AUTHORITY_HOST": "https://localhost:8444/",
            "AzureWebJobsStorage__queueServiceUri": "https://store.example",
            "AzureWebJobsStorage__credential": "managedidentity",
            "AzureWebJobsStorage__clientId": OTHER.upper(),
            "RECONCILER_TOPIC_ENDPOINT": "https://topic.example/api/events",
            "PATH": "/bin",
        }
    )

    assert found == settings.Settings(
        owner="prod",
        subscriptions=(subscription(GUID),),
        management_groups=(management_group("corp"),),
        repair=True,
        home=(ResourceId.parse(HOME), ResourceId.parse(STORE)),
        policies=Path("/srv/policies"),
        client_id=GUID,
        makers=frozenset({OTHER}),
        former_owners=frozenset({"pilot", "lab"}),
        settle=timedelta(0),
        gone_after=timedelta(hours=1),
        sweep_schedule="0 0 * * * *",
        arm_endpoint="https://localhost:8443",
        authority="https://localhost:8444",
        queue_service="https://store.example",
        queue_client_id=OTHER,
        storage_account="store",
        topic_endpoint="https://topic.example/api/events",
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("RECONCILER_OWNER", ""),
        ("RECONCILER_OWNER", "Prod"),
        ("RECONCILER_OWNER", "a_b"),
        ("RECONCILER_OWNER", "a,b"),
        ("RECONCILER_OWNER", "a\nb"),
        ("RECONCILER_OWNER", "a" * 41),
        ("RECONCILER_SUBSCRIPTIONS", ""),
        ("RECONCILER_SUBSCRIPTIONS", " , "),
        ("RECONCILER_SUBSCRIPTIONS", "my-subscription"),
        ("RECONCILER_SUBSCRIPTIONS", f"{GUID},*"),
        ("RECONCILER_SUBSCRIPTIONS", HOME),
        ("RECONCILER_MANAGEMENT_GROUPS", "My group"),
        ("RECONCILER_MANAGEMENT_GROUPS", "-corp"),
        ("RECONCILER_MANAGEMENT_GROUPS", "corp."),
        ("RECONCILER_MANAGEMENT_GROUPS", "corp/../x"),
        ("RECONCILER_MANAGEMENT_GROUPS", "c" * 91),
        ("RECONCILER_MANAGEMENT_GROUPS", f"corp,/subscriptions/{GUID}"),
        ("RECONCILER_MODE", "yes"),
        ("RECONCILER_MODE", "audit,repair"),
        ("RECONCILER_HOME", "rg-app"),
        ("RECONCILER_HOME", f"/subscriptions/{GUID}"),
        ("RECONCILER_HOME", "/subscriptions/<id>/resourceGroups/rg-app"),
        ("RECONCILER_HOME", f"{HOME}/"),
        ("RECONCILER_HOME", f"{HOME}/providers/Microsoft.Web/sites/app"),
        (
            "RECONCILER_HOME",
            f"/providers/Microsoft.Resources/subscriptions/{GUID}/resourceGroups/rg-app",
        ),
        ("RECONCILER_HOME", f"{STORE},{HOME}"),
        ("RECONCILER_HOME", f"{HOME},rg-identity"),
        ("RECONCILER_HOME", f"{HOME},/"),
        ("RECONCILER_HOME", f"{HOME},{management_group('corp')}"),
        ("RECONCILER_HOME", f"{HOME},/subscriptions/<id>/resourceGroups/rg"),
        ("AZURE_CLIENT_ID", "app"),
        ("RECONCILER_CLIENT_ID", "app"),
        ("RECONCILER_CLIENT_ID", GUID.replace("-", "")),
        ("RECONCILER_MAKERS", f"{GUID};{OTHER}"),
        ("RECONCILER_FORMER_OWNERS", "pilot,Lab"),
        ("RECONCILER_SETTLE", "1m"),
        ("RECONCILER_SETTLE", "-1"),
        ("RECONCILER_SETTLE", "1.5"),
        ("RECONCILER_SETTLE", "3601"),
        ("RECONCILER_SETTLE", "9" * 5000),
        ("RECONCILER_SETTLE", "\N{ARABIC-INDIC DIGIT SIX}"),
        ("RECONCILER_GONE_AFTER", "10m"),
        ("RECONCILER_GONE_AFTER", "-1"),
        ("RECONCILER_GONE_AFTER", "3601"),
        ("RECONCILER_SWEEP_SCHEDULE", "hourly"),
        ("RECONCILER_SWEEP_SCHEDULE", "*/5 * * * *"),
        ("RECONCILER_SWEEP_SCHEDULE", "%SCHEDULE%"),
        ("RECONCILER_ARM_ENDPOINT", "http://management.azure.com"),
        ("RECONCILER_ARM_ENDPOINT", "management.azure.com"),
        ("RECONCILER_ARM_ENDPOINT", "https://"),
        ("RECONCILER_ARM_ENDPOINT", "https://["),
        ("RECONCILER_ARM_ENDPOINT", "https://management.azure.com/api"),
        ("RECONCILER_ARM_ENDPOINT", "https://management.azure.com?x"),
        ("RECONCILER_ARM_ENDPOINT", "https://management.azure.com#x"),
        ("RECONCILER_ARM_ENDPOINT", "https://management.azure.com:port"),
        ("RECONCILER_ARM_ENDPOINT", "https://management.azure.com@elsewhere.example"),
        ("RECONCILER_TOPIC_ENDPOINT", "http://topic.example/api/events"),
        ("RECONCILER_TOPIC_ENDPOINT", "topic.example/api/events"),
        ("RECONCILER_TOPIC_ENDPOINT", "https://topic.example"),
        ("RECONCILER_TOPIC_ENDPOINT", "https://topic.example/api/events?code=secret"),
        ("RECONCILER_TOPIC_ENDPOINT", "https://topic.example/api/events#x"),
        ("RECONCILER_TOPIC_ENDPOINT", "https://topic.example@elsewhere.example/api/events"),
        ("RECONCILER_TOPIC_ENDPOINT", "https://topic.example/a b/api/events"),
        ("RECONCILER_TOPIC_ENDPOINT", "https://topic.example//api/events"),
        ("AZURE_AUTHORITY_HOST", "http://login.example"),
        ("AZURE_AUTHORITY_HOST", "login.example/tenant"),
        ("AzureWebJobsStorage", "nonsense"),
        ("AzureWebJobsStorage", "UseDevelopmentStorage=false"),
        ("AzureWebJobsStorage", "QueueEndpoint=store.example"),
        ("AzureWebJobsStorage", "QueueEndpoint=https://[;AccountName=a"),
        ("AzureWebJobsStorage__accountName", "st_reconciler"),
        ("AzureWebJobsStorage__accountName", "st.queue.core.windows.net"),
        ("AzureWebJobsStorage__accountName", "s" * 25),
        ("AzureWebJobsStorage__queueServiceUri", "streconciler"),
        ("AzureWebJobsStorage__queueServiceUri", "http://store.example"),
        ("AzureWebJobsStorage__queueServiceUri", "https://store.example?sig=secret"),
        ("AzureWebJobsStorage__queueServiceUri", "https://store.example/a/b"),
    ],
)
def test_a_wrong_value_fails_with_the_name_of_its_setting(name: str, text: str) -> None:
    """Whoever deploys the app reads which setting to mend."""
    with pytest.raises(SettingsError, match=rf"\A{name}\b"):
        settings.read(LEAST | {name: text})


@pytest.mark.parametrize("name", LEAST)
def test_a_missing_setting_is_named(name: str) -> None:
    """What is required and absent fails by name."""
    without = {other: text for other, text in LEAST.items() if other != name}

    with pytest.raises(SettingsError, match=rf"\A{name} is not set"):
        settings.read(without)


def test_repair_needs_the_app_s_own_group() -> None:
    """Without it the app could not keep grants away from itself."""
    with pytest.raises(SettingsError, match=r"\ARECONCILER_HOME is not set"):
        settings.read(LEAST | {"RECONCILER_MODE": "repair"})

    assert settings.read(LEAST | {"RECONCILER_MODE": "Repair", "RECONCILER_HOME": HOME}).repair


def test_a_connection_string_may_name_an_account_or_a_service() -> None:
    """Keys come in any order and case; a wrong text is not told, since it may be a secret."""
    for text in ("DefaultEndpointsProtocol=https;accountname=a", "QueueEndpoint=https://a.example"):
        assert settings.read(LEAST | {"AzureWebJobsStorage": text}).queue_connection == text

    secret = LEAST | {QUEUES: "https://store.example?sig=secret"}
    with pytest.raises(SettingsError) as caught:
        settings.read(secret)
    assert "secret" not in str(caught.value)
    with pytest.raises(SettingsError) as caught:
        settings.read(LEAST | {"AzureWebJobsStorage": "AccountKey=secret"})
    assert "secret" not in str(caught.value)


ACCOUNT = "AzureWebJobsStorage__accountName"
QUEUES = "AzureWebJobsStorage__queueServiceUri"
CREDENTIAL = "AzureWebJobsStorage__credential"
QUEUE_CLIENT = "AzureWebJobsStorage__clientId"


@pytest.mark.parametrize(
    ("cloud", "domain"),
    [
        ({}, "core.windows.net"),
        ({"RECONCILER_ARM_ENDPOINT": "https://westus.management.azure.com"}, "core.windows.net"),
        (
            {"RECONCILER_ARM_ENDPOINT": "https://management.usgovcloudapi.net"},
            "core.usgovcloudapi.net",
        ),
        (
            {"RECONCILER_ARM_ENDPOINT": "https://management.chinacloudapi.cn"},
            "core.chinacloudapi.cn",
        ),
        (
            {
                "RECONCILER_ARM_ENDPOINT": "https://arm.example",
                "AZURE_AUTHORITY_HOST": "login.microsoftonline.us",
            },
            "core.usgovcloudapi.net",
        ),
    ],
)
def test_an_account_s_name_is_enough_in_each_cloud(cloud: dict[str, str], domain: str) -> None:
    """The address of its queues is made with the cloud's own domain."""
    found = settings.read(LEAST | cloud | {ACCOUNT: "StReconciler"})

    assert found.queue_service == f"https://streconciler.queue.{domain}"
    assert found.storage_account == "streconciler"
    assert found.queue_client_id is None


def test_an_account_in_an_unknown_cloud_is_refused_with_what_to_set() -> None:
    """Guessing the domain would send a token to somebody else."""
    cloud = {
        "RECONCILER_ARM_ENDPOINT": "https://notmanagement.azure.com",
        "AZURE_AUTHORITY_HOST": "https://login.example",
    }

    with pytest.raises(SettingsError, match=rf"\A{ACCOUNT} .*{QUEUES}"):
        settings.read(LEAST | cloud | {ACCOUNT: "streconciler"})
    service = "https://st.queue.local.example/"
    assert settings.read(LEAST | cloud | {ACCOUNT: "other", QUEUES: service}).queue_service == (
        service.rstrip("/")
    )


@pytest.mark.parametrize(
    ("told", "account"),
    [
        ({"AzureWebJobsStorage": "AccountKey=k;accountname=StOne;EndpointSuffix=x"}, "stone"),
        ({"AzureWebJobsStorage": "QueueEndpoint=https://sttwo.queue.core.windows.net/"}, "sttwo"),
        ({"AzureWebJobsStorage": "AccountName=stone", QUEUES: "https://sttwo.example"}, "stone"),
        ({QUEUES: "https://stthree.z01.queue.storage.azure.net"}, "stthree"),
        ({QUEUES: "https://sttwo.queue.core.windows.net", ACCOUNT: "stone"}, "sttwo"),
        ({QUEUES: "https://127.0.0.1:10001/devstoreaccount1"}, None),
        ({"AzureWebJobsStorage": "UseDevelopmentStorage=true"}, None),
        *(
            (
                {
                    "AzureWebJobsStorage": f"AccountName=devstoreaccount1;QueueEndpoint=http://{host}/x"
                },
                None,
            )
            for host in ("127.0.0.1:10001", "localhost:10001", "[::1]:10001", "azurite:10001")
        ),
        ({}, None),
    ],
)
def test_the_storage_account_is_known_by_name(told: dict[str, str], account: str | None) -> None:
    """In whichever form it is named, since no grant may reach it; an emulator is no account."""
    assert settings.read(LEAST | told).storage_account == account


@pytest.mark.parametrize(
    ("told", "client"),
    [
        ({ACCOUNT: "store"}, None),
        ({ACCOUNT: "store", QUEUE_CLIENT: OTHER.upper()}, OTHER),
        ({ACCOUNT: "store", CREDENTIAL: "ManagedIdentity", QUEUE_CLIENT: OTHER}, OTHER),
        ({ACCOUNT: "store", CREDENTIAL: "managedidentity"}, ""),
        ({"AzureWebJobsStorage": "AccountName=a", QUEUE_CLIENT: OTHER, CREDENTIAL: "x"}, None),
        ({QUEUE_CLIENT: OTHER}, None),
    ],
)
def test_the_queues_may_be_opened_by_another_identity(
    told: dict[str, str], client: str | None
) -> None:
    """The host's, as it reads these settings; a connection string needs none."""
    own = {"RECONCILER_CLIENT_ID": GUID}

    assert settings.read(LEAST | own | told).queue_client_id == client


@pytest.mark.parametrize("wrong", [{CREDENTIAL: "workloadidentity"}, {QUEUE_CLIENT: "app"}])
def test_a_wrong_sign_in_to_the_queues_is_named(wrong: dict[str, str]) -> None:
    """Otherwise every deferral would fail."""
    (name,) = wrong

    with pytest.raises(SettingsError, match=rf"\A{name} is "):
        settings.read(LEAST | {ACCOUNT: "store"} | wrong)


def test_the_host_s_settings_are_found_however_they_are_spelt() -> None:
    """The host does not mind their case, and a setting that it reads must not be missed here."""
    found = settings.read(
        LEAST | {QUEUES.lower(): "https://st.example", QUEUE_CLIENT.upper(): GUID}
    )

    assert (found.queue_service, found.queue_client_id) == ("https://st.example", GUID)


def test_the_azure_libraries_own_client_id_does_too() -> None:
    """Most deployments set that; ours goes first."""
    azure = {"AZURE_CLIENT_ID": OTHER.upper()}

    assert settings.read(LEAST | azure).client_id == OTHER
    assert settings.read(LEAST | azure | {"RECONCILER_CLIENT_ID": GUID}).client_id == GUID


def test_a_home_may_have_several_parts() -> None:
    """The group first; each counts once, and a whole subscription may be one."""
    told = f"{HOME},{STORE},{HOME.lower()}, /subscriptions/{OTHER},"

    assert settings.read(LEAST | {"RECONCILER_HOME": told}).home == tuple(
        map(ResourceId.parse, (HOME, STORE, f"/subscriptions/{OTHER}"))
    )


def test_a_topic_of_the_sandbox_is_an_endpoint_and_a_wrong_one_is_not_told() -> None:
    """There it lies below the topic's id; a wrong one may hold a key."""
    local = (
        f"https://127.0.0.1:8443/eventgrid{HOME}/providers/Microsoft.EventGrid/topics/t/api/events"
    )
    name = "RECONCILER_TOPIC_ENDPOINT"

    assert settings.read(LEAST | {name: local}).topic_endpoint == local
    with pytest.raises(SettingsError) as caught:
        settings.read(LEAST | {name: "https://topic.example/api/events?code=secret"})
    assert "secret" not in str(caught.value)


def test_an_authority_may_lack_its_scheme() -> None:
    """The Azure libraries take it so."""
    found = settings.read(LEAST | {"AZURE_AUTHORITY_HOST": "login.microsoftonline.us"})

    assert found.authority == "https://login.microsoftonline.us"


def test_blank_values_count_as_absent() -> None:
    """An app setting that a template leaves empty takes its default."""
    blank = {name: " " for name in settings_read() if name not in LEAST}

    assert settings.read(LEAST | blank) == settings.read(LEAST)


def test_subscriptions_are_guids_or_ids_and_count_once() -> None:
    """Both forms and any case name the same subscription; the order is kept."""
    found = settings.read(
        LEAST | {"RECONCILER_SUBSCRIPTIONS": f"{OTHER}, /Subscriptions/{GUID.upper()},{GUID},"}
    )

    assert found.subscriptions == (subscription(OTHER), subscription(GUID))


def test_management_groups_do_instead_of_subscriptions() -> None:
    """By their ids, short or whole and in any case; each counts once."""
    told = f"corp, {str(management_group('CORP')).lower()},{GUID},a.b-(c)_1"
    found = settings.read({"RECONCILER_OWNER": "prod", "RECONCILER_MANAGEMENT_GROUPS": told})

    assert found.subscriptions == ()
    groups = tuple(management_group(name) for name in ("corp", GUID, "a.b-(c)_1"))
    assert found.management_groups == groups


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ("RECONCILER_MAKRES", "RECONCILER_MAKERS"),
        ("RECONCILER_OWNERS", "RECONCILER_OWNER"),
        ("RECONCILER_POLICY", "RECONCILER_POLICIES"),
        ("RECONCILER_FORMER_OWNER", "RECONCILER_FORMER_OWNERS"),
    ],
)
def test_a_misspelt_name_is_refused(slip: str, meant: str) -> None:
    """Nobody would miss an optional setting that is not read."""
    with pytest.raises(SettingsError, match=rf"\A{slip} is no setting; did you mean {meant}\?\Z"):
        settings.read({**LEAST, slip: "x"})


def test_names_that_resemble_none_of_ours_are_left_alone() -> None:
    """The environment is not ours alone."""
    others = dict.fromkeys(("RECONCILER_HOST", "RECONCILER_TEAM", "OWNER", "PATH"), "x")

    assert settings.read(LEAST | others) == settings.read(LEAST)


def test_the_process_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """In production the mapping is the environment."""
    for name, text in LEAST.items():
        monkeypatch.setenv(name, text)

    assert settings.from_environment().owner == "prod"


def test_the_table_in_the_docs_names_what_is_read() -> None:
    """Nobody sets what is not read, and nothing is read that nobody could know of."""
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")

    documented = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)

    assert sorted(documented) == sorted(settings_read())


def test_the_examples_in_the_docs_are_right() -> None:
    """All examples together are settings that the app starts with."""
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")

    examples = dict(re.findall(r"^\| `(\w+)` \|.*\| `([^`]+)` \|$", page, re.MULTILINE))

    assert examples.keys() == settings_read()
    assert settings.read(examples).repair


def test_the_defaults_in_the_docs_are_those_of_the_code() -> None:
    """Whoever leaves a setting out gets what the page says."""
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")

    defaults = dict(re.findall(r"^\| `(\w+)` \| [^|]* \| `([^`]+)` \|", page, re.MULTILINE))

    assert len(defaults) == 7
    for name, text in defaults.items():
        assert settings.read(LEAST | {name: text}) == settings.read(LEAST), name
