"""Regions of one holder: claim, growth, join, split and return.

A region is an aligned prefix. A region of at most 64 addresses is one block; a larger one is a row of
blocks of 64. Every block stores the length of its region. All functions write into a plan.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from borough.domain.declared.records import Subnet
from borough.domain.net.addresses import WIDTH
from borough.domain.net.prefixes import Prefix
from borough.domain.space.blocks import (
    BLOCK_BITS,
    NOBODY,
    Block,
    FreeRange,
    blocks_for,
    part,
    withheld_bits,
)
from borough.domain.space.plan import Act, Note, Plan, Space


def regions(blocks: Iterable[Block]) -> list[tuple[Prefix, list[Block]]]:
    """Group a holder's blocks into the regions they form, the largest first."""
    grouped: dict[tuple[int, Prefix], list[Block]] = {}
    for block in blocks:
        grouped.setdefault((block.subnet_id, block.region()), []).append(block)
    ordered = sorted(grouped.items(), key=lambda item: (item[0][1].length, item[0][1]))
    return [(region, members) for (_, region), members in ordered]


class ClaimedRegions:
    """The regions of one holder, as a plan leaves them so far.

    :ivar holder: as ``dimension=value``.
    """

    def __init__(self, plan: Plan, holder: str, blocks: Iterable[Block]) -> None:
        self.holder = holder
        self._plan = plan
        self._regions = {
            (members[0].subnet_id, region): members for region, members in regions(blocks)
        }

    @property
    def size(self) -> int:
        """Addresses claimed, used or not."""
        return sum(region.size for _, region in self._regions)

    def largest_first(self) -> list[tuple[int, Prefix]]:
        """Subnet and prefix of every region."""
        return sorted(self._regions, key=lambda each: (each[1].length, each[1]))

    def blocks(self, subnet_id: int, region: Prefix) -> list[Block]:
        """The blocks of a region, by address."""
        return self._regions[subnet_id, region]

    def claim(self, subnet: Subnet, cohort_id: int, piece: Prefix) -> Prefix:
        """Claim unused space that the plan has freed; return the region that it becomes part of."""
        fresh = blocks_for(subnet, cohort_id, piece, self.holder)
        self._plan.blocks_added += fresh
        return self.receive(subnet, piece, fresh)

    def receive(self, subnet: Subnet, piece: Prefix, blocks: list[Block]) -> Prefix:
        """Add blocks that form a region, joined with the buddies that the holder has already."""
        self._regions[subnet.id, piece] = blocks
        while piece.length > subnet.prefix.length:
            buddy = self._regions.pop((subnet.id, piece.buddy), None)
            if buddy is None:
                break
            both = sorted(
                self._regions.pop((subnet.id, piece)) + buddy, key=lambda block: block.prefix
            )
            piece = piece.parent
            self._regions[subnet.id, piece] = self._joined(subnet, piece, both)
        return piece

    def _joined(self, subnet: Subnet, whole: Prefix, blocks: list[Block]) -> list[Block]:
        if whole.size > 1 << BLOCK_BITS:
            return [
                self._plan.put(block, replace(block, region_length=whole.length, idle_since=0))
                for block in blocks
            ]
        bitmap = withheld = withheld_bits(subnet, whole)
        for block in blocks:
            bitmap |= block.bitmap << block.prefix.base - whole.base
        # A stored row is changed, not replaced: its version is the precondition of other plans.
        kept = next((block for block in blocks if block.id), blocks[0])
        for block in blocks:
            if block is not kept:
                self._plan.drop(block)
        used = bitmap & ~withheld
        return [
            self._plan.put(
                kept,
                replace(
                    kept,
                    prefix=whole,
                    bitmap=bitmap,
                    region_length=whole.length,
                    high_water=used.bit_length(),
                    idle_since=0,
                ),
            )
        ]

    def take(self, subnet_id: int, region: Prefix, count: int) -> list[tuple[int, Block]]:
        """Take the lowest free addresses of a region, each with its block as it is then."""
        taken: list[tuple[int, Block]] = []
        blocks = self._regions[subnet_id, region]
        for at, block in enumerate(blocks):
            addresses = block.lowest(count - len(taken))
            if addresses:
                blocks[at] = self._plan.put(block, block.take(addresses))
                taken += [(address, blocks[at]) for address in addresses]
        return taken


