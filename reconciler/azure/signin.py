"""Why no token is to be had, out of what azure-identity says of each credential that it tried.

`reconciler.azure.failures` asks. Most of them only say that they are not set up; what counts is the
one that is, and its own reason.
"""

import re
from typing import Final

# The sentence before a managed identity's answer is wrong where the answer is App Service's.
_TRIED: Final = re.compile(
    r"^\t(\w+Credential): "
    r"(?:App Service managed identity configuration not found in environment\. )?(.+)$",
    re.MULTILINE,
)
_NOT_SET_UP: Final = re.compile(
    r"unavailable|not found on path|is not installed|could not be found|No accounts were found"
    r"|requires the|'az login'|'azd auth login'|Connect-AzAccount"
)
_NOBODY: Final = (
    "nobody is signed in; use a managed identity, the AZURE_* variables of a service principal, "
    "or `az login`"
)
_UNTRUSTED: Final = "CERTIFICATE_VERIFY_FAILED"


def reason(text: str) -> str | None:
    """Return why those credentials that are set up failed; none where the text does not tell."""
    tried = _TRIED.findall(text)
    if not tried:
        return None
    reasons = [f"{name}: {said}" for name, said in tried if not _NOT_SET_UP.search(said)]
    return "; ".join(reasons) or _NOBODY


def advice(text: str) -> str:
    """Return what helps against a connection that is not trusted, or nothing."""
    return "; name its authority's file in REQUESTS_CA_BUNDLE" if _UNTRUSTED in text else ""
