"""Releasing all that a filter means, in one transaction and a page of addresses at a time."""

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
    wanted: Filter,
    now: int,
    *,
    leaving: str = "",
    most: int | None = None,
    subnet_ids: Collection[int] | None = None,
    at_once: bool = False,
) -> tuple[Released, Sequence[Note]]:
    """Release what is held, and give up the regions that are unused then.

    :param leaving: see :func:`borough.domain.policy.allocate.release`.
    :param most: how many addresses the answer lists; None for all.
    :param subnet_ids: release what lies in these subnets; None for all. Whatever else the filter means is
        read as well, but in order: a page of some subnets would read all that they hold.
    :param at_once: whether nothing cools down, and what does so already is free as well.
    :return: what was released, as it was, and what was given up.
    """
    catalogue = unit.catalogue
    inside = catalogue.subnets.keys() if subnet_ids is None else frozenset(subnet_ids)
    shown: list[Allocation] = []
    among: set[tuple[str, int]] = set()
    total = 0
    for page in pages(unit, wanted):
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
    allocate.give_up_unused(catalogue, unit, plan, among, leaving=leaving)
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
