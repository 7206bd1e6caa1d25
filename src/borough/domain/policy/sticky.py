"""Sticky requests: what the owner has in the group, else what is reserved for it, else a new address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from borough.domain.net.addresses import Family
from borough.domain.policy import allocate as policy
from borough.domain.policy.selection import PlacementGroup
from borough.domain.space.allocations import AllocationRow, State
from borough.domain.space.plan import Plan, Space


@dataclass(frozen=True, slots=True)
class Kept:
    """The addresses that an owner has, or that are reserved for it, in one placement group.

    :ivar placement_group: None when there are none.
    :ivar rows: one row of each family that has some.
    """

    placement_group: PlacementGroup | None = None
    rows: Mapping[Family, AllocationRow] = field(default_factory=dict)

    @property
    def held(self) -> list[AllocationRow]:
        """The rows that are allocated already, by family."""
        return [self.rows[each] for each in sorted(self.rows) if self._is_held(each)]

    def _is_held(self, family: Family) -> bool:
        return self.rows[family].state is State.ALLOCATED

    @property
    def rank(self) -> tuple[int, int]:
        """Grows with the number of held addresses, and then with that of reserved ones."""
        return len(self.held), len(self.rows)


def kept(resolved: policy.ResolvedRequest, rows: Sequence[AllocationRow]) -> Kept:
    """The rows that answer a sticky request: those of the best placement group.

    In a placement group an allocated address goes before a reserved one. Then the order of the ladder
    decides, and then the older row.

    :param rows: all rows of the owner in the scope.
    """
    best = Kept()
    for placement_group in resolved.ladder.placement_groups:
        places = [
            (row.state is State.RESERVED, place, row.sequence, row)
            for row in rows
            if row.state is not State.COOLING
            and row.family in resolved.ladder.families
            and (place := _place(resolved, placement_group, row)) is not None
        ]
        found: dict[Family, AllocationRow] = {}
        for *_, row in sorted(places, key=lambda each: each[:3]):
            found.setdefault(row.family, row)
        made = Kept(placement_group, found)
        if made.rank > best.rank:
            best = made
    return best


def _place(
    resolved: policy.ResolvedRequest, placement_group: PlacementGroup, row: AllocationRow
) -> int | None:
    """The position of a row's subnet in the order of preference; None outside the group."""
    cohort = resolved.catalogue.cohort_of[row.subnet_id]
    for at, candidate in enumerate(placement_group.candidates):
        if cohort in candidate.cohorts or row.subnet_id in candidate.subnets:
            return at
    return None


def allocate(resolved: policy.ResolvedRequest, space: Space, found: Kept) -> Plan | None:
    """Allocate what is reserved, and new addresses of the families that are missing.

    :return: None when the placement group has no address of a missing family.
    """
    if found.placement_group is None:
        return policy.allocate(resolved, space)
    plan = Plan()
    for family in resolved.ladder.families:
        row = found.rows.get(family)
        if row is None:
            if not policy.allocate_family(resolved, space, found.placement_group, family, plan):
                return None
        elif row.state is State.RESERVED:
            subnet = resolved.catalogue.subnets[row.subnet_id]
            policy.take_address(resolved, space, subnet, row.address, plan)
        elif not row.sticky:
            plan.edited.append((row, replace(row, sticky=True)))
    return plan
