"""Adding, changing and removing subnets in Neutron's transaction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import sqlalchemy as sa

from borough.domain.declared.records import Subnet
from borough.domain.net.prefixes import Prefix
from borough.domain.policy.placement import first_piece
from borough.domain.space.allocations import AllocationRow
from borough.domain.space.blocks import BLOCK_BITS, Block, FreeRange, blocks_for, cut
from borough.domain.space.events import EventRow
from borough.domain.space.plan import Act, Grant, Plan
from borough.domain.space.rebuild import rebuild
from borough.domain.space.regions import regions
from borough.neutron.session.unit import SessionUnit
from borough.neutron.subnet import PROVISIONAL, SOURCE, Declared, NeutronSubnet
from borough.neutron.tables import PortAddress, TableSubnet
from borough.store.sql import schema as t

#: Most blocks that are opened with a subnet; they are a quarter of it at most.
OPEN_BLOCKS: Final = 16

_ANY_OVERLAP = (
    sa.select(t.subnet.c.base, t.subnet.c.length)
    .join(t.scope)
    .where(t.scope.c.name == sa.bindparam("scope"))
)
_SCOPE_ID = sa.select(t.scope.c.id).where(t.scope.c.name == sa.bindparam("name"))
_REMOVE_ALLOCATIONS = sa.delete(t.allocation).where(
    t.allocation.c.scope_id == sa.bindparam("scope_id"),
    t.allocation.c.subnet_id == sa.bindparam("subnet_id"),
)


def add(
    unit: SessionUnit, wanted: Declared, taken: Iterable[int] = (), *, now: int
) -> NeutronSubnet:
    """Add a subnet, with a few blocks open, so that the first to come do not all cut the same space.

    One that is there already is changed to be so.

    :param taken: addresses that it has given already; their allocations are for the caller to add.
    """
    if wanted.name in unit.catalogue.by_name:
        change(unit, wanted, now=now)
        present = unit.catalogue.by_name[wanted.name]
        assert isinstance(present, NeutronSubnet)
        return present
    subnet = replace(wanted.stored(), scope=_scope_for(unit, wanted))
    stored, cohort_id = unit.add_subnet(subnet, _scope_id(unit, subnet.scope))
    blocks, free_ranges = rebuild(stored, cohort_id, taken, {})
    blocks, free_ranges = _open_some(stored, cohort_id, blocks, free_ranges)
    unit.commit(Plan(blocks_added=blocks, free_ranges_added=free_ranges), now)
    unit.changed()
    unit.record(EventRow(now, Act.TOPOLOGY, subnet.name, detail=f"add subnet {subnet.prefix}"))
    assert isinstance(stored, NeutronSubnet)
    return stored


def adopt(unit: SessionUnit, found: TableSubnet, *, now: int) -> None:
    """Take over a subnet from Neutron's tables, with the addresses that ports have in it."""
    taken = [each.address for each in found.addresses]
    subnet = add(unit, found.declared, taken, now=now)
    # Addresses outside the prefix were allocated before it was delegated anew.
    grants = [
        Grant(_allocation(subnet, each, now), None, None, None)
        for each in found.addresses
        if subnet.prefix.holds(each.address)
    ]
    if grants:
        unit.commit(Plan(grants=grants), now)


def _allocation(subnet: NeutronSubnet, found: PortAddress, at: int) -> AllocationRow:
    return AllocationRow(
        scope=subnet.scope,
        family=subnet.family,
        address=found.address,
        subnet_id=subnet.id,
        owner=found.port.owner,
        host=found.port.host,
        attributes=found.port.attributes,
        at=at,
    )


def _scope_for(unit: SessionUnit, wanted: Declared) -> str:
    """The scope of a new subnet: its network, so that all its subnets are candidates of one request.

    Where a subnet overlaps another of its network it gets a scope to itself: those that wait for a
    delegated prefix all have the same one; everything else is for Neutron to refuse.
    """
    if not wanted.network or wanted.prefix == PROVISIONAL:
        return wanted.name
    for base, length in unit.runner.rows(_ANY_OVERLAP, scope=wanted.network):
        other = Prefix(4 if len(base) == 4 else 6, int.from_bytes(base, "big"), length)
        if other.overlaps(wanted.prefix):
            return wanted.name
    return wanted.network


