"""Tokens and their streams end at once, new tokens are valid at once, and each has a limited share."""

from __future__ import annotations

import http.client
import json
import select
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import hostile
import pytest

import borough
from borough.api import guard
from borough.api.problem import Overloaded
from borough.api.quota import Load, Quota
from borough.api.settings import ServiceSettings
from borough.client.ipam import connect
from borough.domain.encode import micros
from borough.errors import NotPermitted, TokenRefused, Unavailable
from tests.api.serving import Served, wait_until
from tests.api.test_abuse import Wire
from tests.api.test_events import Stream


@pytest.fixture
def served() -> Iterator[Served]:
    ipam = borough.open("memory:", create=True)
    ipam.add_subnet("10.0.0.0/24", name="n")
    made = Served(ipam, ServiceSettings(requires_token=True, streams=3, token_streams=2))
    yield made
    made.close()


def follow(served: Served, secret: str) -> Stream:
    return Stream(served, Authorization=f"Bearer {secret}")


def is_ended(stream: Stream) -> bool:
    """Read until the stream ends."""
    try:
        while stream.answer.readline():
            pass
    except (http.client.IncompleteRead, ConnectionError):
        pass
    return True


def test_the_stream_of_a_revoked_token_ends(served: Served) -> None:
    """The stream does not live on with its connection."""
    _, secret = served.ipam.create_token("gone", permission="read")
    _, other = served.ipam.create_token("stays", permission="read")
    ending, staying = follow(served, secret), follow(served, other)
    assert (ending.answer.status, staying.answer.status) == (200, 200)
    served.ipam.revoke_token("gone")
    assert is_ended(ending)
    wait_until(lambda: served.service.streams.held == 1)
    given = served.ipam.allocate(owner="o").address
    assert [each["subject"] for each in staying.take(2)] == ["gone", given]
    staying.close()


def test_a_token_of_the_same_name_does_not_keep_a_stream(served: Served) -> None:
    _, secret = served.ipam.create_token("again", permission="read")
    stream = follow(served, secret)
    served.ipam.revoke_token("again")
    served.ipam.create_token("again", permission="read")
    assert is_ended(stream)


