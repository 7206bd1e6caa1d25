"""Release of addresses by name, and of all addresses of a filter, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.dimensions import HOST
from borough.domain.declared.lookup import check_scope
from borough.domain.encode import plain, utc
from borough.domain.net.addresses import format_address
from borough.domain.policy import allocate
from borough.domain.space.allocations import AllocationRow, State
from borough.domain.space.events import EventRow
from borough.domain.space.filters import Filter
from borough.domain.space.plan import Act, Note, Plan, Space
from borough.engine.queries import pages, seen_ids
from borough.engine.request import ReleaseRequest
from borough.engine.sharing import check_last, detach
from borough.engine.views import Allocation, Released, show_all
from borough.errors import NotAllocated, StaleSequence
from borough.store.port import Unit


def release(
    unit: Unit,
    request: ReleaseRequest,
    now: int,
    *,
    most: int | None = None,
    seen: Callable[[Catalogue], Collection[str]] | None = None,
) -> Released:
    """Release addresses by name, or all of an owner, or all on a host.

    :param now: microseconds since the epoch.
    :param most: most addresses that the answer lists of an owner or a host; None for all.
    :param seen: names of the subnets that the caller sees. Of an owner or a host only their addresses are
        released, and claims stay. None for all.
    :return: the addresses as they were.
    :raises NotAllocated: an address named is not allocated, or another owner or host has it.
    :raises StaleSequence: the address was allocated again meanwhile.
    """
    owner, host, at_once = request.owner, request.host, request.now
    if seen is None and request.scope is not None:
        check_scope(unit.catalogue, request.scope)
    if request.addresses:
        found = [_held(unit, *place, at_once=at_once) for place in request.places]
        for each in found:
            _check_holder(each, owner, host, request.sequence)
            check_last(each, owner)
        shown = show_all(unit, found)
        end_rests(unit, found, now)
        last = detach(unit, found, owner, now)
        unit.commit(allocate.release(unit.catalogue, unit, last, now, at_once=at_once), now)
        return Released(tuple(shown), len(shown))
    # A host that is released as a whole is gone, and so are its claims.
    leaving = f"{HOST}={host}" if host and not owner and seen is None else ""
    selected = Filter(scope=request.scope, owner=owner or None, host=host or None)
    ids = None if seen is None else seen_ids(unit.catalogue, seen(unit.catalogue))
    return release_all(
        unit, selected, now, leaving=leaving, most=most, subnet_ids=ids, at_once=at_once
    )[0]


def _held(unit: Space, scope: str, family: int, number: int, *, at_once: bool) -> AllocationRow:
    found = unit.allocation_at(scope, family, number)
    text = format_address(family, number)
    if found is None:
        raise NotAllocated(f"{text} is not allocated in scope {scope}", address=text)
    if found.state is State.RESERVED:
        raise NotAllocated(
            f"{text} is not allocated in scope {scope}: it is reserved for {found.owner or 'nobody'}; "
            "cancel the reservation with `borough cancel` to free it",
            address=text,
            owner=found.owner,
        )
    if found.state is State.COOLING and not at_once:
        until = plain(utc(found.until or 0))
        raise NotAllocated(
            f"{text} is not allocated in scope {scope}: it was released, and cools down until "
            f"{until}; release it with --now, or now=True, to end that",
            address=text,
            cooling_until=until,
        )
    return found


def _check_holder(allocation: AllocationRow, owner: str, host: str, sequence: int | None) -> None:
    """Compare the conditions of a release with the present allocation (rule 8)."""
    facts = {
        "address": allocation.text,
        "owner": allocation.owners_text,
        "host": allocation.host,
        "sequence": allocation.sequence,
    }
    if sequence is not None and allocation.sequence != sequence:
        raise StaleSequence(
            f"{allocation.text} has sequence {allocation.sequence}, not {sequence}: "
            "it was released and allocated again since",
            **facts,
        )
    if (owner and not allocation.is_held_by(owner)) or (host and host != allocation.host):
        raise NotAllocated(
            f"{allocation.text} is held by {allocation.owners_text or 'an unnamed owner'}"
            + (f" on host {allocation.host}" if allocation.host else "")
            + ", and not as the release says",
            **facts,
        )


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
    ends = {State.ALLOCATED, State.COOLING} if at_once else {State.ALLOCATED}
    shown: list[Allocation] = []
    among: set[tuple[str, int]] = set()
    total = 0
    for page in _pages(unit, selected):
        held = [each for each in page if each.state in ends and each.subnet_id in inside]
        shown += show_all(unit, held if most is None else held[: most - len(shown)])
        total += len(held)
        end_rests(unit, held, now)
        for some in in_plans(detach(unit, held, selected.owner or "", now)):
            plan = allocate.free(catalogue, unit, some, now, at_once=at_once)
            among |= allocate.emptied(catalogue, plan)
            unit.commit(plan, now)
    plan = Plan()
    allocate.return_unused(catalogue, unit, plan, among, leaving=leaving)
    unit.commit(plan, now)
    return Released(tuple(shown), total), plan.notes


def _pages(unit: Unit, selected: Filter) -> Iterator[list[AllocationRow]]:
    """The rows of a filter page by page, and the shared addresses of its owner."""
    yield from pages(unit, selected)
    if selected.owner and not selected.host:
        yield from pages(unit, replace(selected, owner=None, sharer=selected.owner))


def in_plans(held: Sequence[AllocationRow]) -> Iterable[Sequence[AllocationRow]]:
    """The rows of one plan each.

    A plan finds the events of its reservations by their addresses, which two scopes may share.
    """
    if not any(each.sticky for each in held):
        return [held] if held else []
    ordered = sorted(held, key=lambda each: each.scope)
    return [list(some) for _, some in groupby(ordered, key=lambda each: each.scope)]


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
                each.owners_text,
                each.host,
                each.sequence,
                "cool-down ended",
                scope=each.scope,
                address=(each.family, each.address),
            )
            for each in released
            if each.state is State.COOLING
        )
    )
