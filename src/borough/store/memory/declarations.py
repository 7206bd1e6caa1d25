"""Declared objects in the in-memory tables."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from borough.domain.declared.dimensions import Dimension
from borough.domain.declared.records import Cohort, Host, Pool, Subnet, cohort_key
from borough.store.memory.part import MemoryPart, expect


class MemoryDeclarations(MemoryPart):
    """See :class:`borough.store.port.WriteDeclarations`."""

    def touch(self, seen: int) -> None:
        tables = self._tables
        expect(tables.version, seen)
        tables.version += 1
        used = set(tables.cohort_of.values())
        tables.cohorts = {id: cohort for id, cohort in tables.cohorts.items() if id in used}
        self.catalogue = tables.catalogue

    def add_scope(self, name: str, source: str) -> None:
        self._tables.scopes[name] = self._tables.new_id()
        self._tables.scope_sources[name] = source

    def remove_scope(self, name: str) -> None:
        del self._tables.scopes[name]
        self._tables.scope_sources.pop(name, None)

    def set_dimensions(self, dimensions: Sequence[Dimension], sources: Mapping[str, str]) -> None:
        self._tables.dimensions = tuple(dimensions)
        self._tables.dimension_sources = dict(sources)

    def put_pool(self, pool: Pool) -> None:
        tables = self._tables
        tables.pools[pool.name] = pool if pool.id else replace(pool, id=tables.new_id())

    def remove_pool(self, pool: Pool) -> None:
        del self._tables.pools[pool.name]

    def put_host(self, host: Host) -> None:
        tables = self._tables
        tables.hosts[host.name] = host if host.id else replace(host, id=tables.new_id())

    def remove_host(self, host: Host) -> None:
        del self._tables.hosts[host.name]

    def lock_space(self, subnet_ids: Collection[int]) -> None:
        """Do nothing: one unit runs at a time."""

    def add_subnets(self, subnets: Sequence[Subnet]) -> list[tuple[Subnet, int]]:
        tables = self._tables
        added = [self.put_subnet(replace(subnet, id=tables.new_id())) for subnet in subnets]
        return [(subnet, tables.cohort_of[subnet.id]) for subnet in added]

    def put_subnet(self, subnet: Subnet) -> Subnet:
        tables = self._tables
        cohort_id = self._intern(subnet)
        tables.subnets[subnet.id] = subnet
        tables.cohort_of[subnet.id] = cohort_id
        for table in (tables.blocks, tables.free_ranges):
            for id, piece in table.items():
                if piece.subnet_id == subnet.id:
                    table[id] = replace(piece, cohort_id=cohort_id)  # type: ignore[assignment]
        return subnet

    def _intern(self, subnet: Subnet) -> int:
        tables, key = self._tables, cohort_key(subnet)
        for cohort in tables.cohorts.values():
            if cohort.key == key:
                return cohort.id
        id = tables.new_id()
        tables.cohorts[id] = Cohort(
            id,
            subnet.scope,
            subnet.family,
            subnet.labels,
            subnet.weight,
            subnet.claiming,
            subnet.closed,
        )
        tables.cohort_labels[id] = subnet.labels
        return id

    def remove_subnet(self, subnet: Subnet) -> None:
        tables = self._tables
        tables.clear_space(subnet.id)
        tables.allocations = {
            key: each for key, each in tables.allocations.items() if each.subnet_id != subnet.id
        }
        del tables.subnets[subnet.id]
        del tables.cohort_of[subnet.id]

    def vacate(self, subnets: Sequence[Subnet]) -> None:
        """See :meth:`borough.store.port.Unit.vacate`; nothing refuses two with one prefix here."""

    def cohort_of(self, subnet_id: int) -> int:
        return self._tables.cohort_of[subnet_id]
