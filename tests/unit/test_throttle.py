"""What is nearly used up is not asked for, and whoever waits has a turn of his own."""

import logging
import random
import threading
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from reconciler.azure import throttle
from reconciler.azure.throttle import GRAPH, Bucket, Throttle, bucket_of
from reconciler.errors import Again
from reconciler.ids import ResourceId
from tests.world.ids import SUB

GROUP = ResourceId.parse(f"{SUB}/resourceGroups/rg")
VM = ResourceId.parse(f"{GROUP}/providers/Microsoft.Compute/virtualMachines/vm1")
OTHER = ResourceId.parse(f"{GROUP}/providers/Microsoft.Compute/virtualMachines/vm2")
SET = ResourceId.parse(f"{GROUP}/providers/Microsoft.Compute/virtualMachineScaleSets/set")
STORE = ResourceId.parse(f"{GROUP}/providers/Microsoft.Storage/storageAccounts/store")
READS = bucket_of(GROUP, "read")
WRITES = bucket_of(GROUP, "write")
LEFT = "x-ms-ratelimit-remaining-"
BUDGET = f"{LEFT}resource"
SECOND = timedelta(seconds=1)


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Return the time."""
        return self.moment

    def forward(self, seconds: float) -> None:
        """Let time pass."""
        self.moment += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    """Noon."""
    return Clock()


@pytest.fixture
def busy(clock: Clock) -> Throttle:
    """A throttle that knows of nothing yet."""
    return Throttle(clock, random.Random(7))


def wait(busy: Throttle, bucket: Bucket) -> timedelta | None:
    """Ask for a call; returns how long it is put off, or none where it may be sent."""
    try:
        busy.check(bucket)
    except Again as error:
        return error.retry_after
    return None


def answered(busy: Throttle, bucket: Bucket, **headers: str) -> None:
    """Make a call whose answer has some headers, underscores for dashes."""
    busy.check(bucket)
    busy.note({name.replace("_", "-"): text for name, text in headers.items()})
    busy.done(bucket)


def update(resource: ResourceId = VM, region: str = "westeurope") -> Bucket:
    """Return the bucket of a PATCH."""
    return bucket_of(resource, "write", region)


def patched(busy: Throttle, left: int, bucket: Bucket | None = None) -> None:
    """Make a PATCH whose answer shows what the machine has left."""
    busy.check(bucket or update())
    busy.note(
        {
            BUDGET: "Microsoft.Compute/UpdateVMSubscriptionMaximum;1498,"
            f"Microsoft.Compute/UpdateVMResource;{left}"
        }
    )


def test_what_nobody_refused_is_asked_for(busy: Throttle) -> None:
    """However often."""
    assert {wait(busy, READS) for _ in range(1000)} == {None}


def test_a_call_that_is_put_off_says_so(busy: Throttle) -> None:
    """It looks like Azure's own refusal, but for the code; its log line was written already."""
    busy.close(READS, 40 * SECOND)
    with pytest.raises(Again, match=r"read calls in 1111.* are throttled") as caught:
        busy.check(READS)

    assert (caught.value.status, caught.value.code) == (429, throttle.DEFERRED)


def test_a_429_closes_its_kind_of_call_in_its_subscription(busy: Throttle, clock: Clock) -> None:
    """For as long as Azure asked; the caller comes back then, all others after him."""
    busy.check(READS)
    busy.note({}, "")
    assert busy.close(READS, 40 * SECOND) == 40 * SECOND
    elsewhere = Bucket("22222222-2222-2222-2222-222222222222", "read")

    put_off = wait(busy, READS)
    assert put_off is not None
    assert 40 * SECOND < put_off < 41 * SECOND
    assert wait(busy, WRITES) is None
    assert wait(busy, elsewhere) is None
    clock.forward(40)
    assert wait(busy, READS) is None


