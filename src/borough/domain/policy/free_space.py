"""Unused space: which free range to cut, and which piece of it."""

from __future__ import annotations

from collections import Counter
from typing import Final

from borough.domain.declared.records import Subnet
from borough.domain.net.addresses import WIDTH
from borough.domain.net.prefixes import Prefix, enclosing
from borough.domain.space.blocks import FreeRange, room_in
from borough.domain.space.plan import Plan, Space

#: Log2 of the piece cut from unused space around a specific address: 16 addresses, a /28 or a /124.
NAMED_BITS: Final = 4

#: Sizes of the largest free range between which a new region keeps clear of its neighbours: below no region
#: can double, above all can.
_CROWDED: Final = (32, 256)

#: Log2 of the most free ranges of the largest size to compare, and of the smallest part of one that counts.
AROUND: Final = 8
_PARTS: Final = 1


def log2(size: int) -> int:
    """Log2, rounded down."""
    return size.bit_length() - 1


def rest_of(plan: Plan, free_range: FreeRange, *, lowest: bool) -> FreeRange | None:
    """The first or the largest piece that the plan leaves of a free range; None for none."""
    if not any(each.id == free_range.id for each in plan.free_ranges_removed):
        return free_range
    left = [
        each
        for each in plan.free_ranges_added
        if each.subnet_id == free_range.subnet_id and free_range.prefix.covers(each.prefix)
    ]
    if lowest:
        return min(left, key=lambda each: each.prefix, default=None)
    return min(left, key=lambda each: (each.prefix.length, each.prefix), default=None)


def least_in_the_way(plan: Plan, space: Space, subnet: Subnet, free_range: FreeRange) -> FreeRange:
    """Of the free ranges of the largest size nearby, the first with a half-unclaimed buddy.

    A holder in such a buddy can double there; the holder of a full buddy needs the free range.
    """
    if not _CROWDED[0] <= free_range.prefix.size <= _CROWDED[1]:
        return free_range
    length = max(free_range.prefix.length - AROUND, subnet.prefix.length)
    if length == free_range.prefix.length:
        return free_range
    around = enclosing(free_range.prefix.family, free_range.prefix.base, length)
    free_ranges = plan.free_ranges_in(
        space, free_range.subnet_id, around, free_range.prefix.length + _PARTS
    )
    # Grouped by multiples of the size: to compare hundreds of free ranges in pairs would take long.
    room: Counter[int] = Counter()
    for each in free_ranges:
        room[each.prefix.base & -free_range.prefix.size] += each.prefix.size
    equal = [each for each in free_ranges if each.prefix.length == free_range.prefix.length]
    return max(equal, key=lambda each: room[each.prefix.buddy.base], default=free_range)


def first_piece(
    subnet: Subnet, whole: Prefix, bits: int, count: int, start: int = 0, most: int = 128
) -> Prefix:
    """The piece to cut from a free range: at its first usable address, large enough for ``count``.

    :param bits: log2 of the smallest size.
    :param most: log2 of the largest size.
    :param start: begin with the first usable address from here on, if there is one.
    """
    usable = subnet.usable_in(max(whole.base, start), whole.last) or subnet.usable_in(
        whole.base, whole.last
    )
    width = WIDTH[whole.family]
    shortest = max(whole.length, width - most)
    piece = enclosing(whole.family, usable[0][0], max(whole.length, width - min(bits, most)))
    while piece.length > shortest and room_in(subnet, piece) < count:
        piece = piece.parent
    return piece


def first_free_range_piece(subnet: Subnet, whole: Prefix, address: int) -> Prefix:
    """The small piece to cut from a free range around a specific address."""
    return enclosing(whole.family, address, max(whole.length, WIDTH[whole.family] - NAMED_BITS))
