"""Where addresses go inside the space of one rung: claim, grow, take over, share, borrow.

Part of rule 4 and all of section "soft boundaries" of ``docs/rules.md``. The policy keeps what a
holder has in few aligned regions: use the regions that are there, double one in place, only then start
a new one, where it has most room to double; and when nothing is unclaimed, take away what somebody
else does not use, where that costs him no route, before a single address is borrowed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from borough.domain.address import WIDTH
from borough.domain.block import (
    BLOCK_BITS,
    NOBODY,
    Block,
    Run,
    blocks_for,
    cut,
    reserved_bits,
    room_in,
    worth_taking,
)
from borough.domain.estate import Estate, free_tail, take_away
from borough.domain.ladder import Hold, Rung
from borough.domain.model import Subnet
from borough.domain.prefix import Prefix, enclosing
from borough.domain.space import Act, Note, Offer, Plan, Space

#: A first claim covers 16 addresses: a /28 or a /124.
CLAIM_BITS: Final = 4

#: A grown region stops at this many addresses, so that one holder cannot swallow an IPv6 subnet.
REGION_BITS: Final = 16


class Picked(NamedTuple):
    """An address chosen.

    :ivar block: its block as the plan leaves it.
    :ivar hold: how the block is held then.
    :ivar found: how it was held before.
    """

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
        self._estates: dict[tuple[tuple[int, ...], tuple[int, ...]], Estate] = {}

    def pick(self, rungs: Sequence[Rung], count: int) -> list[Picked]:
        """The best ``count`` addresses on the rungs; fewer when that is all there is."""
        picked: list[Picked] = []
        for offer in self._space.offers(rungs, self._claimant, count, lowest=self._lowest):
            missing = count - len(picked)
            if not missing:
                break
            rung = rungs[offer.rung]
            if isinstance(offer.piece, Run):
                picked += self._from_run(offer.piece, rung, missing, offer)
            elif rung.hold is Hold.OTHERS and self._claimant:
                picked += self._from_others(offer.piece, rung, missing)
            else:
                picked += self._from_block(offer.piece, rung, missing)
        return picked

    def _estate(self, rung: Rung) -> Estate:
        """What the claimant has on the cohorts or subnets of a rung."""
        key = (rung.cohorts, rung.subnets)
        if key not in self._estates:
            held = self._space.holdings(rung, self._claimant)
            self._estates[key] = Estate(
                self._plan, self._claimant, [self._plan.current(block) for block in held]
            )
        return self._estates[key]

    # --- Own blocks, and unclaimed ones -----------------------------------------------------------

    def _from_block(self, block: Block, rung: Rung, count: int) -> list[Picked]:
        subnet = self._subnets[block.subnet_id]
        found = rung.hold
        if found is Hold.UNCLAIMED and self._claimant and self._untouched(subnet, block):
            # An unused block is worth more as a claim: it needs no route for each address.
            return self._claimed(subnet, block, rung, count)
        addresses = self._plan.current(block).lowest(count)
        new = self._plan.put(block, self._plan.current(block).take(addresses))
        return [Picked(address, new, found, found) for address in addresses]

    def _untouched(self, subnet: Subnet, block: Block) -> bool:
        return block.bitmap == reserved_bits(subnet, block.prefix)

    def _claimed(self, subnet: Subnet, block: Block, rung: Rung, count: int) -> list[Picked]:
        """Claim an unused block that nobody holds."""
        held = replace(block, holder=self._claimant, region_length=block.prefix.length)
        estate = self._estate(rung)
        self._plan.put(block, held)
        self._note(Act.CLAIMED, subnet, block.prefix)
        region = estate.receive(subnet, block.prefix, [held])
        return self._own(estate, subnet, region, count, Hold.UNCLAIMED)

    def _own(
        self, estate: Estate, subnet: Subnet, region: Prefix, count: int, found: Hold
    ) -> list[Picked]:
        """Take from a region that has become one's own."""
        taken = estate.take(subnet.id, region, count)
        return [Picked(address, block, Hold.OWN, found) for address, block in taken]

    def _note(self, act: Act, subnet: Subnet, prefix: Prefix) -> None:
        self._plan.notes.append(Note(act, subnet.id, prefix, self._claimant))

    # --- Unused space -----------------------------------------------------------------------------

    def _from_run(self, run: Run, rung: Rung, count: int, offer: Offer) -> list[Picked]:
        picked: list[Picked] = []
        if self._claimant and not self._lowest:
            picked = self._by_growing(rung, count)
        if len(picked) == count or self._spent(run):
            return picked
        missing = count - len(picked)
        subnet = self._subnets[run.subnet_id]
        if not self._claimant:
            return picked + self._opened(subnet, run, missing, offer)
        estate = self._estate(rung)
        bits = CLAIM_BITS if self._lowest else max(CLAIM_BITS, _half_of(estate.size))
        piece = first_piece(subnet, run.prefix, bits, missing)
        self._cut(subnet, run, piece)
        self._note(Act.CLAIMED, subnet, piece)
        region = estate.claim(subnet, run.cohort_id, piece)
        return picked + self._own(estate, subnet, region, missing, Hold.UNCLAIMED)

    def _spent(self, run: Run) -> bool:
        return any(each.id == run.id for each in self._plan.runs_removed)

    def _cut(self, subnet: Subnet, run: Run, piece: Prefix) -> None:
        self._plan.runs_removed.append(run)
        self._plan.runs_added += [
            Run(0, subnet.id, run.cohort_id, left) for left in cut(subnet, run.prefix, piece)
        ]

    def _opened(self, subnet: Subnet, run: Run, count: int, offer: Offer) -> list[Picked]:
        """Cut plain blocks from unused space, for somebody who claims nothing."""
        room = max(count, offer.room)
        piece = first_piece(subnet, run.prefix, BLOCK_BITS, room, offer.start)
        self._cut(subnet, run, piece)
        picked: list[Picked] = []
        for block in blocks_for(subnet, run.cohort_id, piece, NOBODY):
            addresses = block.lowest(count - len(picked))
            new = block.take(addresses)
            self._plan.blocks_added.append(new)
            picked += [
                Picked(address, new, Hold.UNCLAIMED, Hold.UNCLAIMED) for address in addresses
            ]
        return picked

    def _by_growing(self, rung: Rung, count: int) -> list[Picked]:
        """Double regions whose buddy nobody holds; what is advertised stays one prefix."""
        picked: list[Picked] = []
        estate = self._estate(rung)
        for subnet_id, region in estate.largest_first():
            subnet = self._subnets[subnet_id]
            while (
                len(picked) < count
                and region.length > subnet.prefix.length
                and region.size < 1 << REGION_BITS
            ):
                runs = self._plan.runs_at(self._space, subnet_id, [region.buddy])
                if not runs:
                    break
                self._plan.drop_run(runs[0])
                self._note(Act.GREW, subnet, region.parent)
                region = estate.claim(subnet, runs[0].cohort_id, region.buddy)
                picked += self._own(estate, subnet, region, count - len(picked), Hold.UNCLAIMED)
        return picked

    # --- What others have claimed -----------------------------------------------------------------

    def _from_others(self, offered: Block, rung: Rung, count: int) -> list[Picked]:
        """Take away what a holder does not use, or borrow."""
        subnet = self._subnets[offered.subnet_id]
        block: Block | None = self._plan.current(offered)
        picked: list[Picked] = []
        while block is not None and len(picked) < count:
            missing = count - len(picked)
            got = self._taken_over(subnet, block, rung, missing)
            picked += got or self._borrowed(block, missing)
            block = self._next_of(offered) if len(picked) < count else None
        return picked

    def _next_of(self, offered: Block) -> Block | None:
        """The next block to take from where a block of somebody else was."""
        left = [
            block
            for block in self._plan.blocks_in(self._space, offered.subnet_id, offered.prefix)
            if block.holder not in (NOBODY, self._claimant) and block.free
        ]
        return min(left, key=lambda block: (block.turn, block.prefix), default=None)

    def _borrowed(self, block: Block, count: int) -> list[Picked]:
        addresses = block.lowest(count)
        new = self._plan.put(block, block.take(addresses))
        return [Picked(address, new, Hold.OTHERS, Hold.OTHERS) for address in addresses]

    def _taken_over(self, subnet: Subnet, block: Block, rung: Rung, count: int) -> list[Picked]:
        """Make an unused piece of another holder's region one's own; nothing where it is not worth it."""
        region = block.region()
        blocks = [block]
        if region != block.prefix:
            blocks = [
                each
                for each in self._plan.blocks_in(self._space, subnet.id, region)
                if each.holder == block.holder
            ]
        piece = _worth_most(subnet, region, blocks, block)
        if piece is None:
            return []
        self._note(Act.TRANSFERRED, subnet, piece)
        estate = self._estate(rung)
        taken = take_away(self._plan, subnet, region, blocks, piece, self._claimant)
        return self._own(estate, subnet, estate.receive(subnet, piece, taken), count, Hold.OTHERS)


