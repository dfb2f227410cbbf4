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

TABLES = (
    documents.MISTAKES,
    keys.MISTAKES,
    scopes.MISTAKES,
    matches.MISTAKES,
    identities.MISTAKES,
    exemptions.MISTAKES,
    names.MISTAKES,
    guardrails.MISTAKES,
)
MISTAKES: Mistakes = {name: row for table in TABLES for name, row in table.items()}

assert len(MISTAKES) == sum(map(len, TABLES)), "two mistakes have one name"
