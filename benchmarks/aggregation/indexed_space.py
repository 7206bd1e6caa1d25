"""The pool that a trace is played on, and the space that Borough's decisions read.

:class:`IndexedSpace` implements :class:`~borough.domain.space.plan.Space` with indexes, so that half a
million decisions take minutes. It has no rule of its own: the package decides, as for every store.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.dimensions import BUILT_IN
from borough.domain.declared.records import Cohort, Host, Subnet
from borough.domain.net.addresses import WIDTH, Family, parse_address
from borough.domain.net.prefixes import Prefix
from borough.domain.space.allocations import AllocationRow
from borough.domain.space.blocks import BLOCK_BITS, Block, FreeRange, initial_free_ranges
from borough.domain.space.plan import Offer, Plan
from borough.domain.space.rungs import Hold, Rung

#: First address of the subnets, and the binary logarithm of their distance: they never touch.
_START = {4: parse_address("10.0.0.0")[1], 6: parse_address("2001:db8::")[1]}
_APART = 20

COHORT = 1


def make_subnets(size: int, subnets: int, family: Family) -> list[Subnet]:
    """Subnets with about ``size`` addresses in total, each of one or more whole 64-address blocks."""
    blocks = max(subnets, round(size / 64))
    made = []
    for at in range(subnets):
        each = ((at + 1) * blocks // subnets - at * blocks // subnets) * 64
        bits = max(7, (each - 1).bit_length())
        base = _START[family] + (at << _APART)
        made.append(
            Subnet(
                id=at + 1,
                name=f"s{at}",
                scope="default",
                prefix=Prefix(family, base, WIDTH[family] - bits),
                ranges=((base, base + each - 1),),
            )
        )
    return made


def catalogue_of(subnets: list[Subnet], expected: Mapping[str, int]) -> Catalogue:
    """A catalogue of subnets with equal labels.

    :param expected: the ``expected`` setting of each host that declares it, in addresses.
    """
    family = subnets[0].family
    return Catalogue(
        version=1,
        dimensions=BUILT_IN,
        scopes={"default": 1},
        subnets={subnet.id: subnet for subnet in subnets},
        cohorts={COHORT: Cohort(COHORT, "default", family, {}, 0)},
        cohort_of={subnet.id: COHORT for subnet in subnets},
        pools={},
        hosts={
            name: Host(0, name, {}, claiming={"expected": size}) for name, size in expected.items()
        },
        scope_sources={},
        dimension_sources={},
    )


class IndexedSpace:
    """Blocks, free ranges and allocations with indexes; see :class:`borough.domain.space.plan.Space`.

    :ivar held: blocks by holder and id.
    :ivar allocated: allocations by address.
    """

    def __init__(self, subnets: list[Subnet], expected: Mapping[str, int]) -> None:
        self.catalogue = catalogue_of(subnets, expected)
        self._ids = count(1)
        self.blocks: dict[int, Block] = {}
        self.held: dict[str, dict[int, Block]] = {}
        self._places: dict[tuple[int, int, int], Block | FreeRange] = {}
        self._claimed: list[tuple[Any, int]] = []
        self._unclaimed: list[tuple[Any, int]] = []
        self._free_ranges: list[tuple[int, int, int]] = []
        self.allocated: dict[int, AllocationRow] = {}
        for subnet in subnets:
            for prefix in initial_free_ranges(subnet):
                self._add_free_range(FreeRange(0, subnet.id, COHORT, prefix))

    # --- Space --------------------------------------------------------------------------------

    def offers(
        self, rungs: Sequence[Rung], claimant: str, count: int, *, lowest: bool
    ) -> list[Offer]:
        """The first piece on the ladder. The benchmark requests one address at a time."""
        assert count == 1
        assert not lowest
        for at, rung in enumerate(rungs):
            piece = self._first(rung.hold, claimant)
            if piece is not None:
                return [Offer(at, piece)]
        return []

    def _first(self, hold: Hold, claimant: str) -> Block | FreeRange | None:
        if hold is Hold.OWN:
            mine = [block for block in self.held.get(claimant, {}).values() if block.free_count]
            return min(mine, key=lambda each: (each.region_length, each.prefix), default=None)
        if hold is Hold.UNCLAIMED:
            if self._free_ranges:
                length, base, subnet_id = self._free_ranges[0]
                return self._places[subnet_id, base, length]
            return self.blocks[self._unclaimed[0][1]] if self._unclaimed else None
        for _, id in self._claimed:
            block = self.blocks[id]
            if block.holder != claimant:
                return block
        return None

    def holdings(self, rung: Rung, holder: str) -> list[Block]:
        """All blocks of a holder."""
        return self.held_in(COHORT, holder)

    def held_in(self, cohort_id: int, holder: str) -> list[Block]:
        """All blocks of a holder."""
        return sorted(self.held.get(holder, {}).values(), key=lambda block: block.prefix)

    def blocks_in(self, subnet_id: int, prefix: Prefix) -> list[Block]:
        """The blocks of a subnet inside a prefix."""
        length = max(prefix.length, WIDTH[prefix.family] - BLOCK_BITS)
        found: list[Block] = []
        for base in range(prefix.base, prefix.last + 1, 1 << WIDTH[prefix.family] - length):
            at = base
            while at < base + (1 << WIDTH[prefix.family] - length):
                block = next(
                    (
                        piece
                        for each in range(length, WIDTH[prefix.family] + 1)
                        if isinstance(piece := self._places.get((subnet_id, at, each)), Block)
                    ),
                    None,
                )
                if block is not None:
                    found.append(block)
                at += block.prefix.size if block is not None else 1
        return found

    def free_ranges_at(self, subnet_id: int, prefixes: Sequence[Prefix]) -> list[FreeRange]:
        """The free ranges that are exactly these prefixes."""
        found = (self._places.get((subnet_id, each.base, each.length)) for each in prefixes)
        return [piece for piece in found if isinstance(piece, FreeRange)]

    def free_ranges_in(self, subnet_id: int, prefix: Prefix, longest: int) -> list[FreeRange]:
        """The free ranges of a subnet inside a prefix, none with a length above ``longest``."""
        found = []
        for length, base, id in self._free_ranges:
            if length > longest:
                break
            if id == subnet_id and prefix.holds(base) and length >= prefix.length:
                free = self._places[id, base, length]
                assert isinstance(free, FreeRange)
                found.append(free)
        return sorted(found, key=lambda free: free.prefix)

    def piece_at(self, subnet_id: int, address: int) -> Block | FreeRange | None:
        """The block or free range that an address lies in."""
        subnet = self.catalogue.subnets[subnet_id]
        width = WIDTH[subnet.family]
        for length in range(width, subnet.prefix.length - 1, -1):
            bits = width - length
            piece = self._places.get((subnet_id, address >> bits << bits, length))
            if piece is not None:
                return piece
        return None

    def allocation_at(self, scope: str, family: int, address: int) -> AllocationRow | None:
        """The allocation of an address."""
        return self.allocated.get(address)

    def is_in_use(self, scope: str, prefix: Prefix) -> bool:
        """True when an address of a prefix is held."""
        return any(map(prefix.holds, self.allocated))

    # --- Writing ------------------------------------------------------------------------------

    def commit(self, plan: Plan) -> None:
        """Write a plan; every row must be as the plan has read it."""
        for free in plan.free_ranges_removed:
            self._drop_free_range(free)
        for block in plan.blocks_removed:
            self._drop(block)
        for old, new in plan.changed.values():
            self._drop(old)
            self._add(replace(new, version=old.version + 1))
        for free in plan.free_ranges_added:
            self._add_free_range(free)
        for block in plan.blocks_added:
            self._add(replace(block, id=next(self._ids)))
        for allocation in plan.removed:
            del self.allocated[allocation.address]
        for grant in plan.grants:
            assert grant.allocation.address not in self.allocated
            self.allocated[grant.allocation.address] = grant.allocation

    def _index(self, block: Block) -> list[tuple[Any, int]]:
        return self._claimed if block.holder else self._unclaimed

    def _entry(self, block: Block) -> tuple[Any, int]:
        return (block.takeover_rank, block.prefix), block.id

    def _add(self, block: Block) -> None:
        self.blocks[block.id] = block
        place = (block.subnet_id, block.prefix.base, block.prefix.length)
        assert place not in self._places
        self._places[place] = block
        if block.holder:
            self.held.setdefault(block.holder, {})[block.id] = block
        if block.free_count:
            insort(self._index(block), self._entry(block))

    def _drop(self, block: Block) -> None:
        assert self.blocks.pop(block.id) == block
        del self._places[block.subnet_id, block.prefix.base, block.prefix.length]
        if block.holder:
            del self.held[block.holder][block.id]
        if block.free_count:
            index, entry = self._index(block), self._entry(block)
            at = bisect_left(index, entry)
            assert index.pop(at) == entry

    def _add_free_range(self, free: FreeRange) -> None:
        subnet_id, prefix = free.subnet_id, free.prefix
        insort(self._free_ranges, (prefix.length, prefix.base, subnet_id))
        self._places[subnet_id, prefix.base, prefix.length] = replace(free, id=next(self._ids))

    def _drop_free_range(self, free: FreeRange) -> None:
        subnet_id, prefix = free.subnet_id, free.prefix
        del self._places[subnet_id, prefix.base, prefix.length]
        at = bisect_left(self._free_ranges, (prefix.length, prefix.base, subnet_id))
        self._free_ranges.pop(at)
