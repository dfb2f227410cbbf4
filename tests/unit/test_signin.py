"""Why no token is to be had, in one line."""

import pytest

from reconciler.azure import signin

PREFACE = "DefaultAzureCredential failed to retrieve a token.\nAttempted credentials:\n"
NOT_SET_UP = (
    "\tEnvironmentCredential: EnvironmentCredential authentication unavailable. Not configured.\n"
    "Visit a page\n"
    "\tAzureCliCredential: Azure CLI not found on path\n"
    "\tAzurePowerShellCredential: PowerShell is not installed\n"
)

APP_SERVICE = "App Service managed identity configuration not found in environment."


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (
            f"ManagedIdentityCredential: {APP_SERVICE} Token request error: 400, No such identity.",
            "ManagedIdentityCredential: Token request error: 400, No such identity.",
        ),
        (
            "EnvironmentCredential: Authentication failed: AADSTS7000215: Invalid client secret",
            "EnvironmentCredential: Authentication failed: AADSTS7000215: Invalid client secret",
        ),
    ],
)
def test_the_credential_that_is_set_up_has_the_word(line: str, reason: str) -> None:
    """All others only say that they are not."""
    assert signin.reason(f"{PREFACE}{NOT_SET_UP}\t{line}\nTo mitigate, see a page") == reason


def test_without_any_credential_the_ways_to_sign_in_are_named() -> None:
    """A person at a desk, a pipeline and a function app each have one."""
    told = signin.reason(PREFACE + NOT_SET_UP)

    assert told
    assert told.startswith("nobody is signed in; ")
    assert "`az login`" in told


def test_another_text_tells_nothing() -> None:
    """A credential that worked before speaks for itself."""
    assert signin.reason("AADSTS700016: no application") is None


def test_an_untrusted_connection_names_the_setting_that_helps() -> None:
    """It is the same for tokens and for ARM itself."""
    assert "REQUESTS_CA_BUNDLE" in signin.advice("[SSL: CERTIFICATE_VERIFY_FAILED] no issuer")
    assert signin.advice("connection refused") == ""