@pytest.mark.parametrize(
    ("asked", "kept"), [(None, 10), (0, 1), (3600, 3600), (3601, 3600), (10**9, 3600)]
)
def test_a_wait_has_a_default_and_a_limit(busy: Throttle, asked: int | None, kept: int) -> None:
    """Ten seconds where Azure does not say, an hour where it says too much."""
    busy.check(READS)

    told = None if asked is None else timedelta(seconds=asked)
    assert busy.close(READS, told) == timedelta(seconds=kept)


@pytest.mark.parametrize(
    ("bucket", "apart"),
    [(READS, 6 / 25), (WRITES, 1 / 10), (bucket_of(GROUP, "delete"), 1 / 10), (GRAPH, 1 / 3)],
)
def test_turns_are_spread_over_the_time_that_the_bucket_needs(
    busy: Throttle, bucket: Bucket, apart: float
) -> None:
    """One after the other as it fills, not all in the second in which it opens.

    Who waits for a read comes back with a whole look.
    """
    busy.check(bucket)
    busy.close(bucket, 5 * SECOND)
    turns = [turn.total_seconds() for _ in range(100) if (turn := wait(busy, bucket))]

    assert len(turns) == 100
    assert turns[0] > 5
    assert 5 + 99 * apart <= turns[-1] <= 6 + 101 * apart
    gaps = [later - earlier for earlier, later in pairwise(turns)]
    assert len({round(gap, 6) for gap in gaps}) > 50
    assert all(-apart <= gap <= 2 * apart for gap in gaps)


@pytest.mark.parametrize("kind", ["read", "write", "delete"])
@pytest.mark.parametrize(("place", "header"), [(GROUP, "subscription"), (None, "tenant")])
def test_headers_tell_when_a_bucket_is_nearly_empty(
    busy: Throttle, clock: Clock, kind: str, place: ResourceId | None, header: str
) -> None:
    """What is left is used but for a few calls, then as fast as it comes in; nothing is refused."""
    bucket = bucket_of(place, kind) if place else Bucket(throttle.TENANT, kind)
    busy.check(bucket)
    busy.note({f"{LEFT}{header}-{kind}s": "12"})

    assert [wait(busy, bucket) is None for _ in range(3)] == [True, True, False]
    clock.forward(0.5)
    more = [wait(busy, bucket) is None for _ in range(20)].count(True)
    assert 4 <= more <= 13
    clock.forward(60)
    assert {wait(busy, bucket) for _ in range(200)} == {None}


def test_time_that_passes_between_two_looks_at_the_clock_closes_nothing() -> None:
    """A real clock never stands."""
    clock = Clock()

    def ticking() -> datetime:
        clock.forward(0.0001)
        return clock()

    busy = Throttle(ticking)
    answered(busy, GRAPH, x_ms_user_quota_remaining="14")
    assert wait(busy, GRAPH) is None
    busy.close(WRITES, SECOND)
    clock.forward(1)
    assert wait(busy, WRITES) is None


def test_a_call_is_counted_before_its_answer_comes(busy: Throttle) -> None:
    """Many are under way at once; an answer that is overtaken shows too much."""
    busy.check(READS)
    busy.note({f"{LEFT}subscription-reads": "20"})
    for _ in range(5):
        busy.check(READS)
    busy.note({f"{LEFT}subscription-reads": "19"})

    assert [wait(busy, READS) is None for _ in range(6)].count(True) == 5


def test_an_answer_shows_what_is_left_once_no_other_is_awaited(busy: Throttle) -> None:
    """Where more comes in than is known of, as much is used."""
    for _ in range(100):
        answered(busy, GRAPH, x_ms_user_quota_remaining="14")

    assert [wait(busy, GRAPH) for _ in range(14)] == [None] * 14
    assert wait(busy, GRAPH) is not None


def test_who_shares_a_bucket_takes_a_share(busy: Throttle, clock: Clock) -> None:
    """Where each answer shows less than it should, others ask too: turns lie farther apart."""
    answered(busy, READS, x_ms_ratelimit_remaining_subscription_reads="12")
    first = wait_for_turns(busy)
    for _ in range(20):
        clock.forward(1)
        answered(busy, READS, x_ms_ratelimit_remaining_subscription_reads="11")
    shared = wait_for_turns(busy)

    assert shared > 3 * first


