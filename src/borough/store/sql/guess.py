"""Deciding on what is remembered, to be checked by the one statement that writes.

A decision that needs space of its own (a new block, a claim, a region that grows) reads before it
writes: that would be a transaction of several statements. Instead it is decided, by the same pure code, on
the blocks and runs that this process has seen or written before; the statement that writes the plan
first compares every answer that the decision was given with the truth, and does nothing when one of
them was wrong. Then what was remembered is forgotten, and the decision is made on what the database says.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any, Final, NoReturn

from borough.domain.declared.catalogue import Catalogue
from borough.domain.net.prefixes import Prefix
from borough.domain.space.allocations import AllocationRow
from borough.domain.space.blocks import Block, FreeRange
from borough.domain.space.keys import Binding
from borough.domain.space.plan import Offer, Plan
from borough.domain.space.rungs import Rung
from borough.store.memory.space import MemorySpace
from borough.store.memory.tables import Tables
from borough.store.sql.dialect import Dialect
from borough.store.sql.giving import NO_BOUNDS
from borough.store.sql.probes import Probes
from borough.store.sql.read_set import Guess, Held, Offered, Within
from borough.store.sql.runner import Runner
from borough.store.sql.unit.unit import SqlUnit


class Unknown(Exception):
    """What is remembered does not answer the question."""


class Sketch:
    """The blocks and runs that a process remembers of one database; safe between threads."""

    #: Rows kept. Looking through them all is part of a guess.
    _LIMIT: Final = 2048

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._ids = count(1)
        self._version = -1
        self._tables = Tables()
        self._places: dict[tuple[int, int, int], int] = {}

    def space(self, catalogue: Catalogue) -> MemorySpace:
        """What is remembered, as far as it belongs to this catalogue; hold the lock while it is used."""
        if self._version != catalogue.version:
            self._clear()
            self._version = catalogue.version
        return MemorySpace(self._tables, catalogue)

    def clear(self) -> None:
        """Forget all: some of it was wrong."""
        with self.lock:
            self._clear()

    def learn(
        self, catalogue: Catalogue, read: Iterable[Block | FreeRange], plans: Iterable[Plan]
    ) -> None:
        """Remember what was read, and then what was written.

        :param catalogue: the one that it was read and written under.
        """
        with self.lock:
            self.space(catalogue)
            if len(self._places) > self._LIMIT:
                self._clear()
            for piece in read:
                self._keep(piece)
            for plan in plans:
                self._follow(plan)

    def _clear(self) -> None:
        self._tables = Tables()
        self._places = {}

    def _follow(self, plan: Plan) -> None:
        gone: list[Block | FreeRange] = [*plan.free_ranges_removed, *plan.blocks_removed]
        for piece in gone:
            self._drop(piece)
        for old, new in plan.changed.values():
            self._drop(old)
            self._keep(_next(new))
        added: list[Block | FreeRange] = [*plan.free_ranges_added, *plan.blocks_added]
        for piece in added:
            self._keep(piece)

    def _drop(self, piece: Block | FreeRange) -> None:
        id = self._places.pop(_place(piece), 0)
        self._tables.blocks.pop(id, None)
        self._tables.free_ranges.pop(id, None)

    def _keep(self, piece: Block | FreeRange) -> None:
        self._drop(piece)
        # The database's ids are not known of what was written; one's own tell the rows apart as well.
        id = self._places[_place(piece)] = next(self._ids)
        if isinstance(piece, Block):
            self._tables.blocks[id] = _with_id(piece, id)
        else:
            self._tables.free_ranges[id] = FreeRange(
                id, piece.subnet_id, piece.cohort_id, piece.prefix
            )


def _place(piece: Block | FreeRange) -> tuple[int, int, int]:
    # The family: a base of one is a number of the other too.
    return piece.subnet_id, piece.prefix.family, piece.prefix.base


def _with_id(block: Block, id: int, *, written: int = 0) -> Block:
    return Block(
        id,
        block.subnet_id,
        block.cohort_id,
        block.prefix,
        block.bitmap,
        block.holder,
        block.region_length,
        block.version + written,
        block.high_water,
        block.idle_since,
    )


def _next(block: Block) -> Block:
    """A changed block as it is stored: with its next version."""
    return _with_id(block, block.id, written=1)


class GuessUnit(SqlUnit):
    """A unit of work without a transaction: it reads what is remembered and writes one statement."""

    def __init__(
        self, runner: Runner, catalogue: Catalogue, dialect: Dialect, probes: Probes, sketch: Sketch
    ) -> None:
        super().__init__(runner, catalogue, dialect, probes, bounds_cache=NO_BOUNDS)
        self._believed = catalogue
        self._sketch = sketch
        self._guess = Guess(catalogue)

    @property
    def catalogue(self) -> Catalogue:
        """The declared objects, as they were when last seen; checked with the rest."""
        return self._believed

    def offers(
        self, rungs: Sequence[Rung], claimant: str, count: int, *, lowest: bool
    ) -> list[Offer]:
        if self._guess.offered is not None or count > 1:
            raise Unknown
        with self._sketch.lock:
            found = self._sketch.space(self._believed).offers(rungs, claimant, 1, lowest=lowest)
        if not found:
            # Whether nothing is free is never guessed.
            raise Unknown
        self._guess.offered = Offered(rungs, claimant, lowest, found[0].piece)
        return found

    def holdings(self, rung: Rung, holder: str) -> list[Block]:
        if self._guess.held is not None:
            raise Unknown
        with self._sketch.lock:
            found = self._sketch.space(self._believed).holdings(rung, holder)
        self._guess.held = Held(rung, holder, found)
        return found

    def blocks_in(self, subnet_id: int, prefix: Prefix) -> list[Block]:
        raise Unknown

    def free_ranges_at(self, subnet_id: int, prefixes: Sequence[Prefix]) -> list[FreeRange]:
        with self._sketch.lock:
            found = self._sketch.space(self._believed).free_ranges_at(subnet_id, prefixes)
        self._guess.queried += [(subnet_id, prefix) for prefix in prefixes]
        self._guess.found += len(found)
        return found

    def free_ranges_in(self, subnet_id: int, prefix: Prefix, longest: int) -> list[FreeRange]:
        if self._guess.within is not None:
            raise Unknown
        with self._sketch.lock:
            found = self._sketch.space(self._believed).free_ranges_in(subnet_id, prefix, longest)
        self._guess.within = Within(subnet_id, prefix, longest, found)
        return found

    def piece_at(self, subnet_id: int, address: int) -> Block | FreeRange | None:
        with self._sketch.lock:
            found = self._sketch.space(self._believed).piece_at(subnet_id, address)
        if found is None:
            raise Unknown
        return found

    def allocation_at(self, scope: str, family: int, address: int) -> AllocationRow | None:
        """See :meth:`borough.domain.space.plan.Space.allocation_at`; nobody: a constraint checks that."""
        return None

    def recall(self, key: str) -> None:
        """See :meth:`borough.store.port.Unit.recall`; nothing: a constraint checks that."""
        return

    def expired(self, now: int, limit: int) -> list[AllocationRow]:
        """See :meth:`borough.store.port.Unit.expired`; none, to be checked."""
        return []

    def _send(
        self,
        plan: Plan,
        grants: Sequence[tuple[dict[str, Any], dict[str, Any]]],
        events: Sequence[dict[str, Any]],
        now: int,
        bind: Binding | None,
    ) -> list[int]:
        assert self._dialect.writer is not None
        self._guess.now, self._guess.bind = now, bind
        return self._dialect.writer.write(
            self._runner, plan, self._believed.subnets, grants, events, self._guess
        )

    def _unknown(self, *_args: object, **_named: object) -> NoReturn:
        raise Unknown

    held_in = is_in_use = allocations = blocks = free_ranges = tallies = events = touch = _unknown
