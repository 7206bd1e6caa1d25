"""Many addresses by name at once, as an import needs them: no group, no ladder, no claims."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import groupby

from borough.domain.declared.catalogue import Catalogue
from borough.domain.space.allocations import AllocationRow
from borough.domain.space.blocks import Block, FreeRange
from borough.domain.space.plan import Grant, Plan, Space
from borough.domain.space.rebuild import open_range


def take_named(catalogue: Catalogue, space: Space, wanted: Sequence[AllocationRow]) -> Plan:
    """Allocate free addresses that lie in known subnets.

    Each block or free range is read once, whatever the number of its addresses.
    """
    plan = Plan()
    rows = sorted(wanted, key=lambda each: (each.subnet_id, each.address))
    for subnet_id, group in groupby(rows, key=lambda each: each.subnet_id):
        subnet = catalogue.subnets[subnet_id]
        rest = list(group)
        # Outside the ranges no block shows an address: the row of the subnet is its witness.
        plan.grants += [
            Grant(each, None, None, None) for each in rest if not subnet.is_usable(each.address)
        ]
        rest = [each for each in rest if subnet.is_usable(each.address)]
        while rest:
            piece = space.piece_at(subnet_id, rest[0].address)
            last = rest[0].address if piece is None else piece.prefix.last
            end = bisect_right(rest, last, key=lambda each: each.address)
            inside, rest = rest[:end], rest[end:]
            addresses = [each.address for each in inside]
            if isinstance(piece, Block):
                plan.change(piece, piece.take(addresses))
            elif isinstance(piece, FreeRange):
                blocks, free_ranges = open_range(subnet, piece, addresses)
                plan.free_ranges_removed.append(piece)
                plan.blocks_added += blocks
                plan.free_ranges_added += free_ranges
            plan.grants += [Grant(each, None, None, None) for each in inside]
    return plan
