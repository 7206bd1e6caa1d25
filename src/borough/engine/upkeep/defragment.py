"""The use case that proposes addresses to renumber in order to save routes."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Self

from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.dimensions import HOST
from borough.domain.net.addresses import Family, format_address
from borough.domain.net.fewest_routes import Territory
from borough.domain.net.prefixes import Prefix
from borough.domain.policy.defragment import Renumbering, propose
from borough.domain.space.allocations import AllocationRow, State
from borough.domain.space.blocks import Block, FreeRange
from borough.domain.space.filters import Filter
from borough.domain.space.plan import Plan
from borough.domain.space.regions import regions, routed
from borough.engine.queries import all_allocations, routes
from borough.store.memory.space import MemorySpace
from borough.store.memory.tables import Tables
from borough.store.memory.unit import MemoryUnit
from borough.store.port import ReadUnit


@dataclass(frozen=True, slots=True)
class Proposal:
    """One address to release and request again.

    :ivar to: the new address of its owner.
    :ivar subnets: the subnets of the new request, all equally good.
    :ivar saves: routes saved by this step; 0 for one that only prepares later ones.
    """

    address: str
    scope: str
    owner: str
    host: str
    sequence: int
    to: str
    subnets: tuple[str, ...]
    saves: int


@dataclass(frozen=True, slots=True)
class Defragmentation:
    """The proposals in their order, and their effect.

    :ivar routes: the number of routes now, in the strict form.
    :ivar saves: routes that all proposals together save.
    """

    proposals: tuple[Proposal, ...]
    routes: int
    saves: int


@dataclass(frozen=True)
class Snapshot:
    """The input of a proposal, from one transaction.

    :ivar routes: the number of routes, in the strict form.
    """

    catalogue: Catalogue
    blocks: list[Block]
    free_ranges: list[FreeRange]
    held: list[AllocationRow]
    routes: int


def snapshot(unit: ReadUnit, scope: str | None) -> Snapshot:
    """Read the input; the search takes longer than a transaction should."""
    return Snapshot(
        unit.catalogue,
        unit.blocks(),
        unit.free_ranges(),
        list(all_allocations(unit, Filter(scope=scope))),
        len(routes(unit, None, "strict", scope)),
    )


def defragment(seen: Snapshot, host: str | None, limit: int, now: int) -> Defragmentation:
    """See :meth:`borough.engine.ipam.Ipam.defragment`."""
    catalogue = seen.catalogue
    trial = _Trial(
        Tables(
            blocks={block.id: block for block in seen.blocks},
            free_ranges={free_range.id: free_range for free_range in seen.free_ranges},
            allocations={(each.scope, each.family, each.address): each for each in seen.held},
            # New rows must not have the ids of present ones.
            next_id=1 << 62,
        ),
        catalogue,
    )
    selected = [each for each in seen.held if host in (None, each.host)]
    found = propose(catalogue, trial, seen.blocks, selected, now, limit)
    proposals = tuple(_proposal(catalogue, each) for each in found)
    return Defragmentation(proposals, seen.routes, sum(each.saves for each in found))


def _proposal(catalogue: Catalogue, found: Renumbering) -> Proposal:
    old = found.allocation
    members = catalogue.members[catalogue.cohort_of[old.subnet_id]]
    return Proposal(
        old.text,
        old.scope,
        old.owner,
        old.host,
        old.sequence,
        format_address(found.to.family, found.to.address),
        tuple(subnet.name for subnet in members),
        found.saves,
    )


class _Claims(NamedTuple):
    """Claims of hosts in one scope and family.

    :ivar pieces: the prefixes that they route, ascending, and :ivar bases: the first address of each.
    :ivar lenders: the hosts of the regions that contain loans.
    """

    bases: list[int]
    pieces: list[tuple[Prefix, str]]
    lenders: dict[Prefix, str]


class _Trial(MemorySpace):
    """See :class:`borough.domain.policy.defragment.Trial`: a copy in memory, with the same rules."""

    def play(self, plan: Plan) -> Self:
        """See :meth:`borough.domain.policy.defragment.Trial.play`."""
        tables = self._tables.copy()
        MemoryUnit(tables, self.catalogue).commit(plan, 0)
        return type(self)(tables, self.catalogue)

    def territory(self, scope: str, family: Family, window: Prefix) -> Mapping[str, Territory]:
        """See :meth:`borough.domain.policy.defragment.Trial.territory`."""
        first, last = window.base, window.last
        claimed: dict[str, list[Prefix]] = defaultdict(list)
        around: dict[str, list[Prefix]] = defaultdict(list)
        held: dict[str, list[int]] = defaultdict(list)
        bases, inside, lenders = self._claims.get((scope, family), ([], [], {}))
        # The pieces are disjoint: of those that begin before the window only the last one can overlap it.
        start = max(bisect_right(bases, first) - 1, 0)
        for region, host in inside[start : bisect_right(bases, last)]:
            if region.overlaps(window):
                claimed[host].append(window if region.covers(window) else region)
        for region, host in lenders.items():
            if region.overlaps(window):
                around[host].append(window if region.covers(window) else region)
        addresses, hosts = self._held.get((scope, family), ([], []))
        for at in range(bisect_left(addresses, first), bisect_right(addresses, last)):
            held[hosts[at]].append(addresses[at])
        return {
            host: Territory(claimed.get(host, ()), held.get(host, ()), around.get(host, ()))
            for host in {*claimed, *held, *around}
        }

    @cached_property
    def _claims(self) -> Mapping[tuple[str, Family], _Claims]:
        """The claims of hosts by scope and family."""
        grouped: dict[tuple[str, Family], list[tuple[Prefix, str]]] = defaultdict(list)
        lenders: dict[tuple[str, Family], dict[Prefix, str]] = defaultdict(dict)
        for region, members in regions(
            each for each in self._tables.blocks.values() if each.holder
        ):
            name, _, host = members[0].holder.partition("=")
            if name == HOST:
                subnet = self.catalogue.subnets[members[0].subnet_id]
                claimed, around = routed(subnet, region, members)
                grouped[subnet.scope, subnet.family] += ((piece, host) for piece in claimed)
                lenders[subnet.scope, subnet.family].update((piece, host) for piece in around)
        ordered = {key: sorted(found) for key, found in grouped.items()}
        return {
            key: _Claims([region.base for region, _ in found], found, lenders[key])
            for key, found in ordered.items()
        }

    @cached_property
    def _held(self) -> Mapping[tuple[str, Family], tuple[list[int], list[str]]]:
        """The addresses on hosts, and their hosts, by scope and family, ascending."""
        grouped: dict[tuple[str, Family], list[tuple[int, str]]] = defaultdict(list)
        for each in self._tables.allocations.values():
            if each.host and each.state is State.ALLOCATED:
                grouped[each.scope, each.family].append((each.address, each.host))
        ordered = {key: sorted(found) for key, found in grouped.items()}
        return {
            key: ([address for address, _ in found], [host for _, host in found])
            for key, found in ordered.items()
        }
