"""Who loses races again and again waits in line; who loses connections does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import borough
from borough.store.port import LostRace
from borough.store.sql import schema as t
from borough.store.sql.dialect import Busy, Gone
from borough.store.sql.store import POLITE, SqlStore
from borough.store.sql.unit import SqlUnit
from tests.conftest import STORES, each_store


def keys(store: SqlStore, table: sa.Table) -> list[int]:
    with store._engine.connect() as connection:
        return sorted(connection.scalars(sa.select(table.c.id)))


@pytest.mark.parametrize("store", each_store("memory", "sqlite"))
@pytest.mark.parametrize("error", [LostRace, Busy, Gone])
def test_who_lost_waits_for_what_was_wanted(
    store: str, error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with borough.open(STORES[store](tmp_path, 0), create=True) as ipam:
        ipam.apply({"subnets": [{"name": "s", "cidr": "10.0.0.0/24"}]})
        ipam.allocate(subnets=["s"])
        mine = ipam.store
        assert isinstance(mine, SqlStore)
        runs, blocks = keys(mine, t.run), keys(mine, t.block)
        plain, commit = mine._dialect.insist, SqlUnit.commit
        lines: list[tuple[list[int], list[int]]] = []
        losses = [error(str(at)) for at in range(POLITE + 2)]

        def insist(run: Any, runs: Any, blocks: Any) -> None:
            lines.append((list(runs), list(blocks)))
            plain(run, runs, blocks)

        def lose(self: SqlUnit, *arguments: Any) -> list[int]:
            done = commit(self, *arguments)
            if losses:
                raise losses.pop()
            return done

        monkeypatch.setattr(mine._dialect, "insist", insist)
        monkeypatch.setattr(SqlUnit, "commit", lose)
        # More than the open block has: it wants that, and all space that nobody has used.
        given = ipam.allocate(subnets=["s"], count=200).allocations
        assert len({each.address for each in given}) == 200
        assert not losses
        if error is Gone:
            assert lines == []
        else:
            assert lines[-1] == (runs, blocks)
        assert ipam.audit() == []
