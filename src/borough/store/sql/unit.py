"""One transaction on an SQL database, as the engine sees it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from borough.domain.address import format_address
from borough.domain.block import Block, Run, room_in
from borough.domain.dimension import Dimension, Labels
from borough.domain.event import Event, EventRow
from borough.domain.inspect import Finding, StoredCohort
from borough.domain.model import AllocationRow, Catalogue, Host, Pool, State, Subnet
from borough.domain.space import Act, Grant, Note, Plan, Tally
from borough.domain.token import Token
from borough.store.port import (
    Binding,
    Contradiction,
    Filter,
    Leftover,
    LostRace,
    Remembered,
    Times,
    Trail,
)
from borough.store.sql import catalogue_write as declared
from borough.store.sql import change_log, queries, rows, times, trail
from borough.store.sql import statements as s
from borough.store.sql.catalogue_write import all_met
from borough.store.sql.change_log import Kind
from borough.store.sql.failures import Duplicate, LockFirst
from borough.store.sql.plan_rows import old_run
from borough.store.sql.space import SqlSpace

#: Rows added by one statement.
_BATCH = 100


class SqlUnit(SqlSpace):
    """See :class:`borough.store.port.Unit`."""

    # --- Allocations --------------------------------------------------------------------------

    def commit(self, plan: Plan, now: int, bind: Binding | None = None) -> list[int]:
        """See :meth:`borough.store.port.Unit.commit`."""
        subnets = self.catalogue.subnets
        self.freed = self.freed or bool(plan.removed or plan.cooled or plan.blocks_removed)
        # Without the addresses: a release of hundreds of thousands comes in many plans.
        self.written.append(replace(plan, removed=[], cooled=[]) if self.freed else plan)
        if plan.grants:
            self.given_from = plan.grants[-1].block
        events = [
            rows.event_values(self._event(now, Act.RELEASED, each))
            # What is removed from its rest was released before.
            for each in (*filter(_is_held, plan.removed), *plan.cooled)
        ]
        events += [rows.event_values(self._move(now, old, new)) for old, new in plan.moved]
        events += [rows.event_values(self._note(now, note)) for note in plan.notes]
        grants = [
            rows.event_values(self._event(now, Act.ALLOCATED, grant.allocation))
            for grant in plan.grants
        ]
        self._count_outside(plan)
        try:
            if self._dialect.writer and self._dialect.writer.wants(plan):
                return self._write_at_once(plan, grants, events, now, bind)
            self._write_space(plan)
            self._write_removals(plan, subnets)
            sequences = self._write_grants(plan.grants, grants)
            if bind is not None:
                queries.remember(self._run, bind, sequences, now)
        except Exception as error:
            if isinstance(self._guard(error), Duplicate):
                # The bitmap called an address free that has a holder, or a piece of space has two
                # rows: somebody was faster, or the tables contradict each other.
                raise Contradiction(str(error)) from error
            raise
        if events:
            self._add_events(events)
        return sequences

    def _count_outside(self, plan: Plan) -> None:
        """Count the changes outside of blocks that this unit makes: they are no lost race."""
        for subnet in plan.outside(self.catalogue.subnets):
            if subnet.id in self._outside:
                self._outside[subnet.id] += 1

    def bind(self, bind: Binding, sequences: Sequence[int], now: int) -> None:
        """See :meth:`borough.store.port.Unit.bind`."""
        try:
            queries.remember(self._run, bind, sequences, now)
        except Exception as error:
            if isinstance(self._guard(error), Duplicate):
                raise Contradiction(bind.key) from error
            raise

    def _write_at_once(
        self,
        plan: Plan,
        grants: Sequence[dict[str, Any]],
        events: Sequence[dict[str, Any]],
        now: int,
        bind: Binding | None,
    ) -> list[int]:
        assert self._dialect.writer is not None
        scopes = self.catalogue.scopes
        rows_of = [
            (event, rows.allocation_values(grant.allocation, scopes, 0))
            for event, grant in zip(grants, plan.grants, strict=True)
        ]
        if plan.is_empty:
            return []
        return self._send(plan, rows_of, events, now, bind)

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
        sequences = self._dialect.writer.write(self._run, plan, subnets, grants, events)
        if bind is not None:
            queries.remember(self._run, bind, sequences, now)
        return sequences

    def _write_space(self, plan: Plan) -> None:
        run = self._run
        if plan.runs_removed:
            gone = [old_run(each) for each in sorted(plan.runs_removed, key=lambda each: each.id)]
            all_met(run.write_all(s.remove_run, gone), len(gone))
        if plan.blocks_removed:
            out = [
                {"old_id": each.id, "old_version": each.version}
                for each in sorted(plan.blocks_removed, key=lambda each: each.id)
            ]
            all_met(run.write_all(s.remove_block, out), len(out))
        bits, shapes = rows.changed_values(plan)
        if bits:
            all_met(run.write_all(s.change_bits, bits), len(bits))
        if shapes:
            all_met(run.write_all(s.change_block, shapes), len(shapes))
        if plan.runs_added:
            run.write_all(s.add_run, map(rows.run_values, plan.runs_added))
        if plan.blocks_added:
            run.write_all(s.add_block, map(rows.block_values, plan.blocks_added))

    def _write_removals(self, plan: Plan, subnets: Mapping[int, Subnet]) -> None:
        for clause, values in (
            (s.remove_allocation, rows.removed_values(plan)),
            (s.cool_allocation, rows.cooled_values(plan)),
            (s.move_allocation, rows.moved_values(plan)),
            (s.change_outside, rows.outside_values(plan, subnets)),
        ):
            if values:
                all_met(self._run.write_all(clause, values), len(values))

    def _write_grants(self, grants: Sequence[Grant], events: list[dict[str, Any]]) -> list[int]:
        """Write the events, whose ids are the sequence numbers, and then the allocations."""
        if len(grants) <= 2:
            sequences = [
                self._run.insert_for_key(s.add_event, s.add_event_returning, **event)
                for event in events
            ]
        else:
            sequences = self._add_events(events)
        scopes = self.catalogue.scopes
        self._run.write_all(
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
            added = self._run.rows(s.add_events_returning(len(some)), **values)
            found |= {subject: id for id, subject in added}
        return [found[event["subject"]] for event in events]

    def _move(self, now: int, old: AllocationRow, new: AllocationRow) -> EventRow:
        return self._event(now, Act.MOVED, new, f"from host {old.host}" if old.host else "")

    def _event(self, now: int, act: Act, allocation: AllocationRow, detail: str = "") -> EventRow:
        return EventRow(
            now,
            act,
            format_address(allocation.family, allocation.address),
            self.catalogue.subnets[allocation.subnet_id].name,
            allocation.owner,
            allocation.host,
            allocation.sequence,
            detail,
            cohort_id=self.catalogue.cohort_of[allocation.subnet_id],
        )

    def _note(self, now: int, note: Note) -> EventRow:
        subnet = self.catalogue.subnets[note.subnet_id].name
        return EventRow(
            now,
            note.act,
            str(note.prefix),
            subnet,
            detail=note.holder,
            cohort_id=self.catalogue.cohort_of[note.subnet_id],
        )

    def recall(self, key: str) -> Remembered | None:
        """See :meth:`borough.store.port.Unit.recall`."""
        return queries.recall(self._run, key)

    def forget(self, before: int, limit: int) -> int:
        """See :meth:`borough.store.port.Unit.forget`."""
        return queries.forget(self._run, before, limit)

    def expired(self, now: int, limit: int) -> list[AllocationRow]:
        """See :meth:`borough.store.port.Unit.expired`."""
        return [rows.to_allocation(row) for row in self._run.rows(s.expired, now=now, count=limit)]

    # --- Reading ------------------------------------------------------------------------------

    def allocations(self, wanted: Filter) -> list[AllocationRow]:
        """See :meth:`borough.store.port.Unit.allocations`."""
        return queries.allocations(self._run, wanted, self.catalogue)

    def blocks(self, subnet_ids: Sequence[int] | None = None) -> list[Block]:
        """See :meth:`borough.store.port.Unit.blocks`."""
        return queries.blocks(self._run, subnet_ids)

    def runs(self, subnet_ids: Sequence[int] | None = None) -> list[Run]:
        """See :meth:`borough.store.port.Unit.runs`."""
        return queries.runs(self._run, subnet_ids)

    def tallies(self, subnet_ids: Sequence[int]) -> dict[int, Tally]:
        """See :meth:`borough.store.port.Unit.tallies`."""
        subnets = self.catalogue.subnets
        free: dict[int, dict[str, int]] = {id: {} for id in subnet_ids}
        for subnet_id, holder, count in queries.free_by_holder(self._run, subnet_ids):
            if count:
                free[subnet_id][holder] = int(count)
        for run in self.runs(subnet_ids):
            room = room_in(subnets[run.subnet_id], run.prefix)
            free[run.subnet_id][""] = free[run.subnet_id].get("", 0) + room
        counts = {id: queries.held(self._run, self.catalogue, id) for id in subnet_ids}
        return {
            id: Tally(total - cooling, cooling, free[id]) for id, (total, cooling) in counts.items()
        }

    def events(self, wanted: Trail) -> list[Event]:
        """See :meth:`borough.store.port.Unit.events`."""
        return trail.events(self._run, wanted)

    def newest_event(self, upto: int) -> int:
        """See :meth:`borough.store.port.Unit.newest_event`."""
        return trail.newest(self._run, upto)

    def cohort_labels(self) -> dict[int, Labels]:
        """See :meth:`borough.store.port.Unit.cohort_labels`."""
        return trail.cohort_labels(self._run)

    def pruned(self) -> int:
        """See :meth:`borough.store.port.Unit.pruned`."""
        return trail.pruned(self._run)

    def prune(self, through: int, limit: int) -> int:
        """See :meth:`borough.store.port.Unit.prune`."""
        return trail.prune(self._run, through, limit)

    # --- Tokens -------------------------------------------------------------------------------

    def tokens(self) -> list[Token]:
        """See :meth:`borough.store.port.Unit.tokens`."""
        return [rows.to_token(row) for row in self._run.rows(s.tokens)]

    def add_token(self, token: Token) -> None:
        """See :meth:`borough.store.port.Unit.add_token`."""
        self._run.write(s.add_token, **rows.token_values(token))

    def remove_token(self, name: str) -> None:
        """See :meth:`borough.store.port.Unit.remove_token`."""
        self._run.write(s.remove_token, old_name=name)

    # --- Leftovers ----------------------------------------------------------------------------

    def leave(self, leftover: Leftover) -> None:
        """See :meth:`borough.store.port.Unit.leave`."""
        self.settle(leftover.token)
        self._run.write(s.leave, **leftover._asdict())

    def leftovers(self, driver: str | None = None) -> list[Leftover]:
        """See :meth:`borough.store.port.Unit.leftovers`."""
        wanted = {} if driver is None else {"of_driver": driver}
        return [Leftover(*row) for row in self._run.rows(s.leftovers[bool(wanted)], **wanted)]

    def settle(self, token: str) -> None:
        """See :meth:`borough.store.port.Unit.settle`."""
        self._run.write(s.settle, old_token=token)

    # --- Declared objects ---------------------------------------------------------------------

    def touch(self, seen: int) -> None:
        """See :meth:`borough.store.port.Unit.touch`."""
        if self._run.write(s.touch, seen=seen) != 1:
            raise LostRace("catalogue")
        declared.drop_unused_cohorts(self._run)
        change_log.write(self._run, seen + 1, self._declared)
        self._declared.clear()
        self._changed()

    def _changed(self) -> None:
        self._touched = True
        self._fresh = None
        self._cached = None

    def add_scope(self, name: str, source: str) -> None:
        """See :meth:`borough.store.port.Unit.add_scope`."""
        known = self.catalogue
        scopes = {**known.scopes, name: declared.add_scope(self._run, name, source)}
        self._declared.add((Kind.OTHER, 0))
        self._touched = True
        self._fresh = known.after(known.version, {}, scopes=scopes)

    def remove_scope(self, name: str) -> None:
        """See :meth:`borough.store.port.Unit.remove_scope`."""
        declared.remove_scope(self._run, name)
        self._declared.add((Kind.OTHER, 0))

    def set_dimensions(self, dimensions: Sequence[Dimension], sources: Mapping[str, str]) -> None:
        """See :meth:`borough.store.port.Unit.set_dimensions`."""
        declared.set_dimensions(self._run, dimensions, sources)
        self._declared.add((Kind.OTHER, 0))

    def put_pool(self, pool: Pool) -> None:
        """See :meth:`borough.store.port.Unit.put_pool`."""
        declared.put_pool(self._run, pool, self.catalogue.scopes)
        self._declared.add((Kind.OTHER, 0))

    def remove_pool(self, pool: Pool) -> None:
        """See :meth:`borough.store.port.Unit.remove_pool`."""
        declared.remove_pool(self._run, pool)
        self._declared.add((Kind.OTHER, 0))

    def put_host(self, host: Host) -> None:
        """See :meth:`borough.store.port.Unit.put_host`."""
        self._declared.add((Kind.HOST, declared.put_host(self._run, host)))

    def remove_host(self, host: Host) -> None:
        """See :meth:`borough.store.port.Unit.remove_host`."""
        declared.remove_host(self._run, host)
        self._declared.add((Kind.HOST, host.id))

    def lock_space(self, subnet_ids: Collection[int]) -> None:
        """See :meth:`borough.store.port.Unit.lock_space`."""
        ids = sorted(set(subnet_ids) - self._outside.keys())
        if not ids:
            return
        if self._locked is not None and not self._locked.issuperset(ids):
            raise LockFirst(ids)
        self._outside |= declared.outside(self._run, ids)

    def add_subnets(self, subnets: Sequence[Subnet]) -> list[tuple[Subnet, int]]:
        """See :meth:`borough.store.port.Unit.add_subnets`."""
        added = declared.add_subnets(self._run, subnets, self.catalogue.scopes)
        self._declared.update((Kind.SUBNET, subnet.id) for subnet, _ in added)
        return added

    def put_subnet(self, subnet: Subnet) -> Subnet:
        """See :meth:`borough.store.port.Unit.put_subnet`."""
        seen = self._outside.get(subnet.id)
        stored = declared.put_subnet(self._run, subnet, self.catalogue.scopes, seen)
        self._declared.add((Kind.SUBNET, stored.id))
        return stored

    def remove_subnet(self, subnet: Subnet) -> None:
        """See :meth:`borough.store.port.Unit.remove_subnet`."""
        declared.remove_subnet(self._run, subnet)
        self._declared.add((Kind.SUBNET, subnet.id))

    def cohort_of(self, subnet_id: int) -> int:
        """See :meth:`borough.store.port.Unit.cohort_of`."""
        return declared.cohort_of(self._run, subnet_id)

    def record(self, *events: EventRow) -> None:
        """See :meth:`borough.store.port.Unit.record`."""
        self._run.write_all(
            s.add_event, [rows.event_values(self._seen_by(each)) for each in events]
        )

    def _seen_by(self, event: EventRow) -> EventRow:
        """The event with the cohort that its subnet belongs to."""
        # The catalogue may have to be read anew: not for an event that is of no subnet.
        home = self.catalogue.by_name.get(event.subnet) if event.subnet else None
        return replace(event, cohort_id=self.catalogue.cohort_of[home.id]) if home else event

    # --- Auditing -----------------------------------------------------------------------------

    def times_after(self, bound: int) -> Times:
        """See :meth:`borough.store.port.Unit.times_after`."""
        return times.times_after(self._run, bound)

    def cut_rests(self, subnet_id: int, until: int) -> None:
        """See :meth:`borough.store.port.Unit.cut_rests`."""
        times.cut_rests(self._run, subnet_id, until)

    def cut_idle_marks(self, subnet_id: int, latest: int) -> None:
        """See :meth:`borough.store.port.Unit.cut_idle_marks`."""
        times.cut_idle_marks(self._run, subnet_id, latest)

    def cut_keys(self, latest: int) -> None:
        """See :meth:`borough.store.port.Unit.cut_keys`."""
        times.cut_keys(self._run, latest)

    def risks(self) -> list[Finding]:
        """See :meth:`borough.store.port.Unit.risks`."""
        return self._dialect.risks(self._run)

    def reload(self) -> Catalogue:
        """See :meth:`borough.store.port.Unit.reload`."""
        # Rows that were damaged behind the engine's back leave the version as it was.
        self._fresh = None
        self._cached = None
        return self.catalogue

    def taken_in(self, subnet: Subnet) -> Iterator[tuple[int, int]]:
        """See :meth:`borough.store.port.Unit.taken_in`."""
        return queries.taken_in(self._run, self.catalogue.scopes[subnet.scope], subnet.prefix)

    def homeless(self) -> list[AllocationRow]:
        """See :meth:`borough.store.port.Unit.homeless`."""
        return queries.homeless(self._run, self.catalogue)

    def stored_counts(self, subnet_id: int) -> dict[int, tuple[int, int]]:
        """See :meth:`borough.store.port.Unit.stored_counts`."""
        return queries.stored_counts(self._run, subnet_id)

    def misfiled(self, subnet_id: int) -> list[Block | Run]:
        """See :meth:`borough.store.port.Unit.misfiled`."""
        return queries.misfiled(self._run, subnet_id)

    def stored_cohorts(self) -> list[StoredCohort]:
        """See :meth:`borough.store.port.Unit.stored_cohorts`."""
        return declared.stored_cohorts(self._run)

    def retire_cohort(self, id: int) -> None:
        """See :meth:`borough.store.port.Unit.retire_cohort`."""
        declared.retire_cohort(self._run, id)
        self._changed()

    def strays(self) -> list[Block | Run]:
        """See :meth:`borough.store.port.Unit.strays`."""
        return queries.strays(self._run)

    def remove_strays(self) -> None:
        """See :meth:`borough.store.port.Unit.remove_strays`."""
        queries.remove_strays(self._run)

    def rehome(self, allocation: AllocationRow, subnet_id: int) -> None:
        """See :meth:`borough.store.port.Unit.rehome`."""
        all_met(queries.rehome(self._run, allocation.sequence, subnet_id), 1)


def _is_held(allocation: AllocationRow) -> bool:
    return allocation.state is State.ALLOCATED
