"""The horizon of MariaDB, without a server."""

from __future__ import annotations

import time
from typing import Any, cast

import pytest

from borough.store.sql.dialects import mariadb_horizon
from borough.store.sql.dialects.mariadb_horizon import Horizon
from borough.store.sql.runner import Native, Row, Runner


class Table:
    """Events with consecutive ids, all committed; notes the ranges that are read."""

    def __init__(self, newest: int, mode: int = 1) -> None:
        self.newest, self._mode, self.complete = newest, mode, 0
        self.read: list[tuple[int, int]] = []

    def text(self, _text: str) -> None:
        pass

    def native(self, query: Native, values: dict[str, Any]) -> list[Row]:
        if query is mariadb_horizon._BEGIN:
            return [(self._mode, self.complete)]
        if query is mariadb_horizon._NEWEST:
            return [(self.newest,)]
        self.read.append((values["after"], values["upto"]))
        ids = range(values["after"] + 1, values["upto"] + 1)
        return [(len(ids), sum(ids))] if query is mariadb_horizon._SUMS else [(id,) for id in ids]

    def change(self, query: Native, values: dict[str, Any]) -> int:
        assert query is mariadb_horizon._KEEP
        self.complete = max(self.complete, values["upto"])
        return 1


def find(horizon: Horizon, table: Table) -> int:
    return horizon.find(cast(Runner, table))


def test_the_first_look_begins_where_another_process_ended() -> None:
    """A million events are not counted by every command."""
    table = Table(1_000_000)
    assert find(Horizon(), table) == 1_000_000
    table.newest += 10
    table.read.clear()
    assert find(Horizon(), table) == 1_000_010
    assert {after for after, _ in table.read} == {1_000_000}


def test_a_soon_repeated_look_is_not_recorded() -> None:
    table = Table(1_000)
    assert find(Horizon(), table) == 1_000
    assert table.complete == 0


def test_a_table_that_went_back_is_looked_at_anew() -> None:
    table, horizon = Table(1_000_000), Horizon()
    assert find(horizon, table) == 1_000_000
    table.newest, table.complete = 500, 0
    assert find(horizon, table) == 500


def test_no_caller_waits_for_a_reader_that_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where ids are assigned without a lock, a reader waits; another may have the answer."""
    table, horizon = Table(100, mode=2), Horizon()
    during: list[int] = []
    paused: list[float] = []

    def pause(seconds: float) -> None:
        paused.append(seconds)
        assert not horizon._lock.locked()
        if len(paused) == 1:
            during.append(find(horizon, table))

    monkeypatch.setattr(time, "sleep", pause)
    assert find(horizon, table) == 100
    assert during == [100]
    assert paused == [mariadb_horizon.PAUSE] * 2
    assert find(horizon, table) == 100
    assert len(paused) == 2
