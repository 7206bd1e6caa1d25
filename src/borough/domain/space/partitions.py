"""Lanes: keeping writers apart that cannot see each other's locks.

A Galera cluster locks no row on another node; of two nodes that write to one block, one loses at its
commit. So each node starts at its own part of a rung's address space, its *area*, and leaves it only when
it is used up. Within a rung the order of unclaimed blocks is free (rule 4), so that lanes change where an
address is, and never whether there is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from borough.domain.declared.records import Subnet
from borough.domain.space.blocks import BLOCK_BITS


class Partition(NamedTuple):
    """Which of how many writers one is."""

    number: int
    total: int


#: For writers who see each other's locks.
ALONE = Partition(0, 1)


def bounds(subnets: Sequence[Subnet], partition: Partition) -> tuple[int, int]:
    """The part of some subnets that a lane starts with: its first and last address.

    :param subnets: of one family, ascending; at least one.
    """
    count, index = len(subnets), partition.number % partition.total
    if count >= partition.total:
        own = subnets[index * count // partition.total : (index + 1) * count // partition.total]
        return own[0].prefix.base, own[-1].prefix.last
    subnet = subnets[index * count // partition.total]
    sharing = [
        each
        for each in range(partition.total)
        if subnets[each * count // partition.total] is subnet
    ]
    prefix = subnet.prefix
    # Whole blocks: two lanes in one block would meet in it.
    size = prefix.size // len(sharing) >> BLOCK_BITS << BLOCK_BITS
    if not size:
        return prefix.base, prefix.last
    rank = sharing.index(index)
    first = prefix.base + rank * size
    return first, prefix.last if rank == len(sharing) - 1 else first + size - 1
