"""A unit that has lost several races waits for locks first; lost connections do not count."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import borough
from borough.store.port import LostRace
from borough.store.sql import schema as t
from borough.store.sql.dialect import LockRequest
from borough.store.sql.failures import Busy, Gone
from borough.store.sql.retry_budget import FAIRNESS_AFTER
from borough.store.sql.store import SqlStore
from borough.store.sql.unit.unit import SqlUnit
from tests.conftest import STORES, each_store


def keys(store: SqlStore, table: sa.Table) -> list[int]:
    with store._engine.connect() as connection:
        return sorted(connection.scalars(sa.select(table.c.id)))


@pytest.mark.parametrize("store", each_store("memory", "sqlite"))
@pytest.mark.parametrize("error", [LostRace, Busy, Gone])
def test_starved_unit_locks_rows_before_reading(
    store: str, error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with borough.open(STORES[store](tmp_path, 0), create=True) as ipam:
        ipam.apply({"subnets": [{"name": "s", "cidr": "10.0.0.0/24"}]})
        ipam.allocate(subnets=["s"])
        mine = ipam.store
        assert isinstance(mine, SqlStore)
        free_ranges, blocks = keys(mine, t.free_range), keys(mine, t.block)
        plain, commit = mine._dialect.begin_locked, SqlUnit.commit
        requests: list[LockRequest] = []
        losses = [error(str(at)) for at in range(FAIRNESS_AFTER + 2)]

        def begin(runner: Any, request: LockRequest) -> None:
            requests.append(request)
            plain(runner, request)

        def lose(self: SqlUnit, *arguments: Any) -> list[int]:
            done = commit(self, *arguments)
            if losses:
                raise losses.pop()
            return done

        monkeypatch.setattr(mine._dialect, "begin_locked", begin)
        monkeypatch.setattr(SqlUnit, "commit", lose)
        # More than the open block has: the unit changes it, and cuts the free range.
        allocated = ipam.allocate(subnets=["s"], count=200).allocations
        assert len({each.address for each in allocated}) == 200
        assert not losses
        if error is Gone:
            assert requests == []
        else:
            assert requests[-1] == LockRequest(free_ranges, blocks, serializable=False)
        assert ipam.audit() == []


@pytest.mark.parametrize("store", each_store("memory", "sqlite"))
def test_starved_unit_outlasts_its_rivals(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rival takes the best piece between each read and write, so each attempt needs another one."""
    url = STORES[store](tmp_path, 0)
    rivals: list[threading.Thread] = []
    with borough.open(url, create=True) as ipam, borough.open(url) as other:
        ipam.apply({"subnets": [{"name": "s", "cidr": "10.0.0.0/20"}]})
        mine, commit = ipam.store, SqlUnit.commit
        assert isinstance(mine, SqlStore)

        def race(self: SqlUnit, *arguments: Any) -> list[int]:
            if threading.current_thread() is threading.main_thread():
                host = f"rival-{len(rivals)}"
                rival = threading.Thread(
                    target=other.allocate, kwargs={"subnets": ["s"], "host": host, "count": 2}
                )
                rivals.append(rival)
                rival.start()
                # The rival has ended, or it waits for this unit.
                rival.join(1.0)
            return commit(self, *arguments)

        monkeypatch.setattr(SqlUnit, "commit", race)
        assert len(ipam.allocate(subnets=["s"], host="slow", count=2).allocations) == 2
        assert mine.retries <= 2 * FAIRNESS_AFTER
        for rival in rivals:
            rival.join(20)
        assert len(ipam.allocations()) == 2 + 2 * len(rivals)
        assert ipam.audit() == []
