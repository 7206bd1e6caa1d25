"""The live feed: no event is missed, streams resume, a thousand can be open."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

import borough
from borough import Ipam
from borough.api.settings import ServiceSettings
from borough.store.memory.store import MemoryStore
from tests.api.serving import Served, wait_until

L = {"network": "n"}


@pytest.fixture
def ipam() -> Ipam:
    made = borough.open("memory:", create=True)
    made.add_subnet("10.0.0.0/16", name="n", labels=L)
    made.add_subnet("10.1.0.0/16", name="other", labels={"network": "o"})
    return made


@pytest.fixture
def served(ipam: Ipam) -> Iterator[Served]:
    made = Served(ipam, ServiceSettings(streams=1100))
    yield made
    made.close()


class Stream:
    """One stream."""

    def __init__(self, served: Served, target: str = "/v1/events", **head: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
        self._connection.request("GET", target, headers={"Accept": "text/event-stream", **head})
        self.answer = self._connection.getresponse()

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield events as they arrive; the id of each frame is the id of its event."""
        frame: dict[str, str] = {}
        for raw in self.answer:
            line = raw.decode().rstrip("\n")
            if line:
                name, _, value = line.partition(": ")
                frame[name] = value
            elif "data" in frame:
                data = json.loads(frame["data"])
                assert (frame["id"], frame["event"]) == (str(data["id"]), data["act"])
                yield data
                frame = {}
            else:
                frame = {}

    def take(self, count: int) -> list[dict[str, Any]]:
        found = self.events()
        return [next(found) for _ in range(count)]

    def close(self) -> None:
        self.answer.close()
        self._connection.close()


def test_streams_begin_now_or_resume(ipam: Ipam, served: Served) -> None:
    """Each event comes once and in order. ``Last-Event-ID`` overrides ``after``."""
    stream = Stream(served)
    wait_until(lambda: served.service.feed.streams == 1)
    given = [ipam.allocate(labels=L, owner=f"o{number}").address for number in range(3)]
    live = stream.take(3)
    assert [each["subject"] for each in live] == given
    stream.close()
    ipam.release(given[0])
    for head, target in (
        ({"Last-Event-ID": str(live[1]["id"])}, "/v1/events"),
        ({"Last-Event-ID": str(live[1]["id"])}, "/v1/events?after=0"),
        ({}, f"/v1/events?after={live[1]['id']}"),
    ):
        again = Stream(served, target, **head)
        found = again.take(2)
        assert [each["subject"] for each in found] == [given[2], given[0]]
        assert found[1]["act"] == "released"
        again.close()
    everything = Stream(served, "/v1/events?after=0")
    count = ipam.newest_event()
    assert [each["id"] for each in everything.take(count)] == list(range(1, count + 1))
    everything.close()
    wait_until(lambda: served.service.feed.streams == 0)


def test_a_confined_stream_has_visible_events_only(ipam: Ipam) -> None:
    """Hidden events between them leave no trace."""
    _, secret = ipam.create_token("n", permission="read", labels=L)
    served = Served(ipam, ServiceSettings(requires_token=True))
    try:
        stream = Stream(served, "/v1/events?after=0", Authorization=f"Bearer {secret}")
        wait_until(lambda: served.service.feed.streams == 1)
        ipam.allocate(labels={"network": "o"}, owner="hidden")
        seen = ipam.allocate(labels=L, owner="seen").address
        assert [each["subject"] for each in stream.take(1)] == [seen]
        stream.close()
        refused = Stream(served)
        assert refused.answer.status == 401
        refused.close()
    finally:
        served.close()


def test_queries_of_a_stream_count_for_its_token(
    ipam: Ipam, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Queries for hidden and for missed events use the token's share of threads."""
    _, secret = ipam.create_token("n", permission="read", labels=L)
    served = Served(ipam, ServiceSettings(requires_token=True))
    asked: list[str] = []
    run = served.service.workers.run

    async def noted(work: Any, caller: str = "", deadline: float = 0) -> Any:
        asked.append(caller)
        return await run(work, caller, deadline)

    monkeypatch.setattr(served.service.workers, "run", noted)
    try:
        ipam.allocate(labels=L, count=2)
        stream = Stream(served, "/v1/events?after=0", Authorization=f"Bearer {secret}")
        stream.take(2)
        stream.close()
    finally:
        served.close()
    # The start; the cohorts before the answer; a batch, and its cohorts.
    assert asked.count("n") == 4


@pytest.mark.slow
def test_a_thousand_listen(ipam: Ipam, served: Served) -> None:
    """All get the same events, other requests are answered, and one stream too many is refused."""
    request = b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
    lines = []
    for _ in range(1100):
        line = socket.create_connection(("127.0.0.1", served.port), timeout=60)
        line.sendall(request)
        lines.append(line)
    wait_until(lambda: served.service.feed.streams == 1100, 60)
    refused = Stream(served)
    assert (refused.answer.status, refused.answer.headers["Retry-After"]) == (503, "1")
    refused.close()
    address = ipam.allocate(labels=L, owner="one").address
    for line in lines:
        heard = b""
        while address.encode() not in heard:
            part = line.recv(65536)
            assert part
            heard += part
    # No stream has a reader, a page or a thread of its own.
    assert served.service.workers.quota.held <= 1
    for line in lines:
        line.close()
    wait_until(lambda: served.service.feed.streams == 0, 60)


def test_resuming_after_a_pruned_event_is_refused(ipam: Ipam, served: Served) -> None:
    """A stream is refused before it begins, and so is a page."""
    ipam.allocate(labels=L, count=5)
    ids = [each.id for each in ipam.events()]
    ipam.prune_events(ids[3])
    for head in ({"Last-Event-ID": str(ids[1])}, {}):
        refused = Stream(served, f"/v1/events?after={ids[1]}", **head)
        assert refused.answer.status == 410
        problem = json.loads(refused.answer.read())
        assert (problem["code"], problem["facts"]["pruned"]) == ("events_pruned", ids[3])
        refused.close()
    stream = Stream(served, f"/v1/events?after={ids[3]}")
    assert [each["id"] for each in stream.take(2)] == ids[4:6]
    stream.close()


def test_a_stream_that_events_are_pruned_under_ends(ipam: Ipam, served: Served) -> None:
    """The stream would have a gap; the next request gets the reason."""
    stream = Stream(served)
    wait_until(lambda: served.service.feed.streams == 1)
    assert isinstance(ipam.store, MemoryStore)
    # No other stream reads at that time.
    with ipam.store._lock:
        ipam.allocate(labels=L, count=5)
        ipam.prune_events(ipam.newest_event() - 1)
    assert list(stream.events()) == []
    stream.close()


def test_a_stream_of_some_labels(ipam: Ipam, served: Served) -> None:
    """Streams filter as pages do."""
    stream = Stream(served, "/v1/events?after=0&label=network%3Do")
    wait_until(lambda: served.service.feed.streams == 1)
    ipam.allocate(labels=L)
    heard = ipam.allocate(labels={"network": "o"}).address
    assert [each["subject"] for each in stream.take(1)] == [heard]
    stream.close()