def test_the_stream_of_a_token_that_expires_ends(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = datetime.now(UTC) + timedelta(hours=1)
    _, secret = served.ipam.create_token("short", permission="read", expires=end)
    stream = follow(served, secret)
    assert stream.answer.status == 200
    monkeypatch.setattr(served.service.guard, "_wall", lambda: micros(end))
    assert is_ended(stream)


def test_a_stream_ends_within_a_second() -> None:
    """The age of the list and the interval of checks add up, as docs/reference/http.md says."""
    assert guard.MAX_AGE + guard.CHECK_EVERY < 1


def test_a_new_token_is_good_at_once(served: Served) -> None:
    """Also when the list of tokens was read just before."""
    _, first = served.ipam.create_token("first", permission="read")
    with connect(served.url, first) as client:
        for number in range(5):
            client.subnets()
            _, secret = served.ipam.create_token(f"new-{number}", permission="read")
            with connect(served.url, secret) as new:
                assert new.subnets()


def test_unknown_tokens_are_refused(served: Served) -> None:
    _, secret = served.ipam.create_token("one", permission="read")
    for text in ("nonsense", secret[:-1], secret[:8] + "0" * 16 + secret[24:]):
        with connect(served.url, text) as client, pytest.raises(TokenRefused):
            client.subnets()


def test_one_token_does_not_hold_all_streams(served: Served) -> None:
    _, greedy = served.ipam.create_token("greedy", permission="read")
    _, modest = served.ipam.create_token("modest", permission="read")
    held = [follow(served, greedy) for _ in range(3)]
    assert [each.answer.status for each in held] == [200, 200, 503]
    assert held[2].answer.headers["Retry-After"]
    others = [follow(served, modest) for _ in range(2)]
    assert [each.answer.status for each in others] == [200, 503]
    for each in (*held, *others):
        each.close()
    wait_until(lambda: served.service.streams.held == 0)
    again = follow(served, greedy)
    assert again.answer.status == 200
    again.close()


def test_a_quota_counts_each_caller_and_all() -> None:
    quota = Quota(3, 2, "things")
    quota.take("a")
    quota.take("a")
    with pytest.raises(Overloaded, match="this token"):
        quota.take("a")
    quota.take("b")
    with pytest.raises(Overloaded, match="the service"):
        quota.take("c")
    assert (quota.held, quota.of("a"), quota.of("c")) == (3, 2, 0)
    for caller in ("a", "a", "b"):
        quota.release(caller)
    assert quota.held == 0
    for _ in range(3):
        quota.take("")
    assert quota.held == 3


def test_bytes_under_way_are_bounded() -> None:
    """Unfinished bodies and unread answers beyond the bound are refused."""
    quota = Quota(100, 50, "bytes")
    first, second, other = Load(quota), Load(quota), Load(quota)
    first.caller = second.caller = "a"
    first.add(60)
    with pytest.raises(Overloaded, match="this token"):
        second.add(1)
    other.caller = "b"
    other.add(40)
    with pytest.raises(Overloaded, match="the service"):
        other.add(1)
    for each in (first, second, other):
        each.drop()
    assert quota.held == 0


def test_bodies_that_do_not_end_are_refused(served: Served) -> None:
    _, secret = served.ipam.create_token("one", permission="read")
    lines = []
    head = (
        f"POST /v1/explain HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {secret}\r\n"
        "Content-Type: application/json\r\nContent-Length: 900000\r\n\r\n"
    ).encode()
    for _ in range(40):
        lines.append(Wire(served))
        lines[-1].send(head + b" " * 800_000)
    sockets = [line.socket for line in lines]
    wait_until(lambda: len(select.select(sockets, [], [], 0)[0]) >= 8)
    assert served.service.in_flight.held <= 16 << 20
    refused = next(line for line in lines if select.select([line.socket], [], [], 0)[0])
    assert refused.answer()[0] == 503
    for line in lines:
        line.socket.close()
    wait_until(lambda: served.service.in_flight.held == 0)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_worker_under_attack_stays_small() -> None:
    """Each attack of the benchmark runs for some seconds, on a process of its own."""
    rows = hostile.run(4)
    assert len(rows) == len(hostile.ATTACKS) + 1
    assert rows[-1][2] < hostile.LIMIT, rows


def ready(served: Served, secret: str = "") -> tuple[int, dict[str, Any]]:
    head = {"Authorization": f"Bearer {secret}"} if secret else {}
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    connection.request("GET", "/readyz", headers=head)
    answer = connection.getresponse()
    found = answer.status, json.loads(answer.read())
    connection.close()
    return found


def test_readiness_gives_strangers_only_a_code(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings and address of the database are for callers who may read everything."""
    _, reader = served.ipam.create_token("reader", permission="read")
    _, confined = served.ipam.create_token("confined", permission="read", labels={"network": "n"})
    for secret in ("", "nonsense", confined):
        assert ready(served, secret) == (200, {"status": "ok"})
    assert ready(served, reader) == (200, {"status": "ok", "warnings": []})
    with connect(served.url, reader) as client:
        assert client.risks() == []
    with connect(served.url, confined) as client, pytest.raises(NotPermitted):
        client.risks()

    def gone() -> int:
        raise Unavailable("db.internal does not answer", outcome="not_done", host="db.internal")

    monkeypatch.setattr(served.ipam, "newest_event", gone)
    for secret in ("", confined):
        status, answer = ready(served, secret)
        assert (status, answer["code"], answer["facts"]) == (503, "unavailable", {})
        assert "db.internal" not in json.dumps(answer)
    assert "db.internal" in ready(served, reader)[1]["detail"]
