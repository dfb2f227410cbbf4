"""What Azure's refusals lead to: again later, blocked, and everything else still done."""

from datetime import timedelta

import pytest

from reconciler.changes import Result, Status
from reconciler.errors import Rejected
from tests.world.cloud import Cloud, blocked
from tests.world.ids import APPS, ASSIGNMENTS, DATA, SHARED, VM, machine
from tests.world.policies import named, policy, rule

ALWAYS = 10_000
GRAPH = "/microsoft.resourcegraph/"
OWN = {("Reader", "rg-app")}


def needy(cloud: Cloud) -> None:
    """Take something of each kind away, so that a look that decided would also write."""
    cloud.world.remove_assignment(cloud.right(cloud.principal()))
    cloud.resource().users.clear()


def two_grants(cloud: Cloud) -> None:
    """Give machines a right at two scopes."""
    scopes = ("{resourceGroup}", DATA)
    cloud.deploy(policy(rule(system={"grants": [{"role": "Reader", "scope": s} for s in scopes]})))


def waits(results: list[Result]) -> list[float]:
    """Return the delays of all copies, in seconds."""
    return [one.again_after.total_seconds() for one in results if one.again_after]


@pytest.mark.parametrize("part", [ASSIGNMENTS, "/virtualmachines/", "/userassignedidentities/"])
@pytest.mark.parametrize("status", [403, 408, 429, 500, 502, 503, 504])
def test_nothing_is_written_while_any_read_is_refused(
    steady: Cloud, part: str, status: int
) -> None:
    """Everything is read or nothing is decided; the request comes again or is blocked."""
    needy(steady)
    steady.wire.answer("GET", part, status, "Refused")
    result = steady.look(VM)

    assert steady.wire.writes == []
    (outcome,) = result.outcomes
    assert (outcome.status is Status.BLOCKED) == (status == 403)
    assert (result.again_after is None) == (status == 403)


@pytest.mark.parametrize("body", [{"value": None}, {}, {"value": [{"id": "/x"}]}, []])
def test_nothing_is_written_after_an_answer_that_cannot_be_read(
    steady: Cloud, body: object
) -> None:
    """A list without rows is no empty list."""
    needy(steady)
    steady.wire.answer("GET", ASSIGNMENTS, 200, body=body)
    result = steady.look(VM)

    assert steady.wire.writes == []
    assert result.again_after is not None


def test_nothing_is_written_while_a_page_is_missing(steady: Cloud) -> None:
    """A list whose second page fails is no list."""
    needy(steady)
    link = f"https://management.azure.com{APPS}{ASSIGNMENTS}?api-version=2022-04-01&$skiptoken=2"
    steady.wire.answer("GET", ASSIGNMENTS, 200, body={"value": [], "nextLink": link})
    steady.wire.answer("GET", ASSIGNMENTS, 500, "InternalServerError")
    result = steady.look(VM)

    assert steady.wire.writes == []
    assert result.again_after is not None


def test_a_second_page_is_read(steady: Cloud) -> None:
    """The next link is followed, on the host that was meant."""
    right = steady.right(steady.principal())
    rows = steady.operator.get(f"{APPS}{ASSIGNMENTS}?$filter=atScope()")["value"]
    mine = [row for row in rows if row["name"] == right.name]
    link = f"https://elsewhere.invalid{APPS}{ASSIGNMENTS}?api-version=2022-04-01&$skiptoken=2"
    steady.wire.answer("GET", ASSIGNMENTS, 200, body={"value": [], "nextLink": link})
    steady.wire.answer("GET", ASSIGNMENTS, 200, body={"value": mine})

    assert steady.look(VM).plans[-1].compliant


def test_retry_after_is_honoured_and_remembered(steady: Cloud) -> None:
    """Until it is over no further call of that kind is sent, whoever asks."""
    steady.wire.answer("GET", ASSIGNMENTS, 429, "Throttled", headers={"Retry-After": "40"})
    first = steady.look(VM)
    sent = len(steady.wire.calls)
    steady.pass_time(10)
    second = steady.look(SHARED)

    assert first.again_after == timedelta(seconds=40)
    assert len(steady.wire.calls) == sent
    assert second.again_after is not None
    # Its turn comes after that of the first.
    assert second.again_after <= timedelta(seconds=31)

    assert second.again is not None
    steady.pass_time(30)
    assert steady.look(second.again).plans[-1].compliant


