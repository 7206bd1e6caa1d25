"""Reading at length: listings, sums, keys. Not on the path of an allocation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from borough.domain.block import Block, Run
from borough.domain.model import Allocation
from borough.store.port import Filter, Remembered
from borough.store.sql import rows
from borough.store.sql import schema as t
from borough.store.sql import statements as s
from borough.store.sql.dialect import Row, Runner

#: Ids written into one query.
_BATCH = 500

#: "No limit", for databases that need a number.
_ALL = 1 << 62


def recall(run: Runner, key: str) -> Remembered | None:
    """What an idempotency key was used for."""
    row = run.one(s.recall, key=key)
    return Remembered(row[0], _sequences(row[1])) if row else None


def remember(run: Runner, key: str, remembered: Remembered, now: int) -> None:
    """Bind a key to an answer."""
    run.write(
        s.remember,
        key=key,
        fingerprint=remembered.fingerprint,
        sequences=" ".join(map(str, remembered.sequences)),
        at=now,
    )


def forget(run: Runner, before: int, limit: int) -> int:
    """Drop old keys whose addresses are gone."""
    gone = []
    for key, text in run.rows(s.old_keys, before=before, count=limit):
        sequences = _sequences(text)
        wanted = {f"sequence_{at}": sequence for at, sequence in enumerate(sequences)}
        if not run.rows(s.allocations((), len(sequences)), after=0, count=1, **wanted):
            gone.append({"old_key": key})
    return run.write_all(s.forget, gone)


def _sequences(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split()))


def allocations(run: Runner, wanted: Filter) -> list[Allocation]:
    """Allocations by sequence number."""
    values: dict[str, Any] = {
        name: value
        for name, value in (
            ("scope", wanted.scope),
            ("owner", wanted.owner),
            ("host", wanted.host),
            ("subnet_id", wanted.subnet_id),
        )
        if value is not None
    }
    fields = tuple(values)
    values["after"] = wanted.after
    values["count"] = _ALL if wanted.limit is None else wanted.limit
    if wanted.sequences is None:
        return [rows.to_allocation(row) for row in run.rows(s.allocations(fields, 0), **values)]
    found: list[Allocation] = []
    for start in range(0, len(wanted.sequences), _BATCH):
        some = wanted.sequences[start : start + _BATCH]
        named = {f"sequence_{at}": sequence for at, sequence in enumerate(some)}
        clause = s.allocations(fields, len(some))
        found += [rows.to_allocation(row) for row in run.rows(clause, **values, **named)]
    return found[: wanted.limit]


def _in_batches(
    run: Runner, query: sa.Select[Any], column: Any, ids: Sequence[int] | None
) -> list[Row]:
    if ids is None:
        return run.once(query)
    found = []
    for start in range(0, len(ids), _BATCH):
        some = [sa.literal_column(str(int(id))) for id in ids[start : start + _BATCH]]
        found += run.once(query.where(column.in_(some)))
    return found


def blocks(run: Runner, subnet_ids: Sequence[int] | None) -> list[Block]:
    """Blocks by subnet and address."""
    query = sa.select(*s.BLOCK_COLUMNS).order_by(t.block.c.subnet_id, t.block.c.base)
    found = map(rows.to_block, _in_batches(run, query, t.block.c.subnet_id, subnet_ids))
    return sorted(found, key=lambda block: (block.subnet_id, block.prefix))


def runs(run: Runner, subnet_ids: Sequence[int] | None) -> list[Run]:
    """Runs by subnet and address."""
    query = sa.select(*s.RUN_COLUMNS).order_by(t.run.c.subnet_id, t.run.c.base)
    found = map(rows.to_run, _in_batches(run, query, t.run.c.subnet_id, subnet_ids))
    return sorted(found, key=lambda each: (each.subnet_id, each.prefix))


def free_by_holder(run: Runner, subnet_ids: Sequence[int]) -> list[Row]:
    """(subnet id, holder, free addresses of blocks)."""
    query = (
        sa.select(t.block.c.subnet_id, t.block.c.holder, sa.func.sum(t.block.c.free))
        .where(t.block.c.is_open == sa.literal_column("1"))
        .group_by(t.block.c.subnet_id, t.block.c.holder)
    )
    return _in_batches(run, query, t.block.c.subnet_id, subnet_ids)


def held(run: Runner, subnet_ids: Sequence[int]) -> list[Row]:
    """(subnet id, allocations, cooling ones among them)."""
    query = sa.select(
        t.allocation.c.subnet_id,
        sa.func.count(),
        sa.func.count(t.allocation.c.until),
    ).group_by(t.allocation.c.subnet_id)
    return _in_batches(run, query, t.allocation.c.subnet_id, subnet_ids)
