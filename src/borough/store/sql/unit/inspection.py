"""Inspection and repair of the rows of an SQL database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.records import Cohort, Subnet, cohort_key
from borough.domain.net.addresses import WIDTH, from_bytes, to_bytes
from borough.domain.net.prefixes import subtract
from borough.domain.space.allocations import SECOND, AllocationRow
from borough.domain.space.blocks import Block, FreeRange
from borough.domain.space.findings import Finding, StoredCohort, Times
from borough.errors import Corrupt
from borough.store.sql import rows
from borough.store.sql import schema as t
from borough.store.sql import statements as s
from borough.store.sql.catalogue.read import parse_cohort
from borough.store.sql.takeover_rank import takeover_rank_of
from borough.store.sql.unit.part import SqlPart, all_met
from borough.store.sql.unit.subnets import digest

#: Addresses read at a time; a subnet may hold millions.
_PAGE = 50_000

_P = sa.bindparam
_TAKEN = (
    sa.select(t.allocation.c.address, t.allocation.c.subnet_id)
    .where(*s.IN_SPACE)
    .order_by(t.allocation.c.address)
    .limit(_P("count"))
)
_ALLOCATIONS = (
    sa.select(*s.ALLOCATION_COLUMNS)
    .select_from(t.allocation.join(t.scope, t.scope.c.id == t.allocation.c.scope_id))
    .where(*s.IN_SPACE)
    .order_by(t.allocation.c.address)
)
_COUNTS = sa.select(t.block.c.id, t.block.c.free, t.block.c.is_open).where(
    t.block.c.subnet_id == _P("subnet_id")
)
_ONE: Any = sa.literal_column("1")
_EIGHT: Any = sa.literal_column("8")
_HELD = sa.case((t.block.c.holder != sa.literal_column("''"), _ONE), else_=sa.literal_column("0"))
_TAKEOVER_RANK: Any = sa.literal_column(
    "CASE holder WHEN '' THEN 0 ELSE "
    + takeover_rank_of(
        "(length(base) * 8 - region_length)", "((1 << (length(base) * 8 - length)) - high_water)"
    )
    + " END"
)
_MISFILED_BLOCKS = sa.select(*s.BLOCK_COLUMNS).where(
    t.block.c.subnet_id == _P("subnet_id"),
    sa.or_(t.block.c.is_held != _HELD, t.block.c.takeover_rank != _TAKEOVER_RANK),
)
_MISFILED_FREE_RANGES = sa.select(*s.FREE_RANGE_COLUMNS).where(
    t.free_range.c.subnet_id == _P("subnet_id"),
    t.free_range.c.host_bits + t.free_range.c.length
    != sa.func.length(t.free_range.c.base) * _EIGHT,
)
_KNOWN = sa.select(t.subnet.c.id)
_STRAY_BLOCKS = sa.select(*s.BLOCK_COLUMNS).where(t.block.c.subnet_id.not_in(_KNOWN))
_STRAY_FREE_RANGES = sa.select(*s.FREE_RANGE_COLUMNS).where(t.free_range.c.subnet_id.not_in(_KNOWN))
_REMOVE_STRAY_BLOCKS = sa.delete(t.block).where(t.block.c.subnet_id.not_in(_KNOWN))
_REMOVE_STRAY_FREE_RANGES = sa.delete(t.free_range).where(t.free_range.c.subnet_id.not_in(_KNOWN))
_REHOME = (
    sa.update(t.allocation)
    .where(*s.SAME_ALLOCATION, t.allocation.c.subnet_id == _P("old_subnet"))
    .values(
        scope_id=_P("scope_id"),
        address=_P("address"),
        subnet_id=_P("subnet_id"),
        until=_P("until"),
        version=_P("version"),
    )
)
_RESTS = (
    sa.select(t.allocation.c.subnet_id, sa.func.max(t.allocation.c.until))
    .where(t.allocation.c.until > _P("bound"), s.IS_COOLING)
    .group_by(t.allocation.c.subnet_id)
)
_SECOND: Any = sa.literal_column(str(SECOND))
_BEGAN = t.allocation.c.until - t.allocation.c.lease * _SECOND
_LEASES = (
    sa.select(t.allocation.c.subnet_id, sa.func.max(_BEGAN))
    # The first condition selects by index.
    .where(
        t.allocation.c.until > _P("bound"),
        t.allocation.c.lease > sa.literal_column("0"),
        _P("bound") < _BEGAN,
    )
    .group_by(t.allocation.c.subnet_id)
)
_CUT_LEASES = (
    sa.update(t.allocation)
    .where(
        t.allocation.c.subnet_id == _P("of_subnet"),
        t.allocation.c.lease > sa.literal_column("0"),
        _P("bound") < _BEGAN,
    )
    .values(until=_P("latest") + t.allocation.c.lease * _SECOND)
)
_IDLE_MARKS = (
    sa.select(t.block.c.subnet_id, sa.func.max(t.block.c.idle_since))
    .where(t.block.c.idle_since > _P("bound"))
    .group_by(t.block.c.subnet_id)
)
_KEY = sa.select(sa.func.max(t.idempotency_key.c.at)).where(t.idempotency_key.c.at > _P("bound"))
_CUT_RESTS = (
    sa.update(t.allocation)
    .where(
        t.allocation.c.subnet_id == _P("of_subnet"),
        t.allocation.c.until > _P("bound"),
        s.IS_COOLING,
    )
    .values(until=_P("latest"))
)
# The new version makes a concurrent reclaim lose its race.
_CUT_IDLE_MARKS = (
    sa.update(t.block)
    .where(t.block.c.subnet_id == _P("of_subnet"), t.block.c.idle_since > _P("bound"))
    .values(idle_since=_P("latest"), version=t.block.c.version + sa.literal_column("1"))
)
_CUT_KEYS = (
    sa.update(t.idempotency_key).where(t.idempotency_key.c.at > _P("bound")).values(at=_P("latest"))
)

_STORED_COHORTS = sa.select(t.cohort.c.id, t.cohort.c.description, t.cohort.c.digest).order_by(
    t.cohort.c.id
)
_CHANGE_COHORT = s.update(t.cohort)


class SqlInspection(SqlPart):
    """See :class:`borough.store.port.Inspection` and :class:`borough.store.port.Repair`."""

    def reload(self) -> Catalogue:
        # Damage of rows outside of Borough leaves the version as it was.
        self._fresh = None
        self._cached = None
        return self.catalogue

    def risks(self) -> list[Finding]:
        return self._dialect.risks(self._runner)

    def times_after(self, bound: int) -> Times:
        newest = self._runner.one(_KEY, bound=bound)
        return Times(
            {
                int(subnet_id): int(until)
                for subnet_id, until in self._runner.rows(_RESTS, bound=bound)
            },
            {
                int(subnet_id): int(began)
                for subnet_id, began in self._runner.rows(_LEASES, bound=bound)
            },
            {
                int(subnet_id): int(marked)
                for subnet_id, marked in self._runner.rows(_IDLE_MARKS, bound=bound)
            },
            newest[0] if newest else None,
        )

    def cut_rests(self, subnet_id: int, until: int) -> None:
        self._runner.write(_CUT_RESTS, of_subnet=subnet_id, bound=until, latest=until)

    def cut_leases(self, subnet_id: int, latest: int) -> None:
        self._runner.write(_CUT_LEASES, of_subnet=subnet_id, bound=latest, latest=latest)

    def cut_idle_marks(self, subnet_id: int, latest: int) -> None:
        self._runner.write(_CUT_IDLE_MARKS, of_subnet=subnet_id, bound=latest, latest=latest)

    def cut_keys(self, latest: int) -> None:
        self._runner.write(_CUT_KEYS, bound=latest, latest=latest)

    def taken_in(self, subnet: Subnet) -> Iterator[tuple[int, int]]:
        scope_id, prefix = self.catalogue.scopes[subnet.scope], subnet.prefix
        first = prefix.base
        while first <= prefix.last:
            values = rows.between(prefix.family, first, prefix.last)
            page = self._runner.rows(_TAKEN, scope_id=scope_id, count=_PAGE, **values)
            for packed, subnet_id in page:
                yield from_bytes(packed), subnet_id
            if len(page) < _PAGE:
                return
            first = from_bytes(page[-1][0]) + 1

    def homeless(self) -> list[AllocationRow]:
        found: list[AllocationRow] = []
        covered: dict[tuple[str, int], list[tuple[int, int]]] = {}
        for subnet in self.catalogue.subnets.values():
            interval = (subnet.prefix.base, subnet.prefix.last)
            covered.setdefault((subnet.scope, subnet.family), []).append(interval)
        for scope, scope_id in self.catalogue.scopes.items():
            for family, width in WIDTH.items():
                # A probe for each gap between subnets is less than a scan of all allocations.
                for first, last in subtract(
                    [(0, (1 << width) - 1)], covered.get((scope, family), ())
                ):
                    values = rows.between(family, first, last)
                    page = self._runner.rows(_ALLOCATIONS, scope_id=scope_id, **values)
                    found += map(rows.to_allocation, page)
        return found

    def stored_counts(self, subnet_id: int) -> dict[int, tuple[int, int]]:
        return {
            id: (free, is_open)
            for id, free, is_open in self._runner.rows(_COUNTS, subnet_id=subnet_id)
        }

    def misfiled(self, subnet_id: int) -> list[Block | FreeRange]:
        return [
            *map(rows.to_block, self._runner.rows(_MISFILED_BLOCKS, subnet_id=subnet_id)),
            *map(rows.to_free_range, self._runner.rows(_MISFILED_FREE_RANGES, subnet_id=subnet_id)),
        ]

    def strays(self) -> list[Block | FreeRange]:
        return [
            *map(rows.to_block, self._runner.rows(_STRAY_BLOCKS)),
            *map(rows.to_free_range, self._runner.rows(_STRAY_FREE_RANGES)),
        ]

    def remove_strays(self) -> None:
        self._runner.write(_REMOVE_STRAY_BLOCKS)
        self._runner.write(_REMOVE_STRAY_FREE_RANGES)

    def rehome(self, pairs: Sequence[tuple[AllocationRow, AllocationRow]]) -> None:
        # Two may trade scopes: until all are out of the way they have the addresses of nobody.
        scopes = self.catalogue.scopes
        aside = [
            _rehomed(old, old, scopes)
            | {"address": old.sequence.to_bytes(8, "big"), "version": old.version}
            for old, new in pairs
            if old.scope != new.scope
        ]
        for values in (aside, [_rehomed(old, new, scopes) for old, new in pairs]):
            if values:
                all_met(self._runner.write_all(_REHOME, values), len(values))

    def stored_cohorts(self) -> list[StoredCohort]:
        found = []
        for id, text, stored in self._runner.rows(_STORED_COHORTS):
            try:
                key = parse_cohort(id, text).key
            except Corrupt:
                found.append(StoredCohort(id, text, None, findable=False))
            else:
                found.append(StoredCohort(id, text, key, stored == digest(key)))
        return found

    def retire_cohort(self, id: int) -> None:
        # No scope has an empty name, and the id as weight makes the text unique.
        text = cohort_key(Cohort(id, "", 4, {}, id))
        self._runner.write(_CHANGE_COHORT, old_id=id, description=text, digest=digest(text))
        self._changed()


def _rehomed(old: AllocationRow, new: AllocationRow, scopes: Mapping[str, int]) -> dict[str, Any]:
    return {
        **rows.old_allocation(old),
        "old_subnet": old.subnet_id,
        "scope_id": scopes[new.scope],
        "address": to_bytes(new.family, new.address),
        "subnet_id": new.subnet_id,
        "until": new.until,
        "version": old.version + 1,
    }