def test_a_wait_that_only_the_text_names_is_honoured(steady: Cloud) -> None:
    """Some 429 carry no Retry-After."""
    text = "Number of requests exceeded the limit. Please try again after '17' seconds."
    steady.wire.answer("GET", ASSIGNMENTS, 429, "ResourceRequestsThrottled", text=text)

    assert steady.look(VM).again_after == timedelta(seconds=17)


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_conflict_that_names_a_wait_is_tried_again_after_it(cloud: Cloud, method: str) -> None:
    """Looking again at once would meet the same refusal."""
    cloud.wire.answer(method, "/", 409, "RetryableError", headers={"Retry-After": "30"})
    cloud.wire.calls.clear()
    result = cloud.look(VM)
    tried = [call for call in cloud.wire.writes if call.method == method]
    cloud.follow(result)

    assert len(tried) == 1
    assert waits([result]) == [30]
    assert cloud.replan(VM).compliant


def test_throttled_writes_do_not_close_the_reads(steady: Cloud) -> None:
    """ARM counts reads, writes and deletes apart; what could be done is done."""
    two_grants(steady)
    needy(steady)
    steady.wire.answer("PUT", ASSIGNMENTS, 429, "Throttled", headers={"Retry-After": "40"})
    result = steady.look(VM)
    sent = [call.method for call in steady.wire.writes]

    assert sent.count("PUT") == 1
    assert result.again_after == timedelta(seconds=40)
    assert result.again is not None
    steady.pass_time(40)
    steady.drive(result.again)
    assert steady.replan().compliant


def test_delays_double_up_to_five_minutes_and_end_after_an_hour(steady: Cloud) -> None:
    """A request that comes to nothing is asked ever less, then shown to a person."""
    steady.wire.answer("GET", "/virtualmachines/", 500, "InternalServerError", times=ALWAYS)
    results = steady.drive(VM)
    delays = waits(results)

    assert delays == sorted(delays)
    assert delays[0] == 10
    assert max(delays) == 300
    assert 3600 <= sum(delays) <= 3600 + 600
    assert blocked(results)


def test_a_principal_that_is_not_replicated_is_granted_its_right_later(cloud: Cloud) -> None:
    """Entra lags behind the machine; the copy finds it known."""
    cloud.wire.answer("PUT", ASSIGNMENTS, 400, "PrincipalNotFound", times=3)
    results = cloud.drive(VM)

    # The machine's look comes again, and that at the rights of the identity that it was given.
    assert len(waits(results)) == 3
    assert min(waits(results)) >= 10
    assert cloud.rights(cloud.principal()) == OWN


def test_a_principal_that_never_comes_is_blocked_after_ten_minutes(cloud: Cloud) -> None:
    """A directory that does not know it by then never will."""
    began = cloud.clock()
    cloud.wire.answer("PUT", ASSIGNMENTS, 400, "PrincipalNotFound", times=ALWAYS)
    results = cloud.drive(VM)

    assert {one.code for one in blocked(results)} == {"PrincipalNotFound"}
    assert timedelta(minutes=10) <= cloud.clock() - began < timedelta(minutes=25)
    assert cloud.attached() == {"system", "shared"}


@pytest.mark.parametrize("code", ["AuthorizationFailed", "LinkedAuthorizationFailed"])
def test_a_missing_right_is_looked_at_once_more_after_ten_minutes(cloud: Cloud, code: str) -> None:
    """A right that was granted to us a moment ago may need that long to be effective."""
    cloud.deploy(policy(rule(attach=[]), identities={}))
    cloud.wire.answer("PUT", ASSIGNMENTS, 403, code, times=ALWAYS)
    results = cloud.drive(VM)

    assert waits(results) == [600]
    assert {one.code for one in blocked(results)} == {code}
    assert cloud.attached() == {"system"}


def test_a_missing_right_to_attach_is_looked_at_once_more_after_ten_minutes(cloud: Cloud) -> None:
    """Managed Identity Operator on the identity may have come a moment ago, too."""
    cloud.wire.answer(
        "PATCH", "", 403, "LinkedAuthorizationFailed", holding="userAssigned", times=3
    )
    results = cloud.drive(VM)

    # Refused with the other and alone, then once more as soon as the machine is no longer busy.
    assert waits(results) == [10, 600]
    assert cloud.attached() == {"system", "shared"}
    assert cloud.replan().compliant


def test_a_right_that_became_effective_is_used(cloud: Cloud) -> None:
    """The second look is not the last word against us."""
    cloud.wire.answer("PUT", ASSIGNMENTS, 403, "AuthorizationFailed")
    cloud.drive(VM)

    assert cloud.replan().compliant


