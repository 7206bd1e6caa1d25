"""Reads of a decision (:class:`Space`) and the changes that it asks for (:class:`Plan`).

A decision changes nothing itself. The store commits a plan in one transaction, each row with its
precondition: a version, a row count or a unique constraint. A plan made from a stale view fails as a
whole and is made again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol

from borough.domain.declared.records import Subnet
from borough.domain.net.addresses import Family
from borough.domain.net.prefixes import Prefix
from borough.domain.space.allocations import AllocationRow
from borough.domain.space.blocks import Block, FreeRange, room_in
from borough.domain.space.rungs import Hold, Rung


class Offer(NamedTuple):
    """A block with a free address, or unused space, found on a rung.

    :ivar start: the address to begin with in unused space; 0 for its first usable address.
    :ivar room: fewest addresses to open in unused space, so that concurrent requests find some.
    """

    rung: int
    piece: Block | FreeRange
    start: int = 0
    room: int = 0


class Space(Protocol):
    """Read access to address space at one instant."""

    def offers(
        self, rungs: Sequence[Rung], claimant: str, count: int, *, lowest: bool
    ) -> list[Offer]:
        """Pieces with a free address on the rungs, in ladder order, until ``count`` are found.

        Within a rung: own blocks by region (the largest first), then by address. Unclaimed blocks by
        address; free ranges before them (the largest first) for a claimant, and otherwise after them
        (the smallest first). Blocks of others by :func:`~borough.domain.space.blocks.takeover_rank`,
        then by address. With ``lowest`` everything is by address alone.
        """

    def holdings(self, rung: Rung, holder: str) -> list[Block]:
        """All blocks that a holder claims in the cohorts or subnets of a rung, by address."""

    def held_in(self, cohort_id: int, holder: str) -> list[Block]:
        """All blocks that a holder claims in one cohort, by address."""

    def blocks_in(self, subnet_id: int, prefix: Prefix) -> list[Block]:
        """All blocks of a subnet that lie inside a prefix, by address."""

    def free_ranges_at(self, subnet_id: int, prefixes: Sequence[Prefix]) -> list[FreeRange]:
        """The free ranges that are exactly one of these prefixes."""

    def free_ranges_in(self, subnet_id: int, prefix: Prefix, longest: int) -> list[FreeRange]:
        """The free ranges inside a prefix with a length of at most ``longest``, by address.

        They are a hint: a store returns none where reading them would block other transactions.
        """

    def piece_at(self, subnet_id: int, address: int) -> Block | FreeRange | None:
        """The block or free range that an address lies in; None where nothing is tracked."""

    def allocation_at(self, scope: str, family: int, address: int) -> AllocationRow | None:
        """The allocation of an address, a cooling one included; None when there is none."""

    def is_in_use(self, scope: str, prefix: Prefix) -> bool:
        """True when an address of a prefix is allocated or cooling."""


class Act(StrEnum):
    """The act that an event reports."""

    ALLOCATED = "allocated"
    RELEASED = "released"
    RESERVED = "reserved"
    CANCELLED = "cancelled"
    CLAIMED = "claimed"
    GREW = "grew"
    TRANSFERRED = "transferred"
    BORROWED = "borrowed"
    GAVE_UP = "gave_up"
    REASSIGNED = "reassigned"
    EDITED = "edited"
    RENEWED = "renewed"
    ATTACHED = "attached"
    DETACHED = "detached"
    TOPOLOGY = "topology"
    REPAIRED = "repaired"
    PRUNED = "pruned"
    TOKEN = "token"  # noqa: S105  (no password, a word)


class Note(NamedTuple):
    """A change of claims in a plan, for events and explanations.

    :ivar previous_holder: the previous holder of a piece that is taken over or lent; else empty.
    :ivar region: the region that it is taken out of or lies in.
    """

    act: Act
    subnet_id: int
    prefix: Prefix
    holder: str
    previous_holder: str = ""
    region: Prefix | None = None


class Grant(NamedTuple):
    """An allocated address.

    :ivar block: the block that it lies in, as the plan leaves it; None where nothing is tracked.
    :ivar hold: the hold of that block after the claims of the plan.
    :ivar found: its hold before: that of the rung on which the address was found.
    """

    allocation: AllocationRow
    block: Block | None
    hold: Hold | None
    found: Hold | None


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of addresses of one subnet.

    :ivar allocated: held by owners, those outside the ranges included.
    :ivar cooling: released and resting.
    :ivar reserved: kept for an owner or for nobody.
    :ivar free: free addresses of blocks and of unused space by holder; ``""``: unclaimed.
    """

    allocated: int = 0
    cooling: int = 0
    reserved: int = 0
    free: Mapping[str, int] = field(default_factory=dict)

    @property
    def total_held(self) -> int:
        """Addresses that are not free for another owner."""
        return self.allocated + self.cooling + self.reserved

    @property
    def total_free(self) -> int:
        """Free addresses, claimed or not."""
        return sum(self.free.values())


