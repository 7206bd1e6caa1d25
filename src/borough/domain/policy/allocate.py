"""Decide allocations and releases: rules 4 to 9 of ``docs/reference/rules.md``.

Pure: both read a :class:`~borough.domain.space.plan.Space` and return a
:class:`~borough.domain.space.plan.Plan`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.records import Subnet
from borough.domain.net.addresses import Family, eui64, format_address
from borough.domain.policy.free_space import first_free_range_piece
from borough.domain.policy.placement import Placer
from borough.domain.policy.selection import Ladder, PlacementGroup, ResolvedSelector
from borough.domain.request import Kind, Request
from borough.domain.space.allocations import SECOND, AllocationRow, State
from borough.domain.space.blocks import BLOCK_BITS, NOBODY, Block, blocks_for, cut, withheld_bits
from borough.domain.space.plan import Grant, Plan, Space
from borough.domain.space.regions import is_needed, regions, return_region
from borough.domain.space.rungs import Hold, Rung
from borough.errors import AddressInUse, AddressOutsideGroup, AddressUnusable


@dataclass(frozen=True)
class ResolvedRequest:
    """A request, resolved against a catalogue, at a time.

    :ivar now: microseconds since the epoch.
    """

    catalogue: Catalogue
    request: Request
    selector: ResolvedSelector
    ladder: Ladder
    now: int


def allocate(resolved: ResolvedRequest, space: Space) -> Plan | None:
    """Decide a request.

    :return: the row changes and grants, or None when no placement group has all requested addresses.
    :raises AddressOutsideGroup: a specific address lies in no admitted subnet.
    :raises AddressUnusable: a specific address is never allocated.
    :raises AddressInUse: a specific, EUI-64 or gateway address is held in every admitted subnet.
    """
    for placement_group in resolved.ladder.placement_groups:
        plan = Plan()
        if all(
            allocate_family(resolved, space, placement_group, family, plan)
            for family in resolved.ladder.families
        ):
            _place(plan)
            return plan
    _refuse_named(resolved, space)
    return None


def allocate_family(
    resolved: ResolvedRequest,
    space: Space,
    placement_group: PlacementGroup,
    family: Family,
    plan: Plan,
) -> bool:
    """Allocate the addresses of one family; False when the placement group has too few."""
    request = resolved.request
    match request.kind:
        case Kind.SPECIFIC:
            return _specific(resolved, space, placement_group, plan)
        case Kind.EUI64 if family == 6:
            return _computed(
                resolved, space, placement_group, family, plan, _eui64_in(request.mac or 0)
            )
        case Kind.GATEWAY:
            return _computed(
                resolved, space, placement_group, family, plan, lambda subnet: subnet.gateway
            )
    placer = Placer(
        space,
        resolved.catalogue.subnets,
        resolved.selector.claimant,
        plan,
        lowest=request.kind is Kind.NEXT,
    )
    picked = placer.pick(placement_group.rungs[family], request.count)
    for each in picked:
        subnet = resolved.catalogue.subnets[each.block.subnet_id]
        row = AllocationRow.granted(resolved.request, subnet, each.address, resolved.now)
        plan.grants.append(Grant(row, each.block, each.hold, each.found))
    return len(picked) == request.count


def _place(plan: Plan) -> None:
    """Replace the block of every grant by the final one: later growth may have widened it."""
    if len(plan.grants) < 2:
        return
    final: dict[tuple[int, int], list[Block]] = {}
    for block in [new for _, new in plan.changed.values()] + plan.blocks_added:
        final.setdefault((block.subnet_id, block.prefix.base >> BLOCK_BITS), []).append(block)
    plan.grants = [
        grant._replace(
            block=next(
                (
                    block
                    for block in final.get(
                        (grant.allocation.subnet_id, grant.allocation.address >> BLOCK_BITS), ()
                    )
                    if block.prefix.holds(grant.allocation.address)
                ),
                grant.block,
            )
        )
        for grant in plan.grants
    ]


# --- Addresses known beforehand: specific, EUI-64, gateway ------------------------------------


def _specific(
    resolved: ResolvedRequest, space: Space, placement_group: PlacementGroup, plan: Plan
) -> bool:
    request = resolved.request
    subnet = named_subnet(resolved)
    assert request.address is not None
    if not any(
        subnet.id == each.id
        for each in resolved.ladder.subnets(resolved.catalogue, placement_group, subnet.family)
    ):
        return False
    return take_address(resolved, space, subnet, request.address, plan)


def named_subnet(resolved: ResolvedRequest) -> Subnet:
    """The admitted subnet that a specific address lies in."""
    request, catalogue = resolved.request, resolved.catalogue
    assert request.address is not None
    family = resolved.ladder.families[0]
    text = format_address(family, request.address)
    subnet = catalogue.subnet_at(request.scope, family, request.address)
    if subnet is None:
        raise AddressOutsideGroup(
            f"{text} lies in no subnet of scope {request.scope}", address=text, scope=request.scope
        )
    if subnet.closed:
        raise AddressOutsideGroup(
            f"{text} lies in subnet {subnet.name}, which is closed: it takes no new addresses",
            address=text,
            subnet=subnet.name,
        )
    if not resolved.ladder.admits(catalogue, subnet):
        raise AddressOutsideGroup(
            f"{text} lies in subnet {subnet.name}, which this request may not use; "
            "see `borough explain` with the same labels",
            address=text,
            subnet=subnet.name,
        )
    if request.address in subnet.never:
        raise AddressUnusable(
            f"{text} is the network, broadcast or subnet-router anycast address of {subnet.prefix}",
            address=text,
            subnet=subnet.name,
        )
    return subnet


def _eui64_in(mac: int) -> Callable[[Subnet], int | None]:
    identifier = eui64(mac)

    def of(subnet: Subnet) -> int | None:
        # RFC 4291, 2.5.1: interface identifiers are 64 bits long, so only a /64 has a place for one.
        return subnet.prefix.base | identifier if subnet.prefix.length == 64 else None

    return of


def _computed(
    resolved: ResolvedRequest,
    space: Space,
    placement_group: PlacementGroup,
    family: Family,
    plan: Plan,
    address_in: Callable[[Subnet], int | None],
) -> bool:
    for subnet in resolved.ladder.subnets(resolved.catalogue, placement_group, family):
        address = address_in(subnet)
        if address is not None and take_address(resolved, space, subnet, address, plan):
            return True
    return False


def take_address(
    resolved: ResolvedRequest, space: Space, subnet: Subnet, address: int, plan: Plan
) -> bool:
    """Allocate one known address, cooling or reserved for its owner; False when it is another's."""
    request = resolved.request
    holder = space.allocation_at(subnet.scope, subnet.family, address)
    if holder is not None:
        if holder.is_kept_from(request.owner):
            return False
        plan.removed.append(holder)
    piece = space.piece_at(subnet.id, address)
    block: Block | None = None
    if isinstance(piece, Block):
        block = piece
        if subnet.is_usable(address):
            block = plan.put(piece, piece.take([address]))
    elif piece is not None and subnet.is_usable(address):
        prefix = first_free_range_piece(subnet, piece.prefix, address)
        plan.free_ranges_removed.append(piece)
        plan.free_ranges_added += [
            replace(piece, id=0, prefix=left) for left in cut(subnet, piece.prefix, prefix)
        ]
        block = blocks_for(subnet, piece.cohort_id, prefix, NOBODY)[0].take([address])
        plan.blocks_added.append(block)
    hold = _hold(block.holder, resolved.selector.claimant) if block else None
    row = AllocationRow.granted(request, subnet, address, resolved.now)
    if holder is not None and holder.state is State.RESERVED:
        row = replace(
            row,
            attributes=row.attributes or holder.attributes,
            note=row.note or holder.note,
            sticky=True,
        )
    plan.grants.append(Grant(row, block, hold, hold))
    return True


