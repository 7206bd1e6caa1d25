"""Blocks and free ranges track the addresses of a subnet.

A *block* is an aligned piece of at most 64 addresses with a bitmap; a holder may claim it. A *free range*
is an unclaimed and unused aligned piece of any size, in one row. Blocks are cut from free ranges on demand.

A bit is 1 when its address cannot be allocated: taken, cooling, outside the ranges, gateway.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from borough.domain.declared.records import Subnet
from borough.domain.net.addresses import WIDTH
from borough.domain.net.prefixes import Prefix, enclosing, span

#: Bits of a block's bitmap: at most 64 addresses, a /26 or a /122.
BLOCK_BITS: Final = 6

#: The holder of an unclaimed block.
NOBODY: Final = ""


@dataclass(frozen=True, slots=True)
class Block:
    """An aligned piece of up to 64 addresses.

    :ivar id: the store's key, 0 before it is stored.
    :ivar bitmap: bit ``i`` is for ``prefix.base + i``; 1 means not free.
    :ivar holder: the claimant, as ``dimension=value``; :data:`NOBODY` when unclaimed.
    :ivar region_length: prefix length of the claimed region that the block is part of; 0 when unclaimed.
    :ivar version: for compare-and-set.
    :ivar high_water: one more than the position of the highest address that is taken or cools, 0 for
        none. Reserved addresses do not count.
    :ivar idle_since: when a reclaim first found the block idle, in microseconds; 0 when it was not.
    """

    id: int
    subnet_id: int
    cohort_id: int
    prefix: Prefix
    bitmap: int
    holder: str = NOBODY
    region_length: int = 0
    version: int = 0
    high_water: int = 0
    idle_since: int = 0

    @property
    def free_count(self) -> int:
        """Number of free addresses."""
        return self.prefix.size - self.bitmap.bit_count()

    @property
    def tail(self) -> int:
        """Log2 of the size of the unused aligned piece at the block's end; -1 for none."""
        return (self.prefix.size - self.high_water).bit_length() - 1

    @property
    def takeover_rank(self) -> int:
        """See :func:`takeover_rank`; 0 when the block is unclaimed."""
        if not self.holder:
            return 0
        return takeover_rank(WIDTH[self.prefix.family] - self.region_length, self.tail)

    def has(self, address: int) -> bool:
        """True when the bit of an address is set."""
        return bool(self.bitmap >> (address - self.prefix.base) & 1)

    def lowest(self, count: int) -> list[int]:
        """The lowest free addresses, at most ``count``."""
        found: list[int] = []
        open_bits = ~self.bitmap & (1 << self.prefix.size) - 1
        while open_bits and len(found) < count:
            low = open_bits & -open_bits
            found.append(self.prefix.base + low.bit_length() - 1)
            open_bits ^= low
        return found

    def take(self, addresses: Sequence[int]) -> Block:
        """The block with these addresses taken."""
        bitmap = self.bitmap
        for address in addresses:
            bitmap |= 1 << address - self.prefix.base
        high_water = max(addresses) - self.prefix.base + 1 if addresses else 0
        return self._with(bitmap, max(self.high_water, high_water))

    def free(self, address: int, reserved: int) -> Block:
        """The block with an address free again.

        :param reserved: see :func:`reserved_bits`.
        """
        bitmap = self.bitmap & ~(1 << address - self.prefix.base)
        return self._with(bitmap, (bitmap & ~reserved).bit_length())

    def _with(self, bitmap: int, high_water: int) -> Block:
        # dataclasses.replace takes ten times as long, and every allocation runs this.
        return Block(
            self.id,
            self.subnet_id,
            self.cohort_id,
            self.prefix,
            bitmap,
            self.holder,
            self.region_length,
            self.version,
            high_water,
            self.idle_since,
        )

    def region(self) -> Prefix:
        """The claimed region that the block is part of; the block itself when unclaimed."""
        if not self.region_length:
            return self.prefix
        return enclosing(self.prefix.family, self.prefix.base, self.region_length)


