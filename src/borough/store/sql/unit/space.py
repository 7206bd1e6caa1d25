"""Address space in an SQL database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from borough.domain.net.addresses import from_bytes, to_bytes
from borough.domain.net.prefixes import Prefix
from borough.domain.space.allocations import AllocationRow
from borough.domain.space.blocks import BLOCK_BITS, Block, FreeRange
from borough.domain.space.plan import Offer, Tally, free_of, tallies_of
from borough.domain.space.rungs import Rung
from borough.store.sql import rows
from borough.store.sql import schema as t
from borough.store.sql import statements as s
from borough.store.sql.offers import offers_of_many
from borough.store.sql.probes import ids_of
from borough.store.sql.runner import Row
from borough.store.sql.unit.part import SqlPart

#: Most rungs of one query: databases bound a compound query. A ladder is seldom longer.
_RUNGS = 16

#: Addresses opened at once where several writers compete, so each finds a block of its own.
_ROOM = 8 << BLOCK_BITS


#: Ids written into one query.
_BATCH: Final = 500


class SqlSpace(SqlPart):
    """See :class:`borough.store.port.ReadSpace`."""

    def _saw(self, pieces: Sequence[Block | FreeRange]) -> None:
        """Take note of pieces that were read."""

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
                piece = rows.to_free_range(row[4:]) if row[3] else rows.to_block(row[4:])
                room = _ROOM if self._spread and not claimant else 0
                found.append(Offer(start + row[0], piece, room=room))
                self._saw((piece,))
            if len(found) >= count:
                break
        return found

    def _near(self, rungs: Sequence[Rung]) -> Offer | None:
        """The offer of this writer's own partition on the first rung."""
        bounds = self._bounds_cache.find(self.catalogue, rungs) if rungs else None
        if bounds is None:
            return None
        values = {"id": bounds.id, "first": bounds.first, "last": bounds.last}
        row = self._runner.one(s.open_in_bounds(bounds.column), **values)
        if row:
            return Offer(0, rows.to_block(row))
        row = self._runner.one(s.free_range_in_bounds(bounds.column), **values)
        if row:
            return Offer(0, rows.to_free_range(row), room=_ROOM)
        row = self._runner.one(s.free_range_before_bounds(bounds.column), **values)
        start = from_bytes(bounds.first)
        if row and rows.to_free_range(row).prefix.holds(start):
            return Offer(0, rows.to_free_range(row), start, _ROOM)
        return None

    def _offered(
        self, rungs: Sequence[Rung], claimant: str, count: int, *, lowest: bool
    ) -> list[Any]:
        how = (bool(claimant), lowest, count > 1, self._spread)
        probe = self._probes.find(rungs, *how)
        if probe is None:
            clause = offers_of_many(self._runner, rungs, *how)
            many = {f"r{at}": self._runner.many(ids_of(rung)[1]) for at, rung in enumerate(rungs)}
            return self._runner.once(clause, count=count, claimant=claimant, **many)
        return self._runner.rows(probe[0], count=count, claimant=claimant, **probe[1])

    def holdings(self, rung: Rung, holder: str) -> list[Block]:
        column, ids = ids_of(rung)
        if not ids:
            return []
        if len(ids) > s.INLINE:
            clause = s.held_where(self._runner.among(t.block.c[column], "ids", ids))
            found = self._runner.once(clause, holder=holder, ids=self._runner.many(ids))
        else:
            values = {f"id_{at}": id for at, id in enumerate(ids)}
            found = self._runner.rows(s.holdings(column, len(ids)), holder=holder, **values)
        blocks = [rows.to_block(row) for row in found]
        self._saw(blocks)
        return blocks

    def held_in(self, cohort_id: int, holder: str) -> list[Block]:
        found = self._runner.rows(s.held_in, cohort_id=cohort_id, holder=holder)
        return [rows.to_block(row) for row in found]

    def blocks_in(self, subnet_id: int, prefix: Prefix) -> list[Block]:
        found = self._runner.rows(
            s.blocks_in,
            subnet_id=subnet_id,
            first=to_bytes(prefix.family, prefix.base),
            last=to_bytes(prefix.family, prefix.last),
        )
        blocks = [block for block in map(rows.to_block, found) if prefix.covers(block.prefix)]
        self._saw(blocks)
        return blocks

    def free_ranges_at(self, subnet_id: int, prefixes: Sequence[Prefix]) -> list[FreeRange]:
        if not prefixes:
            return []
        bases = {f"base_{at}": to_bytes(p.family, p.base) for at, p in enumerate(prefixes)}
        found = self._runner.rows(s.free_ranges_at(len(prefixes)), subnet_id=subnet_id, **bases)
        wanted = set(prefixes)
        free_ranges = [
            free_range
            for free_range in map(rows.to_free_range, found)
            if free_range.prefix in wanted
        ]
        self._saw(free_ranges)
        return free_ranges

    def free_ranges_in(self, subnet_id: int, prefix: Prefix, longest: int) -> list[FreeRange]:
        found = self._runner.rows(
            s.free_ranges_in,
            subnet_id=subnet_id,
            first=to_bytes(prefix.family, prefix.base),
            last=to_bytes(prefix.family, prefix.last),
            longest=longest,
        )
        free_ranges = [
            free_range
            for free_range in map(rows.to_free_range, found)
            if prefix.covers(free_range.prefix)
        ]
        self._saw(free_ranges)
        return free_ranges

    def piece_at(self, subnet_id: int, address: int) -> Block | FreeRange | None:
        packed = to_bytes(self.catalogue.subnets[subnet_id].family, address)
        for clause, read in ((s.block_at, rows.to_block), (s.free_range_at, rows.to_free_range)):
            row = self._runner.one(clause, subnet_id=subnet_id, address=packed)
            if row:
                piece: Block | FreeRange = read(row)
                if piece.prefix.holds(address):
                    self._saw((piece,))
                    return piece
        return None

    def allocation_at(self, scope: str, family: int, address: int) -> AllocationRow | None:
        row = self._runner.one(
            s.allocation_at,
            scope_id=self.catalogue.scopes[scope],
            address=to_bytes(family, address),
        )
        return rows.to_allocation(row) if row else None

    def is_in_use(self, scope: str, prefix: Prefix) -> bool:
        values = rows.between(prefix.family, prefix.base, prefix.last)
        scope_id = self.catalogue.scopes[scope]
        return self._runner.one(_IN_USE, scope_id=scope_id, **values) is not None

    def blocks(self, subnet_ids: Sequence[int] | None = None) -> list[Block]:
        found = map(rows.to_block, self._in_batches(_BLOCKS, t.block.c.subnet_id, subnet_ids))
        return sorted(found, key=lambda block: (block.subnet_id, block.prefix))

    def free_ranges(self, subnet_ids: Sequence[int] | None = None) -> list[FreeRange]:
        found = map(
            rows.to_free_range, self._in_batches(_FREE_RANGES, t.free_range.c.subnet_id, subnet_ids)
        )
        return sorted(found, key=lambda free_range: (free_range.subnet_id, free_range.prefix))

    def tallies(self, subnet_ids: Sequence[int]) -> dict[int, Tally]:
        free = free_of(self.catalogue.subnets, self.free_ranges(subnet_ids))
        for subnet_id, holder, count in self._in_batches(_FREE, t.block.c.subnet_id, subnet_ids):
            free[subnet_id, holder] += int(count)
        held: dict[int, tuple[int, int, int]] = {}
        for id in subnet_ids:
            row = self._runner.one(s.count_in_subnet, **rows.in_subnet(self.catalogue, id))
            assert row is not None
            held[id] = row[0], row[1], row[2]
        return tallies_of(free, held)

    def _in_batches(
        self, query: sa.Select[Any], column: Any, ids: Sequence[int] | None
    ) -> list[Row]:
        if ids is None:
            return self._runner.once(query)
        found: list[Row] = []
        for start in range(0, len(ids), _BATCH):
            some = ids[start : start + _BATCH]
            clause = query.where(self._runner.among(column, "ids", some))
            found += self._runner.once(clause, ids=self._runner.many(some))
        return found


_IN_USE = sa.select(t.allocation.c.address).where(*s.IN_SPACE).limit(sa.literal_column("1"))
_BLOCKS = sa.select(*s.BLOCK_COLUMNS).order_by(t.block.c.subnet_id, t.block.c.base)
_FREE_RANGES = sa.select(*s.FREE_RANGE_COLUMNS).order_by(
    t.free_range.c.subnet_id, t.free_range.c.base
)
_FREE = (
    sa.select(t.block.c.subnet_id, t.block.c.holder, sa.func.sum(t.block.c.free))
    .where(t.block.c.is_open == sa.literal_column("1"))
    .group_by(t.block.c.subnet_id, t.block.c.holder)
)
