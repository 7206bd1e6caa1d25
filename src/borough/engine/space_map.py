"""All blocks of a scope at once, small enough to draw: columns of numbers instead of records."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter

from borough.domain.declared.lookup import check_scope
from borough.domain.declared.records import Subnet
from borough.domain.space.blocks import Block, room_in
from borough.store.port import ReadUnit

#: The largest whole number that every reader of JSON gets right (RFC 8259, section 6).
EXACT = (1 << 53) - 1


@dataclass(frozen=True, slots=True)
class SpaceMap:
    """The blocks of a scope by subnet and address; the columns are equally long.

    :ivar event: an event before which all are in it, to follow what happens from there on.
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


def space_map(unit: ReadUnit, scope: str, seen: Collection[str] | None, upto: int) -> SpaceMap:
    """See :meth:`borough.engine.ipam.Ipam.space_map`.

    :param upto: the horizon, from before the unit.
    """
    catalogue = unit.catalogue
    check_scope(catalogue, scope)
    subnets = sorted(
        (
            each
            for each in catalogue.subnets.values()
            if each.scope == scope and (seen is None or each.name in seen)
        ),
        key=lambda each: each.prefix,
    )
    made = SpaceMap(scope, unit.newest_event(upto))
    if not subnets:
        return made
    # One question for all subnets, where it would be thousands for many of them.
    most = len(subnets) > len(catalogue.subnets) // 2
    found = unit.blocks(None if most else [each.id for each in subnets])
    by_subnet = {id: list(blocks) for id, blocks in groupby(found, key=attrgetter("subnet_id"))}
    holders = {"": 0}
    for subnet in subnets:
        blocks = by_subnet.get(subnet.id)
        if blocks:
            _add(made, subnet, blocks, holders)
    made.holders.extend(name for name in holders if name)
    return made


def _add(made: SpaceMap, subnet: Subnet, blocks: Sequence[Block], holders: dict[str, int]) -> None:
    """Add the blocks of one subnet."""
    base = subnet.prefix.base
    offsets = [block.prefix.base - base for block in blocks]
    made.subnet.extend([len(made.subnets)] * len(blocks))
    made.subnets.append(subnet.name)
    made.offset.extend(each if each <= EXACT else str(each) for each in offsets)
    made.length.extend(block.prefix.length for block in blocks)
    made.region.extend(block.region_length or block.prefix.length for block in blocks)
    made.size.extend(_sizes(subnet, blocks))
    made.free.extend(block.free_count for block in blocks)
    made.holder.extend(holders.setdefault(block.holder, len(holders)) for block in blocks)


def _sizes(subnet: Subnet, blocks: Sequence[Block]) -> Iterator[int]:
    """Usable addresses of each block; nearly always all that it has."""
    whole = subnet.usable[0] if len(subnet.usable) == 1 else (0, -1)
    for block in blocks:
        first, last = block.prefix.base, block.prefix.last
        inside = whole[0] <= first and last <= whole[1]
        yield last - first + 1 if inside else room_in(subnet, block.prefix)
