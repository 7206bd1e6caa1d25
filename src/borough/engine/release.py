"""Release all addresses of a filter, in one transaction and a page of addresses at a time."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from borough.domain.policy import allocate
from borough.domain.space.allocations import AllocationRow, State
from borough.domain.space.events import EventRow
from borough.domain.space.filters import Filter
from borough.domain.space.plan import Act, Note, Plan
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
    at_once: bool = False,
) -> tuple[Released, Sequence[Note]]:
    """Release the allocations of a filter, and return the regions that are then unused.

    :param leaving: see :func:`borough.domain.policy.allocate.release`.
    :param most: most addresses that the answer lists; None for all.
    :param subnet_ids: release only addresses of these subnets; None for all. Other addresses of the filter
        are read too, but in order: a page of some subnets would read all their addresses.
    :param at_once: True to skip cool-downs, and to end those that have begun.
    :return: the addresses as they were, and the returned regions.
    """
    catalogue = unit.catalogue
    inside = catalogue.subnets.keys() if subnet_ids is None else frozenset(subnet_ids)
    shown: list[Allocation] = []
    among: set[tuple[str, int]] = set()
    total = 0
    for page in pages(unit, selected):
        held = [
            each
            for each in page
            if (at_once or each.state is State.ALLOCATED) and each.subnet_id in inside
        ]
        shown += show_all(unit, held if most is None else held[: most - len(shown)])
        total += len(held)
        end_rests(unit, held, now)
        plan = allocate.free(catalogue, unit, held, now, at_once=at_once)
        among |= allocate.emptied(catalogue, plan)
        unit.commit(plan, now)
    plan = Plan()
    allocate.return_unused(catalogue, unit, plan, among, leaving=leaving)
    unit.commit(plan, now)
    return Released(tuple(shown), total), plan.notes


def end_rests(unit: Unit, released: Sequence[AllocationRow], now: int) -> None:
    """Record the cool-downs that end early: the events of their release are written already."""
    subnets = unit.catalogue.subnets
    unit.record(
        *(
            EventRow(
                now,
                Act.RELEASED,
                each.text,
                subnets[each.subnet_id].name,
                each.owner,
                each.host,
                each.sequence,
                "cool-down ended",
            )
            for each in released
            if each.state is State.COOLING
        )
    )
