"""Address space as it would be after a plan that is not written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

from borough.domain.net.prefixes import Prefix
from borough.domain.space.allocations import AllocationRow, State
from borough.domain.space.blocks import Block, FreeRange
from borough.domain.space.plan import Offer, Plan, Tally, free_of, tallies_of
from borough.domain.space.rungs import Rung
from borough.store.memory.space import MemorySpace
from borough.store.memory.tables import Tables
from borough.store.memory.unit import MemoryUnit
from borough.store.port import ReadSpace

#: First id of the pieces of the plan, above every id of a database.
_MADE: Final = 1 << 62

_Piece = TypeVar("_Piece", bound=Block | FreeRange)


class After:
    """See :class:`borough.domain.space.plan.Space`.

    An answer is that of the unit, without the pieces that the plan replaces and with the new ones. The new
    pieces are in memory.
    """

    def __init__(self, unit: ReadSpace, plan: Plan) -> None:
        """Apply a plan that ends cool-downs and leases.

        :param unit: the unit of the decision.
        """
        self._unit = unit
        changed = [old for old, _ in plan.changed.values()]
        self._ended = [*plan.removed, *(old for old, _ in plan.cooled)]
        self._replaced = {each.sequence for each in self._ended}
        self._old_blocks = {each.id: each for each in changed + plan.blocks_removed}
        self._old_free_ranges = {each.id: each for each in plan.free_ranges_removed}
        tables = Tables(
            blocks=dict(self._old_blocks),
            free_ranges=dict(self._old_free_ranges),
            allocations={(each.scope, each.family, each.address): each for each in self._ended},
            next_id=_MADE,
        )
        MemoryUnit(tables, unit.catalogue).commit(plan, 0)
        self._made = tables
        self._space = MemorySpace(tables, unit.catalogue)

    def offers(
        self, rungs: Sequence[Rung], claimant: str, count: int, *, lowest: bool
    ) -> list[Offer]:
        """See :meth:`borough.domain.space.plan.Space.offers`."""
        # So many that enough remain without the pieces that the plan replaces.
        most = count + len(self._old_blocks) + len(self._old_free_ranges)
        found = self._unit.offers(rungs, claimant, most, lowest=lowest)
        below = self._unchanged(each.piece for each in found)
        both = Tables(
            blocks={each.id: each for each in below if isinstance(each, Block)},
            free_ranges={each.id: each for each in below if isinstance(each, FreeRange)},
        )
        both.blocks |= self._made.blocks
        both.free_ranges |= self._made.free_ranges
        space = MemorySpace(both, self._unit.catalogue)
        return space.offers(rungs, claimant, count, lowest=lowest)

    def holdings(self, rung: Rung, holder: str) -> list[Block]:
        """See :meth:`borough.domain.space.plan.Space.holdings`."""
        below = self._unchanged(self._unit.holdings(rung, holder))
        return _sorted(below + self._space.holdings(rung, holder))

    def held_in(self, cohort_id: int, holder: str) -> list[Block]:
        """See :meth:`borough.domain.space.plan.Space.held_in`."""
        below = self._unchanged(self._unit.held_in(cohort_id, holder))
        return _sorted(below + self._space.held_in(cohort_id, holder))

    def blocks_in(self, subnet_id: int, prefix: Prefix) -> list[Block]:
        """See :meth:`borough.domain.space.plan.Space.blocks_in`."""
        below = self._unchanged(self._unit.blocks_in(subnet_id, prefix))
        return _sorted(below + self._space.blocks_in(subnet_id, prefix))

    def free_ranges_at(self, subnet_id: int, prefixes: Sequence[Prefix]) -> list[FreeRange]:
        """See :meth:`borough.domain.space.plan.Space.free_ranges_at`."""
        below = self._unchanged(self._unit.free_ranges_at(subnet_id, prefixes))
        return _sorted(below + self._space.free_ranges_at(subnet_id, prefixes))

    def free_ranges_in(self, subnet_id: int, prefix: Prefix, longest: int) -> list[FreeRange]:
        """See :meth:`borough.domain.space.plan.Space.free_ranges_in`."""
        below = self._unchanged(self._unit.free_ranges_in(subnet_id, prefix, longest))
        return _sorted(below + self._space.free_ranges_in(subnet_id, prefix, longest))

    def piece_at(self, subnet_id: int, address: int) -> Block | FreeRange | None:
        """See :meth:`borough.domain.space.plan.Space.piece_at`."""
        made = self._space.piece_at(subnet_id, address)
        if made is not None:
            return made
        below = self._unit.piece_at(subnet_id, address)
        return None if below is None or self._is_replaced(below) else below

    def allocation_at(self, scope: str, family: int, address: int) -> AllocationRow | None:
        """See :meth:`borough.domain.space.plan.Space.allocation_at`."""
        found = self._unit.allocation_at(scope, family, address)
        if found and found.sequence in self._replaced:
            return self._space.allocation_at(scope, family, address)
        return found

    def is_in_use(self, scope: str, prefix: Prefix) -> bool:
        """See :meth:`borough.domain.space.plan.Space.is_in_use`."""
        return self._unit.is_in_use(scope, prefix)

    def tallies(self, subnet_ids: Sequence[int]) -> dict[int, Tally]:
        """See :meth:`borough.store.port.Unit.tallies`."""
        below = self._unit.tallies(subnet_ids)
        subnets, made = self._unit.catalogue.subnets, self._made
        free = free_of(subnets, [*made.blocks.values(), *made.free_ranges.values()])
        free.subtract(
            free_of(subnets, [*self._old_blocks.values(), *self._old_free_ranges.values()])
        )
        for id, tally in below.items():
            free.update({(id, holder): count for holder, count in tally.free.items()})
        rows = Counter((each.subnet_id, each.state) for each in made.allocations.values())
        rows.subtract((each.subnet_id, each.state) for each in self._ended)
        held = {
            id: (
                tally.total_held + sum(rows[id, state] for state in State),
                tally.cooling + rows[id, State.COOLING],
                tally.reserved + rows[id, State.RESERVED],
            )
            for id, tally in below.items()
        }
        return tallies_of(free, held)

    def _unchanged(self, pieces: Iterable[_Piece]) -> list[_Piece]:
        """The pieces that the plan does not replace."""
        return [each for each in pieces if not self._is_replaced(each)]

    def _is_replaced(self, piece: Block | FreeRange) -> bool:
        return piece.id in (self._old_blocks if isinstance(piece, Block) else self._old_free_ranges)


def _sorted(pieces: list[_Piece]) -> list[_Piece]:
    return sorted(pieces, key=lambda piece: piece.prefix)
