"""Adding, changing and removing subnets in Neutron's transaction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import sqlalchemy as sa

from borough.domain.declared.records import Subnet
from borough.domain.net.prefixes import Prefix
from borough.domain.policy.free_space import first_piece
from borough.domain.request import Kind
from borough.domain.space.allocations import AllocationRow
from borough.domain.space.blocks import BLOCK_BITS, Block, FreeRange, blocks_for, cut
from borough.domain.space.events import EventRow
from borough.domain.space.plan import Act, Grant, Plan
from borough.domain.space.rebuild import rebuild
from borough.domain.space.regions import regions
from borough.neutron.requests import port_request
from borough.neutron.session.unit import SessionUnit
from borough.neutron.subnet import PROVISIONAL, SOURCE, Declared, NeutronSubnet
from borough.neutron.tables import TableSubnet
from borough.store.sql import schema as t

#: Most blocks that are opened with a subnet. They are at most a quarter of it.
OPEN_BLOCKS: Final = 16

_PREFIXES = (
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
    """Add a subnet with a few open blocks, so that its first users do not all cut one free range.

    A subnet that exists is changed instead.

    :param taken: its addresses in use; the caller adds their allocations.
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
    _record(unit, "add", subnet, now)
    assert isinstance(stored, NeutronSubnet)
    return stored


def adopt(unit: SessionUnit, found: TableSubnet, *, now: int) -> None:
    """Adopt a subnet from Neutron's tables, with the addresses of ports in it."""
    subnet = add(unit, found.declared, [each.address for each in found.addresses], now=now)
    grants = []
    for each in found.inside:
        request = port_request(Kind.SPECIFIC, each.port)
        row = AllocationRow.granted(request, subnet, each.address, now)
        grants.append(Grant(row, None, None, None))
    if grants:
        unit.commit(Plan(grants=grants), now)


def _scope_for(unit: SessionUnit, wanted: Declared) -> str:
    """The scope of a new subnet: its network, so that one request can use all subnets of the network.

    A subnet that overlaps another of its network is a scope by itself. Subnets that wait for a delegated
    prefix overlap; Neutron refuses any other overlap.
    """
    if not wanted.network or wanted.prefix == PROVISIONAL:
        return wanted.name
    for base, length in unit.runner.rows(_PREFIXES, scope=wanted.network):
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
    """Change a subnet to its declaration in Neutron; false when nothing differs.

    A new delegated prefix drops the addresses outside it.
    """
    before = unit.catalogue.by_name[wanted.name]
    after = wanted.stored(before)
    if not wanted.differences(before):
        return False
    if (before.prefix, before.usable) == (after.prefix, after.usable):
        unit.put_subnet(after)
    else:
        _rebuild(unit, before, after, now)
    if before.labels != after.labels:
        unit.move_version()
    _record(unit, "change", after, now)
    return True


def _rebuild(unit: SessionUnit, before: Subnet, after: Subnet, now: int) -> None:
    """Change a subnet whose prefix or usable addresses change, and rebuild its space."""
    old, free_ranges = unit.locked_space(before.id)
    kept: list[int] = []
    claims: dict[Prefix, str] = {}
    if before.prefix == after.prefix:
        kept = unit.taken(before)
        held = regions(each for each in old if each.holder)
        claims = {region: blocks[0].holder for region, blocks in held}
    else:
        _remove_allocations(unit, before)
    unit.commit(Plan(blocks_removed=old, free_ranges_removed=free_ranges), now)
    unit.put_subnet(after)
    cohort_id = unit.cohort_of(after.id)
    blocks, free_ranges = rebuild(after, cohort_id, kept, claims)
    if not blocks:
        blocks, free_ranges = _open_some(after, cohort_id, blocks, free_ranges)
    unit.commit(Plan(blocks_added=blocks, free_ranges_added=free_ranges), now)


def remove(unit: SessionUnit, name: str, *, now: int) -> bool:
    """Remove a subnet with its addresses; false when it does not exist."""
    subnet = unit.catalogue.by_name.get(name)
    if subnet is None:
        return False
    # A concurrent allocation locks the subnet until it has committed; its address is removed as well.
    unit.locked_space(subnet.id)
    # Neutron drops automatic addresses with their subnet, without a call of the driver.
    _remove_allocations(unit, subnet)
    unit.remove_subnet(subnet)
    _record(unit, "remove", subnet, now)
    return True


def _remove_allocations(unit: SessionUnit, subnet: Subnet) -> None:
    scope_id = unit.catalogue.scopes[subnet.scope]
    unit.runner.write(_REMOVE_ALLOCATIONS, scope_id=scope_id, subnet_id=subnet.id)


def _record(unit: SessionUnit, verb: str, subnet: Subnet, now: int) -> None:
    unit.changed()
    unit.record(
        EventRow(
            now,
            Act.TOPOLOGY,
            subnet.name,
            detail=f"{verb} subnet {subnet.prefix}",
            scope=subnet.scope,
            address=(subnet.family, subnet.prefix.base),
        )
    )
