"""Why no token is to be had, in one line."""

import pytest
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError

from reconciler.azure import failures

PREFACE = "DefaultAzureCredential failed to retrieve a token.\nAttempted credentials:\n"
NOT_SET_UP = (
    "\tEnvironmentCredential: EnvironmentCredential authentication unavailable. Not configured.\n"
    "Visit a page\n"
    "\tAzureCliCredential: Azure CLI not found on path\n"
    "\tAzurePowerShellCredential: PowerShell is not installed\n"
)

APP_SERVICE = "App Service managed identity configuration not found in environment."


def reason(text: str) -> str:
    """Return why a credential that says so failed."""
    error = failures.from_exception("asking", ClientAuthenticationError(text))
    return error.reason.removeprefix("asking: cannot sign in: ")


@pytest.mark.parametrize(
    ("line", "why"),
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
def test_the_credential_that_is_set_up_has_the_word(line: str, why: str) -> None:
    """All others only say that they are not."""
    assert reason(f"{PREFACE}{NOT_SET_UP}\t{line}\nTo mitigate, see a page") == why


def test_without_any_credential_the_ways_to_sign_in_are_named() -> None:
    """A person at a desk, a pipeline and a function app each have one."""
    why = reason(PREFACE + NOT_SET_UP)

    assert why.startswith("nobody is signed in; ")
    assert "`az login`" in why


def test_another_text_is_quoted_to_its_first_line() -> None:
    """A credential that worked before speaks for itself."""
    assert reason("AADSTS700016: no application\nTrace") == "AADSTS700016: no application"


def test_an_untrusted_connection_names_the_setting_that_helps() -> None:
    """It is the same for tokens and for ARM itself."""
    untrusted = ServiceRequestError("[SSL: CERTIFICATE_VERIFY_FAILED] no issuer")
    refused = ServiceRequestError("connection refused")

    assert "REQUESTS_CA_BUNDLE" in reason("[SSL: CERTIFICATE_VERIFY_FAILED] no issuer")
    assert "REQUESTS_CA_BUNDLE" in str(failures.from_exception("asking", untrusted))
    assert "REQUESTS_CA_BUNDLE" not in str(failures.from_exception("asking", refused))
