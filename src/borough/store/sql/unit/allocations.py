"""Allocations and idempotency keys in an SQL database."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from borough.domain.declared.dimensions import HOST
from borough.domain.declared.records import Subnet
from borough.domain.net.prefixes import Prefix
from borough.domain.space.allocations import AllocationRow
from borough.domain.space.filters import Filter
from borough.domain.space.keys import Binding, Remembered
from borough.domain.space.plan import Grant, Plan
from borough.domain.space.plan_events import event_of_grant, events_of
from borough.store.port import Contradiction
from borough.store.sql import rows
from borough.store.sql import statements as s
from borough.store.sql.failures import Duplicate
from borough.store.sql.plan_rows import old_free_range
from borough.store.sql.runner import Row
from borough.store.sql.unit.part import SqlPart, all_met

#: Rows added by one statement.
_BATCH = 100

#: Ids written into one query.
_IDS = 500

#: Subnets that one query looks at.
_BRANCHES = 128

#: The parameters of one subnet in ``statements.allocations_of``, and those of ``IN_SUBNET``.
_PLACE = (("scope", "scope_id"), ("first", "first"), ("last", "last"), ("subnet", "subnet_id"))

_NOWHERE = {"scope_id": 0, "first": b"", "last": b"", "subnet_id": 0}

#: No limit, for databases that need a number.
_ALL = 1 << 62


class SqlAllocations(SqlPart):
    """See :class:`borough.store.port.ReadAllocations` and :class:`borough.store.port.WriteAllocations`."""

    def commit(self, plan: Plan, now: int, bind: Binding | None = None) -> list[int]:
        self.freed = self.freed or bool(plan.removed or plan.cooled or plan.blocks_removed)
        # Without the addresses: a release of hundreds of thousands has many plans.
        self.written.append(replace(plan, removed=[], cooled=[]) if self.freed else plan)
        if plan.grants:
            self.given_from = plan.grants[-1].block
        catalogue = self.catalogue
        events = [rows.event_values(each) for each in events_of(plan, catalogue, now)]
        grants = [
            rows.event_values(event_of_grant(each.allocation, catalogue, now))
            for each in plan.grants
        ]
        self._count_outside(plan)
        try:
            if self._wants(plan):
                if plan.is_empty:
                    return []
                pairs = [
                    (event, rows.allocation_values(grant.allocation, catalogue.scopes, 0))
                    for event, grant in zip(grants, plan.grants, strict=True)
                ]
                return self._send(plan, pairs, events, now, bind)
            self._write_space(plan)
            self._write_removals(plan, catalogue.subnets)
            sequences = self._write_grants(plan.grants, grants)
            if bind is not None:
                self._remember(bind, sequences, now)
        except Exception as error:
            if isinstance(self._guard(error), Duplicate):
                # A free bit of an allocated address, or a second row for a piece of space: a lost race, or
                # tables that contradict each other.
                raise Contradiction(str(error)) from error
            raise
        if events:
            self._add_events(events)
        return sequences

    def _wants(self, plan: Plan) -> bool:
        """True when the plan is written in few statements."""
        writer = self._dialect.writer
        return writer is not None and writer.wants(plan)

    def _count_outside(self, plan: Plan) -> None:
        """Count this unit's own changes outside of blocks, which are no lost race."""
        for subnet in plan.outside(self.catalogue.subnets):
            if subnet.id in self._outside:
                self._outside[subnet.id] += 1

    def bind(
        self,
        bind: Binding,
        sequences: Sequence[int],
        now: int,
        seen: Remembered | None = None,
    ) -> None:
        if seen is not None:
            values = {
                "old_key": bind.key,
                "old_sequences": _written(seen.sequences),
                "sequences": _written(sequences),
                "at": now,
            }
            all_met(self._runner.write_all(s.rebind, [values]), 1)
            return
        try:
            self._remember(bind, sequences, now)
        except Exception as error:
            if isinstance(self._guard(error), Duplicate):
                raise Contradiction(bind.key) from error
            raise

    def _remember(self, bind: Binding, sequences: Sequence[int], now: int) -> None:
        self._runner.write(
            s.remember,
            key=bind.key,
            fingerprint=bind.fingerprint,
            sequences=_written(sequences),
            at=now,
        )

    def _send(
        self,
        plan: Plan,
        grants: Sequence[tuple[dict[str, Any], dict[str, Any]]],
        events: Sequence[dict[str, Any]],
        now: int,
        bind: Binding | None,
    ) -> list[int]:
        assert self._dialect.writer is not None
        subnets = self.catalogue.subnets
        sequences = self._dialect.writer.write(self._runner, plan, subnets, grants, events)
        if bind is not None:
            self._remember(bind, sequences, now)
        return sequences

    def _write_space(self, plan: Plan) -> None:
        runner = self._runner
        if plan.free_ranges_removed:
            gone = [
                old_free_range(each)
                for each in sorted(plan.free_ranges_removed, key=lambda each: each.id)
            ]
            all_met(runner.write_all(s.remove_free_range, gone), len(gone))
        if plan.blocks_removed:
            out = [
                {"old_id": each.id, "old_version": each.version}
                for each in sorted(plan.blocks_removed, key=lambda each: each.id)
            ]
            all_met(runner.write_all(s.remove_block, out), len(out))
        bits, shapes = rows.changed_values(plan)
        if bits:
            all_met(runner.write_all(s.change_bits, bits), len(bits))
        if shapes:
            all_met(runner.write_all(s.change_block, shapes), len(shapes))
        if plan.free_ranges_added:
            runner.write_all(s.add_free_range, map(rows.free_range_values, plan.free_ranges_added))
        if plan.blocks_added:
            runner.write_all(s.add_block, map(rows.block_values, plan.blocks_added))

    def _write_removals(self, plan: Plan, subnets: Mapping[int, Subnet]) -> None:
        for clause, values in (
            (s.remove_allocation, rows.removed_values(plan)),
            (s.cool_allocation, rows.cooled_values(plan)),
            (s.edit_allocation, rows.edited_values(plan)),
            (s.change_outside, rows.outside_values(plan, subnets)),
        ):
            if values:
                all_met(self._runner.write_all(clause, values), len(values))

    def _write_grants(self, grants: Sequence[Grant], events: list[dict[str, Any]]) -> list[int]:
        """Write the events, whose ids are the sequence numbers, and then the allocations."""
        if len(grants) <= 2:
            sequences = [
                self._runner.insert_for_key(s.add_event, s.add_event_returning, **event)
                for event in events
            ]
        else:
            sequences = self._add_events(events)
        scopes = self.catalogue.scopes
        self._runner.write_all(
            s.add_allocation,
            [
                rows.allocation_values(grant.allocation, scopes, sequence)
                for grant, sequence in zip(grants, sequences, strict=True)
            ],
        )
        return sequences

    def _add_events(self, events: Sequence[dict[str, Any]]) -> list[int]:
        found: dict[str, int] = {}
        for start in range(0, len(events), _BATCH):
            some = events[start : start + _BATCH]
            values = {
                f"{name}_{at}": value
                for at, event in enumerate(some)
                for name, value in event.items()
            }
            added = self._runner.rows(s.add_events_returning(len(some)), **values)
            found |= {subject: id for id, subject in added}
        return [found[event["subject"]] for event in events]

    def expired(self, now: int, limit: int) -> list[AllocationRow]:
        return [
            rows.to_allocation(row) for row in self._runner.rows(s.expired, now=now, count=limit)
        ]

    def hosts_in_use(self) -> set[str]:
        held = {host for (host,) in self._runner.rows(s.hosts)}
        holders = (holder.partition("=") for (holder,) in self._runner.rows(s.holders))
        return held | {value for dimension, _, value in holders if dimension == HOST}

    def recall(self, key: str) -> Remembered | None:
        row = self._runner.one(s.recall, key=key)
        return Remembered(row[0], _sequences(row[1])) if row else None

    def forget(self, before: int, limit: int) -> int:
        gone = []
        for key, text in self._runner.rows(s.old_keys, before=before, count=limit):
            sequences = _sequences(text)
            if any(-each in self.catalogue.subnets for each in sequences):
                continue
            wanted = {f"sequence_{at}": sequence for at, sequence in enumerate(sequences)}
            if not self._runner.rows(s.allocations((), len(sequences)), after=0, count=1, **wanted):
                gone.append({"old_key": key})
        return self._runner.write_all(s.forget, gone)

    def allocations(self, wanted: Filter) -> list[AllocationRow]:
        found: list[AllocationRow] = []
        while True:
            page = self._allocations(wanted)
            if not wanted.attributes and wanted.sharer is None:
                return page
            # The database compares less exactly: a page of it may have fewer rows.
            found += [
                each
                for each in page
                if each.carries(wanted.attributes)
                and (wanted.sharer is None or wanted.sharer in each.sharers)
            ]
            if wanted.limit is None or len(page) < wanted.limit or len(found) >= wanted.limit:
                return found[: wanted.limit]
            wanted = replace(wanted, after=page[-1].sequence)

    def allocations_with(
        self, texts: Sequence[str], after: int, examined: int, limit: int
    ) -> tuple[list[AllocationRow], int | None]:
        upto, number = self._runner.rows(s.examined, after=after, count=examined)[0]
        if not number:
            return [], None
        named = {f"text_{at}": s.containing(text) for at, text in enumerate(texts)}
        clause = s.allocations_with(len(texts))
        found = self._runner.rows(clause, **named, after=after, upto=upto, count=limit + 1)
        made = [rows.to_allocation(row) for row in found[:limit]]
        if len(found) > limit:
            return made, made[-1].sequence
        return made, int(upto) if number == examined else None

    def allocations_from(
        self, subnet_id: int, first: int, limit: int | None
    ) -> list[AllocationRow]:
        subnet = self.catalogue.subnets[subnet_id]
        values = {
            **rows.in_subnet(self.catalogue, subnet_id),
            **rows.between(subnet.family, first, subnet.prefix.last),
            "count": _ALL if limit is None else limit,
        }
        return [rows.to_allocation(row) for row in self._runner.rows(s.allocations_from, **values)]

    def _allocations(self, wanted: Filter) -> list[AllocationRow]:
        values: dict[str, Any] = {
            name: value
            for name, value in (
                ("scope", wanted.scope),
                ("owner", wanted.owner),
                ("host", wanted.host),
                ("owner_prefix", wanted.owner_prefix),
            )
            if value is not None
        }
        if wanted.sharer is not None:
            values["sharer"] = s.sharer_pattern(wanted.sharer)
        for at, (name, text) in enumerate(wanted.attributes):
            values[f"attribute_{at}"] = s.attribute_pattern(name, json.dumps(text))
            values[f"attribute_{at}_json"] = s.attribute_pattern(name, text)
        fields = tuple(values) if wanted.state is None else (*values, wanted.state)
        if wanted.owner_prefix is not None:
            values["owner_length"] = len(wanted.owner_prefix)
        if wanted.subnet_ids is not None:
            return self._allocations_of(wanted, values, fields)
        place: tuple[Any, ...] = ()
        if wanted.subnet_id is not None:
            place, values = s.IN_SUBNET, values | rows.in_subnet(self.catalogue, wanted.subnet_id)
        if wanted.within is not None:
            assert wanted.scope is not None
            place, values = (
                place or s.IN_SPACE,
                _cut(values, self.catalogue.scopes, wanted.scope, wanted.within),
            )
        values["after"] = wanted.after
        values["count"] = _ALL if wanted.limit is None else wanted.limit
        if wanted.sequences is None:
            return [
                rows.to_allocation(row)
                for row in self._runner.rows(s.allocations(fields, 0, place), **values)
            ]
        found: list[AllocationRow] = []
        for start in range(0, len(wanted.sequences), _IDS):
            some = wanted.sequences[start : start + _IDS]
            named = {f"sequence_{at}": sequence for at, sequence in enumerate(some)}
            clause = s.allocations(fields, len(some), place)
            found += [
                rows.to_allocation(row) for row in self._runner.rows(clause, **values, **named)
            ]
        return found[: wanted.limit]

    def _allocations_of(
        self, wanted: Filter, values: Mapping[str, Any], fields: tuple[str, ...]
    ) -> list[AllocationRow]:
        """Allocations of some subnets, each a range of addresses, by sequence number."""
        assert wanted.subnet_ids is not None
        assert wanted.subnet_id is None
        assert wanted.sequences is None
        catalogue = self.catalogue
        fields = tuple(name for name in fields if name != "scope")
        limit = _ALL if wanted.limit is None else wanted.limit
        places = [
            rows.in_subnet(catalogue, id)
            for id in wanted.subnet_ids
            if wanted.scope in (None, catalogue.subnets[id].scope)
        ]
        if wanted.within is not None:
            assert wanted.scope is not None
            cut = [_cut(each, catalogue.scopes, wanted.scope, wanted.within) for each in places]
            places = [each for each in cut if each["first"] <= each["last"]]
        found: list[Row] = []
        for start in range(0, len(places), _BRANCHES):
            some = places[start : start + _BRANCHES]
            # Padding with scope 0, which does not exist, keeps the number of texts small.
            some += [_NOWHERE] * ((1 << (len(some) - 1).bit_length()) - len(some))
            named = {
                f"{name}_{at}": each[of] for at, each in enumerate(some) for name, of in _PLACE
            }
            clause = s.allocations_of(fields, len(some))
            found += self._runner.rows(clause, **values, **named, after=wanted.after, count=limit)
        return [rows.to_allocation(row) for row in sorted(found)[:limit]]


def _sequences(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split()))


def _written(sequences: Sequence[int]) -> str:
    return " ".join(map(str, sequences))


def _cut(
    values: dict[str, Any], scopes: Mapping[str, int], scope: str, within: Prefix
) -> dict[str, Any]:
    """The parameters of ``statements.IN_SPACE``, or of ``IN_SUBNET``, cut to a prefix."""
    cut = rows.between(within.family, within.base, within.last)
    return values | {
        "scope_id": values.get("scope_id", scopes.get(scope, 0)),
        "first": max(cut["first"], values.get("first", cut["first"])),
        "last": min(cut["last"], values.get("last", cut["last"])),
        "width": cut["width"],
    }
