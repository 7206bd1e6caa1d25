"""Inspection and repair of the in-memory tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.records import Subnet
from borough.domain.space.allocations import SECOND, AllocationRow, State
from borough.domain.space.blocks import Block, FreeRange
from borough.domain.space.findings import Finding, StoredCohort, Times
from borough.store.memory.part import expect
from borough.store.memory.space import MemorySpace


class MemoryInspection(MemorySpace):
    """See :class:`borough.store.port.Repair`."""

    def times_after(self, bound: int) -> Times:
        rests: dict[int, int] = {}
        for each in self._tables.allocations.values():
            if each.state is State.COOLING and each.until is not None and each.until > bound:
                rests[each.subnet_id] = max(each.until, rests.get(each.subnet_id, 0))
        leases: dict[int, int] = {}
        for each in self._tables.allocations.values():
            if each.lease and (began := _began(each)) > bound:
                leases[each.subnet_id] = max(began, leases.get(each.subnet_id, 0))
        marks: dict[int, int] = {}
        for block in self._tables.blocks.values():
            if block.idle_since > bound:
                marks[block.subnet_id] = max(block.idle_since, marks.get(block.subnet_id, 0))
        late = [at for _, at in self._tables.keys.values() if at > bound]
        return Times(rests, leases, marks, max(late, default=None))

    def cut_rests(self, subnet_id: int, until: int) -> None:
        for key, each in self._tables.allocations.items():
            if each.subnet_id == subnet_id and each.state is State.COOLING:
                end = min(each.until or until, until)
                self._tables.allocations[key] = replace(each, until=end)

    def cut_leases(self, subnet_id: int, latest: int) -> None:
        for key, each in self._tables.allocations.items():
            if each.subnet_id == subnet_id and each.lease and _began(each) > latest:
                end = latest + each.lease * SECOND
                self._tables.allocations[key] = replace(each, until=end)

    def cut_idle_marks(self, subnet_id: int, latest: int) -> None:
        for id, block in self._tables.blocks.items():
            if block.subnet_id == subnet_id and block.idle_since > latest:
                version = block.version + 1
                self._tables.blocks[id] = replace(block, idle_since=latest, version=version)

    def cut_keys(self, latest: int) -> None:
        for key, (remembered, at) in self._tables.keys.items():
            self._tables.keys[key] = (remembered, min(at, latest))

    def risks(self) -> list[Finding]:
        return []

    def reload(self) -> Catalogue:
        self.catalogue = self._tables.catalogue
        return self.catalogue

    def taken_in(self, subnet: Subnet) -> Iterator[tuple[int, int]]:
        found = [
            (each.address, each.subnet_id)
            for each in self._tables.allocations.values()
            if _inside(subnet, each)
        ]
        return iter(sorted(found))

    def homeless(self) -> list[AllocationRow]:
        subnets = self._tables.subnets.values()
        found = [
            each
            for each in self._tables.allocations.values()
            if not any(_inside(subnet, each) for subnet in subnets)
        ]
        return sorted(found, key=lambda each: each.sequence)

    def stored_counts(self, subnet_id: int) -> dict[int, tuple[int, int]]:
        return {}

    def misfiled(self, subnet_id: int) -> list[Block | FreeRange]:
        return []

    def stored_cohorts(self) -> list[StoredCohort]:
        return [
            StoredCohort(cohort.id, cohort.key, cohort.key, findable=True)
            for cohort in self._tables.cohorts.values()
        ]

    def retire_cohort(self, id: int) -> None:
        self._tables.cohorts.pop(id, None)

    def strays(self) -> list[Block | FreeRange]:
        pieces: list[Block | FreeRange] = [*self.blocks(), *self.free_ranges()]
        return [each for each in pieces if each.subnet_id not in self._tables.subnets]

    def remove_strays(self) -> None:
        for piece in self.strays():
            self._tables.clear_space(piece.subnet_id)

    def rehome(self, pairs: Sequence[tuple[AllocationRow, AllocationRow]]) -> None:
        for old, _ in pairs:
            key = (old.scope, old.family, old.address)
            expect(self._tables.allocations.pop(key, None), old)
        for _, new in pairs:
            key = (new.scope, new.family, new.address)
            self._tables.allocations[key] = replace(new, version=new.version + 1)


def _began(leased: AllocationRow) -> int:
    """When a lease was renewed last, by its end."""
    return (leased.until or 0) - leased.lease * SECOND


def _inside(subnet: Subnet, allocation: AllocationRow) -> bool:
    return (allocation.scope, allocation.family) == (
        subnet.scope,
        subnet.family,
    ) and subnet.prefix.holds(allocation.address)
