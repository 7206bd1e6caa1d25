"""Addresses of owners that no longer live: released when two checks, a grace period apart, miss them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from borough.domain.space.allocations import State
from borough.engine.face import Face
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


def reconcile_owners(
    ipam: Face,
    living: Collection[str],
    before: Missing,
    now: datetime,
    *,
    grace: timedelta,
    owner_prefix: str | None = None,
    scope: str | None = None,
    dry_run: bool = False,
) -> Reconciled:
    """Compare the owners of addresses with a list of living ones, and release what both checks miss.

    An allocation is known by its sequence number. So an address that was released and allocated again
    between two checks is a new one. Addresses without an owner stay. Each release is a transaction,
    guarded by owner and sequence number: an interrupted check is made again.

    :param before: ``missing`` of the check before; empty for the first one.
    :param now: the time of this check.
    :param grace: least time between the two checks.
    :param owner_prefix: only owners whose name begins so; others are not in the list.
    :raises FixInput: the list is empty, which would release everything.
    """
    names = frozenset(living)
    if not names:
        raise FixInput("the list of living owners is empty; to release everything, name the owners")
    gone: list[Allocation] = []
    waiting: list[Allocation] = []
    missing: dict[int, datetime] = {}
    for each in ipam.each_allocation(scope=scope, owner_prefix=owner_prefix):
        if each.state != State.ALLOCATED or not each.owner or each.owner in names:
            continue
        first = missing[each.sequence] = min(before.get(each.sequence, now), now)
        is_due = each.sequence in before and now - first >= grace
        (gone if is_due else waiting).append(each)
    released: list[Allocation] = []
    with telling(lambda: {"released": len(released)} if released and not dry_run else {}):
        for each in gone:
            if dry_run or _release(ipam, each):
                released.append(each)  # noqa: PERF401  (an error tells how many there are so far)
    if not dry_run:
        for each in gone:
            missing.pop(each.sequence)
    return Reconciled(tuple(released), tuple(waiting), dry_run, missing)


def _release(ipam: Face, each: Allocation) -> bool:
    """Release an address, unless somebody else did or has it."""
    try:
        ipam.release(each.address, owner=each.owner, sequence=each.sequence, scope=each.scope)
    except (NotAllocated, StaleSequence):
        return False
    return True
