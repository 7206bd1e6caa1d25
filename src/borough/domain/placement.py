"""Where addresses go inside the space of one rung: claim, grow, share, borrow.

Part of rule 4 and all of section "soft boundaries" of ``docs/rules.md``. The policy keeps what a
holder has in few aligned regions: use the regions that are there, double a region in place, and only
then start a new one, at the start of the largest unclaimed run, where it has most room to double.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final, NamedTuple

from borough.domain.address import WIDTH
from borough.domain.block import (
    BLOCK_BITS,
    Block,
    Run,
    blocks_for,
    cut,
    reserved_bits,
    room_in,
)
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

    def pick(self, rungs: tuple[Rung, ...], count: int) -> list[Picked]:
        """The best ``count`` addresses on the rungs; fewer when that is all there is."""
        picked: list[Picked] = []
        grown: set[int] = set()
        for offer in self._space.offers(rungs, self._claimant, count, lowest=self._lowest):
            missing = count - len(picked)
            if not missing:
                break
            rung = rungs[offer.rung]
            if isinstance(offer.piece, Block):
                picked += self._from_block(offer.piece, rung.hold, missing)
                continue
            if self._claimant and not self._lowest and offer.rung not in grown:
                grown.add(offer.rung)
                picked += self._by_growing(rung, missing)
                missing = count - len(picked)
            if missing and not self._spent(offer):
                picked += self._from_run(offer.piece, missing, offer)
        return picked

    def _spent(self, offer: Offer) -> bool:
        return any(run.id == offer.piece.id for run in self._plan.runs_removed)

    def _from_block(self, block: Block, found: Hold, count: int) -> list[Picked]:
        subnet = self._subnets[block.subnet_id]
        new = self._plan.current(block)
        hold = found
        if found is not Hold.OWN and self._claimant and self._untouched(subnet, new):
            # An unused block is worth more as a claim than as a loan: no route of its own is needed.
            act = Act.CLAIMED if found is Hold.UNCLAIMED else Act.TRANSFERRED
            new = replace(new, holder=self._claimant, region_length=new.prefix.length)
            self._plan.notes.append(Note(act, subnet.id, new.prefix, self._claimant))
            hold = Hold.OWN
        addresses = new.lowest(count)
        new = new.take(addresses)
        self._plan.change(block, new)
        return [Picked(address, new, hold, found) for address in addresses]

    def _untouched(self, subnet: Subnet, block: Block) -> bool:
        whole = not block.holder or block.region_length == block.prefix.length
        return whole and block.bitmap == reserved_bits(subnet, block.prefix)

    def _by_growing(self, rung: Rung, count: int) -> list[Picked]:
        """Double regions whose buddy nobody holds; what is advertised stays one prefix."""
        picked: list[Picked] = []
        holdings = [
            self._plan.current(block) for block in self._space.holdings(rung, self._claimant)
        ]
        for region, blocks in regions(holdings):
            picked += self._grow(region, blocks, count - len(picked))
        return picked

    def _grow(self, region: Prefix, blocks: list[Block], count: int) -> list[Picked]:
        """Double one region as long as addresses are missing and its buddy is free."""
        picked: list[Picked] = []
        subnet_id = blocks[0].subnet_id
        while len(picked) < count and region.length > 0 and region.size < 1 << REGION_BITS:
            runs = self._space.runs_at(subnet_id, [region.buddy])
            if not runs:
                break
            blocks = self._double(region, blocks, runs[0])
            region = region.parent
            picked += self._fill(blocks, count - len(picked))
            blocks = [self._latest(block) for block in blocks]
        return picked

    def _double(self, region: Prefix, blocks: list[Block], run: Run) -> list[Block]:
        """Claim the buddy of a region, and make both one region."""
        subnet = self._subnets[run.subnet_id]
        parent = region.parent
        self._plan.runs_removed.append(run)
        self._plan.notes.append(Note(Act.GREW, subnet.id, parent, self._claimant))
        if parent.size <= 1 << BLOCK_BITS:
            old = blocks[0]
            bitmap = (
                old.bitmap << old.prefix.base - parent.base
                | reserved_bits(subnet, run.prefix) << run.prefix.base - parent.base
            )
            return [
                self._put(
                    old, replace(old, prefix=parent, bitmap=bitmap, region_length=parent.length)
                )
            ]
        kept = [self._put(block, replace(block, region_length=parent.length)) for block in blocks]
        fresh = [
            replace(block, region_length=parent.length)
            for block in blocks_for(subnet, run.cohort_id, run.prefix, self._claimant)
        ]
        self._plan.blocks_added += fresh
        return sorted(kept + fresh, key=lambda block: block.prefix)

    def _put(self, old: Block, new: Block) -> Block:
        """Write a block that is stored or that this very plan adds."""
        if old.id:
            self._plan.change(old, new)
        else:
            self._plan.blocks_added[self._plan.blocks_added.index(old)] = new
        return new

    def _latest(self, block: Block) -> Block:
        if block.id:
            return self._plan.current(block)
        return next(
            each
            for each in self._plan.blocks_added
            if each.prefix == block.prefix and each.subnet_id == block.subnet_id
        )

    def _fill(self, blocks: Iterable[Block], count: int) -> list[Picked]:
        picked: list[Picked] = []
        for block in blocks:
            addresses = block.lowest(count - len(picked))
            if addresses:
                new = self._put(block, block.take(addresses))
                picked += [Picked(address, new, Hold.OWN, Hold.UNCLAIMED) for address in addresses]
        return picked

    def _from_run(self, run: Run, count: int, offer: Offer) -> list[Picked]:
        """Cut blocks from unused space: a claim for a claimant, plain blocks otherwise."""
        subnet = self._subnets[run.subnet_id]
        bits = CLAIM_BITS if self._claimant else BLOCK_BITS
        room = max(count, offer.room)
        piece = first_piece(subnet, run.prefix, bits, room, offer.start)
        self._plan.runs_removed.append(run)
        self._plan.runs_added += [
            Run(0, subnet.id, run.cohort_id, left) for left in cut(subnet, run.prefix, piece)
        ]
        hold = Hold.UNCLAIMED
        if self._claimant:
            hold = Hold.OWN
            self._plan.notes.append(Note(Act.CLAIMED, subnet.id, piece, self._claimant))
        picked: list[Picked] = []
        for block in blocks_for(subnet, run.cohort_id, piece, self._claimant):
            addresses = block.lowest(count - len(picked))
            new = block.take(addresses)
            self._plan.blocks_added.append(new)
            picked += [Picked(address, new, hold, Hold.UNCLAIMED) for address in addresses]
        return picked


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


def regions(blocks: Iterable[Block]) -> list[tuple[Prefix, list[Block]]]:
    """Group a holder's blocks into the regions they form, the largest first."""
    grouped: dict[tuple[int, Prefix], list[Block]] = {}
    for block in blocks:
        grouped.setdefault((block.subnet_id, block.region()), []).append(block)
    ordered = sorted(grouped.items(), key=lambda item: (item[0][1].length, item[0][1]))
    return [(region, members) for (_, region), members in ordered]