def _hold(holder: str, claimant: str) -> Hold:
    if not holder:
        return Hold.UNCLAIMED
    return Hold.OWN if holder == claimant else Hold.OTHERS


def _refuse_named(resolved: ResolvedRequest, space: Space) -> None:
    """Raise :class:`AddressInUse` for an address known beforehand that is held or reserved."""
    request = resolved.request
    for subnet, address in named_addresses(resolved):
        holder = space.allocation_at(subnet.scope, subnet.family, address)
        if holder is not None and holder.is_kept_from(request.owner):
            raise in_use(holder, subnet, asked=request.kind)


def in_use(holder: AllocationRow, subnet: Subnet, **more: str) -> AddressInUse:
    """The error that names the owner of a held or reserved address."""
    text = f"{holder.text} is held by {holder.owners_text or 'an unnamed owner'}"
    if holder.state is State.RESERVED:
        text = f"{holder.text} is reserved for {holder.owner or 'nobody'}"
    return AddressInUse(
        text + (f" on host {holder.host}" if holder.host else ""),
        address=holder.text,
        state=holder.state.value,
        subnet=subnet.name,
        owner=holder.owners_text,
        host=holder.host,
        sequence=holder.sequence,
        **more,
    )


def named_addresses(resolved: ResolvedRequest) -> Iterator[tuple[Subnet, int]]:
    """The candidates of a specific, EUI-64 or gateway request; none for other kinds."""
    request, catalogue = resolved.request, resolved.catalogue
    if request.kind is Kind.SPECIFIC:
        assert request.address is not None
        yield named_subnet(resolved), request.address
        return
    if request.kind is Kind.EUI64:
        address_in = _eui64_in(request.mac or 0)
    elif request.kind is Kind.GATEWAY:
        address_in = lambda subnet: subnet.gateway  # noqa: E731  (a def would hide the symmetry)
    else:
        return
    for placement_group in resolved.ladder.placement_groups:
        for family in resolved.ladder.families:
            for subnet in resolved.ladder.subnets(catalogue, placement_group, family):
                address = address_in(subnet)
                if address is not None and (request.kind is Kind.GATEWAY or family == 6):
                    yield subnet, address


