"""Use cases that only read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Any, Final, Literal, TypeVar, get_args

from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.dimensions import HOST, Labels
from borough.domain.declared.lookup import check_scope, unknown
from borough.domain.declared.pools import PoolUsage, free_in, pool_usage
from borough.domain.declared.records import Pool, Subnet, families_of
from borough.domain.declared.topology import DEFAULT_SCOPE
from borough.domain.net.addresses import Family, format_address
from borough.domain.net.fewest_routes import Routes, Territory, lpm_routes, strict_routes
from borough.domain.net.prefixes import Prefix
from borough.domain.policy.selection import climb
from borough.domain.request import Request
from borough.domain.space import allocations as records
from borough.domain.space.allocations import State
from borough.domain.space.blocks import BLOCK_BITS, Block, room_in
from borough.domain.space.filters import Filter
from borough.domain.space.plan import Tally
from borough.domain.space.regions import lender_of, regions, routed
from borough.engine.request import AllocationFilter, optional_text
from borough.engine.views import (
    Allocation,
    BlockView,
    HostView,
    Route,
    SubnetView,
    Usage,
    holders_of,
    show_all,
    show_host,
    show_subnet,
)
from borough.errors import FixInput, NotAllocated
from borough.store.port import ReadAllocations, ReadSpace, ReadUnit

T = TypeVar("T")

#: The forms that routes come in; see :mod:`borough.domain.net.fewest_routes`.
RouteForm = Literal["strict", "lpm"]
FORMS: Final[tuple[RouteForm, ...]] = get_args(RouteForm)

#: Allocations read at a time.
_PAGE = 5000


def show(unit: ReadSpace, scope: str, family: Family, number: int) -> Allocation:
    """See :meth:`borough.engine.ipam.Ipam.show`."""
    check_scope(unit.catalogue, scope)
    found = unit.allocation_at(scope, family, number)
    if found is None:
        text = format_address(family, number)
        raise NotAllocated(f"{text} is not allocated in scope {scope}", address=text)
    return show_all(unit, [found])[0]


def find_subnet(catalogue: Catalogue, name: str) -> Subnet:
    """A subnet by its name.

    :raises UnknownObject: there is none.
    """
    found = catalogue.by_name.get(name)
    if found is None:
        raise unknown("subnet", name, catalogue.by_name)
    return found


def find_pool(catalogue: Catalogue, name: str) -> Pool:
    """A pool by its name.

    :raises UnknownObject: there is none.
    """
    found = catalogue.pools.get(name)
    if found is None:
        raise unknown("pool", name, catalogue.pools)
    return found


def subnets(unit: ReadSpace, labels: Labels, scope: str | None) -> list[SubnetView]:
    """See :meth:`borough.engine.face.Face.subnets`."""
    return [show_subnet(subnet) for subnet in _labelled(unit.catalogue, labels, scope)]


def hosts(unit: ReadSpace) -> list[HostView]:
    """See :meth:`borough.engine.ipam.Ipam.hosts`."""
    return [show_host(host) for _, host in sorted(unit.catalogue.hosts.items())]


def undeclared_hosts(unit: ReadUnit) -> list[str]:
    """See :meth:`borough.engine.face.Face.undeclared_hosts`."""
    return sorted(unit.hosts_in_use() - unit.catalogue.hosts.keys())


def pools(unit: ReadSpace) -> list[PoolUsage]:
    """See :meth:`borough.engine.ipam.Ipam.pools`."""
    catalogue = unit.catalogue
    return [pool_usage(catalogue, pool) for _, pool in sorted(catalogue.pools.items())]


def free_prefixes(unit: ReadSpace, pool: str, longest: int | None) -> list[str]:
    """See :meth:`borough.engine.ipam.Ipam.free_prefixes`."""
    found = free_in(unit.catalogue, find_pool(unit.catalogue, pool))
    return [str(prefix) for prefix in found if longest is None or prefix.length <= longest]


def seen_ids(catalogue: Catalogue, seen: Collection[str] | None) -> tuple[int, ...] | None:
    """The ids of the subnets that a caller sees; None for all."""
    if seen is None:
        return None
    return tuple(subnet.id for subnet in catalogue.subnets.values() if subnet.name in seen)


def blocks(
    unit: ReadUnit, host: str | None, subnet: str | None, seen: Collection[str] | None = None
) -> list[BlockView]:
    """See :meth:`borough.engine.ipam.Ipam.blocks`.

    :param seen: names of the subnets that the caller sees; None for all.
    """
    catalogue = unit.catalogue
    ids = seen_ids(catalogue, seen) if subnet is None else (find_subnet(catalogue, subnet).id,)
    everything = unit.blocks(ids)
    near: dict[tuple[int, int], list[Block]] = defaultdict(list)
    for block in everything:
        near[block.subnet_id, block.prefix.base >> BLOCK_BITS].append(block)
    found = [block for block in everything if host is None or block.holder == f"{HOST}={host}"]
    guests: dict[tuple[int, int], list[records.AllocationRow]] = defaultdict(list)
    claimed_in = tuple({block.subnet_id for block in found if block.holder})
    if claimed_in:
        everywhere = ids is None and host is None
        for allocation in all_allocations(
            unit, Filter() if everywhere else Filter(subnet_ids=claimed_in)
        ):
            guests[allocation.subnet_id, allocation.address >> BLOCK_BITS].append(allocation)
    return [
        _block_view(catalogue, block, guests[place], lender_of(block.region(), near[place]))
        for block in found
        for place in ((block.subnet_id, block.prefix.base >> BLOCK_BITS),)
    ]


def _block_view(
    catalogue: Catalogue,
    block: Block,
    inside: Sequence[records.AllocationRow],
    lender: Sequence[Block],
) -> BlockView:
    """A block as callers see it.

    :param inside: the allocations in and around it.
    :param lender: blocks of the region that its own is borrowed from; empty for none.
    """
    subnet = catalogue.subnets[block.subnet_id]
    borrowers = {
        each.text: each.host
        for each in sorted(inside, key=lambda each: each.address)
        if block.holder
        and each.state is State.ALLOCATED
        and block.prefix.holds(each.address)
        and block.holder not in holders_of(each.host, catalogue)
    }
    return BlockView(
        str(block.prefix),
        subnet.name,
        subnet.scope,
        block.holder,
        str(block.region()),
        room_in(subnet, block.prefix),
        block.free_count,
        tuple(borrowers),
        borrowers,
        lender[0].holder if lender else "",
        str(lender[0].region()) if lender else "",
    )


def all_allocations(unit: ReadAllocations, wanted: Filter) -> Iterator[records.AllocationRow]:
    """Allocations by sequence number, read page by page and no further than they are looked at.

    Those of some subnets are read at once: each page of them would read them all.
    """
    if wanted.subnet_ids is not None:
        yield from unit.allocations(wanted)
        return
    for page in pages(unit, wanted):
        yield from page


def pages(unit: ReadAllocations, wanted: Filter) -> Iterator[list[records.AllocationRow]]:
    """Allocations by sequence number, page by page; a page may be removed before the next is read."""
    after = 0
    while True:
        page = unit.allocations(replace(wanted, after=after, limit=_PAGE))
        yield page
        if len(page) < _PAGE:
            return
        after = page[-1].sequence


def allocations(
    unit: ReadUnit, wanted: AllocationFilter, seen: Collection[str] | None = None
) -> list[Allocation]:
    """See :meth:`borough.engine.face.Face.allocations`.

    :param seen: names of the subnets that the caller sees; None for all.
    """
    subnet = None if wanted.subnet is None else find_subnet(unit.catalogue, wanted.subnet)
    within = wanted.prefix
    if subnet is not None and within is not None and not subnet.prefix.overlaps(within):
        return []
    chosen = Filter(
        scope=wanted.scope,
        owner=wanted.owner,
        host=wanted.host,
        state=wanted.state,
        subnet_id=None if subnet is None else subnet.id,
        subnet_ids=seen_ids(unit.catalogue, seen) if subnet is None else None,
        within=within,
        owner_prefix=wanted.owner_prefix,
        attributes=wanted.attributes,
        after=wanted.after,
        limit=wanted.limit,
    )
    found = unit.allocations(chosen)
    if wanted.owner and not wanted.host:
        found += unit.allocations(replace(chosen, owner=None, sharer=wanted.owner))
        found = sorted(found, key=lambda each: each.sequence)[: wanted.limit]
    return show_all(unit, found)


def each_page(
    read: Callable[..., list[T]],
    number: Callable[[T], int] = attrgetter("sequence"),
    *,
    after: int = 0,
    limit: int | None = None,
    **filters: Any,
) -> Iterator[T]:
    """Rows by their numbers, read page by page.

    :param read: reads one page.
    :param number: the number of a row.
    """
    while limit is None or limit > 0:
        size = _PAGE if limit is None else min(limit, _PAGE)
        page = read(after=after, limit=size, **filters)
        yield from page
        if len(page) < size:
            return
        after = number(page[-1])
        limit = None if limit is None else limit - size


def usage(
    unit: ReadSpace,
    labels: Labels,
    host: str | None,
    scope: str | None,
    seen: Collection[str] | None = None,
) -> list[Usage]:
    """See :meth:`borough.engine.face.Face.usage`.

    :param seen: names of the subnets that the caller sees; None for all.
    """
    place = optional_text("host", host)
    if place:
        found = _group_of(unit.catalogue, labels, place, scope or DEFAULT_SCOPE)
    else:
        found = _labelled(unit.catalogue, labels, scope)
    chosen = [subnet for subnet in found if seen is None or subnet.name in seen]
    tallies = unit.tallies([subnet.id for subnet in chosen])
    return [_usage(subnet, tallies[subnet.id]) for subnet in chosen]


def _labelled(catalogue: Catalogue, labels: Labels, scope: str | None) -> list[Subnet]:
    """Subnets that have a value of each dimension, by scope and address: a report knows no boundary."""
    if scope is not None:
        check_scope(catalogue, scope)
    dimensions = [dimension.name for dimension in catalogue.dimensions]
    for name in labels:
        if name not in dimensions:
            raise unknown("dimension", name, dimensions)
    found = [
        subnet
        for subnet in catalogue.subnets.values()
        if scope in (None, subnet.scope)
        and all(values & subnet.labels.get(name, frozenset()) for name, values in labels.items())
    ]
    return sorted(found, key=lambda subnet: (subnet.scope, subnet.prefix))


def _group_of(catalogue: Catalogue, labels: Labels, host: str, scope: str) -> list[Subnet]:
    """The subnets of a group in the order in which a request on a host uses them."""
    # One family at a time: a group need not offer both together to be looked at.
    request = Request(scope=scope, labels={**labels, HOST: frozenset([host])}, host=host)
    ladders = [
        climb(catalogue, replace(request, families=(family,)))
        for family in families_of(catalogue.subnets.values()) or (4,)
    ]
    return [
        subnet
        for ladder in ladders
        for placement_group in ladder.placement_groups
        for family in ladder.families
        for subnet in ladder.subnets(catalogue, placement_group, family)
    ]


def _usage(subnet: Subnet, tally: Tally) -> Usage:
    used = subnet.capacity - tally.total_free
    return Usage(
        name=subnet.name,
        prefix=str(subnet.prefix),
        scope=subnet.scope,
        family=subnet.family,
        size=subnet.capacity,
        used=used,
        free=tally.total_free,
        allocated=tally.allocated,
        cooling=tally.cooling,
        reserved=tally.reserved,
        outside=tally.total_held - used,
        claimed_free=tally.total_free - tally.free.get("", 0),
    )


def routes(
    unit: ReadUnit,
    host: str | None,
    form: str,
    scope: str | None,
    seen: Collection[str] | None = None,
) -> list[Route]:
    """See :meth:`borough.engine.ipam.Ipam.routes`.

    :param seen: names of the subnets that the caller sees; None for all.
    """
    where = optional_text("host", host)
    if form not in FORMS:
        raise FixInput(f"routes have the form {' or '.join(FORMS)}, not {form!r}", form=form)
    if scope is not None:
        check_scope(unit.catalogue, scope)
    ids = seen_ids(unit.catalogue, seen)
    subnets = unit.catalogue.subnets
    bounds = subnets.values() if ids is None else [subnets[id] for id in ids]
    fabrics = _fabrics(unit, scope, ids)
    return [
        Route(holder, space, family, str(prefix))
        for holder, space, family, prefixes in sorted(
            (holder, space, family, prefixes)
            for (space, family), fabric in fabrics.items()
            for holder, prefixes in fabric.routes(bounds, space, family, form).items()
        )
        if where in ("", holder)
        for prefix in prefixes
    ]


def target_prefixes(unit: ReadUnit, scope: str) -> dict[str, frozenset[Prefix]]:
    """The prefixes of :func:`routes` in the strict form, by host."""
    check_scope(unit.catalogue, scope)
    made: dict[str, frozenset[Prefix]] = defaultdict(frozenset)
    for (space, family), fabric in _fabrics(unit, scope, None).items():
        for host, prefixes in fabric.routes((), space, family, "strict").items():
            made[host] |= frozenset(prefixes)
    return dict(made)


@dataclass
class _Fabric:
    """The claims and held addresses of one scope and family.

    :ivar loose: addresses that are held, but on no host.
    """

    claimed: dict[str, list[Prefix]] = field(default_factory=lambda: defaultdict(list))
    around: dict[str, list[Prefix]] = field(default_factory=lambda: defaultdict(list))
    held: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    loose: list[int] = field(default_factory=list)

    def routes(self, subnets: Collection[Subnet], scope: str, family: Family, form: str) -> Routes:
        """The routes of all hosts."""
        hosts = {
            host: Territory(
                self.claimed.get(host, ()), self.held.get(host, ()), self.around.get(host, ())
            )
            for host in {*self.claimed, *self.held}
        }
        if form == "strict":
            return strict_routes(family, hosts)
        bounds = [
            (subnet.prefix.base, subnet.prefix.last)
            for subnet in subnets
            if (subnet.scope, subnet.family) == (scope, family)
        ]
        return lpm_routes(family, hosts, bounds, self.loose)


def _fabrics(
    unit: ReadUnit, scope: str | None, ids: tuple[int, ...] | None
) -> dict[tuple[str, Family], _Fabric]:
    """The fabrics of all scopes or of one, by scope and family.

    :param ids: only what lies in these subnets.
    """
    made: dict[tuple[str, Family], _Fabric] = defaultdict(_Fabric)
    subnets = unit.catalogue.subnets
    for region, members in regions(block for block in unit.blocks(ids) if block.holder):
        name, _, holder = members[0].holder.partition("=")
        if name == HOST:
            subnet = subnets[members[0].subnet_id]
            fabric = made[subnet.scope, region.family]
            # A region may reach beyond the ranges and around the gateway: blocks are aligned.
            claimed, around = routed(subnet, region, members)
            fabric.claimed[holder] += claimed
            fabric.around[holder] += around
    for each in all_allocations(unit, Filter(scope=scope, subnet_ids=ids)):
        if each.state is State.ALLOCATED:
            fabric = made[each.scope, each.family]
            (fabric.held[each.host] if each.host else fabric.loose).append(each.address)
    return {key: fabric for key, fabric in made.items() if scope in (None, key[0])}
