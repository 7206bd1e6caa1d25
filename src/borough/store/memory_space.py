"""The in-memory tables, and reading address space from them."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any

from borough.domain.block import Block, Run
from borough.domain.dimension import BUILT_IN, Dimension, Labels
from borough.domain.event import Event
from borough.domain.ladder import Hold, Rung
from borough.domain.model import (
    AllocationRow,
    Catalogue,
    Cohort,
    Host,
    Pool,
    Subnet,
)
from borough.domain.prefix import Prefix
from borough.domain.space import Offer
from borough.domain.token import Token
from borough.store.port import Leftover, Remembered


@dataclass
class Tables:
    """All rows. Records are frozen, so a copy of the dictionaries is a copy of the state."""

    version: int = 1
    scopes: dict[str, int] = field(default_factory=lambda: {"default": 1})
    scope_sources: dict[str, str] = field(default_factory=dict)
    dimensions: tuple[Dimension, ...] = BUILT_IN
    dimension_sources: dict[str, str] = field(default_factory=dict)
    subnets: dict[int, Subnet] = field(default_factory=dict)
    cohorts: dict[int, Cohort] = field(default_factory=dict)
    cohort_of: dict[int, int] = field(default_factory=dict)
    pools: dict[str, Pool] = field(default_factory=dict)
    hosts: dict[str, Host] = field(default_factory=dict)
    blocks: dict[int, Block] = field(default_factory=dict)
    runs: dict[int, Run] = field(default_factory=dict)
    allocations: dict[tuple[str, int, int], AllocationRow] = field(default_factory=dict)
    keys: dict[str, tuple[Remembered, int]] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    cohort_labels: dict[int, Labels] = field(default_factory=dict)
    pruned: int = 0
    tokens: dict[str, Token] = field(default_factory=dict)
    leftovers: dict[str, Leftover] = field(default_factory=dict)
    next_id: int = 1

    @property
    def newest_event(self) -> int:
        """The id of the newest event, which is never pruned; 0 when there is none."""
        return self.events[-1].id if self.events else 0

    def copy(self) -> Tables:
        """Another state that starts out the same."""
        made = copy(self)
        for name, value in vars(self).items():
            if isinstance(value, dict | list):
                setattr(made, name, value.copy())
        return made


def catalogue_of(tables: Tables) -> Catalogue:
    """The declared objects of a state."""
    return Catalogue(
        version=tables.version,
        dimensions=tables.dimensions,
        scopes=dict(tables.scopes),
        subnets=dict(tables.subnets),
        cohorts=dict(tables.cohorts),
        cohort_of=dict(tables.cohort_of),
        pools=dict(tables.pools),
        hosts=dict(tables.hosts),
        scope_sources=dict(tables.scope_sources),
        dimension_sources=dict(tables.dimension_sources),
    )


def _by_address(piece: Block | Run) -> Any:
    return piece.prefix


class MemorySpace:
    """See :class:`borough.domain.space.Space`."""

    def __init__(self, tables: Tables, catalogue: Catalogue) -> None:
        self._tables = tables
        self.catalogue = catalogue

    # --- Space --------------------------------------------------------------------------------

    def offers(
        self, rungs: Sequence[Rung], claimant: str, count: int, *, lowest: bool
    ) -> list[Offer]:
        """See :meth:`borough.domain.space.Space.offers`."""
        found: list[Offer] = []
        for position, rung in enumerate(rungs):
            blocks = [block for block in self._blocks_on(rung, claimant) if block.free]
            runs = self._runs_on(rung) if rung.hold is Hold.UNCLAIMED else []
            pieces = _order(rung.hold, blocks, runs, claimant, lowest)
            found += [Offer(position, piece) for piece in pieces]
            if len(found) >= count:
                break
        return found[:count]

    def _on(self, rung: Rung, piece: Block | Run) -> bool:
        return piece.cohort_id in rung.cohorts or piece.subnet_id in rung.subnets

    def _blocks_on(self, rung: Rung, claimant: str) -> list[Block]:
        return [
            block
            for block in self._tables.blocks.values()
            if self._on(rung, block) and _hold(block, claimant) is rung.hold
        ]

    def _runs_on(self, rung: Rung) -> list[Run]:
        return [run for run in self._tables.runs.values() if self._on(rung, run)]

    def holdings(self, rung: Rung, holder: str) -> list[Block]:
        """See :meth:`borough.domain.space.Space.holdings`."""
        held = [
            block
            for block in self._tables.blocks.values()
            if self._on(rung, block) and block.holder == holder
        ]
        return sorted(held, key=_by_address)

    def held_in(self, cohort_id: int, holder: str) -> list[Block]:
        """See :meth:`borough.domain.space.Space.held_in`."""
        held = [
            block
            for block in self._tables.blocks.values()
            if block.cohort_id == cohort_id and block.holder == holder
        ]
        return sorted(held, key=_by_address)

    def blocks_in(self, subnet_id: int, prefix: Prefix) -> list[Block]:
        """See :meth:`borough.domain.space.Space.blocks_in`."""
        inside = [
            block
            for block in self._tables.blocks.values()
            if block.subnet_id == subnet_id and prefix.covers(block.prefix)
        ]
        return sorted(inside, key=_by_address)

    def runs_at(self, subnet_id: int, prefixes: Sequence[Prefix]) -> list[Run]:
        """See :meth:`borough.domain.space.Space.runs_at`."""
        return [
            run
            for run in self._tables.runs.values()
            if run.subnet_id == subnet_id and run.prefix in prefixes
        ]

    def runs_in(self, subnet_id: int, prefix: Prefix, longest: int) -> list[Run]:
        """See :meth:`borough.domain.space.Space.runs_in`."""
        inside = [
            run
            for run in self._tables.runs.values()
            if run.subnet_id == subnet_id
            and prefix.covers(run.prefix)
            and run.prefix.length <= longest
        ]
        return sorted(inside, key=_by_address)

    def piece_at(self, subnet_id: int, address: int) -> Block | Run | None:
        """See :meth:`borough.domain.space.Space.piece_at`."""
        for table in (self._tables.blocks, self._tables.runs):
            for piece in table.values():
                if piece.subnet_id == subnet_id and piece.prefix.holds(address):
                    return piece
        return None

    def allocation_at(self, scope: str, family: int, address: int) -> AllocationRow | None:
        """See :meth:`borough.domain.space.Space.allocation_at`."""
        return self._tables.allocations.get((scope, family, address))


def _hold(block: Block, claimant: str) -> Hold:
    if not block.holder:
        return Hold.UNCLAIMED
    return Hold.OWN if block.holder == claimant else Hold.OTHERS


def _order(
    hold: Hold, blocks: list[Block], runs: list[Run], claimant: str, lowest: bool
) -> list[Block | Run]:
    if lowest:
        return sorted([*blocks, *runs], key=_by_address)
    if hold is Hold.OWN:
        return [*sorted(blocks, key=lambda block: (block.region_length, block.prefix))]
    blocks.sort(key=lambda block: (block.turn, block.prefix))
    if claimant:
        runs.sort(key=lambda run: (run.prefix.length, run.prefix))
        return [*runs, *blocks]
    runs.sort(key=lambda run: (-run.prefix.length, run.prefix))
    return [*blocks, *runs]
