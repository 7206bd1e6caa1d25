"""The optimistic path: decisions on remembered rows, checked by the one statement that writes.

A decision that needs space of its own (a new block, a claim, a region that grows) reads before it writes.
That would be a transaction of several statements. Instead the same pure code decides on the blocks and free
ranges that this process has read or written before. The statement that writes the plan first compares every
answer that the decision used with the tables, and does nothing when one differs. Then the remembered rows
are dropped, and the decision is made again in a transaction.
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
    """The remembered rows do not answer a question."""


class Sketch:
    """The blocks and free ranges that a process remembers of one database; safe between threads."""

    #: Most rows; a guess scans all of them.
    _LIMIT: Final = 2048

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._ids = count(1)
        self._version = -1
        self._tables = Tables()
        self._places: dict[tuple[int, int, int], int] = {}

    def space(self, catalogue: Catalogue) -> MemorySpace:
        """The remembered rows of a catalogue; the caller holds the lock."""
        if self._version != catalogue.version:
            self._clear()
            self._version = catalogue.version
        return MemorySpace(self._tables, catalogue)

    def clear(self) -> None:
        """Drop all rows after a wrong guess."""
        with self.lock:
            self._clear()

    def learn(
        self, catalogue: Catalogue, read: Iterable[Block | FreeRange], plans: Iterable[Plan]
    ) -> None:
        """Remember rows that were read, and then plans that were written.

        :param catalogue: the catalogue of both.
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
        # The ids of written rows are unknown, so rows have ids of the sketch.
        id = self._places[_place(piece)] = next(self._ids)
        if isinstance(piece, Block):
            self._tables.blocks[id] = _with_id(piece, id)
        else:
            self._tables.free_ranges[id] = FreeRange(
                id, piece.subnet_id, piece.cohort_id, piece.prefix
            )


def _place(piece: Block | FreeRange) -> tuple[int, int, int]:
    # With the family, because the same number may be a base of both.
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
    """A changed block as stored, with its next version."""
    return _with_id(block, block.id, written=1)


class GuessUnit(SqlUnit):
    """A unit of work without a transaction: it reads remembered rows and writes one statement."""

    def __init__(
        self, runner: Runner, catalogue: Catalogue, dialect: Dialect, probes: Probes, sketch: Sketch
    ) -> None:
        super().__init__(runner, catalogue, dialect, probes, bounds_cache=NO_BOUNDS)
        self._believed = catalogue
        self._sketch = sketch
        self._guess = Guess(catalogue)

    @property
    def catalogue(self) -> Catalogue:
        """The declared objects as last read; the statement checks their version."""
        return self._believed

    def offers(
        self, rungs: Sequence[Rung], claimant: str, count: int, *, lowest: bool
    ) -> list[Offer]:
        if self._guess.offered is not None or count > 1:
            raise Unknown
        with self._sketch.lock:
            found = self._sketch.space(self._believed).offers(rungs, claimant, 1, lowest=lowest)
        if not found:
            # Exhaustion is never guessed.
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
        # The constraint on (scope, address) checks it.
        return None

    def recall(self, key: str) -> None:
        # The constraint on the key checks it.
        return

    def expired(self, now: int, limit: int) -> list[AllocationRow]:
        # The statement checks that there are none.
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
