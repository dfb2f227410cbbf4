"""What the tests of the sweep share: machines that need nothing, and what was nominated."""

from reconciler.changes import Result
from tests.world.cloud import Cloud
from tests.world.ids import DATA, machine
from tests.world.policies import Content, policy, rule

GRAPH = "/microsoft.resourcegraph/"
OWN = {("Reader", "rg-app")}


def ids(result: Result) -> set[str]:
    """Return the names of what a sweep nominated."""
    return {request.id.name for request in result.requests}


def fleet(cloud: Cloud, count: int) -> list[str]:
    """Build machines and let the app bring them to what policy asks."""
    places = [machine(f"vm{number}") for number in range(1, count + 1)]
    for place in places[1:]:
        cloud.build(place)
    cloud.sweep()
    cloud.pass_time()
    cloud.wire.calls.clear()
    return places


def machines_lost_their_rule() -> Content:
    """Return policy that speaks of no machine any more."""
    return policy(rule(within=[DATA]))
