"""Errors say where the mistake is, and their tree decides what may be tried again."""

import pytest

from reconciler import errors


def test_a_policy_error_has_all_problems_in_reading_order() -> None:
    """Editors jump to `file:line:column`; lines count as numbers, not as text."""
    late = errors.Problem("a.yaml", 10, 1, "unknown key")
    early = errors.Problem("a.yaml", 9, 5, "unknown role")
    other = errors.Problem("b.yaml", 1, 1, "missing version")

    found = errors.PolicyError((other, late, early))

    assert found.problems == (early, late, other)
    assert str(found) == (
        "a.yaml:9:5: unknown role\na.yaml:10:1: unknown key\nb.yaml:1:1: missing version"
    )


def test_an_arm_error_keeps_what_support_asks_for() -> None:
    """Status, code and request id stand beside the text; without an answer they are empty."""
    refused = errors.Blocked("no right", status=403, code="AuthorizationFailed", request_id="r-1")
    silent = errors.Again("timed out")

    assert str(refused) == "no right"
    assert (refused.status, refused.code, refused.request_id) == (403, "AuthorizationFailed", "r-1")
    assert (silent.status, silent.code, silent.request_id) == (0, "", "")
    assert silent.retry_after is None


@pytest.mark.parametrize("kind", [errors.Blocked, errors.Rejected])
def test_what_somebody_must_act_on_says_how(kind: type[errors.ArmError]) -> None:
    """Its text ends in the next step, once, also after it was said what the call was for."""
    error = kind("no right", status=403)
    error.next_step = "give it"
    error.about("reading x")

    assert str(error) == "reading x: no right; give it"
    assert error.reason == "reading x: no right"
    assert str(kind("no right")) == "no right"


def test_what_passes_is_told_without_a_next_step() -> None:
    """Nobody has to do anything until it is given up; then the step is at hand."""
    error = errors.Again("not yet")
    error.next_step = "look whether it is there"

    assert str(error) == "not yet"


@pytest.mark.parametrize(
    ("kind", "passing"),
    [
        (errors.Again, True),
        (errors.Conflict, True),
        (errors.NotFound, False),
        (errors.AlreadyExists, False),
        (errors.Blocked, False),
        (errors.Rejected, False),
    ],
)
def test_only_passing_failures_are_tried_again(
    kind: type[errors.ArmError], *, passing: bool
) -> None:
    """Whoever catches `Again` gets conflicts too, and nothing that needs a person."""
    assert issubclass(kind, errors.Again) is passing


@pytest.mark.parametrize(
    "kind",
    [
        errors.SettingsError,
        errors.PolicyError,
        errors.MessageError,
        errors.ResourceIdError,
        errors.ArmError,
    ],
)
def test_every_error_of_ours_has_one_root(kind: type[Exception]) -> None:
    """The command line prints these without a traceback; anything else is a bug."""
    assert issubclass(kind, errors.ReconcilerError)