def test_a_read_that_we_may_not_make_is_looked_at_once_more(steady: Cloud) -> None:
    """AuthorizationFailed on a read is blocked, and tried once more after ten minutes."""
    steady.wire.answer("GET", ASSIGNMENTS, 403, "AuthorizationFailed", times=ALWAYS)
    results = steady.drive(VM)

    assert waits(results) == [600]
    assert blocked(results)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (409, "ScopeLocked"),
        (400, "RoleAssignmentLimitExceeded"),
        (400, "RoleAssignmentUpdateNotPermitted"),
        (403, "RequestDisallowedByPolicy"),
    ],
)
def test_a_refused_grant_is_blocked_and_the_others_are_made(
    cloud: Cloud, status: int, code: str
) -> None:
    """What needs a person is shown, and one refusal stops nothing else."""
    two_grants(cloud)
    cloud.wire.answer("PUT", f"rg-data{ASSIGNMENTS}", status, code, times=ALWAYS)
    results = cloud.drive(VM)

    assert cloud.rights(cloud.principal()) == OWN
    assert cloud.attached() == {"system", "shared"}
    assert [one.code for one in blocked(results)] == [code]
    assert waits(results) == []


def test_a_disabled_subscription_is_asked_once_for_all_its_machines(cloud: Cloud) -> None:
    """Every write would be refused alike; it is remembered for an hour, and reads go on."""
    for place in (other := machine("vm2"), VM):
        cloud.build(place)
    for method in ("PATCH", "PUT", "DELETE"):
        cloud.wire.answer(method, "", 409, "ReadOnlyDisabledSubscription", times=ALWAYS)
    results = cloud.drive(VM, other)

    assert len(cloud.wire.writes) == 1
    assert {one.code for one in blocked(results)} == {"ReadOnlyDisabledSubscription"}
    assert all("have the subscription enabled" in one.next_step for one in blocked(results))

    cloud.wire.clear()
    cloud.drive(other)
    assert len(cloud.wire.writes) == 1

    cloud.pass_time(3600)
    cloud.drive(VM, other)
    assert cloud.replan().compliant
    assert cloud.replan(other).compliant


def test_a_refusal_that_nobody_knows_blocks_no_more_than_its_own_change(cloud: Cloud) -> None:
    """It may be wrong with the machine; it is shown, and is no bug of ours."""
    two_grants(cloud)
    cloud.wire.answer("PUT", f"rg-data{ASSIGNMENTS}", 400, "SomethingNew", times=ALWAYS)
    results = cloud.drive(VM)

    assert [one.code for one in blocked(results)] == ["SomethingNew"]
    assert cloud.rights(cloud.principal()) == OWN
    assert cloud.attached() == {"system", "shared"}


def test_a_locked_retired_right_does_not_stop_the_new_one(steady: Cloud) -> None:
    """A lock keeps the old assignment; the machine gets its right all the same."""
    old = steady.principal()
    steady.build()
    steady.wire.answer("DELETE", ASSIGNMENTS, 409, "ScopeLocked", times=ALWAYS)
    results = steady.drive(VM)

    assert steady.rights(old) == OWN
    assert steady.rights(steady.principal()) == OWN
    assert [one.code for one in blocked(results)] == ["ScopeLocked"]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_call_of_ours_that_is_wrong_is_raised(cloud: Cloud, method: str) -> None:
    """Only our own mistakes end in the poison queue; what else could be done is done."""
    principal = cloud.build().system
    cloud.wire.answer(method, "", 400, "InvalidRequestContent", times=ALWAYS)
    with pytest.raises(Rejected):
        cloud.look(VM)

    assert principal is not None
    assert cloud.rights(principal.oid) == (set() if method == "PUT" else OWN)


def test_a_change_that_somebody_keeps_undoing_is_blocked_as_contended(steady: Cloud) -> None:
    """Three times within an hour is enough of a quarrel; after that hour it is made again."""
    results: list[Result] = []
    for _ in range(4):
        for right in list(steady.world.assignments_of([steady.principal()])):
            steady.world.remove_assignment(right)
        steady.pass_time(60)
        results = steady.drive(VM)

    assert [one.code for one in blocked(results)] == ["Contended"]
    assert steady.rights(steady.principal()) == set()

    steady.pass_time(3600)
    steady.drive(VM)
    assert steady.rights(steady.principal()) == OWN


def test_a_machine_rebuilt_often_is_not_contended(steady: Cloud) -> None:
    """Each incarnation is another machine, however fast they follow each other."""
    for _ in range(5):
        steady.build()
        results = steady.drive(VM)

        assert blocked(results) == []
        assert steady.attached() == {"system", "shared"}


def test_an_index_that_is_down_does_not_hide_what_was_done(steady: Cloud) -> None:
    """After an identity its machines are asked for; failing that, the request comes again."""
    steady.recreate_identity()
    steady.wire.answer("POST", GRAPH, 503, "Unavailable")
    results = steady.drive(SHARED)

    assert results[0].again_after is not None
    assert steady.attached() == {"system", "shared"}
    assert steady.replan(SHARED).compliant


def test_identities_that_only_others_name_are_not_read(cloud: Cloud) -> None:
    """Policy may name more identities than a machine wants."""
    cloud.deploy(policy(identities=named() | named("other")))
    cloud.drive(VM)

    assert not [call for call in cloud.wire.calls if call.path.endswith("/other")]
