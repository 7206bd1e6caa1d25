"""Placement inside the space of one rung: claim, grow, take over, share, borrow.

Part of rule 4 and all of section "Soft boundaries" of ``docs/reference/rules.md``. The policy keeps the
space of a holder in few aligned regions. It uses them, doubles one in place, and only then
starts a new one where it has most room to double. When nothing is unclaimed, it takes over unused space
of another holder, where that costs no route, before it borrows a single address.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from borough.domain.declared.dimensions import AtCap
from borough.domain.declared.records import Subnet
from borough.domain.net.prefixes import Prefix
from borough.domain.policy.free_space import first_piece, least_in_the_way, log2, rest_of
from borough.domain.policy.lending import loan, room_to_double, unused_end
from borough.domain.space.blocks import (
    BLOCK_BITS,
    NOBODY,
    Block,
    FreeRange,
    blocks_for,
    cut,
    withheld_bits,
)
from borough.domain.space.plan import Act, Note, Offer, Plan, Space
from borough.domain.space.regions import ClaimedRegions, lend, take_away
from borough.domain.space.rungs import Hold, Rung

#: Most blocks to look at for a half to take over, where nothing is borrowed; and its smallest size.
_LOOKED_AT: Final = 1024
_HALF: Final = 2

#: The size of a loan: a part of what the borrower has, and at least so many addresses.
_LOAN: Final = 4
_LEAST_LOAN: Final = 4


class Picked(NamedTuple):
    """A chosen address; see :class:`borough.domain.space.plan.Grant`."""

    address: int
    block: Block
    hold: Hold
    found: Hold


class Placer:
    """Picks addresses of one family from offers and writes the row changes into a plan."""

    def __init__(
        self,
        space: Space,
        subnets: Mapping[int, Subnet],
        claimant: str,
        plan: Plan,
        *,
        lowest: bool,
    ) -> None:
        self._space = space
        self._subnets = subnets
        self._claimant = claimant
        self._plan = plan
        self._lowest = lowest
        self._claimed: dict[tuple[tuple[int, ...], tuple[int, ...]], ClaimedRegions] = {}

    def pick(self, rungs: Sequence[Rung], count: int) -> list[Picked]:
        """The best ``count`` addresses on the rungs; fewer when that is all there is."""
        picked: list[Picked] = []
        while rungs and len(picked) < count:
            closed = -1
            # The space still offers pieces that the plan has used up, and may offer them first.
            needed = count - len(picked) + self._plan.touched(rungs[0].family)
            if any(each.hold is Hold.OTHERS and not each.claiming.borrow for each in rungs):
                # The first block may have no half to take over, and another one have it.
                needed = max(needed, _LOOKED_AT)
            offers = self._space.offers(rungs, self._claimant, needed, lowest=self._lowest)
            for offer in offers:
                if len(picked) == count:
                    break
                got = self._from(rungs[offer.rung], offer, count - len(picked))
                picked += got or ()
                closed = offer.rung if got is None else closed
            if closed < 0:
                break
            # The rules of claims close this rung; the rungs after it may have more.
            rungs = rungs[closed + 1 :]
        return picked

    def _from(self, rung: Rung, offer: Offer, count: int) -> list[Picked] | None:
        """Addresses of an offered piece; None when the rules of claims forbid it."""
        if isinstance(offer.piece, FreeRange):
            return self._from_free_range(offer.piece, rung, count, offer)
        if rung.hold is Hold.OTHERS and self._claimant:
            return self._from_others(offer.piece, rung, count)
        if rung.hold is Hold.OTHERS and not rung.claiming.borrow:
            return None
        return self._from_block(offer.piece, rung, count)

    def _claimed_regions(self, rung: Rung) -> ClaimedRegions:
        """The regions of the claimant in the cohorts or subnets of a rung."""
        key = (rung.cohorts, rung.subnets)
        if key not in self._claimed:
            held = self._space.holdings(rung, self._claimant)
            self._claimed[key] = ClaimedRegions(
                self._plan,
                self._space,
                self._claimant,
                [self._plan.current(block) for block in held],
            )
        return self._claimed[key]

    # --- Own blocks, and unclaimed ones -----------------------------------------------------------

    def _from_block(self, block: Block, rung: Rung, count: int) -> list[Picked] | None:
        subnet = self._subnets[block.subnet_id]
        found = rung.hold
        if found is Hold.UNCLAIMED and self._claimant:
            # An unused block is worth more as a claim: it needs no route for each address.
            room = self._room(rung)
            if self._untouched(subnet, block) and block.prefix.size <= room:
                return self._claim_block(subnet, block, rung, count)
            if not room and rung.claiming.at_cap is AtCap.FAIL:
                return None
        addresses = self._plan.current(block).lowest(count)
        new = self._plan.put(block, self._plan.current(block).take(addresses))
        return [Picked(address, new, found, found) for address in addresses]

    def _untouched(self, subnet: Subnet, block: Block) -> bool:
        return block.bitmap == withheld_bits(subnet, block.prefix)

    def _claim_block(self, subnet: Subnet, block: Block, rung: Rung, count: int) -> list[Picked]:
        """Claim an unused, unclaimed block."""
        held = replace(block, holder=self._claimant, region_length=block.prefix.length)
        claimed_regions = self._claimed_regions(rung)
        self._plan.put(block, held)
        self._note(Act.CLAIMED, subnet, block.prefix)
        region = claimed_regions.receive(subnet, block.prefix, [held])
        return self._own(claimed_regions, subnet, region, count, Hold.UNCLAIMED)

    def _own(
        self,
        claimed_regions: ClaimedRegions,
        subnet: Subnet,
        region: Prefix,
        count: int,
        found: Hold,
    ) -> list[Picked]:
        """Take addresses of a region that the claimant now holds."""
        taken = claimed_regions.take(subnet.id, region, count)
        return [Picked(address, block, Hold.OWN, found) for address, block in taken]

    def _note(self, act: Act, subnet: Subnet, prefix: Prefix) -> None:
        self._plan.notes.append(Note(act, subnet.id, prefix, self._claimant))

    # --- Unused space -----------------------------------------------------------------------------

    def _from_free_range(
        self, free_range: FreeRange, rung: Rung, count: int, offer: Offer
    ) -> list[Picked] | None:
        picked: list[Picked] = []
        if self._claimant and not self._lowest:
            picked = self._by_growing(rung, count, free_range.prefix.size)
        rest = rest_of(self._plan, free_range, lowest=self._lowest)
        while rest is not None and len(picked) < count:
            missing = count - len(picked)
            if not self._claimant:
                picked += self._opened(rest, missing, offer)
            elif self._room(rung):
                picked += self._claimed_from(rest, rung, missing)
            elif rung.claiming.at_cap is AtCap.FAIL:
                return picked or None
            else:
                return picked + self._unclaimed(rung, missing)
            rest = rest_of(self._plan, free_range, lowest=self._lowest)
        return picked

    def _claimed_from(self, free_range: FreeRange, rung: Rung, count: int) -> list[Picked]:
        """Start a new region in unused space."""
        subnet = self._subnets[free_range.subnet_id]
        if not self._lowest:
            free_range = least_in_the_way(self._plan, self._space, subnet, free_range)
        claimed_regions = self._claimed_regions(rung)
        size = (
            rung.claiming.block
            if self._lowest
            else self._region_size(rung, claimed_regions, free_range)
        )
        most = log2(self._room(rung))
        piece = first_piece(subnet, free_range.prefix, log2(size), count, most=most)
        self._cut(subnet, free_range, piece)
        self._note(Act.CLAIMED, subnet, piece)
        region = claimed_regions.claim(subnet, free_range.cohort_id, piece)
        return self._own(claimed_regions, subnet, region, count, Hold.UNCLAIMED)

    def _unclaimed(self, rung: Rung, count: int) -> list[Picked]:
        """Unclaimed addresses for a claimant at its cap: each costs a route of its own."""
        placer = Placer(self._space, self._subnets, NOBODY, self._plan, lowest=self._lowest)
        return placer.pick([rung], count)

    def _room(self, rung: Rung) -> int:
        """Number of addresses that the claimant may still claim."""
        if not rung.claiming.cap:
            return rung.claiming.largest
        return min(
            max(rung.claiming.cap - self._claimed_regions(rung).size, 0), rung.claiming.largest
        )

    @staticmethod
    def _region_size(rung: Rung, claimed_regions: ClaimedRegions, free_range: FreeRange) -> int:
        """The size of a new region: the rest of what is expected, or half of what is claimed.

        At most a quarter of the free range, which leaves room to double.
        """
        missing = rung.claiming.expected - claimed_regions.size
        size = min(
            _power(max((claimed_regions.size + 1) // 2, missing)), free_range.prefix.size // 4
        )
        return min(max(rung.claiming.block, size), rung.claiming.largest)

    def _cut(self, subnet: Subnet, free_range: FreeRange, piece: Prefix) -> None:
        self._plan.drop_free_range(free_range)
        self._plan.free_ranges_added += [
            FreeRange(0, subnet.id, free_range.cohort_id, left)
            for left in cut(subnet, free_range.prefix, piece)
        ]

    def _opened(self, free_range: FreeRange, count: int, offer: Offer) -> list[Picked]:
        """Cut unclaimed blocks from unused space, for a request without a claimant."""
        subnet = self._subnets[free_range.subnet_id]
        room = max(count, offer.room)
        piece = first_piece(subnet, free_range.prefix, BLOCK_BITS, room, offer.start)
        self._cut(subnet, free_range, piece)
        picked: list[Picked] = []
        for block in blocks_for(subnet, free_range.cohort_id, piece, NOBODY):
            addresses = block.lowest(count - len(picked))
            new = block.take(addresses)
            self._plan.blocks_added.append(new)
            picked += [
                Picked(address, new, Hold.UNCLAIMED, Hold.UNCLAIMED) for address in addresses
            ]
        return picked

    def _by_growing(self, rung: Rung, count: int, scarce: int) -> list[Picked]:
        """Double regions with an unclaimed buddy; each is still one advertised prefix."""
        picked: list[Picked] = []
        claimed_regions = self._claimed_regions(rung)
        for subnet_id, region in claimed_regions.largest_first():
            if not claimed_regions.has(subnet_id, region):
                continue  # It has become part of another one.
            picked += self._grown(
                claimed_regions, rung, subnet_id, region, count - len(picked), scarce
            )
        return picked

    def _grown(
        self,
        claimed_regions: ClaimedRegions,
        rung: Rung,
        subnet_id: int,
        region: Prefix,
        count: int,
        scarce: int,
    ) -> list[Picked]:
        """Double one region as long as addresses are missing and its buddy is free."""
        picked: list[Picked] = []
        subnet = self._subnets[subnet_id]
        while (
            len(picked) < count
            and region.length > subnet.prefix.length
            and region.size < rung.claiming.largest
            and region.size <= self._room(rung)
        ):
            free_ranges = room_to_double(self._plan, self._space, subnet, region, scarce)
            if not free_ranges:
                break
            self._note(Act.GREW, subnet, region.parent)
            for each in free_ranges:
                self._plan.drop_free_range(each)
            region = claimed_regions.grow(subnet, region, free_ranges)
            picked += self._own(
                claimed_regions, subnet, region, count - len(picked), Hold.UNCLAIMED
            )
        return picked

    # --- What others have claimed -----------------------------------------------------------------

    def _from_others(self, offered: Block, rung: Rung, count: int) -> list[Picked] | None:
        """Take over unused space of a holder, or borrow."""
        subnet = self._subnets[offered.subnet_id]
        block: Block | None = self._plan.current(offered)
        picked: list[Picked] = []
        while block is not None and len(picked) < count:
            missing = count - len(picked)
            got = self._taken_over(subnet, block, rung, missing)
            if not got and not self._may_borrow(rung):
                return picked or None
            picked += got or self._borrowed(block, missing)
            block = self._next_of(offered) if len(picked) < count else None
        return picked

    def _may_borrow(self, rung: Rung) -> bool:
        if not rung.claiming.borrow:
            return False
        return rung.claiming.at_cap is AtCap.BORROW or self._room(rung) > 0

    def _next_of(self, offered: Block) -> Block | None:
        """The next block to take from in the prefix of an offered block."""
        left = [
            block
            for block in self._plan.blocks_in(self._space, offered.subnet_id, offered.prefix)
            if block.holder not in (NOBODY, self._claimant) and block.free_count
        ]
        return min(left, key=lambda block: (block.takeover_rank, block.prefix), default=None)

    def _borrowed(self, block: Block, count: int) -> list[Picked]:
        addresses = block.lowest(count)
        new = self._plan.put(block, block.take(addresses))
        return [Picked(address, new, Hold.OTHERS, Hold.OTHERS) for address in addresses]

    def _taken_over(self, subnet: Subnet, block: Block, rung: Rung, count: int) -> list[Picked]:
        """Take over an unused region of another holder, or borrow a piece of it; empty for neither."""
        region = block.region()
        blocks = [block]
        if region != block.prefix:
            blocks = [
                each
                for each in self._plan.blocks_in(self._space, subnet.id, region)
                if each.holder == block.holder and each.region_length == block.region_length
            ]
        claimed_regions = self._claimed_regions(rung)
        room = self._room(rung)
        borrow = rung.claiming.borrow
        whole = unused_end(subnet, region, blocks, 1 << BLOCK_BITS if borrow else _HALF)
        if whole is not None and whole.size <= room:
            note = Note(Act.TRANSFERRED, subnet.id, whole, self._claimant, block.holder, region)
            self._plan.notes.append(note)
            taken = take_away(self._plan, subnet, region, blocks, whole, self._claimant)
            received = claimed_regions.receive(subnet, whole, taken)
            return self._own(claimed_regions, subnet, received, count, Hold.OTHERS)
        most = min(room, self._wanted(rung, count))
        piece = loan(subnet, block, blocks, most) if borrow and most else None
        if piece is None:
            return []
        note = Note(Act.BORROWED, subnet.id, piece, self._claimant, block.holder, region)
        self._plan.notes.append(note)
        lent = lend(self._plan, subnet, block, piece, self._claimant)
        received = claimed_regions.receive(subnet, piece, [lent])
        return self._own(claimed_regions, subnet, received, count, Hold.OTHERS)

    def _wanted(self, rung: Rung, count: int) -> int:
        """The size of a piece to borrow."""
        size = self._claimed_regions(rung).size
        return max(_power(count), _LEAST_LOAN, _power(size // _LOAN))


def _power(size: int) -> int:
    """The next power of two."""
    return 1 << max(size - 1, 0).bit_length()