def give_up(plan: Plan, space: Space, subnet: Subnet, region: Prefix, blocks: list[Block]) -> None:
    """Turn an unused region back into unclaimed space, joined with the free buddies around it."""
    plan.blocks_removed += [plan.changed.pop(block.id, (block, block))[0] for block in blocks]
    plan.notes.append(Note(Act.GAVE_UP, subnet.id, region, blocks[0].holder))
    add_run(plan, space, subnet, blocks[0].cohort_id, region)


def add_run(plan: Plan, space: Space, subnet: Subnet, cohort_id: int, piece: Prefix) -> None:
    """Add unused space, joined with the free buddies around it, those of this plan included."""
    chain = []
    up = piece
    while up.length > subnet.prefix.length:
        chain.append(up.buddy)
        up = up.parent
    gone = {run.id for run in plan.runs_removed}
    stored = {run.prefix: run for run in space.runs_at(subnet.id, chain) if run.id not in gone}
    while piece.length > subnet.prefix.length:
        buddy = piece.buddy
        added = next(
            (run for run in plan.runs_added if run.subnet_id == subnet.id and run.prefix == buddy),
            None,
        )
        if added:
            plan.runs_added.remove(added)
        elif buddy in stored:
            plan.runs_removed.append(stored[buddy])
        else:
            break
        piece = piece.parent
    plan.runs_added.append(Run(0, subnet.id, cohort_id, piece))
