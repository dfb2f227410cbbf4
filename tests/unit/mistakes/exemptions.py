"""Mistakes in exemptions."""

from tests.unit.policy_files import SUB, Mistakes, exempt

MISTAKES: Mistakes = {
    "an exemption without a reason": (
        f"version: 1\nexemptions:\n  - {{scope: {SUB}, expires: 2027-01-31}}\n",
        "3:5",
        "missing key 'reason'",
    ),
    "an exemption with an empty reason": (exempt(reason="' '"), "4:13", "the reason is empty"),
    "an exemption without an end": (exempt(expires="-"), "3:5", "missing key 'expires'"),
    "an exemption until no date": (
        exempt(expires="31.01.2027"),
        "5:14",
        "'31.01.2027' is not a date: write one such as 2027-01-31",
    ),
    "an exemption until a day that is none": (
        exempt(expires="2027-02-30"),
        "5:14",
        "is not a date",
    ),
    "an exemption until a year": (
        exempt(expires="2027"),
        "5:14",
        "'2027' is not a date: write one",
    ),
    "an exemption of everything": (exempt(scope="/"), "3:12", "not inside a subscription"),
    "an exemption by a glob": (
        exempt(scope=f"{SUB}/resourceGroups/rg?"),
        "3:12",
        "may not contain",
    ),
    "a near miss in an exemption": (exempt(expired="2027-01-31"), "6:5", "did you mean 'expires'?"),
}