def _scope_id(unit: SessionUnit, name: str) -> int:
    row = unit.runner.one(_SCOPE_ID, name=name)
    if row is None:
        unit.add_scope(name, SOURCE)
        row = unit.runner.one(_SCOPE_ID, name=name)
    assert row is not None
    id: int = row[0]
    return id


def _open_some(
    subnet: Subnet, cohort_id: int, blocks: list[Block], free_ranges: list[FreeRange]
) -> tuple[list[Block], list[FreeRange]]:
    count = min(OPEN_BLOCKS, subnet.prefix.size >> BLOCK_BITS + 2)
    if not free_ranges or not count:
        return blocks, free_ranges
    free_range = max(free_ranges, key=lambda each: each.prefix.size)
    piece = first_piece(subnet, free_range.prefix, BLOCK_BITS, (count << BLOCK_BITS) * 7 // 8)
    left = [
        FreeRange(0, subnet.id, cohort_id, each) for each in cut(subnet, free_range.prefix, piece)
    ]
    return (
        blocks + blocks_for(subnet, cohort_id, piece, ""),
        [each for each in free_ranges if each is not free_range] + left,
    )


def change(unit: SessionUnit, wanted: Declared, *, now: int) -> bool:
    """Make a subnet be as Neutron says now; false when it was so already.

    Addresses outside a new prefix are forgotten: it was delegated anew, and the old one is somebody else's.
    """
    before = unit.catalogue.by_name[wanted.name]
    after = wanted.stored(before)
    if not wanted.differences(before):
        return False
    if (before.prefix, before.usable) == (after.prefix, after.usable):
        unit.put_subnet(after)
    else:
        _reassign(unit, before, after, now)
    if before.labels != after.labels:
        unit.move_version()
    unit.changed()
    unit.record(EventRow(now, Act.TOPOLOGY, after.name, detail=f"change subnet {after.prefix}"))
    return True


def _reassign(unit: SessionUnit, before: Subnet, after: Subnet, now: int) -> None:
    """Change a subnet and make its space anew."""
    old, free_ranges = unit.locked_space(before.id)
    claims = {
        region: held[0].holder for region, held in regions(each for each in old if each.holder)
    }
    kept: list[int] = []
    if before.prefix == after.prefix:
        kept = unit.taken(before)
    else:
        scope_id = unit.catalogue.scopes[before.scope]
        unit.runner.write(_REMOVE_ALLOCATIONS, scope_id=scope_id, subnet_id=before.id)
        claims = {}
    unit.commit(Plan(blocks_removed=old, free_ranges_removed=free_ranges), now)
    unit.put_subnet(after)
    cohort_id = unit.cohort_of(after.id)
    blocks, free_ranges = rebuild(after, cohort_id, kept, claims)
    if not blocks:
        blocks, free_ranges = _open_some(after, cohort_id, blocks, free_ranges)
    unit.commit(Plan(blocks_added=blocks, free_ranges_added=free_ranges), now)


def remove(unit: SessionUnit, name: str, *, now: int) -> bool:
    """Remove a subnet and all that it holds; false when there is none."""
    subnet = unit.catalogue.by_name.get(name)
    if subnet is None:
        return False
    scope_id = unit.catalogue.scopes[subnet.scope]
    # An address that is being given keeps the subnet until it is there; then it goes with the others.
    unit.locked_space(subnet.id)
    # Neutron drops automatic addresses with their subnet, without a word to the driver.
    unit.runner.write(_REMOVE_ALLOCATIONS, scope_id=scope_id, subnet_id=subnet.id)
    unit.remove_subnet(subnet)
    unit.changed()
    unit.record(EventRow(now, Act.TOPOLOGY, name, detail=f"remove subnet {subnet.prefix}"))
    return True
