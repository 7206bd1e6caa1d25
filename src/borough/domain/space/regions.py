"""Regions of one holder: claim, growth, join, split, loan and return.

A region is an aligned prefix. A region of at most 64 addresses is one block; a larger one is a row of
blocks of 64. Every block stores the length of its region. All functions write into a plan.

Regions may be nested: a *loan* is a smaller region of another holder inside a region. The blocks of the
lender are then those around it, and keep the length of the whole region. No row says who has lent what:
the lender of a piece is the holder of the smallest region around it. A loan lies inside one block of
64 addresses, in which its lender keeps a block, so that one short read finds the lender.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from borough.domain.declared.records import Subnet
from borough.domain.net.addresses import WIDTH
from borough.domain.net.prefixes import Prefix, enclosing, free_prefixes
from borough.domain.space.blocks import (
    BLOCK_BITS,
    NOBODY,
    Block,
    FreeRange,
    block_length,
    blocks_for,
    cut,
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

    def __init__(self, plan: Plan, space: Space, holder: str, blocks: Iterable[Block]) -> None:
        self.holder = holder
        self._plan = plan
        self._space = space
        self._regions = {
            (members[0].subnet_id, region): members for region, members in regions(blocks)
        }

    @property
    def size(self) -> int:
        """Addresses claimed, used or not, without those that are lent."""
        return sum(block.prefix.size for members in self._regions.values() for block in members)

    def largest_first(self) -> list[tuple[int, Prefix]]:
        """Subnet and prefix of every region."""
        return sorted(self._regions, key=lambda each: (each[1].length, each[1]))

    def has(self, subnet_id: int, region: Prefix) -> bool:
        """True when the holder has exactly this region."""
        return (subnet_id, region) in self._regions

    def claim(self, subnet: Subnet, cohort_id: int, piece: Prefix) -> Prefix:
        """Claim unused space that the plan has freed; return the region that it becomes part of."""
        fresh = blocks_for(subnet, cohort_id, piece, self.holder)
        self._plan.blocks_added += fresh
        return self.receive(subnet, piece, fresh)

    def grow(self, subnet: Subnet, region: Prefix, free_ranges: Iterable[FreeRange]) -> Prefix:
        """Double a region over the unclaimed space in its buddy, which the plan has freed.

        Regions of others in the buddy become loans; those of the holder become part of it.
        """
        blocks = self._regions.pop((subnet.id, region))
        for subnet_id, inner in list(self._regions):
            if subnet_id == subnet.id and region.buddy.covers(inner):
                blocks += self._regions.pop((subnet_id, inner))
        for each in free_ranges:
            fresh = blocks_for(subnet, each.cohort_id, each.prefix, self.holder)
            self._plan.blocks_added += fresh
            blocks += fresh
        joined = self._joined(subnet, region.parent, blocks)
        return self.receive(subnet, region.parent, joined)

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
        members = [
            self._plan.put(block, replace(block, region_length=whole.length, idle_since=0))
            for block in blocks
        ]
        return compact(self._plan, self._space, subnet, whole, members)

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


def compact(
    plan: Plan, space: Space, subnet: Subnet, region: Prefix, blocks: Iterable[Block]
) -> list[Block]:
    """Join the blocks of a region that are buddies, up to 64 addresses.

    :param blocks: those of the region, or those in one piece of 64 addresses of it.
    :return: them as they are then, by address.
    """
    found = {block.prefix: block for block in blocks}
    shortest = max(region.length, WIDTH[region.family] - BLOCK_BITS)
    for length in range(max(each.length for each in found), shortest, -1):
        for prefix in [each for each in found if each.length == length]:
            if prefix not in found:
                continue
            other = found.get(prefix.buddy)
            if other is None and (
                subnet.usable_in(prefix.buddy.base, prefix.buddy.last)
                or plan.blocks_in(space, subnet.id, prefix.buddy)
            ):
                continue
            both = [found.pop(prefix)] + ([found.pop(prefix.buddy)] if other else [])
            found[prefix.parent] = _one(plan, subnet, prefix.parent, both)
    return sorted(found.values(), key=lambda block: block.prefix)


def _one(plan: Plan, subnet: Subnet, whole: Prefix, blocks: list[Block]) -> Block:
    """One block in the place of its halves; of a half without usable addresses there is none."""
    bitmap = withheld = withheld_bits(subnet, whole)
    for block in blocks:
        bitmap |= block.bitmap << block.prefix.base - whole.base
    # A stored row is changed, not replaced: its version is the precondition of other plans.
    kept = next((block for block in blocks if block.id), blocks[0])
    for block in blocks:
        if block is not kept:
            plan.drop(block)
    high_water = (bitmap & ~withheld).bit_length()
    return plan.put(
        kept, replace(kept, prefix=whole, bitmap=bitmap, high_water=high_water, idle_since=0)
    )


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
            inside = [each for each in left if block.prefix.covers(each)]
            _divide(plan, subnet, block, {each: each.length for each in inside})
            if to:
                taken.append(part(subnet, block, piece, to, piece.length))
                plan.blocks_added.append(taken[-1])
        else:
            around = next(each for each in left if each.covers(block.prefix))
            plan.put(block, replace(block, region_length=around.length, idle_since=0))
    return taken


def _divide(plan: Plan, subnet: Subnet, block: Block, pieces: Mapping[Prefix, int]) -> None:
    """Replace a block by those of its pieces that have a usable address; the largest keeps the row.

    :param pieces: the length of the region of each.
    """
    kept = False
    for prefix in sorted(pieces, key=lambda each: each.length):
        if not subnet.usable_in(prefix.base, prefix.last):
            continue
        fresh = part(subnet, block, prefix, block.holder, pieces[prefix])
        if kept:
            plan.blocks_added.append(fresh)
        else:
            plan.put(block, replace(fresh, id=block.id, version=block.version))
            kept = True
    if not kept:
        plan.drop(block)


# --- Loans and returns ------------------------------------------------------------------------


def lend(plan: Plan, subnet: Subnet, block: Block, piece: Prefix, to: str) -> Block:
    """Lend an unused piece of a block; the rest of it stays in its region.

    :return: the block of the piece, a region of its new holder.
    """
    if block.prefix == piece:
        return plan.put(block, replace(block, holder=to, region_length=piece.length, idle_since=0))
    lent = part(subnet, block, piece, to, piece.length)
    left = dict.fromkeys(cut(subnet, block.prefix, piece), block.region_length)
    _divide(plan, subnet, block, left)
    plan.blocks_added.append(lent)
    return lent


def lent_in(subnet: Subnet, region: Prefix, blocks: Sequence[Block]) -> list[Prefix]:
    """The pieces of a region with usable addresses that other holders have.

    :param blocks: the blocks of the region.
    """
    return [each for each in _without(region, blocks) if subnet.usable_in(each.base, each.last)]


def all_lent_in(
    plan: Plan, space: Space, subnet: Subnet, region: Prefix, blocks: Sequence[Block]
) -> list[Prefix]:
    """See :func:`lent_in`; also those pieces that narrower ranges have left without a usable address.

    They have rows as long as an address outside the ranges is in use. Space that is returned must not
    cover them.
    """
    return [
        each
        for each in _without(region, blocks)
        if subnet.usable_in(each.base, each.last) or plan.blocks_in(space, subnet.id, each)
    ]


def _without(region: Prefix, blocks: Sequence[Block]) -> list[Prefix]:
    """The pieces of a region beside its blocks."""
    if len(blocks) == 1 and blocks[0].prefix == region:
        return []
    return free_prefixes([region], [block.prefix for block in blocks])


def routed(
    subnet: Subnet, region: Prefix, blocks: Sequence[Block]
) -> tuple[list[Prefix], list[Prefix]]:
    """The prefixes that a region routes to its holder, and those that its holder may cover around loans."""
    whole = subnet.routable_in(region)
    lent = lent_in(subnet, region, blocks)
    if not lent:
        return whole, []
    own = free_prefixes([region], lent)
    return [prefix for piece in own for prefix in subnet.routable_in(piece)], whole


def lender_of(piece: Prefix, near: Iterable[Block]) -> list[Block]:
    """The blocks of the smallest region around a piece; empty when it lies in none.

    :param near: the blocks of the 64 addresses that the piece lies in.
    """
    found = [
        block
        for block in near
        if block.holder and block.region_length < piece.length and block.region().covers(piece)
    ]
    inner = max((block.region_length for block in found), default=0)
    return [block for block in found if block.region_length == inner]


def _lender(plan: Plan, space: Space, subnet: Subnet, piece: Prefix) -> list[Block]:
    """See :func:`lender_of`; as a plan leaves the blocks so far."""
    length = block_length(subnet.prefix)
    if piece.length <= length:
        return []
    near = enclosing(piece.family, piece.base, length)
    return lender_of(piece, plan.blocks_in(space, subnet.id, near))


def back_to_lender(plan: Plan, space: Space, subnet: Subnet, block: Block) -> bool:
    """Make a block part of the region around its own; False when there is none.

    Addresses in use stay, as addresses borrowed one by one.
    """
    lender = _lender(plan, space, subnet, block.region())
    if lender:
        new = replace(block, holder=lender[0].holder, idle_since=0)
        _rejoin(plan, space, subnet, lender, [plan.put(block, new)])
    return bool(lender)


def _rejoin(
    plan: Plan, space: Space, subnet: Subnet, lender: list[Block], blocks: Iterable[Block]
) -> None:
    """Make blocks that the plan has given to a lender part of its region.

    :param lender: the blocks of the region that are near.
    """
    # The lender may return its region at the same moment.
    plan.put(lender[0], lender[0])
    length = lender[0].region_length
    joined = [plan.put(block, replace(block, region_length=length)) for block in blocks]
    compact(plan, space, subnet, lender[0].region(), [*lender, *joined])


def return_region(
    plan: Plan, space: Space, subnet: Subnet, region: Prefix, blocks: list[Block]
) -> set[str]:
    """Return an unused region to its lender or to the unclaimed space; its loans stay.

    :return: the new holders of the space; :data:`NOBODY` for the unclaimed space.
    """
    lent = all_lent_in(plan, space, subnet, region, blocks)
    for block in blocks:
        plan.drop(block)
    plan.notes.append(Note(Act.GAVE_UP, subnet.id, region, blocks[0].holder))
    return {
        return_space(plan, space, subnet, blocks[0].cohort_id, piece)
        for piece in free_prefixes([region], lent)
    }


def return_space(plan: Plan, space: Space, subnet: Subnet, cohort_id: int, piece: Prefix) -> str:
    """Return unused space, which is in no block any more, to its lender or to the unclaimed space.

    :return: the lender; :data:`NOBODY` for the unclaimed space.
    """
    lender = _lender(plan, space, subnet, piece)
    if not lender:
        add_free_range(plan, space, subnet, cohort_id, piece)
        return NOBODY
    fresh = blocks_for(subnet, cohort_id, piece, lender[0].holder)
    plan.blocks_added += fresh
    _rejoin(plan, space, subnet, lender, fresh)
    return lender[0].holder


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


def free_tail(region: Prefix, blocks: list[Block], lent: Iterable[Prefix]) -> Prefix | None:
    """The largest aligned unused piece at the end of a region; None when there is none.

    Space without a usable address counts as unused, a loan as used.

    :param lent: the loans; see :func:`lent_in`.
    """
    used = [block.prefix.base + block.high_water - 1 for block in blocks if block.high_water]
    used += [each.last for each in lent]
    bits = (region.last - max(used, default=region.base - 1)).bit_length() - 1
    if bits < 0:
        return None
    return Prefix(region.family, region.last - (1 << bits) + 1, WIDTH[region.family] - bits)
