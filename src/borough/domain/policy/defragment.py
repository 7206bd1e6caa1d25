"""Proposal of addresses to renumber so that hosts advertise fewer routes.

Each step is tried on a copy of the address space: the code that decides requests releases the address
and allocates another one, and the routes before and after are counted. The proposal therefore holds when its
steps are carried out in order.

The search is greedy. It tries every address outside of its host's regions, first singly, then those of a
host together, which may start a region. Then it tries to empty the smallest regions of hosts with several.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import NamedTuple, Protocol, Self

from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.dimensions import HOST
from borough.domain.net.addresses import WIDTH, Family
from borough.domain.net.fewest_routes import Territory, strict_routes
from borough.domain.net.prefixes import Prefix, merge_intervals, outermost
from borough.domain.policy import allocate
from borough.domain.policy.reassign import claimant_of, holder_of
from borough.domain.policy.selection import climb, resolve_selector
from borough.domain.request import Request
from borough.domain.space.allocations import AllocationRow, State
from borough.domain.space.blocks import BLOCK_BITS, Block
from borough.domain.space.plan import Plan, Space


class Trial(Space, Protocol):
    """A state of the address space to try plans on."""

    def play(self, plan: Plan) -> Self:
        """The state after a plan; this one does not change."""

    def territory(self, scope: str, family: Family, window: Prefix) -> Mapping[str, Territory]:
        """The claims and addresses of each host inside a prefix."""


@dataclass(frozen=True, slots=True)
class Renumbering:
    """A proposal to replace one address by another one.

    :ivar allocation: the present allocation.
    :ivar to: the allocation after the step.
    :ivar saves: routes that this step saves; 0 when it only prepares later steps.
    """

    allocation: AllocationRow
    to: AllocationRow
    saves: int


class _Step(NamedTuple):
    after: Trial
    renumbering: Renumbering


#: Addresses that are tried together.
_Batch = Sequence[AllocationRow]


def propose(
    catalogue: Catalogue,
    trial: Trial,
    blocks: Iterable[Block],
    allocations: Iterable[AllocationRow],
    now: int,
    limit: int,
) -> list[Renumbering]:
    """Find addresses to renumber, in the order of the steps.

    :param blocks: all blocks of the trial.
    :param allocations: those that may be renumbered.
    :param now: microseconds since the epoch.
    :param limit: most steps.
    """
    singles, together, regions = _batches(catalogue, blocks, allocations)
    found: list[Renumbering] = []
    for batch in chain(singles, together, regions):
        done = {each.allocation.sequence for each in found}
        rest = [each for each in batch if each.sequence not in done]
        if len(found) + len(rest) > limit:
            continue
        steps = _best(catalogue, trial, rest, now)
        if steps:
            trial = steps[-1].after
            found += [step.renumbering for step in steps]
    return found


def _best(catalogue: Catalogue, trial: Trial, batch: _Batch, now: int) -> list[_Step]:
    """The shortest start of a batch that saves most; empty when none saves a route."""
    steps: list[_Step] = []
    saved = best = length = 0
    for allocation in batch:
        step = _renumber(catalogue, trial, allocation, now)
        if step is None:
            continue
        steps.append(step)
        trial = step.after
        saved += step.renumbering.saves
        if saved > best:
            best, length = saved, len(steps)
    return steps[:length]


# --- Batches ----------------------------------------------------------------------------------


def _batches(
    catalogue: Catalogue, blocks: Iterable[Block], allocations: Iterable[AllocationRow]
) -> tuple[list[_Batch], list[_Batch], list[_Batch]]:
    """Addresses outside of their host's regions one by one, and by host; and small regions."""
    at: dict[tuple[int, int], list[Block]] = {}
    for block in blocks:
        at.setdefault((block.subnet_id, block.prefix.base >> BLOCK_BITS), []).append(block)
    outside: dict[tuple[str, int], list[AllocationRow]] = {}
    inside: dict[tuple[str, int], dict[Prefix, list[AllocationRow]]] = {}
    for each in sorted(allocations, key=lambda each: (each.scope, each.family, each.address)):
        near = at.get((each.subnet_id, each.address >> BLOCK_BITS), ())
        around = next((block for block in near if block.prefix.holds(each.address)), None)
        if around is None or each.state is not State.ALLOCATED or not each.host:
            continue
        key = (each.host, around.cohort_id)
        if around.holder == holder_of(each.host):
            inside.setdefault(key, {}).setdefault(around.region(), []).append(each)
        elif claimant_of(catalogue, each.host) == holder_of(each.host):
            outside.setdefault(key, []).append(each)
    loans: list[_Batch] = [outside[key] for key in sorted(outside)]
    return [[each] for batch in loans for each in batch], loans, list(_small(inside))


