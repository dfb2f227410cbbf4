"""Few places, roles, principals and identities, so that they meet often."""

from hypothesis import strategies as st

from reconciler.model import Mode
from reconciler.policy.model import GuardrailGrant
from tests.world.builders import (
    APP,
    CONTEXT,
    CROWN,
    DATA,
    ELSEWHERE,
    HOME,
    LAB,
    MAKER,
    NEW,
    OF_APP,
    OLD,
    OURSELVES,
    SECOND,
    SUB,
    below,
)
from tests.world.ids import BLOB_READER, CONTRIBUTOR, READER

CUSTOM = "11111111-2222-4333-8444-555555555555"
DEFINITION = f"/providers/Microsoft.Authorization/roleDefinitions/{CUSTOM}"
_MORE = GuardrailGrant.model_validate({"scope": str(DATA), "roles": [DEFINITION]})
RAILS = CONTEXT.guardrails.model_copy(update={"grants": (*CONTEXT.guardrails.grants, _MORE)})
"""Those of the builders, and a custom role."""

# Mostly what is sound and ours to change, so that much is changed, and now and then what is not.
scopes = st.just(DATA) | st.sampled_from((DATA, LAB, HOME, SUB, below(DATA, "providers/a.b/c/d")))
roles = st.sampled_from((READER, BLOB_READER, CONTRIBUTOR, CUSTOM))
principals = st.sampled_from((OLD, NEW, NEW, OF_APP, OF_APP, MAKER))
identities = st.sampled_from((APP, APP, SECOND, SECOND, CROWN, OURSELVES, ELSEWHERE))
conditions = st.sampled_from((None, "@Resource[name] StringEquals 'a'"))
modes = st.sampled_from((Mode.REPAIR, Mode.REPAIR, Mode.REPAIR, Mode.AUDIT))
booleans = st.booleans()
