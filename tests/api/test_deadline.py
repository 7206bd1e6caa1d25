"""A request ends at its deadline, and one token leaves threads to the others."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

import borough
from borough import Ipam
from borough.api import workers
from borough.api.problem import Overloaded
from borough.api.settings import ServiceSettings
from borough.api.workers import WorkerPool
from borough.client.ipam import connect
from borough.errors import DeadlineExceeded
from borough.store import deadline
from borough.store.deadline import until
from borough.store.port import Unit
from borough.store.sql.store import SqlStore
from tests.api.serving import Served
from tests.conftest import STORES, each_store


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """An event that work waits for."""
    monkeypatch.setattr(workers, "_GRACE", 0.0)
    made = threading.Event()
    yield made
    made.set()


async def settled(team: WorkerPool) -> None:
    while team.quota.held:
        await asyncio.sleep(0.01)


def test_work_over_its_deadline_is_answered_at_once(gate: threading.Event) -> None:
    """Its thread is taken until it ends; work that waits for the thread is never begun."""

    async def play() -> None:
        team = WorkerPool(ServiceSettings(threads=1, deadline=0.1))
        begun = []
        with pytest.raises(DeadlineExceeded) as slow:
            await team.run(gate.wait)
        with pytest.raises(DeadlineExceeded) as behind:
            await team.run(lambda: begun.append(1))
        assert slow.value.detail["outcome"] == "unknown"
        assert behind.value.detail["outcome"] == "not_done"
        gate.set()
        await settled(team)
        assert not begun
        assert await team.run(lambda: 7, deadline=60) == 7
        team.close()

    asyncio.run(play())


def test_one_token_leaves_threads_to_the_others(gate: threading.Event) -> None:
    """Seventeen slow requests of one token would otherwise block all others."""

    async def play() -> None:
        team = WorkerPool(ServiceSettings(threads=4, token_threads=2, token_queue=15, deadline=60))
        slow = [asyncio.create_task(team.run(gate.wait, "slow")) for _ in range(17)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded, match="this token"):
            await team.run(gate.wait, "slow")
        for name in ("other", "third", ""):
            assert await team.run(lambda: 7, name) == 7
        gate.set()
        assert all(await asyncio.gather(*slow))
        await settled(team)
        assert not team._slots
        team.close()

    asyncio.run(play())


def test_an_error_of_the_work_itself_is_no_deadline() -> None:
    async def play() -> None:
        team = WorkerPool(ServiceSettings())

        def fail() -> None:
            raise TimeoutError("of the work")

        with pytest.raises(TimeoutError, match="of the work"):
            await team.run(fail)
        await settled(team)
        team.close()

    asyncio.run(play())


def test_a_request_over_its_deadline_is_answered(
    gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    ipam = borough.open("memory:", create=True)
    monkeypatch.setattr(ipam, "usage", lambda **_: gate.wait())
    served = Served(ipam, ServiceSettings(deadline=0.2))
    try:
        with connect(served.url) as client:
            with pytest.raises(DeadlineExceeded) as error:
                client.usage()
            assert error.value.detail == {"outcome": "unknown"}
            assert client.subnets() == []
    finally:
        gate.set()
        served.close()


#: Statements that would take a minute and more.
SLOW = {
    "sqlite": "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT max(x) FROM c",
    "postgresql": "SELECT pg_sleep(60)",
    "mariadb": "SELECT SLEEP(60)",
}


@pytest.fixture(params=each_store("memory"))
def ipam(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ipam]:
    url = STORES[request.param](tmp_path, 1)
    with borough.open(url, create=True, statement_time=0.3) as made:
        yield made


def test_a_store_begins_no_statement_after_the_deadline(
    ipam: Ipam, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Earlier writes of the unit of work are undone."""
    over: list[bool] = []
    monkeypatch.setattr(deadline, "is_over", lambda: bool(over))
    before = ipam.catalogue().version

    def work(unit: Unit) -> None:
        unit.touch(unit.catalogue.version)
        over.append(True)
        unit.newest_event(1 << 60)

    with pytest.raises(DeadlineExceeded):
        ipam.store.transact(work)
    over.clear()
    assert ipam.catalogue().version == before


def test_a_statement_under_way_is_given_up(ipam: Ipam, request: pytest.FixtureRequest) -> None:
    store = ipam.store
    assert isinstance(store, SqlStore)
    kind = request.node.callspec.params["ipam"]
    with pytest.raises(DeadlineExceeded), until(time.monotonic() + 0.3):
        store.transact(lambda unit: unit._runner.rows(sa.text(SLOW[kind])), write=False)  # type: ignore[attr-defined]
    assert ipam.subnets() == []
