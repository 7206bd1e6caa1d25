"""Address space in the in-memory tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from borough.domain.net.prefixes import Prefix
from borough.domain.space.allocations import AllocationRow, State
from borough.domain.space.blocks import Block, FreeRange
from borough.domain.space.plan import Offer, Tally, free_of, tallies_of
from borough.domain.space.rungs import Hold, Rung
from borough.store.memory.part import MemoryPart


def _by_address(piece: Block | FreeRange) -> Any:
    return piece.prefix


class MemorySpace(MemoryPart):
    """See :class:`borough.store.port.ReadSpace`."""

    def offers(
        self, rungs: Sequence[Rung], claimant: str, count: int, *, lowest: bool
    ) -> list[Offer]:
        found: list[Offer] = []
        for position, rung in enumerate(rungs):
            on = partial(self._on, rung)
            blocks = self._blocks(on)
            offered = [
                each for each in blocks if each.free_count and _hold(each, claimant) is rung.hold
            ]
            free_ranges = self._free_ranges(on) if rung.hold is Hold.UNCLAIMED else []
            pieces = _order(rung.hold, offered, free_ranges, claimant, lowest)
            found += [Offer(position, piece) for piece in pieces]
            if len(found) >= count:
                break
        return found[:count]

    def _on(self, rung: Rung, piece: Block | FreeRange) -> bool:
        return piece.cohort_id in rung.cohorts or piece.subnet_id in rung.subnets

    def _blocks(self, condition: Callable[[Block], bool]) -> list[Block]:
        return sorted(filter(condition, self._tables.blocks.values()), key=_by_address)

    def _free_ranges(self, condition: Callable[[FreeRange], bool]) -> list[FreeRange]:
        return sorted(filter(condition, self._tables.free_ranges.values()), key=_by_address)

    def holdings(self, rung: Rung, holder: str) -> list[Block]:
        return self._blocks(lambda block: self._on(rung, block) and block.holder == holder)

    def held_in(self, cohort_id: int, holder: str) -> list[Block]:
        return self._blocks(lambda block: (block.cohort_id, block.holder) == (cohort_id, holder))

    def blocks_in(self, subnet_id: int, prefix: Prefix) -> list[Block]:
        return self._blocks(
            lambda block: block.subnet_id == subnet_id and prefix.covers(block.prefix)
        )

    def free_ranges_at(self, subnet_id: int, prefixes: Sequence[Prefix]) -> list[FreeRange]:
        return self._free_ranges(
            lambda each: each.subnet_id == subnet_id and each.prefix in prefixes
        )

    def free_ranges_in(self, subnet_id: int, prefix: Prefix, longest: int) -> list[FreeRange]:
        return self._free_ranges(
            lambda each: (
                each.subnet_id == subnet_id
                and prefix.covers(each.prefix)
                and each.prefix.length <= longest
            )
        )

    def piece_at(self, subnet_id: int, address: int) -> Block | FreeRange | None:
        for table in (self._tables.blocks, self._tables.free_ranges):
            for piece in table.values():
                if piece.subnet_id == subnet_id and piece.prefix.holds(address):
                    return piece
        return None

    def allocation_at(self, scope: str, family: int, address: int) -> AllocationRow | None:
        return self._tables.allocations.get((scope, family, address))

    def is_in_use(self, scope: str, prefix: Prefix) -> bool:
        return any(
            (each.scope, each.family) == (scope, prefix.family) and prefix.holds(each.address)
            for each in self._tables.allocations.values()
        )

    def blocks(self, subnet_ids: Sequence[int] | None = None) -> list[Block]:
        return _of(self._tables.blocks.values(), subnet_ids)

    def free_ranges(self, subnet_ids: Sequence[int] | None = None) -> list[FreeRange]:
        return _of(self._tables.free_ranges.values(), subnet_ids)

    def tallies(self, subnet_ids: Sequence[int]) -> dict[int, Tally]:
        held = dict.fromkeys(subnet_ids, (0, 0, 0))
        for each in self._tables.allocations.values():
            if each.subnet_id in held:
                total, cooling, reserved = held[each.subnet_id]
                held[each.subnet_id] = (
                    total + 1,
                    cooling + (each.state is State.COOLING),
                    reserved + (each.state is State.RESERVED),
                )
        pieces: list[Block | FreeRange] = [*self.blocks(subnet_ids), *self.free_ranges(subnet_ids)]
        return tallies_of(free_of(self._tables.subnets, pieces), held)


def _of(pieces: Iterable[Any], subnet_ids: Sequence[int] | None) -> list[Any]:
    found = [each for each in pieces if subnet_ids is None or each.subnet_id in subnet_ids]
    return sorted(found, key=lambda each: (each.subnet_id, each.prefix))


def _hold(block: Block, claimant: str) -> Hold:
    if not block.holder:
        return Hold.UNCLAIMED
    return Hold.OWN if block.holder == claimant else Hold.OTHERS


def _order(
    hold: Hold, blocks: list[Block], free_ranges: list[FreeRange], claimant: str, lowest: bool
) -> list[Block | FreeRange]:
    if lowest:
        return sorted([*blocks, *free_ranges], key=_by_address)
    if hold is Hold.OWN:
        return [*sorted(blocks, key=lambda block: (block.region_length, block.prefix))]
    blocks.sort(key=lambda block: (block.takeover_rank, block.prefix))
    if claimant:
        free_ranges.sort(key=lambda free_range: (free_range.prefix.length, free_range.prefix))
        return [*free_ranges, *blocks]
    free_ranges.sort(key=lambda free_range: (-free_range.prefix.length, free_range.prefix))
    return [*blocks, *free_ranges]
