"""A plan and its fingerprint do not hang on the order and spelling of answers."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from reconciler.ids import ResourceId
from reconciler.model import AttachedIdentity, Observed, Resource
from reconciler.plan import plan
from tests.properties import planning
from tests.properties.planning import Case


@given(planning.cases, st.randoms())
def test_order_and_fingerprint_do_not_depend_on_the_order_of_answers(
    case: Case, random: Random
) -> None:
    """Lists come in any order, and so do rules."""

    def shuffled[T](values: tuple[T, ...]) -> tuple[T, ...]:
        return tuple(random.sample(values, len(values)))

    made, wanted, found = case.plan, case.wanted, case.found
    again = plan(
        replace(
            wanted,
            attach=shuffled(wanted.attach),
            grants=shuffled(wanted.grants),
            unresolved=shuffled(wanted.unresolved),
            ensured=shuffled(wanted.ensured),
            unwelcome=shuffled(wanted.unwelcome),
        ),
        replace(
            found,
            assignments=shuffled(found.assignments),
            identities=dict(shuffled(tuple(found.identities.items()))),
        ),
        case.request,
        replace(case.context, exemptions=shuffled(case.context.exemptions)),
    )

    assert again.changes == made.changes
    assert again.withheld == made.withheld
    assert again.fingerprint == made.fingerprint


@given(planning.cases)
def test_a_fingerprint_does_not_depend_on_casing_times_or_etags(case: Case) -> None:
    """A plan that a person approved is the same plan a moment later."""
    upper = replace(case, found=_spelled(case.found, str.upper)).plan
    lower = replace(case, found=_spelled(case.found, str.lower)).plan

    assert upper.fingerprint == lower.fingerprint == case.plan.fingerprint


def _spelled(found: Observed, spell: Callable[[str], str]) -> Observed:
    """Return the same world with ids spelled otherwise, another etag and a moment later."""

    def id_(one: ResourceId) -> ResourceId:
        return ResourceId.parse(spell(str(one)))

    subject = found.subject
    if isinstance(subject, Resource):
        entries = (
            AttachedIdentity(id_(one.id), one.principal) for one in subject.identities.attached
        )
        subject = replace(
            subject,
            id=id_(subject.id),
            etag=subject.etag and f"{subject.etag}1",
            identities=replace(subject.identities, attached=tuple(entries)),
        )
    elif subject:
        subject = replace(subject, id=id_(subject.id))
    assignments = (replace(one, id=id_(one.id), scope=id_(one.scope)) for one in found.assignments)
    return replace(
        found,
        id=id_(found.id),
        at=found.at + timedelta(microseconds=1),
        subject=subject,
        assignments=tuple(assignments),
    )
