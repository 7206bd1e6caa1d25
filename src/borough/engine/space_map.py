"""All blocks of a scope at once, small enough to draw: columns of numbers instead of records."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from borough.domain.block import room_in
from borough.domain.ladder import check_scope
from borough.store.port import Unit

#: The largest whole number that every reader of JSON gets right (RFC 8259, section 6).
EXACT = (1 << 53) - 1


@dataclass(frozen=True, slots=True)
class SpaceMap:
    """The blocks of a scope by subnet and address; the columns are equally long.

    :ivar event: the newest event that is in it, to follow what happens from there on.
    :ivar subnets: names of the subnets that have blocks.
    :ivar holders: who claims blocks, as ``dimension=value``; the first one is nobody.
    :ivar subnet: place of its subnet in ``subnets``.
    :ivar offset: addresses between the first ones of the subnet and of the block; in text from 2^53 on.
    :ivar length: prefix length.
    :ivar region: prefix length of the claimed region that it is part of; its own when nobody claims it.
    :ivar size: usable addresses.
    :ivar free: free addresses.
    :ivar holder: place of its holder in ``holders``.
    """

    scope: str
    event: int
    subnets: list[str] = field(default_factory=list)
    holders: list[str] = field(default_factory=lambda: [""])
    subnet: list[int] = field(default_factory=list)
    offset: list[int | str] = field(default_factory=list)
    length: list[int] = field(default_factory=list)
    region: list[int] = field(default_factory=list)
    size: list[int] = field(default_factory=list)
    free: list[int] = field(default_factory=list)
    holder: list[int] = field(default_factory=list)


def space_map(unit: Unit, scope: str, seen: Collection[str] | None) -> SpaceMap:
    """See :meth:`borough.engine.ipam.Ipam.space_map`."""
    catalogue = unit.catalogue
    check_scope(catalogue, scope)
    homes = sorted(
        (
            each
            for each in catalogue.subnets.values()
            if each.scope == scope and (seen is None or each.name in seen)
        ),
        key=lambda each: each.prefix,
    )
    made = SpaceMap(scope, unit.newest_event())
    if not homes:
        return made
    order = {subnet.id: at for at, subnet in enumerate(homes)}
    # One question for all subnets, where it would be thousands for many of them.
    found = unit.blocks() if len(homes) > len(catalogue.subnets) // 2 else unit.blocks(list(order))
    blocks = [each for each in found if each.subnet_id in order]
    blocks.sort(key=lambda each: (order[each.subnet_id], each.prefix.base))
    subnets: dict[int, int] = {}
    holders = {"": 0}
    for block in blocks:
        home = homes[order[block.subnet_id]]
        offset = block.prefix.base - home.prefix.base
        made.subnet.append(subnets.setdefault(block.subnet_id, len(subnets)))
        made.offset.append(offset if offset <= EXACT else str(offset))
        made.length.append(block.prefix.length)
        made.region.append(block.region_length or block.prefix.length)
        made.size.append(room_in(home, block.prefix))
        made.free.append(block.free)
        made.holder.append(holders.setdefault(block.holder, len(holders)))
    made.subnets.extend(homes[order[id]].name for id in subnets)
    made.holders.extend(name for name in holders if name)
    return made
