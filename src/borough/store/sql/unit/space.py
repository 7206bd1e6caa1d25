"""Reading address space in one transaction of an SQL database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from borough.domain.net.addresses import from_bytes, to_bytes
from borough.domain.net.prefixes import Prefix
from borough.domain.space.allocations import AllocationRow
from borough.domain.space.blocks import BLOCK_BITS, Block, Run
from borough.domain.space.plan import Offer, Tally, free_of, tallies_of
from borough.domain.space.rungs import Rung
from borough.store.sql import rows
from borough.store.sql import schema as t
from borough.store.sql import statements as s
from borough.store.sql.offers import offers_of_many
from borough.store.sql.probes import ids_of
from borough.store.sql.runner import Row
from borough.store.sql.unit.part import SqlPart

#: Rungs that one query looks at. A ladder is seldom longer, and databases bound a compound query.
_RUNGS = 16

#: Addresses opened at once where several writers want some: each then finds a block of his own, and they
#: do not meet again at the next piece of unused space.
_ROOM = 8 << BLOCK_BITS


#: Ids written into one query.
_BATCH: Final = 500


class SqlSpace(SqlPart):
    """See :class:`borough.store.port.ReadSpace`."""

    def _saw(self, pieces: Sequence[Block | Run]) -> None:
        """Keep in mind what was read of space; it may be of no use with another catalogue."""
        self.read += pieces

    def offers(
        self, rungs: Sequence[Rung], claimant: str, count: int, *, lowest: bool
    ) -> list[Offer]:
        found: list[Offer] = []
        if count == 1 and not lowest and not claimant:
            near = self._near(rungs)
            if near is not None:
                return [near]
        for start in range(0, len(rungs), _RUNGS):
            some = rungs[start : start + _RUNGS] if len(rungs) > _RUNGS else rungs
            for row in self._offered(some, claimant, count - len(found), lowest=lowest):
                piece = rows.to_run(row[4:]) if row[3] else rows.to_block(row[4:])
                room = _ROOM if self._spread and not claimant else 0
                found.append(Offer(start + row[0], piece, room=room))
                self._saw((piece,))
            if len(found) >= count:
                break
        return found

    def _near(self, rungs: Sequence[Rung]) -> Offer | None:
        """What this writer's own area has to offer on the first rung."""
        area = self._areas.find(self.catalogue, rungs) if rungs else None
        if area is None:
            return None
        values = {"id": area.id, "first": area.first, "last": area.last}
        row = self._run.one(s.open_in_area(area.column), **values)
        if row:
            return Offer(0, rows.to_block(row))
        row = self._run.one(s.run_in_area(area.column), **values)
        if row:
            return Offer(0, rows.to_run(row), room=_ROOM)
        row = self._run.one(s.run_before_area(area.column), **values)
        start = from_bytes(area.first)
        if row and rows.to_run(row).prefix.holds(start):
            return Offer(0, rows.to_run(row), start, _ROOM)
        return None

    def _offered(
        self, rungs: Sequence[Rung], claimant: str, count: int, *, lowest: bool
    ) -> list[Any]:
        how = (bool(claimant), lowest, count > 1, self._spread)
        probe = self._probes.find(rungs, *how)
        if probe is None:
            clause = offers_of_many(self._run, rungs, *how)
            many = {f"r{at}": self._run.many(ids_of(rung)[1]) for at, rung in enumerate(rungs)}
            return self._run.once(clause, count=count, claimant=claimant, **many)
        return self._run.rows(probe[0], count=count, claimant=claimant, **probe[1])

    def holdings(self, rung: Rung, holder: str) -> list[Block]:
        column, ids = ids_of(rung)
        if not ids:
            return []
        if len(ids) > s.INLINE:
            clause = s.held_where(self._run.among(t.block.c[column], "ids", ids))
            found = self._run.once(clause, holder=holder, ids=self._run.many(ids))
        else:
            values = {f"id_{at}": id for at, id in enumerate(ids)}
            found = self._run.rows(s.holdings(column, len(ids)), holder=holder, **values)
        blocks = [rows.to_block(row) for row in found]
        self._saw(blocks)
        return blocks

    def held_in(self, cohort_id: int, holder: str) -> list[Block]:
        found = self._run.rows(s.held_in, cohort_id=cohort_id, holder=holder)
        return [rows.to_block(row) for row in found]

    def blocks_in(self, subnet_id: int, prefix: Prefix) -> list[Block]:
        found = self._run.rows(
            s.blocks_in,
            subnet_id=subnet_id,
            first=to_bytes(prefix.family, prefix.base),
            last=to_bytes(prefix.family, prefix.last),
        )
        blocks = [block for block in map(rows.to_block, found) if prefix.covers(block.prefix)]
        self._saw(blocks)
        return blocks

    def runs_at(self, subnet_id: int, prefixes: Sequence[Prefix]) -> list[Run]:
        if not prefixes:
            return []
        bases = {f"base_{at}": to_bytes(p.family, p.base) for at, p in enumerate(prefixes)}
        found = self._run.rows(s.runs_at(len(prefixes)), subnet_id=subnet_id, **bases)
        wanted = set(prefixes)
        runs = [run for run in map(rows.to_run, found) if run.prefix in wanted]
        self._saw(runs)
        return runs

    def runs_in(self, subnet_id: int, prefix: Prefix, longest: int) -> list[Run]:
        found = self._run.rows(
            s.runs_in,
            subnet_id=subnet_id,
            first=to_bytes(prefix.family, prefix.base),
            last=to_bytes(prefix.family, prefix.last),
            longest=longest,
        )
        runs = [run for run in map(rows.to_run, found) if prefix.covers(run.prefix)]
        self._saw(runs)
        return runs

    def piece_at(self, subnet_id: int, address: int) -> Block | Run | None:
        packed = to_bytes(self.catalogue.subnets[subnet_id].family, address)
        for clause, read in ((s.block_at, rows.to_block), (s.run_at, rows.to_run)):
            row = self._run.one(clause, subnet_id=subnet_id, address=packed)
            if row:
                piece: Block | Run = read(row)
                if piece.prefix.holds(address):
                    self._saw((piece,))
                    return piece
        return None

    def allocation_at(self, scope: str, family: int, address: int) -> AllocationRow | None:
        row = self._run.one(
            s.allocation_at,
            scope_id=self.catalogue.scopes[scope],
            address=to_bytes(family, address),
        )
        return rows.to_allocation(row) if row else None

    def blocks(self, subnet_ids: Sequence[int] | None = None) -> list[Block]:
        found = map(rows.to_block, self._in_batches(_BLOCKS, t.block.c.subnet_id, subnet_ids))
        return sorted(found, key=lambda block: (block.subnet_id, block.prefix))

    def runs(self, subnet_ids: Sequence[int] | None = None) -> list[Run]:
        found = map(rows.to_run, self._in_batches(_RUNS, t.run.c.subnet_id, subnet_ids))
        return sorted(found, key=lambda run: (run.subnet_id, run.prefix))

    def tallies(self, subnet_ids: Sequence[int]) -> dict[int, Tally]:
        free = free_of(self.catalogue.subnets, self.runs(subnet_ids))
        for subnet_id, holder, count in self._in_batches(_FREE, t.block.c.subnet_id, subnet_ids):
            free[subnet_id, holder] += int(count)
        held: dict[int, tuple[int, int]] = {}
        for id in subnet_ids:
            row = self._run.one(s.count_in_subnet, **rows.in_subnet(self.catalogue, id))
            assert row is not None
            held[id] = row[0], row[1]
        return tallies_of(free, held)

    def _in_batches(
        self, query: sa.Select[Any], column: Any, ids: Sequence[int] | None
    ) -> list[Row]:
        if ids is None:
            return self._run.once(query)
        found: list[Row] = []
        for start in range(0, len(ids), _BATCH):
            some = ids[start : start + _BATCH]
            clause = query.where(self._run.among(column, "ids", some))
            found += self._run.once(clause, ids=self._run.many(some))
        return found


_BLOCKS = sa.select(*s.BLOCK_COLUMNS).order_by(t.block.c.subnet_id, t.block.c.base)
_RUNS = sa.select(*s.RUN_COLUMNS).order_by(t.run.c.subnet_id, t.run.c.base)
_FREE = (
    sa.select(t.block.c.subnet_id, t.block.c.holder, sa.func.sum(t.block.c.free))
    .where(t.block.c.is_open == sa.literal_column("1"))
    .group_by(t.block.c.subnet_id, t.block.c.holder)
)
