"""Whatever is in a policy file, the loader takes it or tells its mistakes."""

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.errors import PolicyError
from reconciler.policy.load import load
from tests.unit.policy_files import (
    GOOD,
    GUARDRAILS,
    MAPS,
    PLACED,
    SUB,
    exempt,
    grant,
    rule,
    written,
)

WORDS = [
    *("version", "rules", "identities", "name", "within", "match", "type", "attach", "system"),
    *(
        *("exclusive", "allowRestart", "true"),
        *("exemptions", "reason", "expires", "2027-01-31"),
        "ensure",
        "present",
        "maps",
        "location",
        "kind",
        "rollout",
        "{maps.m[location]}",
        "{maps.m[tags.a]}",
        "m",
        "a",
    ),
    *("grants", "role", "scope", "mode", "repair", "tags", "1", "host", "Reader", "{id}", SUB),
    *(": ", "- ", "\n", "\n  ", "\n    ", "{", "}", "[", "]", ",", "'", '"', "&a ", "*a", "!", "|"),
    *("? ", "<<", "---\n", "%", "#", "\t", "~", "\ufeff", "\x85", "\u2028", "\x00", "😀"),
]
FULL = (
    rule(
        rollout="10",
        match="{type: A.B/c, location: west*, kind: app, tags: {a: b}}",
        system="{grants: [{role: Reader, scope: '{maps.vault[tags.env]}/x/y'}]}",
    )
    + MAPS
)
ENSURED = f"{PLACED}    ensure: present\n    location: '{{location}}'\n    tags: {{a: b}}\n"
TEXTS = st.one_of(st.text(), st.lists(st.sampled_from(WORDS)).map("".join))


@st.composite
def changed(draw: st.DrawFn) -> str:
    """Return a good file in which one piece is replaced."""
    text = draw(st.sampled_from([GOOD, GUARDRAILS, grant(), rule(), FULL, ENSURED, exempt()]))
    start = draw(st.integers(0, len(text)))
    return text[:start] + draw(TEXTS) + text[start + draw(st.integers(0, 30)) :]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(content=st.one_of(st.binary(), TEXTS.map(str.encode), changed().map(str.encode)))
def test_any_input_loads_or_raises_a_policy_error_inside_the_file(
    tmp_path: Path, content: bytes
) -> None:
    for folder, files in (
        ("policy", {"a": content}),
        ("guard", {"a": GOOD, "guardrails": content}),
    ):
        (tmp_path / folder).mkdir(exist_ok=True)
        try:
            policy = load(written(tmp_path / folder, **files))
        except PolicyError as error:
            problems = error.problems
        else:
            problems = ()
            assert policy.rules or policy.identities
        in_files = [one for one in problems if one.file != str(tmp_path / folder)]
        assert all(problem.line > 0 and problem.column > 0 for problem in in_files)
