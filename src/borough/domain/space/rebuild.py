"""Blocks and runs of a subnet, made again from what is certain: allocations and claims.

Used when a topology change moves a subnet's edges, and by ``audit`` to mend what contradicts itself.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from functools import partial

from borough.domain.declared.records import Subnet
from borough.domain.net.prefixes import Prefix
from borough.domain.space.blocks import (
    BLOCK_BITS,
    Block,
    FreeRange,
    blocks_for,
    has_room,
    initial_free_ranges,
)


def rebuild(
    subnet: Subnet, cohort_id: int, taken: Iterable[int], claims: Mapping[Prefix, str]
) -> tuple[list[Block], list[FreeRange]]:
    """Tile a subnet anew.

    :param taken: addresses allocated or cooling; those that are not usable need no bit.
    :param claims: holder by claimed region. Of regions that overlap the first and larger one is
        kept. A region with a taken address beyond the usable space stays whole; another one that reaches
        beyond it is cut down to the pieces of it.
    :return: fresh blocks and runs, which together cover every usable address once.
    """
    return _Tiling(subnet, cohort_id, taken, claims).tiles()


class _Tiling:
    def __init__(
        self, subnet: Subnet, cohort_id: int, taken: Iterable[int], claims: Mapping[Prefix, str]
    ) -> None:
        self._subnet = subnet
        self._cohort_id = cohort_id
        self._held = sorted(address for address in taken if subnet.prefix.holds(address))
        self._taken = [address for address in self._held if subnet.is_usable(address)]
        pieces = initial_free_ranges(subnet)
        self._claims, whole = _fitted(subnet.prefix, pieces, _disjoint(claims), self._held)
        self._pieces = sorted(
            [*whole, *(piece for piece in pieces if not any(each.covers(piece) for each in whole))]
        )
        self._claimed = sorted(region.base for region in self._claims)
        self._blocks: list[Block] = []
        self._free_ranges: list[FreeRange] = []

    def tiles(self) -> tuple[list[Block], list[FreeRange]]:
        for piece in self._pieces:
            self._tile(piece)
        return self._blocks, self._free_ranges

    def _tile(self, piece: Prefix) -> None:
        holder = self._claims.get(piece)
        if holder is not None:
            self._add_blocks(piece, holder)
        elif not self._any(self._claimed, piece):
            if not self._any(self._taken, piece):
                if has_room(self._subnet, piece):
                    self._free_ranges.append(FreeRange(0, self._subnet.id, self._cohort_id, piece))
            elif piece.size <= 1 << BLOCK_BITS:
                self._add_blocks(piece, "")
            else:
                self._split(piece)
        else:
            self._split(piece)

    def _split(self, piece: Prefix) -> None:
        for half in piece.halves():
            self._tile(half)

    def _add_blocks(self, piece: Prefix, holder: str) -> None:
        # A claim with an address in use stays, though it may have no other to give.
        kept = partial(self._any, self._held if holder else [])
        for block in blocks_for(self._subnet, self._cohort_id, piece, holder, kept):
            low = bisect_left(self._taken, block.prefix.base)
            high = bisect_right(self._taken, block.prefix.last)
            self._blocks.append(block.take(self._taken[low:high]))

    @staticmethod
    def _any(addresses: list[int], piece: Prefix) -> bool:
        at = bisect_left(addresses, piece.base)
        return at < len(addresses) and addresses[at] <= piece.last


def _disjoint(claims: Mapping[Prefix, str]) -> dict[Prefix, str]:
    """Claims without those that overlap an earlier, larger one: an address has one claimant."""
    kept: dict[Prefix, str] = {}
    end = -1
    for region in sorted(claims, key=lambda region: (region.base, region.length)):
        if region.base > end:
            kept[region] = claims[region]
            end = region.last
    return kept


def _fitted(
    within: Prefix, pieces: list[Prefix], claims: Mapping[Prefix, str], held: list[int]
) -> tuple[dict[Prefix, str], list[Prefix]]:
    """Disjoint claims as far as they fit, and those that lie in no single piece of the space to tile.

    A region may have grown over space without a usable address, and its subnet may have shrunk.

    :param held: addresses in use, ascending.
    """
    bases = [piece.base for piece in pieces]
    fitted: dict[Prefix, str] = {}
    whole: list[Prefix] = []
    for claimed, holder in claims.items():
        region = within if claimed.covers(within) else claimed
        if not within.covers(region):
            continue
        at = bisect_right(bases, region.base) - 1
        if at >= 0 and pieces[at].covers(region):
            fitted[region] = holder
            continue
        inside = pieces[bisect_left(bases, region.base) : bisect_right(bases, region.last)]
        used = held[bisect_left(held, region.base) : bisect_right(held, region.last)]
        if any(not any(piece.holds(address) for piece in inside) for address in used):
            whole.append(region)
            inside = [region]
        fitted.update(dict.fromkeys(inside, holder))
    return fitted, whole
