"""Blocks and runs of a subnet, made again from what is certain: allocations and claims.

Used when a topology change moves a subnet's edges, and by ``audit`` to mend what contradicts itself.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial

from borough.domain.declared.records import Subnet
from borough.domain.net.addresses import WIDTH
from borough.domain.net.prefixes import Prefix, enclosing, free_prefixes, outermost
from borough.domain.space.blocks import (
    BLOCK_BITS,
    Block,
    FreeRange,
    block_length,
    blocks_for,
    has_room,
    initial_free_ranges,
)


def rebuild(
    subnet: Subnet, cohort_id: int, taken: Iterable[int], claims: Mapping[Prefix, str]
) -> tuple[list[Block], list[FreeRange]]:
    """Tile a subnet anew.

    :param taken: addresses allocated or cooling; those that are not usable need no bit.
    :param claims: holder by claimed region. A region inside another one is a loan. A larger region in which
        a loan leaves no room is cut around it. A region with a taken address beyond the usable space stays
        whole; another one that reaches beyond it is cut down to the pieces of it.
    :return: fresh blocks and runs, which together cover every usable address once.
    """
    return _Tiling(subnet, cohort_id, taken, claims, initial_free_ranges(subnet)).tiles()


def open_range(
    subnet: Subnet, free_range: FreeRange, taken: Iterable[int]
) -> tuple[list[Block], list[FreeRange]]:
    """Tile a free range of which some addresses are taken.

    :return: unclaimed blocks around these addresses, and smaller free ranges.
    """
    return _Tiling(subnet, free_range.cohort_id, taken, {}, [free_range.prefix]).tiles()


class _Tiling:
    def __init__(
        self,
        subnet: Subnet,
        cohort_id: int,
        taken: Iterable[int],
        claims: Mapping[Prefix, str],
        pieces: list[Prefix],
    ) -> None:
        self._subnet = subnet
        self._cohort_id = cohort_id
        self._held = sorted(address for address in taken if subnet.prefix.holds(address))
        self._taken = [address for address in self._held if subnet.is_usable(address)]
        self._claims, whole = _fitted(subnet.prefix, pieces, claims, self._held)
        self._claims = _around_loans(subnet, self._claims)
        self._pieces = outermost([*whole, *pieces])
        self._claimed = sorted((region.base, -region.length) for region in self._claims)
        self._blocks: list[Block] = []
        self._free_ranges: list[FreeRange] = []

    def tiles(self) -> tuple[list[Block], list[FreeRange]]:
        for piece in self._pieces:
            self._tile(piece)
        return self._blocks, self._free_ranges

    def _tile(self, piece: Prefix, region: Prefix | None = None) -> None:
        """Tile a piece of the subnet, or of a claimed region."""
        region = piece if piece in self._claims else region
        if self._has_inner(piece):
            for half in piece.halves():
                self._tile(half, region)
        elif region is not None:
            self._add_blocks(piece, self._claims[region], region.length)
        elif not self._any(self._taken, piece):
            if has_room(self._subnet, piece):
                self._free_ranges.append(FreeRange(0, self._subnet.id, self._cohort_id, piece))
        elif piece.size <= 1 << BLOCK_BITS:
            self._add_blocks(piece, "", 0)
        else:
            for half in piece.halves():
                self._tile(half)

    def _has_inner(self, piece: Prefix) -> bool:
        """True when a claimed region lies inside a piece and is smaller."""
        at = bisect_left(self._claimed, (piece.base, -WIDTH[piece.family]))
        while at < len(self._claimed) and self._claimed[at][0] <= piece.last:
            if -self._claimed[at][1] > piece.length:
                return True
            at += 1
        return False

    def _add_blocks(self, piece: Prefix, holder: str, region_length: int) -> None:
        # A claim with an address in use stays, though it may have no other to give.
        kept = partial(self._any, self._held if holder else [])
        for block in blocks_for(self._subnet, self._cohort_id, piece, holder, kept):
            low = bisect_left(self._taken, block.prefix.base)
            high = bisect_right(self._taken, block.prefix.last)
            taken = block.take(self._taken[low:high])
            self._blocks.append(replace(taken, region_length=region_length))

    @staticmethod
    def _any(addresses: list[int], piece: Prefix) -> bool:
        at = bisect_left(addresses, piece.base)
        return at < len(addresses) and addresses[at] <= piece.last


def _around_loans(subnet: Subnet, claims: Mapping[Prefix, str]) -> dict[Prefix, str]:
    """Claims in which every lender keeps a block beside each loan (:mod:`borough.domain.space.regions`)."""
    length = block_length(subnet.prefix)
    kept: dict[Prefix, str] = {}
    ordered = sorted(claims, key=lambda region: (region.base, region.length))
    for at, region in enumerate(ordered):
        end = at + 1
        while end < len(ordered) and region.covers(ordered[end]):
            end += 1
        inner = ordered[at + 1 : end]
        taken = [each for each in inner if each.length <= length]
        shortest = max(length, region.length)
        units = {enclosing(each.family, each.base, shortest) for each in inner}
        taken += (
            unit
            for unit in units
            if not any(has_room(subnet, each) for each in free_prefixes([unit], inner))
        )
        for piece in free_prefixes([region], taken) if taken else [region]:
            kept.setdefault(piece, claims.get(piece, claims[region]))
    return kept


def _fitted(
    within: Prefix, pieces: list[Prefix], claims: Mapping[Prefix, str], held: list[int]
) -> tuple[dict[Prefix, str], list[Prefix]]:
    """Claims as far as they fit, and those that lie in no single piece of the space to tile.

    A region may have grown over space without a usable address, and its subnet may have shrunk.

    :param held: addresses in use, ascending.
    """
    bases = [piece.base for piece in pieces]
    fitted: dict[Prefix, str] = {}
    whole: list[Prefix] = []
    # Of a region and a loan in it that are cut to the same piece, the loan is left.
    for claimed, holder in sorted(claims.items(), key=lambda item: item[0].length):
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