def wait_for_turns(busy: Throttle) -> float:
    """Return by how much the turns of those who are put off lie apart."""
    turns = [turn for _ in range(12) if (turn := wait(busy, READS))]
    return (turns[-1] - turns[0]).total_seconds() / (len(turns) - 1)


def test_sweeps_leave_queries_to_looks(busy: Throttle, clock: Clock) -> None:
    """Five of the fifteen of each window."""
    sweep = GRAPH._replace(leave=5)
    busy.check(sweep)
    busy.note({"x-ms-user-quota-remaining": "14", "x-ms-user-quota-resets-after": "00:00:05"})

    assert [wait(busy, sweep) for _ in range(9)] == [None] * 9
    put_off = wait(busy, sweep)
    assert put_off is not None
    assert [wait(busy, GRAPH) for _ in range(5)] == [None] * 5
    assert wait(busy, GRAPH) is not None
    clock.forward(1)
    assert wait(busy, sweep) is not None
    assert wait(busy, GRAPH) is None


@pytest.mark.parametrize(("resets", "seconds"), [("00:00:05", 5), ("00:01:00", 60), ("soon", 0)])
def test_a_used_up_quota_is_waited_for(
    busy: Throttle, clock: Clock, resets: str, seconds: int
) -> None:
    """Until the time that the header names; then it is whole again."""
    busy.check(GRAPH)
    busy.note({"x-ms-user-quota-remaining": "0", "x-ms-user-quota-resets-after": resets})

    put_off = wait(busy, GRAPH)
    assert put_off is not None
    assert seconds <= put_off.total_seconds() <= seconds + 1
    clock.forward(seconds + 1)
    assert wait(busy, GRAPH) is None


def test_a_machine_keeps_its_last_update(busy: Throttle, clock: Clock) -> None:
    """Its own budget is twelve, four a minute; nobody else waits for it."""
    patched(busy, 2)
    patched(busy, 1)

    put_off = wait(busy, update())
    assert put_off is not None
    assert timedelta(seconds=15) <= put_off <= timedelta(seconds=30)
    assert wait(busy, update(OTHER)) is None
    assert wait(busy, WRITES) is None
    assert wait(busy, bucket_of(VM, "read", "")) is None
    clock.forward(15)
    assert wait(busy, update()) is None


@pytest.mark.parametrize(
    "name",
    ["UpdateVMResource", "VMScaleSetActionsResource", "DeleteVMScaleSetResource"],
)
def test_a_refusal_for_the_resource_s_own_sake_stops_no_neighbour(
    busy: Throttle, name: str
) -> None:
    """Whether the header names what stands at 0, or only the body does (issues)."""
    for headers, body in (
        ({BUDGET: f"Microsoft.Compute/XSubscriptionMaximum;7,Microsoft.Compute/{name};0"}, ""),
        ({}, f'{{"error": {{"details": [{{"code": "TooManyRequests", "target": "{name}"}}]}}}}'),
    ):
        own = update(SET if "Set" in name else VM)
        busy.check(own)
        busy.note(headers, body)
        assert busy.close(own, 24 * SECOND) >= 24 * SECOND

        assert wait(busy, own) is not None
        assert wait(busy, update(OTHER)) is None
        busy = Throttle(busy.now)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({BUDGET: "Microsoft.Compute/UpdateVMSubscriptionMaximum;0"}, ""),
        ({}, '{"error": {"details": [{"target": "HighCostGetVMScaleSet3Min"}]}}'),
        ({}, "not JSON"),
        ({BUDGET: "Microsoft.Compute/VmssQueuedVMOperations;0"}, ""),
        ({BUDGET: "torn;;0,Microsoft.Compute/UpdateVMResource;9999999999999999999"}, ""),
    ],
)
def test_a_refusal_for_all_of_a_region_stops_that_region(
    busy: Throttle, headers: dict[str, str], body: str
) -> None:
    """Compute counts by subscription and region; other providers and regions go on."""
    busy.check(update())
    busy.note(headers, body)
    busy.close(update(), 24 * SECOND)

    assert wait(busy, update()) is not None
    assert wait(busy, update(OTHER, "WestEurope")) is not None
    assert wait(busy, update(OTHER, "northeurope")) is None
    assert wait(busy, update(STORE)) is None


