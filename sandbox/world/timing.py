"""When what was written becomes visible, counts and is told: the behaviour in time, as a table.

`tools/fidelity.py` shows it. Each row names the switch of ``faults`` that sets it, if one does.
"""

import dataclasses
import enum

from sandbox.arm.routing import Evidence


class Moment(enum.Enum):
    """What a row is about."""

    VISIBLE = "visible when"
    EFFECTIVE = "effective when"
    TOLD = "told when"


@dataclasses.dataclass(frozen=True, slots=True)
class Timing:
    """One thing that takes its time, or that does not."""

    moment: Moment
    what: str
    when: str
    """What happens, and how long it takes in Azure as far as that is known."""
    evidence: Evidence
    source: str
    switches: tuple[str, ...] = ()
    """Fields of ``Faults``; none: it is always so."""


TIMINGS = (
    Timing(
        Moment.VISIBLE,
        "a new, recreated or moved resource: its GET, ARM's `/resources` lists",
        "404 with `x-ms-failure-cause: gateway`, and missing, for seconds to minutes: ARM's own "
        "index is behind",
        Evidence.ISSUES,
        "facts: Visibility: azurerm #18268, sdk-for-go #21608, rest-api-specs #20324",
        ("index_delay",),
    ),
    Timing(
        Moment.VISIBLE,
        "the same: lists of its provider in the group or subscription",
        "at once",
        Evidence.ASSUMED,
        "facts: Visibility: these lists show the provider's own bodies and spelling",
    ),
    Timing(
        Moment.VISIBLE,
        "the same: PUT, PATCH, POST, DELETE",
        "at once: writes reach the provider",
        Evidence.ASSUMED,
        "facts: Visibility tell of reads only",
    ),
    Timing(
        Moment.VISIBLE,
        "a resource that is deleted",
        "there, as `Deleting`, until the operation has ended; then 404 at once",
        Evidence.DOCUMENTED,
        "facts: Machines; that the index loses it at once is assumed",
        ("operation_delay", "operation_jitter"),
    ),
    Timing(
        Moment.VISIBLE,
        "an identity that is attached",
        "in the PATCH's own answer; its principal only when the operation has ended, 0.1 to 8.4 s; "
        "a scale set shows no principal of any identity until then",
        Evidence.RECORDED,
        "facts: Machines and Visibility and Scale sets",
        ("operation_delay", "operation_jitter"),
    ),
    Timing(
        Moment.VISIBLE,
        "a machine's entry of an identity that was deleted",
        "it shows principal and client id for up to a week, then none",
        Evidence.ISSUES,
        "facts: Dead entries and Visibility: aad-pod-identity #521, #725",
        ("dead_entry_delay",),
    ),
    Timing(
        Moment.VISIBLE,
        "a role assignment: GET by its id",
        "at once",
        Evidence.RECORDED,
        "facts: Role assignments",
    ),
    Timing(
        Moment.VISIBLE,
        "a role assignment: lists",
        "at once in the recordings; later by the switch",
        Evidence.RECORDED,
        "facts: Role assignments; the lag is assumed",
        ("assignment_lag",),
    ),
    Timing(
        Moment.VISIBLE,
        "a custom role: filtered lists",
        "missing for a while",
        Evidence.RECORDED,
        "facts: Role assignments, test_custom_role_definition_scenario",
        ("role_filter_delay",),
    ),
    Timing(
        Moment.VISIBLE,
        "rows of Resource Graph",
        "usually within a minute, no bound is promised; deleted ones stayed up to 30 hours",
        Evidence.ISSUES,
        "facts: Throttling and Visibility: azure-dev #540, ansible-collections/azure #1994",
        ("graph_delay", "graph_missing"),
    ),
    Timing(
        Moment.VISIBLE,
        "subscriptions and groups in Resource Graph",
        "at once",
        Evidence.ASSUMED,
        "nothing is known",
    ),
    Timing(
        Moment.VISIBLE,
        "pages of Resource Graph",
        "a token is an offset, and each page is a new answer: rows come twice or not at all",
        Evidence.RECORDED,
        "facts: Resource Graph",
    ),
    Timing(
        Moment.EFFECTIVE,
        "a new principal: grants to it",
        "`PrincipalNotFound` for 16 to 87 s mostly, 270 s at most",
        Evidence.RECORDED,
        "facts: Role assignments and Visibility",
        ("replication_delay",),
    ),
    Timing(
        Moment.EFFECTIVE,
        "the same, where the grant names its type",
        "avoids most of it",
        Evidence.DOCUMENTED,
        "facts: Rights",
        ("typed_replication_delay",),
    ),
    Timing(
        Moment.EFFECTIVE,
        "a granted right",
        "up to ten minutes after the grant, for ARM and for data",
        Evidence.DOCUMENTED,
        "facts: Rights and Visibility",
        ("effect_delay",),
    ),
    Timing(
        Moment.EFFECTIVE,
        "a right that is taken away, a condition that is written anew",
        "at once; Azure documents up to ten minutes",
        Evidence.ASSUMED,
        "facts: Rights",
    ),
    Timing(
        Moment.EFFECTIVE,
        "a token of an identity that was deleted",
        "valid to its expiry, a day",
        Evidence.DOCUMENTED,
        "facts: Rights",
    ),
    Timing(
        Moment.EFFECTIVE,
        "another federated credential of the same identity",
        "409 while one is written",
        Evidence.DOCUMENTED,
        "workload identity federation: considerations",
        ("credential_write_time",),
    ),
    Timing(
        Moment.TOLD,
        "an event of a write",
        "when its operation has ended, or when it is accepted",
        Evidence.ASSUMED,
        "facts: Resource events: not documented",
        ("events_at_end",),
    ),
    Timing(
        Moment.TOLD,
        "an event that is late, or overtaken",
        "at least once, in no order",
        Evidence.DOCUMENTED,
        "facts: Delivery",
        ("events_late", "events_late_by", "events_reordered", "events_reordered_by"),
    ),
    Timing(
        Moment.TOLD,
        "a delivery that failed",
        "again after 10 s, 30 s, 1 min and so on, jittered and with steps left out",
        Evidence.DOCUMENTED,
        "facts: Delivery",
        ("delivery_jitter", "delivery_skips", "delivery_late_counts"),
    ),
    Timing(
        Moment.TOLD,
        "an entry of the activity log",
        "3 to 5.5 minutes later; one for a write's request, one for its end; kept for 90 days",
        Evidence.RECORDED,
        "facts: Visibility; 3 to 20 minutes are documented",
        ("log_delay",),
    ),
    Timing(
        Moment.TOLD,
        "a Spot eviction",
        "in the activity log, by `evictSpotVM/action`, and by no event",
        Evidence.ISSUES,
        "facts: Visibility; that no event tells of it is assumed",
        ("log_delay",),
    ),
    Timing(
        Moment.TOLD,
        "a group's deletion",
        "a deletion of each resource and, named without dashes, of each right",
        Evidence.RECORDED,
        "facts: Resource events and Visibility",
    ),
    Timing(
        Moment.TOLD,
        "a move",
        "`moveResources/action` at the group that is left, and nothing at the resource's ids",
        Evidence.ASSUMED,
        "facts: Visibility: what is told of the old id is not known",
    ),
    Timing(
        Moment.TOLD,
        "a template deployment",
        "its own write first, then each resource's, under one correlation id",
        Evidence.ISSUES,
        "facts: Resource events: azure-docs #12166",
    ),
)
