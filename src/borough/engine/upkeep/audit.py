"""Find contradictions of the stored state, and repair it from the certain part.

Certain are the declared objects, the allocations, and the claims without a contradiction. An allocation is
never removed and keeps its sequence number; other wrong rows are made again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import chain

from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.records import Subnet
from borough.domain.encode import plain
from borough.domain.space.allocations import AllocationRow
from borough.domain.space.blocks import Block, FreeRange
from borough.domain.space.events import EventRow
from borough.domain.space.findings import Finding
from borough.domain.space.inspect_catalogue import (
    inspect_cohorts,
    inspect_members,
    inspect_overlaps,
    inspect_pools,
)
from borough.domain.space.inspection import certain_claims, inspect, misfiled
from borough.domain.space.orphans import Orphan
from borough.domain.space.plan import Act, Plan
from borough.domain.space.rebuild import rebuild
from borough.engine.partial import telling
from borough.engine.upkeep.audit_times import bring_back, late
from borough.store.port import Inspection, ReadSpace, ReadUnit, Store, Unit, WriteTrail

__all__ = ["Finding", "audit"]

#: Longest subject of an event; a cohort's text can be longer.
_SUBJECT = 255


def audit(
    store: Store,
    clock: Callable[[], int],
    *,
    repair: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[Finding]:
    """See :meth:`borough.engine.ipam.Ipam.audit`.

    Every subnet is read in a unit of its own, so that other calls can write in between. With ``repair``,
    each subnet with findings is read again and repaired in a unit of its own. An error has under ``done``
    the earlier repairs.

    :param clock: the time in microseconds since the epoch, for the events.
    """
    repaired: list[Finding] = []
    with telling(lambda: {"findings": plain(repaired)} if repaired else {}):
        seen = store.transact(_unreadable_cohorts, write=False)
        if seen:
            # The rest cannot be read before these are removed.
            if not repair:
                return seen
            repaired += store.transact(_RepairCatalogue(seen, clock()), declares=True)
        survey = store.transact(lambda unit: _survey(unit, clock()), write=False)
        local: dict[int, list[Finding]] = {}
        for done, subnet_id in enumerate(survey.subnet_ids, 1):
            found = store.transact(_Inspect(subnet_id), write=False)
            if found:
                local[subnet_id] = found
            if progress:
                progress(done, len(survey.subnet_ids))
        if not repair:
            return [*survey.found, *chain.from_iterable(local.values()), *survey.unrepairable]
        if survey.found:
            repaired += store.transact(_RepairCatalogue(survey.found, clock()), declares=True)
        for subnet_id, found in local.items():
            repaired += store.transact(_Repair(subnet_id, found, clock()))
    return [*repaired, *survey.unrepairable]


def _repaired(unit: WriteTrail, seen: Iterable[Finding], now: int) -> list[Finding]:
    """The findings, each once, marked as repaired and recorded as events."""
    found = {(each.code, each.subnet, each.subject): each for each in seen}
    for each in found.values():
        subject, detail = each.subject[:_SUBJECT], f"{each.code}: {each.message}"
        unit.record(EventRow(now, Act.REPAIRED, subject, each.subnet, detail=detail))
    return [replace(each, repaired=True) for each in found.values()]


# --- The catalogue ----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Survey:
    """Findings beyond single subnets.

    :ivar unrepairable: findings for an operator to decide.
    :ivar subnet_ids: all subnets, by scope and address.
    """

    found: list[Finding]
    unrepairable: list[Finding]
    subnet_ids: list[int]


def _unreadable_cohorts(unit: Inspection) -> list[Finding]:
    stored = [each for each in unit.stored_cohorts() if each.key is None]
    return list(inspect_cohorts(stored).values())


def _survey(unit: ReadUnit, now: int) -> _Survey:
    catalogue = unit.reload()
    ordered = sorted(catalogue.subnets.values(), key=lambda subnet: (subnet.scope, subnet.prefix))
    return _Survey(
        [
            *inspect_cohorts(unit.stored_cohorts()).values(),
            *inspect_members(catalogue).values(),
            *map(_stray, unit.strays()),
            *late(unit, now),
        ],
        [
            *inspect_overlaps(catalogue),
            *inspect_pools(catalogue),
            *(_misnamed(catalogue, each, None) for each in unit.homeless()),
            *(_orphaned(each) for each in unit.orphans() if each.is_due(now)),
            *unit.risks(),
        ],
        [subnet.id for subnet in ordered],
    )


@dataclass(frozen=True)
class _RepairCatalogue:
    """A unit of work that repairs cohorts and times, and removes space without a subnet.

    :ivar seen: what an earlier unit found.
    :ivar now: microseconds since the epoch.
    """

    seen: list[Finding]
    now: int

    def __call__(self, unit: Unit) -> list[Finding]:
        wrong = inspect_cohorts(unit.stored_cohorts())
        for cohort_id in wrong:
            # Otherwise its subnets could be put into the wrong row again.
            unit.retire_cohort(cohort_id)
        catalogue = unit.reload()
        members = inspect_members(catalogue)
        if wrong or members:
            for subnet_id in members:
                unit.put_subnet(catalogue.subnets[subnet_id])
            unit.touch(catalogue.version)
        strays = unit.strays()
        unit.remove_strays()
        overdue = bring_back(unit, self.now)
        return _repaired(
            unit,
            [
                *self.seen,
                *wrong.values(),
                # A subnet of a retired cohort is no finding of its own.
                *(each for id, each in members.items() if catalogue.cohort_of[id] not in wrong),
                *map(_stray, strays),
                *overdue,
            ],
            self.now,
        )


def _stray(piece: Block | FreeRange) -> Finding:
    kind = "block" if isinstance(piece, Block) else "unused space"
    return Finding(
        "unknown_subnet",
        "",
        str(piece.prefix),
        f"{kind} {piece.prefix} belongs to subnet {piece.subnet_id}, which does not exist",
    )


def _orphaned(orphan: Orphan) -> Finding:
    """The finding for an orphan; only its driver can release it."""
    subject = orphan.address or "an address whose answer was lost"
    reason = orphan.reason or "the process ended during its release"
    return Finding(
        "left_behind",
        orphan.subnet,
        orphan.address or f"token {orphan.token}",
        f"driver {orphan.driver} may still hold {subject}"
        + (f" for {orphan.owner}" if orphan.owner else "")
        + f": {reason}; the driver tries again",
    )


def _misnamed(catalogue: Catalogue, allocation: AllocationRow, right: Subnet | None) -> Finding:
    """The finding for an allocation that is stored under a subnet that does not contain it.

    :param right: the subnet that contains it.
    """
    named = catalogue.subnets.get(allocation.subnet_id)
    if named is None:
        code, filed = "unknown_subnet", f"{allocation.subnet_id}, which does not exist"
    else:
        code = "allocation_outside_subnet"
        filed = f"{named.name} ({named.prefix} of scope {named.scope})"
    lies = (
        f"it lies in subnet {right.name}"
        if right
        else f"no subnet of scope {allocation.scope} covers it; add one and audit again"
    )
    message = f"{allocation.text} is stored under subnet {filed}, but {lies}"
    return Finding(code, named.name if named else "", allocation.text, message)


# --- One subnet -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Reading:
    """A subnet as one unit sees it.

    :ivar taken: addresses of its prefix that are allocated or cool down, stored under any subnet.
    :ivar strangers: allocations of its prefix that are stored under another subnet.
    :ivar space: findings of blocks and free ranges.
    """

    blocks: list[Block]
    free_ranges: list[FreeRange]
    taken: list[int]
    strangers: list[AllocationRow]
    space: list[Finding]


def _read(unit: ReadUnit, subnet: Subnet) -> _Reading:
    catalogue = unit.catalogue
    blocks, free_ranges = unit.blocks([subnet.id]), unit.free_ranges([subnet.id])
    taken: list[int] = []
    strange: list[int] = []
    for address, subnet_id in unit.taken_in(subnet):
        taken.append(address)
        if subnet_id != subnet.id and not _lies_in(catalogue, subnet_id, subnet, address):
            strange.append(address)
    found = [unit.allocation_at(subnet.scope, subnet.family, address) for address in strange]
    cohort_id = catalogue.cohort_of[subnet.id]
    space = [
        *inspect(subnet, cohort_id, blocks, free_ranges, taken, unit.stored_counts(subnet.id)),
        *misfiled(subnet, unit.misfiled(subnet.id)),
    ]
    return _Reading(blocks, free_ranges, taken, [each for each in found if each is not None], space)


def _lies_in(catalogue: Catalogue, subnet_id: int, here: Subnet, address: int) -> bool:
    """True when an address of ``here`` also lies in the subnet under which it is stored.

    Subnets that overlap would otherwise take its allocations from each other, audit after audit.
    """
    named = catalogue.subnets.get(subnet_id)
    return (
        named is not None
        and (named.scope, named.family) == (here.scope, here.family)
        and named.prefix.holds(address)
    )


def _findings(unit: ReadSpace, subnet: Subnet, reading: _Reading) -> list[Finding]:
    strangers = (_misnamed(unit.catalogue, each, subnet) for each in reading.strangers)
    return [*reading.space, *strangers]


@dataclass(frozen=True)
class _Inspect:
    """A unit of work that inspects one subnet."""

    subnet_id: int

    def __call__(self, unit: ReadUnit) -> list[Finding]:
        # The subnet may have been removed since the survey.
        subnet = unit.catalogue.subnets.get(self.subnet_id)
        return _findings(unit, subnet, _read(unit, subnet)) if subnet else []


@dataclass(frozen=True)
class _Repair:
    """A unit of work that reads one subnet again, because it may have changed, and repairs it.

    :ivar seen: what an earlier unit found.
    :ivar now: microseconds since the epoch.
    """

    subnet_id: int
    seen: list[Finding]
    now: int

    def __call__(self, unit: Unit) -> list[Finding]:
        subnet = unit.catalogue.subnets.get(self.subnet_id)
        if subnet is None:
            return []
        unit.lock_space([subnet.id])
        reading = _read(unit, subnet)
        unit.rehome([(each, replace(each, subnet_id=subnet.id)) for each in reading.strangers])
        if reading.space:
            claims = certain_claims(subnet, reading.blocks, reading.free_ranges)
            cohort_id = unit.catalogue.cohort_of[subnet.id]
            blocks, free_ranges = rebuild(subnet, cohort_id, reading.taken, claims)
            unit.commit(
                Plan(blocks_removed=reading.blocks, free_ranges_removed=reading.free_ranges),
                self.now,
            )
            unit.commit(Plan(blocks_added=blocks, free_ranges_added=free_ranges), self.now)
        return _repaired(unit, [*self.seen, *_findings(unit, subnet, reading)], self.now)