def test_one_subscription_has_one_bucket_however_it_is_spelt() -> None:
    """Ids in events and lists differ in case."""
    guid = "aaaaaaaa-1111-1111-1111-111111111111"
    spelt = [ResourceId.parse(f"/subscriptions/{each}") for each in (guid, guid.upper())]

    assert len({bucket_of(each, "read") for each in spelt}) == 1
    assert len({update(ResourceId.parse(each)) for each in (str(VM), str(VM).upper())}) == 1


def test_a_refusal_by_arm_itself_stops_all_of_its_kind(busy: Throttle) -> None:
    """Whoever would have answered."""
    busy.check(update())
    busy.note({"x-ms-failure-cause": "gateway"}, "SubscriptionRequestsThrottled")
    busy.close(update(), 4 * SECOND)

    assert wait(busy, update(OTHER, "northeurope")) is not None
    assert wait(busy, update(STORE)) is not None
    assert wait(busy, bucket_of(VM, "read", "")) is None


@pytest.mark.parametrize(
    "hostile",
    [
        {f"{LEFT}subscription-reads": "-1"},
        {f"{LEFT}subscription-reads": "many"},
        {f"{LEFT}subscription-reads": "\N{ARABIC-INDIC DIGIT ZERO}"},
        {f"{LEFT}subscription-reads": "9" * 5000},
        {BUDGET: "Microsoft.Compute/UpdateVMResource"},
        {"x-ms-user-quota-remaining": "", "x-ms-user-quota-resets-after": "99:99:99"},
    ],
)
def test_headers_that_say_nothing_close_nothing(busy: Throttle, hostile: dict[str, str]) -> None:
    """Nor do they raise."""
    busy.check(bucket_of(VM, "read", ""))
    busy.note(hostile)

    assert {wait(busy, READS) for _ in range(300)} == {None}


def test_one_line_tells_of_all_that_wait(busy: Throttle, caplog: pytest.LogCaptureFixture) -> None:
    """A storm of a thousand would write as many."""
    busy.check(READS)
    busy.close(READS, 40 * SECOND)
    with caplog.at_level(logging.WARNING):
        for _ in range(1000):
            wait(busy, READS)
        for _ in range(10):
            busy.close(READS, 40 * SECOND)

    assert len(caplog.records) <= 1


def test_what_is_remembered_is_bounded(busy: Throttle, clock: Clock) -> None:
    """The oldest goes first; what is full again is forgotten when it is asked for."""
    for number in range(throttle._ENTRIES + 500):  # noqa: SLF001 (no other way to see the memory)
        own = bucket_of(
            ResourceId.parse(f"{GROUP}/providers/Microsoft.Compute/virtualMachines/v{number}"),
            "write",
            region="",
        )
        patched(busy, 0, own)
    assert len(busy._levels) == throttle._ENTRIES  # noqa: SLF001
    assert wait(busy, own) is not None

    clock.forward(60)
    assert wait(busy, own) is None
    assert len(busy._levels) == throttle._ENTRIES - 1  # noqa: SLF001


def test_threads_share_what_is_left(busy: Throttle) -> None:
    """Together they take no more than there is, and their answers are not mixed up."""
    busy.check(READS)
    busy.note({f"{LEFT}subscription-reads": "60"})
    taken: list[bool] = []

    def ask() -> None:
        taken.extend(wait(busy, READS) is None for _ in range(50))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(taken) == 400
    assert taken.count(True) == 50
