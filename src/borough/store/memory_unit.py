"""One unit of work on the in-memory tables."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from borough.domain.address import format_address
from borough.domain.block import Block, Run, room_in
from borough.domain.dimension import Dimension, Labels
from borough.domain.encode import utc
from borough.domain.event import Event, EventRow
from borough.domain.inspect import Finding, StoredCohort
from borough.domain.model import (
    AllocationRow,
    Catalogue,
    Cohort,
    Host,
    Pool,
    State,
    Subnet,
    cohort_key,
)
from borough.domain.space import Act, Note, Plan, Tally
from borough.domain.token import Token
from borough.store.actor import actor
from borough.store.memory_space import MemorySpace, catalogue_of
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


class MemoryUnit(MemorySpace):
    """One unit of work on a copy of the tables."""

    # --- Allocations --------------------------------------------------------------------------

    def commit(self, plan: Plan, now: int, bind: Binding | None = None) -> list[int]:
        """See :meth:`borough.store.port.Unit.commit`."""
        tables = self._tables
        for run in plan.runs_removed:
            _pop(tables.runs, run.id)
        for run in plan.runs_added:
            tables.runs[tables.next_id] = replace(run, id=tables.next_id)
            tables.next_id += 1
        for block in plan.blocks_removed:
            _expect(tables.blocks.pop(block.id, None), block)
        for old, new in plan.changed.values():
            _expect(tables.blocks.get(old.id), old)
            tables.blocks[old.id] = replace(new, version=old.version + 1)
        for block in plan.blocks_added:
            tables.blocks[tables.next_id] = replace(block, id=tables.next_id)
            tables.next_id += 1
        for allocation in plan.removed:
            key = (allocation.scope, allocation.family, allocation.address)
            _expect(tables.allocations.pop(key, None), allocation)
            if allocation.state is State.ALLOCATED:
                self._record(now, Act.RELEASED, allocation)
        for allocation in plan.cooled:
            key = (allocation.scope, allocation.family, allocation.address)
            stored = tables.allocations.get(key)
            _expect(
                stored and (stored.sequence, stored.state), (allocation.sequence, State.ALLOCATED)
            )
            tables.allocations[key] = allocation
            self._record(now, Act.RELEASED, allocation)
        for before, after in plan.moved:
            key = (before.scope, before.family, before.address)
            _expect(tables.allocations.get(key), before)
            tables.allocations[key] = after
            self._record(now, Act.MOVED, after, f"from host {before.host}" if before.host else "")
        for note in plan.notes:
            self._record_note(now, note)
        sequences = [self._grant(grant.allocation, now) for grant in plan.grants]
        if bind is not None:
            self.bind(bind, sequences, now)
        return sequences

    def _grant(self, allocation: AllocationRow, now: int) -> int:
        tables = self._tables
        key = (allocation.scope, allocation.family, allocation.address)
        if key in tables.allocations:
            raise LostRace(allocation.text)
        sequence = tables.newest_event + 1
        stored = replace(allocation, sequence=sequence)
        tables.allocations[key] = stored
        self._record(now, Act.ALLOCATED, stored)
        return sequence

    def _record(self, now: int, act: Act, allocation: AllocationRow, detail: str = "") -> None:
        subnet = self.catalogue.subnets[allocation.subnet_id]
        self.record(
            EventRow(
                now,
                act,
                format_address(allocation.family, allocation.address),
                subnet.name,
                allocation.owner,
                allocation.host,
                allocation.sequence,
                detail,
            )
        )

    def _record_note(self, now: int, note: Note) -> None:
        subnet = self.catalogue.subnets[note.subnet_id]
        self.record(EventRow(now, note.act, str(note.prefix), subnet.name, detail=note.holder))

    def recall(self, key: str) -> Remembered | None:
        """See :meth:`borough.store.port.Unit.recall`."""
        found = self._tables.keys.get(key)
        return found[0] if found else None

    def bind(self, bind: Binding, sequences: Sequence[int], now: int) -> None:
        """See :meth:`borough.store.port.Unit.bind`."""
        if bind.key in self._tables.keys:
            raise Contradiction(bind.key)
        remembered = Remembered(bind.fingerprint, tuple(sequences))
        self._tables.keys[bind.key] = (remembered, now)

    def forget(self, before: int, limit: int) -> int:
        """See :meth:`borough.store.port.Unit.forget`."""
        live = {allocation.sequence for allocation in self._tables.allocations.values()}
        old = [
            key
            for key, (remembered, at) in self._tables.keys.items()
            if at < before and not live.intersection(remembered.sequences)
        ]
        for key in old[:limit]:
            del self._tables.keys[key]
        return len(old[:limit])

    def expired(self, now: int, limit: int) -> list[AllocationRow]:
        """See :meth:`borough.store.port.Unit.expired`."""
        over = [
            allocation
            for allocation in self._tables.allocations.values()
            if allocation.until is not None and allocation.until <= now
        ]
        return sorted(over, key=lambda each: (each.until, each.sequence))[:limit]

    # --- Reading ------------------------------------------------------------------------------

    def allocations(self, wanted: Filter) -> list[AllocationRow]:
        """See :meth:`borough.store.port.Unit.allocations`."""
        found = [
            each
            for each in self._tables.allocations.values()
            if each.sequence > wanted.after
            and wanted.scope in (None, each.scope)
            and wanted.owner in (None, each.owner)
            and wanted.host in (None, each.host)
            and wanted.subnet_id in (None, each.subnet_id)
            and (wanted.subnet_ids is None or each.subnet_id in wanted.subnet_ids)
            and (
                wanted.within is None
                or (each.family == wanted.within.family and wanted.within.holds(each.address))
            )
            and each.owner.startswith(wanted.owner_prefix or "")
            and (wanted.sequences is None or each.sequence in wanted.sequences)
        ]
        return sorted(found, key=lambda each: each.sequence)[: wanted.limit]

    def blocks(self, subnet_ids: Sequence[int] | None = None) -> list[Block]:
        """See :meth:`borough.store.port.Unit.blocks`."""
        return _of(self._tables.blocks.values(), subnet_ids)

    def runs(self, subnet_ids: Sequence[int] | None = None) -> list[Run]:
        """See :meth:`borough.store.port.Unit.runs`."""
        return _of(self._tables.runs.values(), subnet_ids)

    def tallies(self, subnet_ids: Sequence[int]) -> dict[int, Tally]:
        """See :meth:`borough.store.port.Unit.tallies`."""
        return {subnet_id: self._tally(subnet_id) for subnet_id in subnet_ids}

    def _tally(self, subnet_id: int) -> Tally:
        subnet = self._tables.subnets[subnet_id]
        free: dict[str, int] = {}
        for block in self.blocks([subnet_id]):
            free[block.holder] = free.get(block.holder, 0) + block.free
        for run in self.runs([subnet_id]):
            free[""] = free.get("", 0) + room_in(subnet, run.prefix)
        here = [a for a in self._tables.allocations.values() if a.subnet_id == subnet_id]
        cooling = sum(allocation.state is State.COOLING for allocation in here)
        return Tally(
            allocated=len(here) - cooling,
            cooling=cooling,
            free={holder: count for holder, count in free.items() if count},
        )

    def events(self, wanted: Trail) -> list[Event]:
        """See :meth:`borough.store.port.Unit.events`."""
        found = [
            event
            for event in self._tables.events
            if wanted.after < event.id <= wanted.upto
            and (wanted.cohorts is None or event.cohort_id in wanted.cohorts)
        ]
        return found[: wanted.limit]

    def newest_event(self, upto: int) -> int:
        """See :meth:`borough.store.port.Unit.newest_event`."""
        return min(upto, self._tables.newest_event)

    def cohort_labels(self) -> dict[int, Labels]:
        """See :meth:`borough.store.port.Unit.cohort_labels`."""
        return dict(self._tables.cohort_labels)

    def pruned(self) -> int:
        """See :meth:`borough.store.port.Unit.pruned`."""
        return self._tables.pruned

    def prune(self, through: int, limit: int) -> int:
        """See :meth:`borough.store.port.Unit.prune`."""
        tables = self._tables
        gone = [event for event in tables.events[:-1] if event.id <= through][:limit]
        del tables.events[: len(gone)]
        if gone:
            tables.pruned = gone[-1].id
        return len(gone)

    # --- Tokens -------------------------------------------------------------------------------

    def tokens(self) -> list[Token]:
        """See :meth:`borough.store.port.Unit.tokens`."""
        return [self._tables.tokens[name] for name in sorted(self._tables.tokens)]

    def add_token(self, token: Token) -> None:
        """See :meth:`borough.store.port.Unit.add_token`."""
        if token.name in self._tables.tokens:
            raise LostRace(token.name)
        self._tables.tokens[token.name] = token

    def remove_token(self, name: str) -> None:
        """See :meth:`borough.store.port.Unit.remove_token`."""
        self._tables.tokens.pop(name, None)

    # --- Leftovers ----------------------------------------------------------------------------

    def leave(self, leftover: Leftover) -> None:
        """See :meth:`borough.store.port.Unit.leave`."""
        self._tables.leftovers[leftover.token] = leftover

    def leftovers(self, driver: str | None = None) -> list[Leftover]:
        """See :meth:`borough.store.port.Unit.leftovers`."""
        every = self._tables.leftovers.values()
        wanted = [each for each in every if driver in (None, each.driver)]
        return sorted(wanted, key=lambda each: (each.at, each.token))

    def settle(self, token: str) -> None:
        """See :meth:`borough.store.port.Unit.settle`."""
        self._tables.leftovers.pop(token, None)

    # --- Declared objects ---------------------------------------------------------------------

    def touch(self, seen: int) -> None:
        """See :meth:`borough.store.port.Unit.touch`."""
        tables = self._tables
        if tables.version != seen:
            raise LostRace("catalogue")
        tables.version += 1
        used = set(tables.cohort_of.values())
        tables.cohorts = {id: cohort for id, cohort in tables.cohorts.items() if id in used}
        self.catalogue = catalogue_of(tables)

    def add_scope(self, name: str, source: str) -> None:
        """See :meth:`borough.store.port.Unit.add_scope`."""
        self._tables.scopes[name] = self._tables.next_id
        self._tables.scope_sources[name] = source
        self._tables.next_id += 1

    def remove_scope(self, name: str) -> None:
        """See :meth:`borough.store.port.Unit.remove_scope`."""
        del self._tables.scopes[name]
        self._tables.scope_sources.pop(name, None)

    def set_dimensions(self, dimensions: Sequence[Dimension], sources: Mapping[str, str]) -> None:
        """See :meth:`borough.store.port.Unit.set_dimensions`."""
        self._tables.dimensions = tuple(dimensions)
        self._tables.dimension_sources = dict(sources)

    def put_pool(self, pool: Pool) -> None:
        """See :meth:`borough.store.port.Unit.put_pool`."""
        self._tables.pools[pool.name] = pool if pool.id else replace(pool, id=self._next())

    def remove_pool(self, pool: Pool) -> None:
        """See :meth:`borough.store.port.Unit.remove_pool`."""
        del self._tables.pools[pool.name]

    def put_host(self, host: Host) -> None:
        """See :meth:`borough.store.port.Unit.put_host`."""
        self._tables.hosts[host.name] = host if host.id else replace(host, id=self._next())

    def remove_host(self, host: Host) -> None:
        """See :meth:`borough.store.port.Unit.remove_host`."""
        del self._tables.hosts[host.name]

    def lock_space(self, subnet_ids: Collection[int]) -> None:
        """See :meth:`borough.store.port.Unit.lock_space`; a unit has the tables for itself."""

    def add_subnets(self, subnets: Sequence[Subnet]) -> list[tuple[Subnet, int]]:
        """See :meth:`borough.store.port.Unit.add_subnets`."""
        added = [self.put_subnet(replace(subnet, id=self._next())) for subnet in subnets]
        return [(subnet, self._tables.cohort_of[subnet.id]) for subnet in added]

    def put_subnet(self, subnet: Subnet) -> Subnet:
        """See :meth:`borough.store.port.Unit.put_subnet`."""
        tables = self._tables
        cohort_id = self._intern(subnet)
        tables.subnets[subnet.id] = subnet
        tables.cohort_of[subnet.id] = cohort_id
        for table in (tables.blocks, tables.runs):
            for id, piece in table.items():
                if piece.subnet_id == subnet.id:
                    table[id] = replace(piece, cohort_id=cohort_id)  # type: ignore[assignment]
        return subnet

    def _intern(self, subnet: Subnet) -> int:
        key = cohort_key(subnet)
        for cohort in self._tables.cohorts.values():
            if cohort.key == key:
                return cohort.id
        id = self._next()
        self._tables.cohorts[id] = Cohort(
            id, subnet.scope, subnet.family, subnet.labels, subnet.weight, subnet.claiming
        )
        self._tables.cohort_labels[id] = subnet.labels
        return id

    def remove_subnet(self, subnet: Subnet) -> None:
        """See :meth:`borough.store.port.Unit.remove_subnet`."""
        tables = self._tables
        self._clear_space(subnet.id)
        tables.allocations = {
            key: each for key, each in tables.allocations.items() if each.subnet_id != subnet.id
        }
        del self._tables.subnets[subnet.id]
        del self._tables.cohort_of[subnet.id]

    def cohort_of(self, subnet_id: int) -> int:
        """See :meth:`borough.store.port.Unit.cohort_of`."""
        return self._tables.cohort_of[subnet_id]

    def _clear_space(self, subnet_id: int) -> None:
        tables = self._tables
        tables.blocks = {id: b for id, b in tables.blocks.items() if b.subnet_id != subnet_id}
        tables.runs = {id: r for id, r in tables.runs.items() if r.subnet_id != subnet_id}

    def record(self, *events: EventRow) -> None:
        """See :meth:`borough.store.port.Unit.record`."""
        for event in events:
            home = self.catalogue.by_name.get(event.subnet)
            self._tables.events.append(
                Event(
                    self._tables.newest_event + 1,
                    utc(event.at),
                    event.act.value,
                    event.subject,
                    event.subnet,
                    event.owner,
                    event.host,
                    event.sequence,
                    event.detail,
                    actor(),
                    None if home is None else self.catalogue.cohort_of[home.id],
                )
            )

    # --- Auditing -----------------------------------------------------------------------------

    def times_after(self, bound: int) -> Times:
        """See :meth:`borough.store.port.Unit.times_after`."""
        rests: dict[int, int] = {}
        for each in self._tables.allocations.values():
            if each.until is not None and each.until > bound:
                rests[each.subnet_id] = max(each.until, rests.get(each.subnet_id, 0))
        marks: dict[int, int] = {}
        for block in self._tables.blocks.values():
            if block.idle_since > bound:
                marks[block.subnet_id] = max(block.idle_since, marks.get(block.subnet_id, 0))
        late = [at for _, at in self._tables.keys.values() if at > bound]
        return Times(rests, marks, max(late, default=None))

    def cut_rests(self, subnet_id: int, until: int) -> None:
        """See :meth:`borough.store.port.Unit.cut_rests`."""
        for key, each in self._tables.allocations.items():
            if each.subnet_id == subnet_id and each.until is not None and each.until > until:
                self._tables.allocations[key] = replace(each, until=until)

    def cut_idle_marks(self, subnet_id: int, latest: int) -> None:
        """See :meth:`borough.store.port.Unit.cut_idle_marks`."""
        for id, block in self._tables.blocks.items():
            if block.subnet_id == subnet_id and block.idle_since > latest:
                version = block.version + 1
                self._tables.blocks[id] = replace(block, idle_since=latest, version=version)

    def cut_keys(self, latest: int) -> None:
        """See :meth:`borough.store.port.Unit.cut_keys`."""
        for key, (remembered, at) in self._tables.keys.items():
            self._tables.keys[key] = (remembered, min(at, latest))

    def risks(self) -> list[Finding]:
        """See :meth:`borough.store.port.Unit.risks`; there is no server."""
        return []

    def reload(self) -> Catalogue:
        """See :meth:`borough.store.port.Unit.reload`."""
        self.catalogue = catalogue_of(self._tables)
        return self.catalogue

    def taken_in(self, subnet: Subnet) -> Iterator[tuple[int, int]]:
        """See :meth:`borough.store.port.Unit.taken_in`."""
        found = [
            (each.address, each.subnet_id)
            for each in self._tables.allocations.values()
            if _inside(subnet, each)
        ]
        return iter(sorted(found))

    def homeless(self) -> list[AllocationRow]:
        """See :meth:`borough.store.port.Unit.homeless`."""
        subnets = self._tables.subnets.values()
        return [
            each
            for each in self.allocations(Filter())
            if not any(_inside(subnet, each) for subnet in subnets)
        ]

    def stored_counts(self, subnet_id: int) -> dict[int, tuple[int, int]]:
        """See :meth:`borough.store.port.Unit.stored_counts`; nothing is stored, so it is right."""
        return {}

    def misfiled(self, subnet_id: int) -> list[Block | Run]:
        """See :meth:`borough.store.port.Unit.misfiled`; there are no such columns."""
        return []

    def stored_cohorts(self) -> list[StoredCohort]:
        """See :meth:`borough.store.port.Unit.stored_cohorts`."""
        return [
            StoredCohort(cohort.id, cohort.key, cohort.key, findable=True)
            for cohort in self._tables.cohorts.values()
        ]

    def retire_cohort(self, id: int) -> None:
        """See :meth:`borough.store.port.Unit.retire_cohort`."""
        self._tables.cohorts.pop(id, None)

    def strays(self) -> list[Block | Run]:
        """See :meth:`borough.store.port.Unit.strays`."""
        pieces: list[Block | Run] = [*self.blocks(), *self.runs()]
        return [each for each in pieces if each.subnet_id not in self._tables.subnets]

    def remove_strays(self) -> None:
        """See :meth:`borough.store.port.Unit.remove_strays`."""
        for piece in self.strays():
            self._clear_space(piece.subnet_id)

    def rehome(self, allocation: AllocationRow, subnet_id: int) -> None:
        """See :meth:`borough.store.port.Unit.rehome`."""
        key = (allocation.scope, allocation.family, allocation.address)
        _expect(self._tables.allocations.get(key), allocation)
        self._tables.allocations[key] = replace(allocation, subnet_id=subnet_id)

    def _next(self) -> int:
        self._tables.next_id += 1
        return self._tables.next_id - 1


def _of(pieces: Iterable[Any], subnet_ids: Sequence[int] | None) -> list[Any]:
    found = [each for each in pieces if subnet_ids is None or each.subnet_id in subnet_ids]
    return sorted(found, key=lambda each: (each.subnet_id, each.prefix))


def _pop(table: dict[int, Run], id: int) -> None:
    if table.pop(id, None) is None:
        raise LostRace(id)


def _expect(stored: object, expected: object) -> None:
    if stored != expected:
        raise LostRace(expected)


def _inside(subnet: Subnet, allocation: AllocationRow) -> bool:
    return (allocation.scope, allocation.family) == (
        subnet.scope,
        subnet.family,
    ) and subnet.prefix.holds(allocation.address)
