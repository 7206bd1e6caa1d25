"""Allocations and idempotency keys in the in-memory tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from borough.domain.declared.dimensions import HOST
from borough.domain.space.allocations import AllocationRow
from borough.domain.space.filters import Filter
from borough.domain.space.keys import Binding, Remembered
from borough.domain.space.plan import Plan
from borough.domain.space.plan_events import event_of_grant, events_of
from borough.store.memory.part import MemoryPart, expect
from borough.store.port import Contradiction, LostRace


class MemoryAllocations(MemoryPart):
    """See :class:`borough.store.port.WriteAllocations`."""

    def commit(self, plan: Plan, now: int, bind: Binding | None = None) -> list[int]:
        tables = self._tables
        for free_range in plan.free_ranges_removed:
            if tables.free_ranges.pop(free_range.id, None) is None:
                raise LostRace(free_range)
        for free_range in plan.free_ranges_added:
            id = tables.new_id()
            tables.free_ranges[id] = replace(free_range, id=id)
        for block in plan.blocks_removed:
            expect(tables.blocks.pop(block.id, None), block)
        for old, new in plan.changed.values():
            expect(tables.blocks.get(old.id), old)
            tables.blocks[old.id] = replace(new, version=old.version + 1)
        for block in plan.blocks_added:
            id = tables.new_id()
            tables.blocks[id] = replace(block, id=id)
        for allocation in plan.removed:
            expect(tables.allocations.pop(_key(allocation), None), allocation)
        for before, after in plan.cooled:
            expect(tables.allocations.get(_key(before)), before)
            tables.allocations[_key(before)] = after
        for before, after in plan.edited:
            expect(tables.allocations.get(_key(before)), before)
            tables.allocations[_key(before)] = replace(after, version=before.version + 1)
        for event in events_of(plan, self.catalogue, now):
            tables.add_event(event)
        sequences = [self._grant(grant.allocation, now) for grant in plan.grants]
        if bind is not None:
            self.bind(bind, sequences, now)
        return sequences

    def _grant(self, allocation: AllocationRow, now: int) -> int:
        tables, key = self._tables, _key(allocation)
        if key in tables.allocations:
            raise LostRace(allocation.text)
        stored = replace(allocation, sequence=tables.newest_event + 1)
        tables.allocations[key] = stored
        tables.add_event(event_of_grant(stored, self.catalogue, now))
        return stored.sequence

    def bind(
        self,
        bind: Binding,
        sequences: Sequence[int],
        now: int,
        seen: Remembered | None = None,
    ) -> None:
        if self.recall(bind.key) != seen:
            raise Contradiction(bind.key)
        remembered = Remembered(bind.fingerprint, tuple(sequences))
        self._tables.keys[bind.key] = (remembered, now)

    def recall(self, key: str) -> Remembered | None:
        found = self._tables.keys.get(key)
        return found[0] if found else None

    def forget(self, before: int, limit: int) -> int:
        live = {allocation.sequence for allocation in self._tables.allocations.values()}
        live |= {-subnet_id for subnet_id in self._tables.subnets}
        old = [
            key
            for key, (remembered, at) in self._tables.keys.items()
            if at < before and not live.intersection(remembered.sequences)
        ]
        for key in old[:limit]:
            del self._tables.keys[key]
        return len(old[:limit])

    def expired(self, now: int, limit: int) -> list[AllocationRow]:
        over = [
            allocation
            for allocation in self._tables.allocations.values()
            if allocation.until is not None and allocation.until <= now
        ]
        return sorted(over, key=lambda each: (each.until, each.sequence))[:limit]

    def hosts_in_use(self) -> set[str]:
        held = {each.host for each in self._tables.allocations.values() if each.host}
        holders = (each.holder.partition("=") for each in self._tables.blocks.values())
        return held | {value for dimension, _, value in holders if dimension == HOST}

    def allocations(self, wanted: Filter) -> list[AllocationRow]:
        found = [
            each
            for each in self._tables.allocations.values()
            if each.sequence > wanted.after
            and wanted.scope in (None, each.scope)
            and wanted.owner in (None, each.owner)
            and (wanted.sharer is None or wanted.sharer in each.sharers)
            and wanted.host in (None, each.host)
            and wanted.state in (None, each.state)
            and wanted.subnet_id in (None, each.subnet_id)
            and (wanted.subnet_ids is None or each.subnet_id in wanted.subnet_ids)
            and (
                wanted.within is None
                or (each.family == wanted.within.family and wanted.within.holds(each.address))
            )
            and each.owner.startswith(wanted.owner_prefix or "")
            and each.carries(wanted.attributes)
            and (wanted.sequences is None or each.sequence in wanted.sequences)
        ]
        return sorted(found, key=lambda each: each.sequence)[: wanted.limit]

    def allocations_with(
        self, texts: Sequence[str], after: int, examined: int, limit: int
    ) -> tuple[list[AllocationRow], int | None]:
        behind = (each for each in self._tables.allocations.values() if each.sequence > after)
        rows = sorted(behind, key=lambda each: each.sequence)[: examined + 1]
        found = [each for each in rows[:examined] if any(text in _searched(each) for text in texts)]
        if len(found) > limit:
            return found[:limit], found[limit - 1].sequence
        return found, rows[examined - 1].sequence if len(rows) > examined else None

    def allocations_from(
        self, subnet_id: int, first: int, limit: int | None
    ) -> list[AllocationRow]:
        found = [
            each
            for each in self._tables.allocations.values()
            if each.subnet_id == subnet_id and each.address >= first
        ]
        return sorted(found, key=lambda each: each.address)[:limit]


def _searched(each: AllocationRow) -> str:
    """The texts of an allocation that a search looks at, in small letters."""
    attributes = json.dumps(dict(each.attributes), ensure_ascii=False) if each.attributes else ""
    return "\n".join((each.owner, each.host, each.note, attributes)).lower()


def _key(allocation: AllocationRow) -> tuple[str, int, int]:
    return allocation.scope, allocation.family, allocation.address
