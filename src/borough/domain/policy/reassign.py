"""Claims when a host is drained or renamed, or an address is reassigned.

Pure, like :mod:`borough.domain.policy.allocate`: everything here reads a
:class:`~borough.domain.space.plan.Space` and returns a :class:`~borough.domain.space.plan.Plan`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.dimensions import HOST, Dimension, Labels, Match, match
from borough.domain.declared.records import NO_LABELS, Subnet
from borough.domain.net.prefixes import Prefix, free_prefixes
from borough.domain.policy.free_space import NAMED_BITS
from borough.domain.policy.selection import ResolvedSelector, resolve_selector
from borough.domain.request import Request
from borough.domain.space.allocations import AllocationRow, State
from borough.domain.space.blocks import NOBODY, Block, part, withheld_bits
from borough.domain.space.plan import Act, Note, Plan, Space
from borough.domain.space.regions import (
    ClaimedRegions,
    add_free_range,
    back_to_lender,
    regions,
    return_region,
)
from borough.domain.space.rungs import Hold, Rung


def holder_of(host: str) -> str:
    """The name under which a host claims blocks."""
    return f"{HOST}={host}"


def claimant_of(catalogue: Catalogue, host: str) -> str:
    """The claimant for the addresses of a host: the host or its rack; :data:`NOBODY` without a host."""
    return _wanted(catalogue, host).claimant if host else NOBODY


def _wanted(catalogue: Catalogue, host: str) -> ResolvedSelector:
    labels = {HOST: frozenset([host])}
    return resolve_selector(catalogue, Request(labels=labels, host=host))


def everything_of(catalogue: Catalogue, space: Space, holder: str) -> list[Block]:
    """All blocks that a holder claims, in all scopes and subnets."""
    return space.holdings(Rung(4, Hold.OWN, cohorts=tuple(catalogue.cohorts)), holder)


def outside_segments(
    dimensions: Iterable[Dimension], subnet: Subnet, labels: Labels
) -> tuple[str, ...]:
    """The dimensions in which the labels of a host put a subnet outside the boundary.

    A dimension without a label of the host does not count: the address is in use, so it works there
    (compare Neutron, where a live migration stays inside the segment of the port).
    """
    return tuple(
        dimension.name
        for dimension in dimensions
        if (values := labels.get(dimension.name))
        and match(dimension, subnet.labels.get(dimension.name, NO_LABELS), values, implied=True)
        is Match.OUTSIDE_BOUNDARY
    )


# --- Drain ------------------------------------------------------------------------------------


def vacate(catalogue: Catalogue, space: Space, holder: str) -> Plan:
    """Remove all claims of a holder; the addresses in use stay as they are.

    Unused regions become free ranges, as do unused aligned pieces of at least 16 addresses in regions
    in use. The rest stays as unclaimed blocks.
    """
    plan = Plan()
    for region, blocks in regions(everything_of(catalogue, space, holder)):
        subnet = catalogue.subnets[blocks[0].subnet_id]
        if not any(block.high_water for block in blocks):
            return_region(plan, space, subnet, region, blocks)
            continue
        plan.notes.append(Note(Act.GAVE_UP, subnet.id, region, holder))
        for block in blocks:
            _let_go(plan, space, subnet, block)
    return plan


def _let_go(plan: Plan, space: Space, subnet: Subnet, block: Block) -> None:
    """Let a lender have a block again, or make it unclaimed, and its unused pieces free ranges."""
    if back_to_lender(plan, space, subnet, block):
        return
    used = _used_pieces(block, block.bitmap & ~withheld_bits(subnet, block.prefix), block.prefix)
    pieces = [part(subnet, block, prefix, NOBODY, 0) for prefix in used]
    if pieces:
        first = replace(pieces[0], id=block.id, version=block.version)
        plan.put(block, first)
        plan.blocks_added += pieces[1:]
    else:
        plan.drop(block)
    for unused in free_prefixes([block.prefix], used):
        if subnet.usable_in(unused.base, unused.last):
            add_free_range(plan, space, subnet, block.cohort_id, unused)


def _used_pieces(block: Block, used: int, prefix: Prefix) -> list[Prefix]:
    """The fewest aligned pieces that contain all used addresses, each of at least 16 addresses."""
    if not used >> prefix.base - block.prefix.base & (1 << prefix.size) - 1:
        return []
    if prefix.size <= 1 << NAMED_BITS:
        return [prefix]
    halves = prefix.halves()
    found = [piece for half in halves for piece in _used_pieces(block, used, half)]
    return [prefix] if found == list(halves) else found


# --- Rename -----------------------------------------------------------------------------------


def rename(
    catalogue: Catalogue, space: Space, allocations: Iterable[AllocationRow], old: str, new: str
) -> Plan:
    """Transfer the claims and addresses of a host to another name, joined with those it has.

    :param allocations: those of the host, cooling ones included.
    """
    plan = Plan()
    plan.edited = [(each, replace(each, host=new)) for each in allocations]
    claimed: dict[int, ClaimedRegions] = {}
    for region, blocks in regions(everything_of(catalogue, space, holder_of(old))):
        cohort_id = blocks[0].cohort_id
        if cohort_id not in claimed:
            held = space.held_in(cohort_id, holder_of(new))
            claimed[cohort_id] = ClaimedRegions(plan, space, holder_of(new), held)
        subnet = catalogue.subnets[blocks[0].subnet_id]
        _hand_over(plan, claimed[cohort_id], subnet, region, blocks)
    return plan


def _hand_over(
    plan: Plan,
    claimed_regions: ClaimedRegions,
    subnet: Subnet,
    region: Prefix,
    blocks: Sequence[Block],
) -> None:
    before, holder = blocks[0].holder, claimed_regions.holder
    act = Act.TRANSFERRED if before else Act.CLAIMED
    plan.notes.append(Note(act, subnet.id, region, holder, before, region))
    transferred = [
        plan.put(block, replace(block, holder=holder, region_length=region.length, idle_since=0))
        for block in blocks
    ]
    claimed_regions.receive(subnet, region, transferred)


# --- Reassignment -----------------------------------------------------------------------------


def reassign(
    catalogue: Catalogue,
    space: Space,
    allocation: AllocationRow,
    host: str,
    neighbours: Iterable[AllocationRow],
) -> Plan:
    """Reassign an address to another host; owner and sequence number stay.

    The region around the address is transferred when only the new host has addresses in it: they become
    one route. An unclaimed block is claimed likewise. The cap of the host applies.

    :param neighbours: the allocations of the region, or of the unclaimed block, around the address; read
        up to the first one of another claimant.
    """
    plan = Plan()
    plan.edited.append((allocation, replace(allocation, host=host)))
    claimant = claimant_of(catalogue, host)
    block = space.piece_at(allocation.subnet_id, allocation.address)
    if not isinstance(block, Block) or not claimant or block.holder == claimant:
        return plan
    subnet = catalogue.subnets[allocation.subnet_id]
    # An address outside the ranges is not part of the block, and no reason to claim it.
    alone = subnet.is_usable(allocation.address) and all(
        claimant_of(catalogue, each.host) == claimant
        for each in neighbours
        if each.state is State.ALLOCATED and each.address != allocation.address
    )
    if alone:
        region = block.region()
        blocks = [
            each for each in space.blocks_in(subnet.id, region) if each.holder == block.holder
        ]
        claimed_regions = ClaimedRegions(
            plan, space, claimant, space.held_in(block.cohort_id, claimant)
        )
        cohort = catalogue.cohorts[block.cohort_id]
        cap = _wanted(catalogue, host).rules.with_settings(cohort.claiming).cap
        if not cap or claimed_regions.size + region.size <= cap:
            _hand_over(plan, claimed_regions, subnet, region, blocks)
    return plan