def free_of(
    subnets: Mapping[int, Subnet], pieces: Iterable[Block | FreeRange]
) -> Counter[tuple[int, str]]:
    """Free addresses of blocks and of unused space by subnet id and holder."""
    free: Counter[tuple[int, str]] = Counter()
    for piece in pieces:
        if isinstance(piece, Block):
            free[piece.subnet_id, piece.holder] += piece.free_count
        else:
            free[piece.subnet_id, ""] += room_in(subnets[piece.subnet_id], piece.prefix)
    return free


def tallies_of(
    free: Mapping[tuple[int, str], int], held: Mapping[int, tuple[int, int, int]]
) -> dict[int, Tally]:
    """Tallies by subnet id.

    :param free: free addresses by subnet id and holder.
    :param held: by subnet id, the number of rows of allocations, and of the cooling and reserved ones
        among them.
    """
    holders: dict[int, dict[str, int]] = {id: {} for id in held}
    for (id, holder), count in free.items():
        if count and id in holders:
            holders[id][holder] = count
    return {
        id: Tally(total - cooling - reserved, cooling, reserved, holders[id])
        for id, (total, cooling, reserved) in held.items()
    }


@dataclass
class Plan:
    """Row changes that belong together: all of them or none.

    :ivar changed: blocks as read and as they become, by block id.
    :ivar grants: new allocations and new reservations.
    :ivar cooled: allocations and reservations as read and as they cool.
    :ivar edited: allocations as read, and with another host, owners, note, attributes, ``sticky`` or lease.
    """

    free_ranges_removed: list[FreeRange] = field(default_factory=list)
    free_ranges_added: list[FreeRange] = field(default_factory=list)
    changed: dict[int, tuple[Block, Block]] = field(default_factory=dict)
    blocks_added: list[Block] = field(default_factory=list)
    blocks_removed: list[Block] = field(default_factory=list)
    grants: list[Grant] = field(default_factory=list)
    removed: list[AllocationRow] = field(default_factory=list)
    cooled: list[tuple[AllocationRow, AllocationRow]] = field(default_factory=list)
    edited: list[tuple[AllocationRow, AllocationRow]] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """True when there is nothing to write."""
        return not any(vars(self).values())

    def outside(self, subnets: Mapping[int, Subnet]) -> list[Subnet]:
        """The subnets in which the plan changes an address outside of its changed blocks, by id.

        No block or free range shows such a change, so that the row of the subnet has to.
        """
        blocks = [
            *(old for old, _ in self.changed.values()),
            *self.blocks_added,
            *self.blocks_removed,
        ]
        shown: dict[int, list[Prefix]] = {}
        for block in blocks:
            shown.setdefault(block.subnet_id, []).append(block.prefix)
        for prefixes in shown.values():
            prefixes.sort()
        granted = (grant.allocation for grant in self.grants)
        found = {
            each.subnet_id: subnets[each.subnet_id]
            for each in (*granted, *self.removed, *(new for _, new in self.cooled))
            if not _lies_in(each.address, shown.get(each.subnet_id, []))
        }
        return [found[id] for id in sorted(found)]

    def touched(self, family: Family) -> int:
        """Number of stored pieces of a family that the plan changes."""
        stored: list[Block | FreeRange] = [
            *self.free_ranges_removed,
            *self.blocks_removed,
            *(old for old, _ in self.changed.values()),
        ]
        return sum(piece.prefix.family == family for piece in stored)

    def change(self, old: Block, new: Block) -> None:
        """Replace a stored block, keeping what was first read as the precondition."""
        first, _ = self.changed.get(old.id, (old, old))
        self.changed[old.id] = (first, new)

    def current(self, block: Block) -> Block:
        """A stored block as this plan leaves it so far."""
        return self.changed[block.id][1] if block.id in self.changed else block

    def of_holder(self, stored: Iterable[Block], cohort_id: int, holder: str) -> list[Block]:
        """The blocks of a holder in a cohort as this plan leaves them so far.

        :param stored: those that it had before.
        """
        gone = {block.id for block in self.blocks_removed}
        here = [self.current(block) for block in stored if block.id not in gone]
        return [
            block
            for block in (*here, *self.blocks_added)
            if (block.cohort_id, block.holder) == (cohort_id, holder)
        ]

    def put(self, old: Block, new: Block) -> Block:
        """Write a block that is stored or that this plan adds; return it."""
        if old.id:
            self.change(old, new)
        else:
            self.blocks_added[self.blocks_added.index(old)] = new
        return new

    def drop(self, block: Block) -> None:
        """Remove a block that is stored or that this plan adds."""
        if block.id:
            self.blocks_removed.append(self.changed.pop(block.id, (block, block))[0])
        else:
            self.blocks_added.remove(block)

    def blocks_in(self, space: Space, subnet_id: int, prefix: Prefix) -> list[Block]:
        """The blocks inside a prefix as this plan leaves them so far, by address."""
        gone = {block.id for block in self.blocks_removed}
        stored = [
            self.current(block)
            for block in space.blocks_in(subnet_id, prefix)
            if block.id not in gone
        ]
        added = [
            block
            for block in self.blocks_added
            if block.subnet_id == subnet_id and prefix.covers(block.prefix)
        ]
        return sorted(stored + added, key=lambda block: block.prefix)

    def free_ranges_at(
        self, space: Space, subnet_id: int, prefixes: Sequence[Prefix]
    ) -> list[FreeRange]:
        """The free ranges at these prefixes as this plan leaves them so far."""
        gone = {free_range.id for free_range in self.free_ranges_removed}
        stored = [
            free_range
            for free_range in space.free_ranges_at(subnet_id, prefixes)
            if free_range.id not in gone
        ]
        added = [
            free_range
            for free_range in self.free_ranges_added
            if free_range.subnet_id == subnet_id and free_range.prefix in prefixes
        ]
        return stored + added

    def free_ranges_in(
        self, space: Space, subnet_id: int, prefix: Prefix, longest: int
    ) -> list[FreeRange]:
        """The free ranges inside a prefix as this plan leaves them so far, by address."""
        gone = {free_range.id for free_range in self.free_ranges_removed}
        stored = [
            free_range
            for free_range in space.free_ranges_in(subnet_id, prefix, longest)
            if free_range.id not in gone
        ]
        added = [
            free_range
            for free_range in self.free_ranges_added
            if free_range.subnet_id == subnet_id
            and prefix.covers(free_range.prefix)
            and free_range.prefix.length <= longest
        ]
        return sorted(stored + added, key=lambda free_range: free_range.prefix)

    def drop_free_range(self, free_range: FreeRange) -> None:
        """Remove unused space that is stored or that this plan adds."""
        if free_range.id:
            self.free_ranges_removed.append(free_range)
        else:
            self.free_ranges_added.remove(free_range)


def _lies_in(address: int, prefixes: Sequence[Prefix]) -> bool:
    """True when one of some prefixes, disjoint and by address, holds an address."""
    at = bisect_right(prefixes, address, key=lambda prefix: prefix.base) - 1
    return at >= 0 and prefixes[at].holds(address)
