"""Return idle claims to the pool: one pass over all address space."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from borough.domain.encode import plain
from borough.domain.net.prefixes import Prefix
from borough.domain.policy.reclaim import reclaim_idle
from borough.domain.space.allocations import AllocationRow, State
from borough.domain.space.blocks import Block
from borough.domain.space.plan import Act, Plan
from borough.domain.space.regions import regions
from borough.engine.partial import telling
from borough.engine.views import Claim, show_claim
from borough.store.port import ReadSpace, Store, Unit

#: Regions of one unit of work: few, so that it is short and seldom conflicts with another one.
_PAGE: Final = 32


@dataclass(frozen=True, slots=True)
class Reclaimed:
    """The changes of one pass.

    :ivar rested: addresses whose cool-down has ended.
    :ivar ended: addresses whose lease has ended.
    :ivar marked: claims that are idle for the first time; a later pass returns those that still are.
    :ivar reclaimed: returned claims: regions, or the upper halves of little used ones.
    :ivar joined: unclaimed unused blocks that became free ranges.
    """

    rested: int = 0
    ended: int = 0
    marked: tuple[Claim, ...] = ()
    reclaimed: tuple[Claim, ...] = ()
    joined: int = 0


@dataclass
class _Tally:
    rested: int = 0
    ended: int = 0
    marked: list[Claim] = field(default_factory=list)
    reclaimed: list[Claim] = field(default_factory=list)
    joined: int = 0

    def done(self) -> Reclaimed:
        marked, reclaimed = tuple(self.marked), tuple(self.reclaimed)
        return Reclaimed(self.rested, self.ended, marked, reclaimed, self.joined)

    def as_json(self) -> dict[str, Any]:
        """The changes so far; empty for none."""
        done = self.done()
        return {} if done == Reclaimed() else dict(plain(done))


def reclaim(
    store: Store, clock: Callable[[], int], expire: Callable[[], Sequence[AllocationRow]]
) -> Reclaimed:
    """Read all blocks without locks, and change the idle ones, a page of regions at a time.

    After a conflict only the page of the conflict is repeated.

    :param expire: ends some of the cool-downs and leases that are over, and returns them as they were.
    """
    tally = _Tally()
    with telling(tally.as_json):
        while expired := expire():
            leases = sum(each.state is State.ALLOCATED for each in expired)
            tally.ended += leases
            tally.rested += len(expired) - leases
        subnet_ids = store.transact(lambda unit: sorted(unit.catalogue.subnets), write=False)
        for subnet_id in subnet_ids:
            idle = store.transact(_FindIdle(subnet_id, clock()), write=False)
            for page in _pages(idle):
                done = store.transact(_Reclaim(subnet_id, page, clock()))
                tally.marked += done.marked
                tally.reclaimed += done.reclaimed
                tally.joined += done.joined
    return tally.done()


def _pages(prefixes: list[Prefix]) -> Iterable[list[Prefix]]:
    return (prefixes[start : start + _PAGE] for start in range(0, len(prefixes), _PAGE))


@dataclass(frozen=True)
class _FindIdle:
    """A unit of work that finds the regions and blocks of a subnet to change."""

    subnet_id: int
    now: int

    def __call__(self, unit: ReadSpace) -> list[Prefix]:
        # The subnet may have been removed since the list was made.
        if self.subnet_id not in unit.catalogue.subnets:
            return []
        return [
            region
            for region, blocks in regions(unit.blocks([self.subnet_id]))
            if not reclaim_idle(unit.catalogue, unit, blocks, self.now).is_empty
        ]


@dataclass(frozen=True)
class _Reclaim:
    """A unit of work that reads some regions again, because they may have changed, and changes them."""

    subnet_id: int
    prefixes: list[Prefix]
    now: int

    def __call__(self, unit: Unit) -> _Tally:
        if self.subnet_id not in unit.catalogue.subnets:
            return _Tally()
        blocks = [
            block
            for prefix in self.prefixes
            for block in unit.blocks_in(self.subnet_id, prefix)
            # A region of another size is no longer the one that was found idle.
            if block.region() == prefix
        ]
        plan = reclaim_idle(unit.catalogue, unit, blocks, self.now)
        unit.commit(plan, self.now)
        return _tally(unit, plan)


def _tally(unit: ReadSpace, plan: Plan) -> _Tally:
    def claim(block: Block) -> Claim:
        return show_claim(unit.catalogue, block.subnet_id, block.region(), block.holder)

    return _Tally(
        marked=[
            claim(new)
            for old, new in plan.changed.values()
            if new.holder and new.idle_since and not old.idle_since
        ],
        reclaimed=[
            show_claim(unit.catalogue, note.subnet_id, note.prefix, note.holder)
            for note in plan.notes
            if note.act is Act.GAVE_UP
        ],
        joined=sum(not block.holder for block in plan.blocks_removed),
    )
