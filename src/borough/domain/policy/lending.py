"""The space of other holders that a claimant may have: unused regions, pieces of regions, buddies in pieces.

A loan lies inside the region of its lender, who goes on announcing the whole region. The route of the
borrower is longer, so longest match finds every address (RFC 1812, 5.2.4.3). Rules 2, 5 and 6 of section
"Soft boundaries" of ``docs/reference/rules.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from borough.domain.declared.records import Subnet
from borough.domain.net.addresses import WIDTH
from borough.domain.net.prefixes import Prefix, enclosing
from borough.domain.space.blocks import BLOCK_BITS, Block, FreeRange, block_length
from borough.domain.space.plan import Plan, Space
from borough.domain.space.regions import free_tail, lent_in

#: A region doubles over a buddy of which at least one part in so many is unclaimed.
_UNCLAIMED: Final = 4


def unused_end(subnet: Subnet, region: Prefix, blocks: list[Block], smallest: int) -> Prefix | None:
    """An unused region, or its unused upper half of at least ``smallest`` addresses; None for neither.

    :param blocks: the blocks of the region.
    """
    if not any(block.high_water for block in blocks):
        return region
    tail = free_tail(region, blocks, lent_in(subnet, region, blocks))
    if tail is not None and tail.size >= smallest and tail.length == region.length + 1:
        return tail
    return None


def loan(subnet: Subnet, block: Block, blocks: Sequence[Block], most: int) -> Prefix | None:
    """The unused piece at the end of a block that may be lent; None for less than two addresses.

    :param blocks: all blocks of its region.
    :param most: the most addresses to lend.
    """
    near = enclosing(block.prefix.family, block.prefix.base, block_length(subnet.prefix))
    bits = min(block.tail, most.bit_length() - 1)
    # The lender keeps a block near the loan, and a loan is smaller than a full block.
    alone = not any(each.prefix != block.prefix and near.covers(each.prefix) for each in blocks)
    if alone or bits == BLOCK_BITS:
        bits = min(bits, block.prefix.size.bit_length() - 2)
    if bits < 1:
        return None
    length = WIDTH[block.prefix.family] - bits
    piece = Prefix(block.prefix.family, block.prefix.last - (1 << bits) + 1, length)
    if not subnet.usable_in(piece.base, piece.last):
        return None
    if alone and not subnet.usable_in(block.prefix.base, piece.base - 1):
        return None
    return piece


def room_to_double(
    plan: Plan, space: Space, subnet: Subnet, region: Prefix, largest: int
) -> list[FreeRange]:
    """The free ranges over which a region may double; none where it may not.

    Where other holders have smaller regions in the buddy, these become loans.

    :param largest: the size of the largest free range of the rung.
    """
    buddy = region.buddy
    free_ranges = plan.free_ranges_at(space, subnet.id, [buddy])
    if free_ranges or region.size >= 1 << BLOCK_BITS:
        return free_ranges
    free_ranges = plan.free_ranges_in(space, subnet.id, buddy, WIDTH[buddy.family])
    unclaimed = sum(each.prefix.size for each in free_ranges)
    # Where no free range has room for as much as the region, any room counts.
    if not unclaimed or (unclaimed * _UNCLAIMED < buddy.size and largest >= region.size):
        return []
    blocks = plan.blocks_in(space, subnet.id, buddy)
    if any(not block.holder or block.region_length <= buddy.length for block in blocks):
        return []
    for block in blocks:
        # Its holder may return it at the same moment: to the unclaimed space, or to its lender.
        plan.put(block, block)
    return free_ranges
