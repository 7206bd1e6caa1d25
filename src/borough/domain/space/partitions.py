"""Partitions: separate writers that cannot see each other's locks.

A Galera cluster locks no row on another node: of two nodes that write to one block, one fails at commit.
Each node therefore starts in its own partition of a rung's space, and leaves it only when it is full.
Rule 4 leaves the order of unclaimed blocks in a rung free, so no request fails because of a partition.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from borough.domain.declared.records import Subnet
from borough.domain.space.blocks import BLOCK_BITS


class Partition(NamedTuple):
    """The number of a writer among all writers."""

    number: int
    total: int


#: For writers that see each other's locks.
ALONE = Partition(0, 1)


def bounds(subnets: Sequence[Subnet], partition: Partition) -> tuple[int, int]:
    """The part of some subnets in which a partition starts: its first and last address.

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
    # Whole blocks: two partitions in one block would conflict.
    size = prefix.size // len(sharing) >> BLOCK_BITS << BLOCK_BITS
    if not size:
        return prefix.base, prefix.last
    rank = sharing.index(index)
    first = prefix.base + rank * size
    return first, prefix.last if rank == len(sharing) - 1 else first + size - 1
