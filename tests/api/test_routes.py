"""Routes of hosts over HTTP: the picture, the stream of differences, reports, and the token of a host."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

import borough
from borough.api.settings import ServiceSettings
from borough.client.ipam import connect
from borough.engine.queries import target_prefixes
from borough.errors import NotPermitted
from tests.api.serving import Served

TOPOLOGY = {"subnets": [{"name": "pods", "cidr": "10.0.0.0/24", "labels": {"network": "pods"}}]}

GROUP = {"network": "pods"}


@pytest.fixture(params=["memory:", "sqlite"])
def served(request: pytest.FixtureRequest, tmp_path) -> Iterator[Served]:
    url = request.param if request.param == "memory:" else f"sqlite:///{tmp_path}/ipam.db"
    ipam = borough.open(url, create=True)
    ipam.apply(TOPOLOGY)
    made = Served(ipam, ServiceSettings(requires_token=True))
    yield made
    made.close()


class Follower:
    """A stream of the routes of a host."""

    def __init__(self, served: Served, secret: str, host: str, tag: str = "") -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
        head = {"Accept": "text/event-stream", "Authorization": f"Bearer {secret}"}
        if tag:
            head["Last-Event-ID"] = tag
        self._connection.request("GET", f"/v1/hosts/{host}/routes", headers=head)
        self._answer = self._connection.getresponse()
        assert self._answer.status == 200, self._answer.read()

    def next(self) -> tuple[str, dict[str, Any]]:
        event = ""
        while True:
            line = self._answer.readline().decode().strip()
            if line.startswith("event: "):
                event = line[7:]
            if line.startswith("data: "):
                return event, json.loads(line[6:])

    def close(self) -> None:
        self._connection.close()


def test_stream_has_a_picture_then_differences(served: Served):
    _, secret = served.ipam.create_token("agent", host="h1")
    follower = Follower(served, secret, "h1")
    assert follower.next()[1]["prefixes"] == []
    served.ipam.allocate(labels=GROUP, host="h1")
    act, data = follower.next()
    [route] = served.ipam.routes("h1")
    assert (act, data["announce"], data["withdraw"]) == ("difference", [route.prefix], [])
    assert served.ipam.host_routes("h1").tag == data["tag"]
    follower.close()


def test_stream_resumes_with_a_difference(served: Served):
    _, secret = served.ipam.create_token("agent", host="h1")
    keeps = Follower(served, secret, "h1")
    _, first = keeps.next()
    served.ipam.allocate(labels=GROUP, host="h1")
    _, second = keeps.next()
    for tag, expected in (
        (first["tag"], ("difference", "announce")),
        ("0" * 24, ("picture", "prefixes")),
    ):
        follower = Follower(served, secret, "h1", tag)
        act, data = follower.next()
        assert (act, len(data[expected[1]])) == (expected[0], 1)
        assert data["tag"] == second["tag"]
        follower.close()
    keeps.close()


def test_change_of_another_host_sends_nothing(served: Served):
    _, secret = served.ipam.create_token("agent", host="h1")
    follower = Follower(served, secret, "h1")
    follower.next()
    served.ipam.allocate(labels=GROUP, host="h2")
    served.ipam.allocate(labels=GROUP, host="h1")
    _, data = follower.next()
    assert data["announce"] == [each.prefix for each in served.ipam.routes("h1")]
    follower.close()


def test_fabric_is_computed_once_a_change(served: Served, monkeypatch: pytest.MonkeyPatch):
    computed: list[str] = []

    def count(unit: Any, scope: str) -> Any:
        computed.append(scope)
        return target_prefixes(unit, scope)

    monkeypatch.setattr("borough.engine.announcements.target_prefixes", count)
    followers = []
    for number in range(5):
        _, secret = served.ipam.create_token(f"agent-{number}", host=f"h{number}")
        followers.append(Follower(served, secret, f"h{number}"))
    for each in followers:
        each.next()
    computed.clear()
    served.ipam.allocate(labels=GROUP, host="h3")
    followers[3].next()
    assert len(computed) == 1
    for each in followers:
        each.close()


def test_picture_has_an_entity_tag(served: Served):
    _, secret = served.ipam.create_token("agent", host="h1")
    served.ipam.allocate(labels=GROUP, host="h1")
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    head = {"Authorization": f"Bearer {secret}"}
    connection.request("GET", "/v1/hosts/h1/routes", headers=head)
    answer = connection.getresponse()
    tag = answer.headers["ETag"]
    assert json.loads(answer.read())["prefixes"]
    connection.request("GET", "/v1/hosts/h1/routes", headers={**head, "If-None-Match": tag})
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (304, b"")
    served.ipam.allocate(labels=GROUP, host="h2")
    connection.request("GET", "/v1/hosts/h1/routes", headers={**head, "If-None-Match": tag})
    assert connection.getresponse().status == 304, "the routes of this host are the same"
    connection.close()


def test_token_of_a_host_reads_and_acknowledges_its_routes_only(served: Served):
    _, secret = served.ipam.create_token("agent", host="h1")
    with connect(served.url, secret) as agent:
        assert agent.host_routes("h1").prefixes == ()
        agent.acknowledge("h1", ["10.0.0.0/28"])
        for refused in (
            lambda: agent.host_routes("h2"),
            lambda: agent.acknowledge("h2", []),
            agent.routes,
            agent.agents,
            lambda: agent.allocate(labels=GROUP),
            agent.allocations,
            agent.newest_event,
            agent.tokens,
            lambda: agent._http.get("/metrics"),
            agent.risks,
        ):
            with pytest.raises(NotPermitted):
                refused()
    [report] = served.ipam.agents()
    assert (report.host, report.surplus, report.silent) == ("h1", ("10.0.0.0/28",), False)


def test_reader_may_not_acknowledge(served: Served):
    _, secret = served.ipam.create_token("reader")
    with connect(served.url, secret) as reader:
        assert reader.host_routes("h1").prefixes == ()
        with pytest.raises(NotPermitted):
            reader.acknowledge("h1", [])


def test_confined_token_sees_no_routes_of_a_host(served: Served):
    _, secret = served.ipam.create_token("tenant", permission="allocate", labels=GROUP)
    with connect(served.url, secret) as tenant:
        for refused in (
            lambda: tenant.host_routes("h1"),
            lambda: tenant.acknowledge("h1", []),
            tenant.agents,
        ):
            with pytest.raises(NotPermitted):
                refused()


def test_host_with_a_slash_in_its_name(served: Served):
    _, secret = served.ipam.create_token("agent", host="a/b")
    served.ipam.allocate(labels=GROUP, host="a/b")
    with connect(served.url, secret) as agent:
        assert len(agent.host_routes("a/b").prefixes) == 1
