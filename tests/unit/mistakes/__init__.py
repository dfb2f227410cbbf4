"""The mistakes that a policy file can hold, by subject; loader and schemas are tested with all."""

from tests.unit.mistakes import (
    documents,
    exemptions,
    guardrails,
    identities,
    keys,
    matches,
    names,
    scopes,
)
from tests.unit.policy_files import Mistakes

MISTAKES: Mistakes = {
    **documents.MISTAKES,
    **keys.MISTAKES,
    **scopes.MISTAKES,
    **matches.MISTAKES,
    **identities.MISTAKES,
    **exemptions.MISTAKES,
    **names.MISTAKES,
    **guardrails.MISTAKES,
}