def take_away(
    plan: Plan,
    subnet: Subnet,
    region: Prefix,
    blocks: list[Block],
    piece: Prefix,
    to: str = NOBODY,
) -> list[Block]:
    """Take an unused piece out of a region; the holder keeps the buddies on the way down.

    :param blocks: the region's, as the plan leaves them so far.
    :param to: the new holder of the piece; empty to remove its blocks.
    :return: the blocks of the piece, a region of its new holder.
    """
    left: list[Prefix] = []
    above = piece
    while above.length > region.length:
        left.append(above.buddy)
        above = above.parent
    taken: list[Block] = []
    for block in blocks:
        if piece.covers(block.prefix):
            if to:
                new = replace(block, holder=to, region_length=piece.length, idle_since=0)
                taken.append(plan.put(block, new))
            else:
                plan.drop(block)
        elif block.prefix.covers(piece):
            _divide(plan, subnet, block, [each for each in left if block.prefix.covers(each)])
            if to:
                taken.append(part(subnet, block, piece, to, piece.length))
                plan.blocks_added.append(taken[-1])
        else:
            around = next(each for each in left if each.covers(block.prefix))
            plan.put(block, replace(block, region_length=around.length, idle_since=0))
    return taken


def _divide(plan: Plan, subnet: Subnet, block: Block, pieces: list[Prefix]) -> None:
    """Replace a block by those of its pieces that have a usable address; the largest keeps the row."""
    kept = False
    for prefix in sorted(pieces, key=lambda each: each.length):
        if not subnet.usable_in(prefix.base, prefix.last):
            continue
        fresh = part(subnet, block, prefix, block.holder, prefix.length)
        if kept:
            plan.blocks_added.append(fresh)
        else:
            plan.put(block, replace(fresh, id=block.id, version=block.version))
            kept = True
    if not kept:
        plan.drop(block)


def return_region(
    plan: Plan, space: Space, subnet: Subnet, region: Prefix, blocks: list[Block]
) -> None:
    """Turn an unused region back into unclaimed space, joined with the free buddies around it."""
    for block in blocks:
        plan.drop(block)
    plan.notes.append(Note(Act.GAVE_UP, subnet.id, region, blocks[0].holder))
    add_free_range(plan, space, subnet, blocks[0].cohort_id, region)


def is_needed(space: Space, subnet: Subnet, piece: Prefix) -> bool:
    """True when a piece of a region, unused in the ranges, has addresses in use outside of them."""
    return not subnet.usable_in(piece.base, piece.last) and space.is_in_use(subnet.scope, piece)


def add_free_range(plan: Plan, space: Space, subnet: Subnet, cohort_id: int, piece: Prefix) -> None:
    """Add unused space, joined with the free buddies around it, those of this plan included.

    Space without a usable address is left out: it is worth no row.
    """
    if not subnet.usable_in(piece.base, piece.last):
        return
    chain = []
    up = piece
    while up.length > subnet.prefix.length:
        chain.append(up.buddy)
        up = up.parent
    around = {
        free_range.prefix: free_range for free_range in plan.free_ranges_at(space, subnet.id, chain)
    }
    while piece.length > subnet.prefix.length and piece.buddy in around:
        plan.drop_free_range(around[piece.buddy])
        piece = piece.parent
    plan.free_ranges_added.append(FreeRange(0, subnet.id, cohort_id, piece))


def free_tail(region: Prefix, blocks: list[Block]) -> Prefix | None:
    """The largest aligned unused piece at the end of a region; None when there is none.

    Space without a usable address counts as unused.
    """
    used = max(
        (block.prefix.base + block.high_water - 1 for block in blocks if block.high_water),
        default=region.base - 1,
    )
    bits = (region.last - used).bit_length() - 1
    if bits < 0:
        return None
    return Prefix(region.family, region.last - (1 << bits) + 1, WIDTH[region.family] - bits)
