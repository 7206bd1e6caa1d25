"""Single fields of a subnet or host over HTTP."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

import borough
from borough.client.ipam import connect
from borough.errors import StaleVersion
from tests.api.serving import Served

TOPOLOGY: dict[str, Any] = {
    "dimensions": {"rack": {"fallback": "any"}},
    "subnets": [{"name": "a/b", "cidr": "10.0.0.0/24", "labels": {"network": "n"}, "weight": 2}],
    "hosts": {"h": {"rack": "r1"}},
}


@pytest.fixture
def served() -> Iterator[Served]:
    ipam = borough.open("memory:", create=True)
    ipam.apply(TOPOLOGY)
    made = Served(ipam)
    yield made
    made.close()


def call(served: Served, path: str, body: object, **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    head = {"Content-Type": "application/json", **headers}
    connection.request("PATCH", path, json.dumps(body), head)
    answer = connection.getresponse()
    found = json.loads(answer.read())
    connection.close()
    return answer.status, found


def test_null_and_absent_fields_differ(served: Served) -> None:
    """Null puts a field back to its default; one that is absent stays."""
    status, found = call(served, "/v1/subnets/a%2Fb", {"gateway": "10.0.0.1"})
    assert (status, found["summary"]["changed"], found["source"]) == (200, 1, "default")
    status, found = call(served, "/v1/subnets/a%2Fb?dry_run=true", {"weight": None})
    assert (status, found["dry_run"], served.ipam.subnet("a/b").weight) == (200, True, 2)
    status, found = call(served, "/v1/subnets/a%2Fb", {"weight": None, "labels": {"rack": ["r1"]}})
    after = served.ipam.subnet("a/b")
    assert (after.weight, after.gateway) == (0, "10.0.0.1")
    assert after.labels == {"network": ["n"], "rack": ["r1"]}
    wrong: dict[str, Any]
    for wrong in ({"wait": 1}, {"weight": "x"}, {"closed": "no"}):
        assert call(served, "/v1/subnets/a%2Fb", wrong)[0] == 400
    for wrong in ({}, {"cidr": None}, {"gateway": "10.1.0.1"}):
        assert call(served, "/v1/subnets/a%2Fb", wrong)[0] == 422
    assert call(served, "/v1/subnets/c", {"weight": 1})[0] == 404
    assert call(served, "/v1/hosts/h", {"labels": {"rack": None}})[0] == 200
    assert served.ipam.hosts()[0].labels == {}


def test_an_entity_tag_guards_a_change(served: Served) -> None:
    """The version of what is declared."""
    tag = f'"{served.ipam.catalogue().version}"'
    assert call(served, "/v1/hosts/h", {"labels": {"rack": "r2"}}, **{"If-Match": tag})[0] == 200
    status, found = call(served, "/v1/hosts/h", {"labels": {"rack": "r3"}}, **{"If-Match": tag})
    assert (status, found["code"]) == (412, "stale_version")


def test_the_client_changes_like_the_library(served: Served) -> None:
    with connect(served.url) as ipam:
        version = served.ipam.catalogue().version
        tried = ipam.change_subnet("a/b", dry_run=True, cidr="10.0.0.0/25", ranges=("10.0.0.8/29",))
        assert served.ipam.catalogue().version == version
        done = ipam.change_subnet(
            "a/b", version=version, cidr="10.0.0.0/25", ranges=("10.0.0.8/29",)
        )
        assert (tried.changes, tried.source) == (done.changes, "default")
        assert served.ipam.subnet("a/b").ranges == ("10.0.0.8-10.0.0.15",)
        with pytest.raises(StaleVersion):
            ipam.change_host("h", labels={"rack": "r2"}, version=version)
        assert not ipam.change_host("h", labels={"rack": "r1"})