def takeover_rank(region_bits: int, tail: int) -> int:
    """The order in which other hosts borrow from a claimed block, the lowest first.

    First the largest unused pieces, of equal ones a whole region, which costs its holder no route. A single
    address comes last. The store keeps it with the block, in an index.

    :param region_bits: log2 of the size of the region that the block is part of.
    :param tail: see :attr:`Block.tail`.
    """
    if tail > 0:
        return 2 * (BLOCK_BITS - tail) + (1 if region_bits == tail else 2)
    return 64 + BLOCK_BITS + 1 - tail


@dataclass(frozen=True, slots=True)
class FreeRange:
    """An aligned piece of a subnet that is unclaimed and unused."""

    id: int
    subnet_id: int
    cohort_id: int
    prefix: Prefix


def reserved_bits(subnet: Subnet, prefix: Prefix) -> int:
    """The bitmap of an unused block: 1 for each address that *any* and *next* must not allocate."""
    bitmap = (1 << prefix.size) - 1
    for first, last in subnet.usable_in(prefix.base, prefix.last):
        bitmap &= ~((1 << last - first + 1) - 1 << first - prefix.base)
    return bitmap


def has_room(subnet: Subnet, prefix: Prefix) -> bool:
    """True when an unused prefix holds any usable address."""
    return bool(subnet.usable_in(prefix.base, prefix.last))


def room_in(subnet: Subnet, prefix: Prefix) -> int:
    """Number of usable addresses of an unused prefix."""
    return sum(last - first + 1 for first, last in subnet.usable_in(prefix.base, prefix.last))


def block_length(prefix: Prefix) -> int:
    """The prefix length of a full block inside a subnet or free range."""
    return max(prefix.length, WIDTH[prefix.family] - BLOCK_BITS)


def initial_free_ranges(subnet: Subnet) -> list[Prefix]:
    """The unused space of a fresh subnet as the fewest aligned pieces, ascending.

    Pieces are rounded out to whole blocks, so that an address range does not become /32 rows. The bitmap
    reserves the addresses outside the ranges.
    """
    family = subnet.family
    length = block_length(subnet.prefix)
    rounded: list[tuple[int, int]] = []
    for first, last in subnet.usable:
        low = enclosing(family, first, length).base
        high = enclosing(family, last, length).last
        if rounded and low <= rounded[-1][1] + 1:
            rounded[-1] = (rounded[-1][0], max(high, rounded[-1][1]))
        else:
            rounded.append((low, high))
    return [piece for low, high in rounded for piece in span(family, low, high)]


def part(subnet: Subnet, block: Block, prefix: Prefix, holder: str, region_length: int) -> Block:
    """A fresh row for a piece of a block."""
    bitmap = block.bitmap >> prefix.base - block.prefix.base & (1 << prefix.size) - 1
    high_water = (bitmap & ~reserved_bits(subnet, prefix)).bit_length()
    return Block(
        0, subnet.id, block.cohort_id, prefix, bitmap, holder, region_length, high_water=high_water
    )


def cut(subnet: Subnet, whole: Prefix, piece: Prefix) -> list[Prefix]:
    """The rest of a free range after a piece is cut out: the buddies with a usable address."""
    left = []
    while piece.length > whole.length:
        if has_room(subnet, piece.buddy):
            left.append(piece.buddy)
        piece = piece.parent
    return sorted(left)


def blocks_for(
    subnet: Subnet,
    cohort_id: int,
    piece: Prefix,
    holder: str,
    is_kept: Callable[[Prefix], bool] = lambda _prefix: False,
) -> list[Block]:
    """Fresh rows for the blocks of a piece of unused space that have a usable address.

    :param is_kept: true for a block that has a row without a usable address.
    """
    family = piece.family
    step = Prefix(family, piece.base, block_length(piece))
    region = piece.length if holder else 0
    return [
        Block(0, subnet.id, cohort_id, prefix, reserved_bits(subnet, prefix), holder, region)
        for base in range(piece.base, piece.last + 1, step.size)
        for prefix in (Prefix(family, base, step.length),)
        if has_room(subnet, prefix) or is_kept(prefix)
    ]
