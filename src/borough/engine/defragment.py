"""The use case that proposes what would have to be renumbered to save routes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from borough.domain.address import Family, format_address
from borough.domain.aggregate import Territory
from borough.domain.defragment import Renumbering, propose
from borough.domain.dimension import HOST
from borough.domain.model import Catalogue, State
from borough.domain.prefix import Prefix
from borough.domain.space import Plan
from borough.engine.queries import all_allocations, check_page, routes
from borough.store.memory_space import MemorySpace, Tables
from borough.store.memory_unit import MemoryUnit
from borough.store.port import Filter, Unit


@dataclass(frozen=True, slots=True)
class Proposal:
    """One address that would be released and asked for again.

    :ivar to: the address that its owner would get.
    :ivar subnets: the subnets that it is to be asked from, all equally good.
    :ivar saves: routes saved by this step; 0 for one that only prepares those after it.
    """

    address: str
    scope: str
    owner: str
    host: str
    sequence: int
    to: str
    subnets: tuple[str, ...]
    saves: int

    def as_json(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Defragmentation:
    """What would have to be renumbered, in this order, and what for.

    :ivar routes: how many there are now, in the strict form.
    """

    proposals: tuple[Proposal, ...]
    routes: int

    @property
    def saves(self) -> int:
        """Routes that all of it together saves."""
        return sum(each.saves for each in self.proposals)

    def as_json(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "proposals": [each.as_json() for each in self.proposals],
            "routes": self.routes,
            "saves": self.saves,
        }


def defragment(
    unit: Unit, scope: str | None, host: str | None, limit: int, now: int
) -> Defragmentation:
    """See :meth:`borough.engine.ipam.Ipam.defragment`."""
    check_page(0, limit)
    before = len(routes(unit, None, "strict", scope))
    catalogue = unit.catalogue
    held = list(all_allocations(unit, Filter(scope=scope)))
    blocks = unit.blocks()
    trial = _Trial(
        Tables(
            blocks={block.id: block for block in blocks},
            runs={run.id: run for run in unit.runs()},
            allocations={(each.scope, each.family, each.address): each for each in held},
            # Rows that are added by playing must not meet those that are there.
            next_id=1 << 62,
        ),
        catalogue,
    )
    wanted = [each for each in held if host in (None, each.host)]
    found = propose(catalogue, trial, blocks, wanted, now, limit)
    return Defragmentation(tuple(_proposal(catalogue, each) for each in found), before)


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


class _Trial(MemorySpace):
    """See :class:`borough.domain.defragment.Trial`: a copy in memory, where the same code decides."""

    def play(self, plan: Plan) -> Self:
        """See :meth:`borough.domain.defragment.Trial.play`."""
        tables = self._tables.copy()
        MemoryUnit(tables, self.catalogue).commit(plan, 0)
        return type(self)(tables, self.catalogue)

    def territory(self, scope: str, family: Family, window: Prefix) -> Mapping[str, Territory]:
        """See :meth:`borough.domain.defragment.Trial.territory`."""
        claimed: dict[str, set[Prefix]] = defaultdict(set)
        held: dict[str, list[int]] = defaultdict(list)
        for block in self._tables.blocks.values():
            name, _, host = block.holder.partition("=")
            if (
                name == HOST
                and block.prefix.overlaps(window)
                and self.catalogue.subnets[block.subnet_id].scope == scope
            ):
                region = block.region()
                claimed[host].add(window if region.covers(window) else region)
        for each in self._tables.allocations.values():
            if (
                each.host
                and window.base <= each.address <= window.last
                and (each.scope, each.family, each.state) == (scope, family, State.ALLOCATED)
            ):
                held[each.host].append(each.address)
        return {
            host: Territory(claimed.get(host, ()), held.get(host, ())) for host in {*claimed, *held}
        }