# --- Release ----------------------------------------------------------------------------------


def release(
    catalogue: Catalogue,
    space: Space,
    allocations: Iterable[AllocationRow],
    now: int,
    *,
    leaving: str = "",
    at_once: bool = False,
    ended: bool = False,
) -> Plan:
    """Release addresses, and return the regions that are unused then.

    A caller with more addresses than fit in memory frees some at a time with :func:`free` and returns the
    regions at the end: the region that a holder keeps depends on all of them.

    :param allocations: allocated ones, or cooling ones after their cool-down.
    :param now: microseconds since the epoch.
    :param leaving: a holder that returns all unused regions; other holders keep their last one.
    :param at_once: see :func:`free`.
    :param ended: see :func:`free`.
    """
    plan = free(catalogue, space, allocations, now, at_once=at_once, ended=ended)
    return_unused(catalogue, space, plan, emptied(catalogue, plan), leaving=leaving)
    return plan


def free(
    catalogue: Catalogue,
    space: Space,
    allocations: Iterable[AllocationRow],
    now: int,
    *,
    at_once: bool = False,
    ended: bool = False,
) -> Plan:
    """Free addresses, let them cool where the subnet has a cool-down (rule 9), or keep them reserved.

    :param allocations: allocated ones, reserved ones, or cooling ones after their cool-down.
    :param now: microseconds since the epoch.
    :param at_once: whether nothing cools.
    :param ended: whether a cool-down begins at the end of a lease that is over, however late that is seen.
    """
    plan = Plan()
    for allocation in sorted(allocations, key=lambda each: (each.subnet_id, each.address)):
        subnet = catalogue.subnets[allocation.subnet_id]
        kept = allocation.sticky and allocation.state is State.ALLOCATED
        begins = allocation.until if ended and allocation.is_over(now) else None
        until = (now if begins is None else begins) + subnet.cooldown * SECOND
        rests = not kept and allocation.state is not State.COOLING and until > now and not at_once
        if rests:
            new = replace(allocation, state=State.COOLING, until=until, sticky=False, lease=0)
            plan.cooled.append((allocation, new))
        else:
            plan.removed.append(allocation)
        if kept:
            plan.grants.append(Grant(allocation.reserved(now), None, None, None))
        if not subnet.is_usable(allocation.address):
            continue
        piece = _piece_of(plan, space, subnet, allocation.address)
        if isinstance(piece, Block):
            block = plan.current(piece)
            # The block is changed although its bits stay: a changed cool-down of the subnet changes it too.
            if not rests and not kept:
                block = block.free(allocation.address, withheld_bits(subnet, block.prefix))
            plan.change(piece, block)
    return plan


def _piece_of(plan: Plan, space: Space, subnet: Subnet, address: int) -> object:
    # Releases come in address order, so the block of the last one is usually the block of this one.
    for old, new in reversed(plan.changed.values()):
        if old.subnet_id == subnet.id and new.prefix.holds(address):
            return old
        break
    return space.piece_at(subnet.id, address)


def emptied(catalogue: Catalogue, plan: Plan) -> set[tuple[str, int]]:
    """Holders of a block without any address in use after a plan, each with the cohort id."""
    return {
        (block.holder, block.cohort_id)
        for _, block in plan.changed.values()
        if block.holder and block.free_count == _capacity(catalogue, block)
    }


def return_unused(
    catalogue: Catalogue,
    space: Space,
    plan: Plan,
    among: Iterable[tuple[str, int]],
    *,
    leaving: str = "",
) -> None:
    """Return unused claimed regions.

    :param plan: receives the changes; addresses that it has freed count as free.
    :param among: holders, each with the id of a cohort in which its regions may be unused.
    :param leaving: see :func:`release`.
    """
    holders = set(among)
    if leaving:
        everywhere = Rung(4, Hold.OWN, cohorts=tuple(catalogue.cohorts))
        holders |= {(leaving, block.cohort_id) for block in space.holdings(everywhere, leaving)}
    for holder, cohort_id in sorted(holders):
        held = space.held_in(cohort_id, holder)
        grouped = regions(plan.of_holder(held, cohort_id, holder))
        # Small regions first: the one that is kept is the largest.
        left = len(grouped)
        while grouped and (left > 1 or holder == leaving):
            region, blocks = grouped.pop()
            unused = all(block.free_count == _capacity(catalogue, block) for block in blocks)
            subnet = catalogue.subnets[blocks[0].subnet_id]
            if not unused or is_needed(space, subnet, region):
                continue
            left -= 1
            if holder in return_region(plan, space, subnet, region, blocks):
                # It is part of another region of the same holder now.
                grouped = regions(plan.of_holder(held, cohort_id, holder))


def _capacity(catalogue: Catalogue, block: Block) -> int:
    subnet = catalogue.subnets[block.subnet_id]
    prefix = block.prefix
    return sum(last - first + 1 for first, last in subnet.usable_in(prefix.base, prefix.last))