def _half_of(size: int) -> int:
    """Log2 of half a size, rounded up."""
    return max((size + 1) // 2 - 1, 0).bit_length()


def _worth_most(subnet: Subnet, region: Prefix, blocks: list[Block], block: Block) -> Prefix | None:
    """The piece of a region to take away: at its end, or one whole block of it."""
    width = WIDTH[region.family]
    for piece in (free_tail(region, blocks), block.prefix if not block.reach else None):
        if (
            piece is not None
            and worth_taking(width - region.length, width - piece.length)
            and subnet.usable_in(piece.base, piece.last)
        ):
            return piece
    return None


def first_piece(subnet: Subnet, run: Prefix, bits: int, count: int, start: int = 0) -> Prefix:
    """The piece to cut from a run: at its first usable address, large enough for ``count``.

    :param bits: log2 of the smallest size.
    :param start: begin with the first usable address from here on, if there is one.
    """
    usable = subnet.usable_in(max(run.base, start), run.last) or subnet.usable_in(
        run.base, run.last
    )
    first = usable[0][0]
    piece = enclosing(run.family, first, max(run.length, WIDTH[run.family] - bits))
    while piece.length > run.length and room_in(subnet, piece) < count:
        piece = piece.parent
    return piece


def first_run_piece(subnet: Subnet, run: Prefix, address: int) -> Prefix:
    """The small piece to cut from a run around an address that was asked for by name."""
    return enclosing(run.family, address, max(run.length, WIDTH[run.family] - CLAIM_BITS))
