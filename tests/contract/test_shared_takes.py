"""Takes of several threads share a round trip and a transaction on PostgreSQL."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

import borough
from borough import Ipam
from borough.errors import DeadlineExceeded, Exhausted, Unavailable
from borough.store.actor import acting
from borough.store.deadline import until
from borough.store.sql.shared_commits import LEADERS, SharedUnit
from borough.store.sql.store import SqlStore
from tests.servers.shared import shared_server

pytestmark = pytest.mark.server

LABELS = {"network": "n"}


@pytest.fixture
def ipam() -> Iterator[Ipam]:
    made = borough.open(shared_server("postgresql").fresh(), create=True)
    subnets = [
        {"name": "wide", "cidr": "10.0.0.0/22", "labels": LABELS},
        {"name": "small", "cidr": "10.9.0.0/30", "labels": {"network": "small"}},
    ]
    made.apply({"subnets": subnets})
    made.allocate(labels=LABELS)
    with made:
        yield made


class Line:
    """Calls in line behind leaders that are held up."""

    def __init__(self, ipam: Ipam, monkeypatch: pytest.MonkeyPatch) -> None:
        store = ipam.store
        assert isinstance(store, SqlStore)
        self.sharing = store._sharing
        self._go = threading.Event()
        self._pool = ThreadPoolExecutor(40)
        self.calls: list[Future[Any]] = []
        self.sent: list[int] = []
        send = self.sharing._send

        def count(takes: Any) -> None:
            self.sent.append(len(takes))
            send(takes)

        monkeypatch.setattr(self.sharing, "_send", count)
        self._ipam = ipam

    def __enter__(self) -> Line:
        def hold() -> None:
            with self.sharing._takes.lead(_unit(), 60) as leads:
                assert leads
                self._go.wait(60)

        for _ in range(LEADERS):
            self.calls.append(self._pool.submit(hold))
        self._until(lambda: self.sharing._takes._leading == LEADERS)
        return self

    def add(self, call: Callable[[], Any]) -> Future[Any]:
        """Begin a call, and wait until it is in line."""
        queue = self.sharing._takes._waiting
        before = len(queue)
        made = self._pool.submit(call)
        self.calls.append(made)
        self._until(lambda: len(queue) > before or made.done())
        return made

    @staticmethod
    def _until(condition: Callable[[], bool]) -> None:
        ends = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < ends
            time.sleep(0.001)

    def __exit__(self, *_: object) -> None:
        self._go.set()
        for each in self.calls:
            each.exception(timeout=60)
        self._pool.shutdown()


def _unit() -> Any:
    return SharedUnit(lambda _: None)


@pytest.fixture
def line(ipam: Ipam, monkeypatch: pytest.MonkeyPatch) -> Line:
    return Line(ipam, monkeypatch)


def test_takes_that_wait_are_sent_together(ipam: Ipam, line: Line) -> None:
    before = ipam.store.statements  # type: ignore[attr-defined]
    with line:
        calls = [line.add(lambda: ipam.allocate(labels=LABELS, owner="o")) for _ in range(12)]
    assert len({call.result().address for call in calls}) == 12
    assert len(line.sent) <= LEADERS
    assert max(line.sent) >= 6
    # A round trip for each leader. A take that finds its block locked by the other leader is sent again.
    assert ipam.store.statements - before < len(calls)  # type: ignore[attr-defined]
    assert not ipam.audit()


def test_each_caller_gets_its_own_answer_or_error(ipam: Ipam, line: Line) -> None:
    with line:
        calls = [
            line.add(lambda: ipam.allocate(labels={"network": "small"})),
            line.add(lambda: ipam.allocate(labels=LABELS, key="k1")),
            line.add(lambda: ipam.allocate(labels={"network": "small"})),
            line.add(lambda: ipam.allocate(labels=LABELS, key="k2")),
            line.add(lambda: ipam.allocate(labels={"network": "small"})),
            line.add(lambda: ipam.allocate(labels=LABELS, host="h1")),
        ]
    errors = [call.exception() for call in calls]
    assert sorted(type(each).__name__ for each in errors) == ["Exhausted"] + ["NoneType"] * 5
    assert ipam.allocate(labels=LABELS, key="k1").replayed
    assert ipam.allocate(labels=LABELS, key="k2").replayed
    assert len(ipam.allocations()) == 6
    assert not ipam.audit()


def test_a_key_that_is_bound_undoes_nobody_else(ipam: Ipam, line: Line) -> None:
    """The constraint on keys undoes the transaction: each take is sent again, alone."""
    held = ipam.allocate(labels=LABELS, key="k", owner="o")
    with line:
        before = [line.add(lambda: ipam.allocate(labels=LABELS, owner="n")) for _ in range(3)]
        repeated = line.add(lambda: ipam.allocate(labels=LABELS, key="k", owner="o"))
        after = [line.add(lambda: ipam.allocate(labels=LABELS, owner="n")) for _ in range(3)]
    assert repeated.result().replayed
    assert repeated.result().allocations == held.allocations
    assert len({call.result().address for call in before + after}) == 6
    assert len(ipam.allocations(owner="n")) == 6
    assert not ipam.audit()


def test_events_name_each_caller(ipam: Ipam, line: Line) -> None:
    def allocate(name: str) -> None:
        with acting(name):
            ipam.allocate(labels=LABELS, owner=name)

    with line:
        for name in ("anna", "ben", "carl", "dora"):
            line.add(lambda name=name: allocate(name))  # type: ignore[misc]
    found = {event.owner: event.actor for event in ipam.events() if event.owner}
    assert found == {name: name for name in ("anna", "ben", "carl", "dora")}


def test_a_deadline_ends_the_wait_of_its_caller_only(ipam: Ipam, line: Line) -> None:
    def allocate(seconds: float) -> Any:
        with until(time.monotonic() + seconds):
            return ipam.allocate(labels=LABELS)

    with line:
        soon = line.add(lambda: allocate(0.05))
        late = [line.add(lambda: allocate(60)) for _ in range(3)]
        assert isinstance(soon.exception(timeout=30), DeadlineExceeded)
    assert len({call.result().address for call in late}) == 3
    assert len(ipam.allocations()) == 4


def test_a_lost_connection_is_unknown_without_a_key(
    ipam: Ipam, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    sharer = line.sharing.dialect.sharer
    assert sharer is not None
    give_all = type(sharer).give_all
    cut: list[None] = []

    def lose(self: Any, connection: Any, takes: Any, hints: Any) -> Any:
        outcomes = give_all(self, connection, takes, hints)
        if len(takes) > 2 and not cut:
            cut.append(None)
            connection.dbapi_connection.close()
            connection.dbapi_connection.execute("SELECT 1")
        return outcomes

    monkeypatch.setattr(type(sharer), "give_all", lose)
    with line:
        plain = [line.add(lambda: ipam.allocate(labels=LABELS, owner="plain")) for _ in range(4)]
        keyed = [
            line.add(lambda at=at: ipam.allocate(labels=LABELS, owner="keyed", key=f"k{at}"))  # type: ignore[misc]
            for at in range(4)
        ]
    assert cut
    unknown = [call.exception() for call in plain if call.exception()]
    assert unknown
    assert all(isinstance(each, Unavailable) for each in unknown)
    assert {each.detail["outcome"] for each in unknown} == {"unknown"}  # type: ignore[union-attr]
    # With a key the answer is found: nothing is given twice.
    assert len({call.result().address for call in keyed}) == 4
    assert len(ipam.allocations(owner="keyed")) == 4
    assert len(ipam.allocations(owner="plain")) == 4
    assert not ipam.audit()


def test_many_threads_empty_a_group_exactly(ipam: Ipam) -> None:
    """Every address is allocated once, and none is missed."""
    ipam.apply(
        {"subnets": [{"name": "all", "cidr": "10.7.0.0/25", "labels": {"network": "x"}}]},
        name="x",
    )
    found: list[str] = []
    refused: list[Exception] = []

    def work(number: int) -> None:
        for _ in range(12):
            try:
                found.append(ipam.allocate(labels={"network": "x"}, owner=str(number)).address)
            except Exhausted as error:
                refused.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(found) == len(set(found)) == 126
    assert len(refused) == 144 - 126
    assert not ipam.audit()
