"""Addresses of owners that no longer live: released when two checks, a grace period apart, miss them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from borough.domain.space.allocations import State
from borough.engine.partial import telling
from borough.engine.views import Allocation
from borough.errors import FixInput, NotAllocated, StaleSequence

#: Missing allocations by sequence number, each with the time of the first check that missed its owner.
Missing = Mapping[int, datetime]


@dataclass(frozen=True)
class Reconciled:
    """Outcome of a check.

    :ivar released: allocations that were released, or would be.
    :ivar waiting: allocations whose owner is missing, but not yet for the grace period.
    :ivar missing: what the next check has to be given.
    """

    released: tuple[Allocation, ...]
    waiting: tuple[Allocation, ...]
    dry_run: bool
    missing: Missing = field(repr=False)


class Reads(Protocol):
    """See :meth:`borough.engine.face.Face.each_allocation`."""

    def __call__(self, *, scope: str | None, owner_prefix: str | None) -> Iterable[Allocation]:
        """List the allocations of a scope, of owners whose name begins so."""


def reconcile(
    read: Reads,
    release: Callable[[Allocation, str], object],
    living: Collection[str],
    before: Missing,
    now: datetime,
    *,
    grace: timedelta,
    owner_prefix: str | None = None,
    scope: str | None = None,
    dry_run: bool = False,
) -> Reconciled:
    """See :meth:`borough.engine.face.Face.reconcile_owners`.

    :param read: lists allocations.
    :param release: releases an address for one of its owners, if it is still as it was.
    """
    names = frozenset(living)
    if not names:
        raise FixInput("the list of living owners is empty; to release everything, name the owners")
    gone: list[Allocation] = []
    waiting: list[Allocation] = []
    missing: dict[int, datetime] = {}
    for each in read(scope=scope, owner_prefix=owner_prefix):
        owners = each.sharers or (each.owner,)
        if each.state != State.ALLOCATED or not all(owners) or not names.isdisjoint(owners):
            continue
        first = missing[each.sequence] = min(before.get(each.sequence, now), now)
        is_due = each.sequence in before and now - first >= grace
        (gone if is_due else waiting).append(each)
    released: list[Allocation] = []
    with telling(lambda: {"released": len(released)} if released and not dry_run else {}):
        for each in gone:
            if dry_run or _release(release, each):
                released.append(each)  # noqa: PERF401  (an error tells how many there are so far)
    if not dry_run:
        for each in gone:
            missing.pop(each.sequence)
    return Reconciled(tuple(released), tuple(waiting), dry_run, missing)


def _release(release: Callable[[Allocation, str], object], each: Allocation) -> bool:
    """Release an address of its owners, unless somebody else did or has it."""
    try:
        for owner in each.sharers or (each.owner,):
            release(each, owner)
    except (NotAllocated, StaleSequence):
        return False
    return True
