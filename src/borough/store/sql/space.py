"""Reading address space in one transaction of an SQL database."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from borough.domain.address import from_bytes, to_bytes
from borough.domain.block import BLOCK_BITS, Block, Run
from borough.domain.ladder import Rung
from borough.domain.model import AllocationRow, Catalogue
from borough.domain.prefix import Prefix
from borough.domain.space import Offer, Plan
from borough.store.sql import rows
from borough.store.sql import schema as t
from borough.store.sql import statements as s
from borough.store.sql.catalogue import load
from borough.store.sql.change_log import Change
from borough.store.sql.dialect import Dialect
from borough.store.sql.giving import Areas
from borough.store.sql.offers import offers_of_many
from borough.store.sql.probes import Probes, ids_of
from borough.store.sql.runner import Runner

#: Rungs that one query looks at. A ladder is seldom longer, and databases bound a compound query.
_RUNGS = 16

#: Addresses opened at once where several writers want some: each then finds a block of his own, and they
#: do not meet again at the next piece of unused space.
_ROOM = 8 << BLOCK_BITS


#: Plans of one unit that are remembered.
_REMEMBERED: Final = 8


class SqlSpace:
    """See :class:`borough.domain.space.Space`."""

    def __init__(
        self,
        run: Runner,
        cached: Catalogue | None,
        dialect: Dialect,
        probes: Probes,
        *,
        areas: Areas,
        spread: bool = False,
        locked: frozenset[int] | None = None,
    ) -> None:
        """Work in a transaction.

        :param cached: the catalogue as this process has read it last.
        :param areas: where this writer looks for unclaimed space first.
        :param spread: whether unused space is offered before the blocks of its rung.
        :param locked: the subnets whose space was locked before this transaction's snapshot; None where
            no lock is needed, or where reading takes it.
        """
        self._run = run
        self._cached = cached
        self._dialect = dialect
        self._guard = dialect.translate
        self._probes = probes
        self._areas = areas
        self._spread = spread
        #: Blocks and runs that were read, and plans that were written, for who wants to guess.
        self.read: list[Block | Run] = []
        #: Of plans the last ones: what is believed of the others is found out to be wrong by the database.
        self.written: deque[Plan] = deque(maxlen=_REMEMBERED)
        #: Whether addresses have come free.
        self.freed = False
        #: The block that the last address was given from, as it is then.
        self.given_from: Block | None = None
        #: Declared objects that were changed, for the next version of the catalogue.
        self._declared: set[Change] = set()
        self._touched = False
        self._locked = locked
        #: Of the subnets whose space this unit keeps locked: their counts of changes outside of blocks.
        self._outside: dict[int, int] = {}
        self._fresh: Catalogue | None = None
        #: The catalogue as it was before this unit changed it.
        self.cacheable: Catalogue | None = None

    @property
    def catalogue(self) -> Catalogue:
        """The declared objects, as they stand in this transaction."""
        if self._fresh is None:
            found = self._run.one(s.version)
            assert found is not None
            version = found[0]
            if self._cached is None or self._cached.version != version:
                self._fresh = load(self._run, self._cached, version)
            else:
                self._fresh = self._cached
            if not (self._touched or self._declared):
                self.cacheable = self._fresh
        return self._fresh

    @property
    def has_declared(self) -> bool:
        """True when this unit made another version of the catalogue."""
        return self._touched

    def _saw(self, pieces: Sequence[Block | Run]) -> None:
        """Keep in mind what was read of space; it may be of no use with another catalogue."""
        self.read += pieces

    # --- Space --------------------------------------------------------------------------------

    def offers(
        self, rungs: Sequence[Rung], claimant: str, count: int, *, lowest: bool
    ) -> list[Offer]:
        """See :meth:`borough.domain.space.Space.offers`."""
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
        """See :meth:`borough.domain.space.Space.holdings`."""
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
        """See :meth:`borough.domain.space.Space.held_in`."""
        found = self._run.rows(s.held_in, cohort_id=cohort_id, holder=holder)
        return [rows.to_block(row) for row in found]

    def blocks_in(self, subnet_id: int, prefix: Prefix) -> list[Block]:
        """See :meth:`borough.domain.space.Space.blocks_in`."""
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
        """See :meth:`borough.domain.space.Space.runs_at`."""
        if not prefixes:
            return []
        bases = {f"base_{at}": to_bytes(p.family, p.base) for at, p in enumerate(prefixes)}
        found = self._run.rows(s.runs_at(len(prefixes)), subnet_id=subnet_id, **bases)
        wanted = set(prefixes)
        runs = [run for run in map(rows.to_run, found) if run.prefix in wanted]
        self._saw(runs)
        return runs

    def runs_in(self, subnet_id: int, prefix: Prefix, longest: int) -> list[Run]:
        """See :meth:`borough.domain.space.Space.runs_in`."""
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
        """See :meth:`borough.domain.space.Space.piece_at`."""
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
        """See :meth:`borough.domain.space.Space.allocation_at`."""
        row = self._run.one(
            s.allocation_at,
            scope_id=self.catalogue.scopes[scope],
            address=to_bytes(family, address),
        )
        return rows.to_allocation(row) if row else None
