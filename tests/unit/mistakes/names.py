"""Mistakes in names that lead elsewhere, and names that are taken."""

from tests.unit.policy_files import GOOD, UAI, Mistakes, identity, rule

MISTAKES: Mistakes = {
    "unknown identity": (
        GOOD.replace("attach: [host]", "attach: [hots]"),
        "9:14",
        "unknown identity 'hots'; did you mean 'host'?",
    ),
    "unknown identity without a near one": (
        GOOD.replace("attach: [host]", "attach: [xyz]"),
        "9:14",
        "define it under 'identities'",
    ),
    "two identities with one id": (
        identity() + f"  b:\n    id: {UAI.upper()}/A\n".replace("/SUBSCRIPTIONS", "/subscriptions"),
        "6:9",
        "already defined in",
    ),
    "two rules with one name": (
        rule() + rule().partition("rules:\n")[2],
        "7:11",
        "rule 'r' is already defined in",
    ),
    "an id attached": (rule(attach=f"[{UAI}/a]"), "7:14", "under 'identities' and attach its name"),
}
