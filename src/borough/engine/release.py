"""Release all addresses of a filter, in one transaction and a page of addresses at a time."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from borough.domain.policy import allocate
from borough.domain.space.allocations import State
from borough.domain.space.filters import Filter
from borough.domain.space.plan import Note, Plan
from borough.engine.queries import pages
from borough.engine.views import Allocation, Released, show_all
from borough.store.port import Unit


def release_all(
    unit: Unit,
    selected: Filter,
    now: int,
    *,
    leaving: str = "",
    most: int | None = None,
    subnet_ids: Collection[int] | None = None,
) -> tuple[Released, Sequence[Note]]:
    """Release the allocations of a filter, and return the regions that are then unused.

    :param leaving: see :func:`borough.domain.policy.allocate.release`.
    :param most: most addresses that the answer lists; None for all.
    :param subnet_ids: release only addresses of these subnets; None for all. Other addresses of the filter
        are read too, but in order: a page of some subnets would read all their addresses.
    :return: the addresses as they were, and the returned regions.
    """
    catalogue = unit.catalogue
    inside = catalogue.subnets.keys() if subnet_ids is None else frozenset(subnet_ids)
    shown: list[Allocation] = []
    among: set[tuple[str, int]] = set()
    total = 0
    for page in pages(unit, selected):
        held = [each for each in page if each.state is State.ALLOCATED and each.subnet_id in inside]
        shown += show_all(unit, held if most is None else held[: most - len(shown)])
        total += len(held)
        plan = allocate.free(catalogue, unit, held, now)
        among |= allocate.emptied(catalogue, plan)
        unit.commit(plan, now)
    plan = Plan()
    allocate.return_unused(catalogue, unit, plan, among, leaving=leaving)
    unit.commit(plan, now)
    return Released(tuple(shown), total), plan.notes
