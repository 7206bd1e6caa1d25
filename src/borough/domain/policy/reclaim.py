"""Return of idle claims.

An empty region is returned at once when its holder has another one. The last region of a holder is
returned when it has been empty for :data:`EMPTY_FOR`. A region of little use returns its unused half after
:data:`LOW_FOR`. A reclaim marks an idle region and acts when a later reclaim finds it idle still, so that
allocations and releases write nothing for it.

An unclaimed block that is unused for :data:`EMPTY_FOR` becomes a free range again, so that claims have
room to grow.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from borough.domain.declared.catalogue import Catalogue
from borough.domain.net.prefixes import Prefix
from borough.domain.space.blocks import Block, withheld_bits
from borough.domain.space.plan import Act, Note, Plan, Space
from borough.domain.space.regions import (
    add_free_range,
    all_lent_in,
    free_tail,
    is_needed,
    regions,
    return_region,
    return_space,
    take_away,
)

_SECOND: Final = 1_000_000

#: Microseconds for which the last region of a holder may be empty.
EMPTY_FOR: Final = 15 * 60 * _SECOND

#: Microseconds for which a region may be little used.
LOW_FOR: Final = 6 * 3600 * _SECOND

#: A region with at most this share of its addresses in use is little used: three eighths.
_LOW: Final = (3, 8)


def reclaim_idle(catalogue: Catalogue, space: Space, blocks: Iterable[Block], now: int) -> Plan:
    """Mark idle regions, and return those idle for long.

    :param blocks: all blocks of some regions, or unclaimed blocks.
    :param now: microseconds since the epoch.
    """
    plan = Plan()
    blocks = list(blocks)
    for region, members in regions(block for block in blocks if block.holder):
        _reclaim_region(catalogue, space, plan, region, members, now)
    for block in blocks:
        if not block.holder:
            _reclaim_block(catalogue, space, plan, block, now)
    return plan


def _reclaim_block(catalogue: Catalogue, space: Space, plan: Plan, block: Block, now: int) -> None:
    if block.high_water:
        if block.idle_since:
            plan.put(block, replace(block, idle_since=0))
    elif not block.idle_since:
        plan.put(block, replace(block, idle_since=now))
    elif now - block.idle_since >= EMPTY_FOR:
        plan.drop(block)
        subnet = catalogue.subnets[block.subnet_id]
        add_free_range(plan, space, subnet, block.cohort_id, block.prefix)


def _reclaim_region(
    catalogue: Catalogue,
    space: Space,
    plan: Plan,
    region: Prefix,
    blocks: list[Block],
    now: int,
) -> None:
    subnet = catalogue.subnets[blocks[0].subnet_id]
    used = sum(
        (block.bitmap & ~withheld_bits(subnet, block.prefix)).bit_count() for block in blocks
    )
    half = region.halves()[1] if region.size > 1 else None
    loans = all_lent_in(plan, space, subnet, region, blocks)
    tail = free_tail(region, blocks, loans)
    spare = half is not None and tail is not None and tail.covers(half)
    lent = sum(each.size for each in loans)
    idle = used == 0 or (spare and (used + lent) * _LOW[1] <= region.size * _LOW[0])
    idle = idle and not is_needed(space, subnet, half if used and half else region)
    first = blocks[0]
    if not idle:
        if first.idle_since:
            plan.put(first, replace(first, idle_since=0))
    elif not first.idle_since:
        plan.put(first, replace(first, idle_since=now))
    elif used == 0 and now - first.idle_since >= EMPTY_FOR:
        return_region(plan, space, subnet, region, blocks)
    elif used and half is not None and now - first.idle_since >= LOW_FOR:
        take_away(plan, subnet, region, blocks, half)
        plan.notes.append(Note(Act.GAVE_UP, subnet.id, half, first.holder))
        return_space(plan, space, subnet, first.cohort_id, half)
