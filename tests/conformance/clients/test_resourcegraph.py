"""azure-mgmt-resourcegraph: queries, pages and refusals."""

import pytest
from azure.core.exceptions import HttpResponseError
from azure.mgmt.resourcegraph import ResourceGraphClient
from azure.mgmt.resourcegraph.models import QueryRequest, QueryRequestOptions

from tests.conformance.clients.azure import Azure
from tests.world.arm import MACHINE
from tests.world.ids import SUBSCRIPTION


@pytest.fixture
def graph(azure: Azure) -> ResourceGraphClient:
    """The client under test."""
    return azure.client(ResourceGraphClient)


def query(text: str, top: int | None = None, skip_token: str | None = None) -> QueryRequest:
    """Return a query of the seed's subscription."""
    options = QueryRequestOptions(top=top, skip_token=skip_token)
    return QueryRequest(subscriptions=[SUBSCRIPTION], query=text, options=options)


def test_rows_are_objects(graph: ResourceGraphClient) -> None:
    """What a projection names is what a row has."""
    text = "resources | where type =~ 'microsoft.compute/virtualmachines' | project id"
    found: object = graph.resources(query(text)).data

    assert found == [{"id": MACHINE}]


def test_pages_are_followed(graph: ResourceGraphClient) -> None:
    """The skip token leads through all rows."""
    found = graph.resources(query("resources | project id", top=3))
    rest = graph.resources(query("resources | project id", top=3, skip_token=found.skip_token))

    assert found.total_records == 5
    assert [found.count, rest.count, rest.skip_token] == [3, 2, None]


def test_a_query_that_is_not_understood_is_refused(graph: ResourceGraphClient) -> None:
    """Never a guess."""
    with pytest.raises(HttpResponseError, match="summarize") as caught:
        graph.resources(query("resources | summarize x"))

    assert caught.value.status_code == 400