def _small(inside: Mapping[tuple[str, int], Mapping[Prefix, _Batch]]) -> Iterator[_Batch]:
    """All regions but the largest of hosts with several, the smallest first."""
    for _, regions in sorted(inside.items()):
        ordered = sorted(regions, key=lambda region: (-region.length, region))
        yield from (regions[region] for region in ordered[:-1])


# --- One step ---------------------------------------------------------------------------------


def _renumber(
    catalogue: Catalogue, trial: Trial, allocation: AllocationRow, now: int
) -> _Step | None:
    """Release an address and allocate one of the same subnets; None when it is the same one."""
    released = allocate.release(catalogue, trial, [allocation], now)
    between = trial.play(released)
    members = catalogue.members[catalogue.cohort_of[allocation.subnet_id]]
    request = Request(
        scope=allocation.scope,
        labels={HOST: frozenset([allocation.host])},
        tiers=(tuple(subnet.name for subnet in members),),
        host=allocation.host,
        families=(allocation.family,),
        owner=allocation.owner,
        attributes=allocation.attributes,
    )
    selector, ladder = resolve_selector(catalogue, request), climb(catalogue, request)
    plan = allocate.allocate(
        allocate.ResolvedRequest(catalogue, request, selector, ladder, now), between
    )
    if plan is None or plan.grants[0].allocation.address == allocation.address:
        return None
    to = plan.grants[0].allocation
    touched = [_host_prefix(allocation), _host_prefix(to)]
    touched += [note.prefix for note in (*released.notes, *plan.notes)]
    after = between.play(plan)
    saves = _saving(trial, after, allocation.scope, touched)
    return _Step(after, Renumbering(allocation, replace(to, sequence=0), saves))


def _host_prefix(allocation: AllocationRow) -> Prefix:
    return Prefix(allocation.family, allocation.address, WIDTH[allocation.family])


def _saving(before: Trial, after: Trial, scope: str, touched: Iterable[Prefix]) -> int:
    """Number of routes saved, counted around the changed addresses.

    No prefix covers a window that no single host may cover, so the routes inside it depend on nothing
    outside of it.
    """
    windows = outermost(_window(before, after, scope, prefix) for prefix in touched)
    return sum(_count(before, scope, window) - _count(after, scope, window) for window in windows)


def _window(before: Trial, after: Trial, scope: str, prefix: Prefix) -> Prefix:
    while prefix.length and (_is_one(before, scope, prefix) or _is_one(after, scope, prefix)):
        prefix = prefix.parent
    return prefix


def _is_one(trial: Trial, scope: str, window: Prefix) -> bool:
    """True when a single host may advertise the whole window."""
    whole = [(window.base, window.last)]
    return any(
        merge_intervals(
            [
                *((prefix.base, prefix.last) for prefix in (*each.claimed, *each.around)),
                *((address, address) for address in each.held),
            ]
        )
        == whole
        for each in trial.territory(scope, window.family, window).values()
    )


def _count(trial: Trial, scope: str, window: Prefix) -> int:
    routes = strict_routes(window.family, trial.territory(scope, window.family, window))
    return sum(map(len, routes.values()))
