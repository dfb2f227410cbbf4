"""What a plan says besides its changes, and the order in which these come."""

from reconciler.changes import Reason
from reconciler.model import Ending, Sight, Sighting, Traces
from reconciler.plan import plan
from tests.unit.plan_cases import DEAD, HERE, attach, create, delete, detach, update
from tests.world.builders import (
    APP,
    CONTEXT,
    CROWN,
    DATA,
    LONG_AGO,
    LOOK,
    NEW,
    NOTHING,
    OLD,
    SECOND,
    SETTLE,
    VM,
    WITH_REMOVALS,
    assignment,
    attached,
    below,
    both,
    entry,
    granted,
    machine,
    observed,
    user_identity,
)
from tests.world.ids import BLOB_READER, NOON

_VAULT = "providers/Microsoft.KeyVault/vaults/kv"


def test_a_passing_hold_says_when_it_lifts() -> None:
    """The next look is due then, not before."""
    young = plan(
        attached(), observed(machine(created=NOON), identities=HERE), LOOK, CONTEXT
    ).withheld[0]
    gone = plan(NOTHING, observed(None, assignment(OLD)), LOOK, CONTEXT).withheld[0]
    dead = plan(
        attached(), observed(machine(entry(principal=OLD)), identities=HERE), LOOK, CONTEXT
    ).withheld[0]

    assert young.until == NOON + SETTLE
    assert gone.until == NOON + 10 * SETTLE
    assert dead.until == NOON + SETTLE


def test_a_plan_says_what_was_seen() -> None:
    """A later look compares: the same dead entry, or gone once more."""
    dead = plan(attached(), observed(machine(entry(principal=OLD)), identities=HERE), LOOK, CONTEXT)
    gone = plan(NOTHING, observed(None), LOOK, CONTEXT)

    assert dead.sightings == (Sighting(NOON, Sight.DEAD_ENTRY, DEAD),)
    assert gone.sightings == (Sighting(NOON, Sight.GONE),)
    assert plan(NOTHING, observed(machine()), LOOK, CONTEXT).sightings == ()


def test_changes_come_in_the_order_in_which_they_are_safe() -> None:
    """The dead make room first, what a live principal no longer needs goes last."""
    unwanted = assignment(role=BLOB_READER, scope=below(DATA, f"{_VAULT}-2"))
    stale = assignment(scope=below(DATA, _VAULT), description=None)
    planned = plan(
        both(both(attached(), attached(SECOND)), both(granted(), granted(scope=stale.scope))),
        observed(
            machine(entry(SECOND), entry(CROWN)),
            unwanted,
            stale,
            assignment(OLD),
            identities={APP: user_identity(), SECOND: None},
            confirmed=True,
            traces=Traces({VM: NEW}),
            endings={SECOND: Ending(LONG_AGO), VM: Ending()},
        ),
        WITH_REMOVALS,
        CONTEXT,
    )

    assert planned.changes == (
        delete(assignment(OLD), Reason.PRINCIPAL_REPLACED),
        detach(Reason.IDENTITY_GONE, SECOND),
        attach(),
        create(),
        update(stale),
        delete(unwanted),
    )
