"""Giving back, now and then, what nobody needs any more: one pass over all address space."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from borough.domain.encode import plain
from borough.domain.net.prefixes import Prefix
from borough.domain.policy.reclaim import reclaim_idle
from borough.domain.space.blocks import Block
from borough.domain.space.plan import Act, Plan
from borough.domain.space.regions import regions
from borough.engine.partial import telling
from borough.engine.views import Claim, show_claim
from borough.store.port import ReadSpace, Store, Unit

#: Regions that one unit of work changes: few enough that it is short, and seldom meets another one.
_PAGE: Final = 32


@dataclass(frozen=True, slots=True)
class Reclaimed:
    """What a sweep did.

    :ivar rested: cooling addresses whose rest was over, and that are free again.
    :ivar marked: claims found idle for the first time; a later sweep gives them back if they still are.
    :ivar given_back: claims given back: regions, or the upper halves of little used ones.
    :ivar joined: unused blocks that nobody claims and that are unclaimed space again.
    """

    rested: int = 0
    marked: tuple[Claim, ...] = ()
    reclaimed: tuple[Claim, ...] = ()
    joined: int = 0


@dataclass
class _Tally:
    rested: int = 0
    marked: list[Claim] = field(default_factory=list)
    reclaimed: list[Claim] = field(default_factory=list)
    joined: int = 0

    def done(self) -> Reclaimed:
        return Reclaimed(self.rested, tuple(self.marked), tuple(self.reclaimed), self.joined)

    def as_json(self) -> dict[str, Any]:
        """What was done; empty for nothing."""
        done = self.done()
        return {} if done == Reclaimed() else dict(plain(done))


def reclaim(store: Store, clock: Callable[[], int], take_back: Callable[[], int]) -> Reclaimed:
    """Look at all blocks, and write where there is something to do, a page of regions at a time.

    Looking takes no lock. Whoever loses a race for a page does that page again, and no other.

    :param take_back: takes back some of the cooling addresses whose rest is over, and returns how many.
    """
    tally = _Tally()
    with telling(tally.as_json):
        while taken := take_back():
            tally.rested += taken
        subnet_ids = store.transact(lambda unit: sorted(unit.catalogue.subnets), write=False)
        for subnet_id in subnet_ids:
            idle = store.transact(_Look(subnet_id, clock()), write=False)
            for page in _pages(idle):
                done = store.transact(_Reclaim(subnet_id, page, clock()))
                tally.marked += done.marked
                tally.reclaimed += done.reclaimed
                tally.joined += done.joined
    return tally.done()


def _pages(prefixes: list[Prefix]) -> Iterable[list[Prefix]]:
    return (prefixes[start : start + _PAGE] for start in range(0, len(prefixes), _PAGE))


@dataclass(frozen=True)
class _Look:
    """A unit of work that finds the regions and blocks of a subnet with something to do."""

    subnet_id: int
    now: int

    def __call__(self, unit: ReadSpace) -> list[Prefix]:
        # It may have been removed since the list was made.
        if self.subnet_id not in unit.catalogue.subnets:
            return []
        return [
            region
            for region, blocks in regions(unit.blocks([self.subnet_id]))
            if not reclaim_idle(unit.catalogue, unit, blocks, self.now).is_empty
        ]


@dataclass(frozen=True)
class _Reclaim:
    """A unit of work that looks at some regions again, for they may have changed, and tidies them."""

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
            # One that has grown, or has lost a piece, is not as it was when it was found idle.
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
