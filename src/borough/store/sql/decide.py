"""A decision on the facts of a take, written in one more round trip.

A decision needs space of its own: a new block, a claim, a region that grows. The take that needs a decision
has read the facts for it. The same pure code decides on them as in a unit of work. The plan is written in one
call, with the precondition of every row. A question that the facts do not answer, and every refusal, goes to
a unit of work.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from borough.domain.declared.catalogue import Catalogue
from borough.domain.net.prefixes import Prefix
from borough.domain.policy.free_space import AROUND
from borough.domain.policy.take import TakeRequest
from borough.domain.space.allocations import AllocationRow
from borough.domain.space.blocks import BLOCK_BITS, Block, FreeRange
from borough.domain.space.keys import Binding
from borough.domain.space.plan import Offer, Plan
from borough.domain.space.rungs import Rung
from borough.store.sql.dialect import Dialect
from borough.store.sql.facts import Facts
from borough.store.sql.giving import NO_BOUNDS
from borough.store.sql.probes import Probes
from borough.store.sql.runner import Runner
from borough.store.sql.unit.unit import SqlUnit


class UnknownFact(Exception):
    """The facts do not answer a question."""


class DecisionUnit(SqlUnit):
    """A unit of work without a transaction: it reads the facts of a take, and writes one plan."""

    def __init__(
        self, runner: Runner, dialect: Dialect, probes: Probes, order: TakeRequest, facts: Facts
    ) -> None:
        super().__init__(runner, order.catalogue, dialect, probes, bounds_cache=NO_BOUNDS)
        self._order = order
        self._facts = facts
        self._was_offered = False

    @property
    def catalogue(self) -> Catalogue:
        """The declared objects as last read; every written row has a witness of them."""
        return self._order.catalogue

    def offers(
        self, rungs: Sequence[Rung], claimant: str, count: int, *, lowest: bool
    ) -> list[Offer]:
        facts = self._facts
        if self._was_offered or count > 1 or facts.rung < 0 or facts.piece is None:
            raise UnknownFact
        self._was_offered = True
        return [Offer(facts.rung, facts.piece)]

    def holdings(self, rung: Rung, holder: str) -> list[Block]:
        if holder != self._order.claimant or rung is not self._order.rungs[self._facts.rung]:
            raise UnknownFact
        return sorted(self._facts.held, key=_prefix)

    def blocks_in(self, subnet_id: int, prefix: Prefix) -> list[Block]:
        piece = self._facts.piece
        if isinstance(piece, FreeRange) and self._may_double_over(subnet_id, prefix):
            near = self._facts.near
            return sorted((each for each in near if prefix.covers(each.prefix)), key=_prefix)
        if (
            not isinstance(piece, Block)
            or subnet_id != piece.subnet_id
            or prefix != piece.region()
            or not self._facts.region
        ):
            raise UnknownFact
        return sorted(self._facts.region, key=_prefix)

    def free_ranges_at(self, subnet_id: int, prefixes: Sequence[Prefix]) -> list[FreeRange]:
        known = {(each.subnet_id, each.region().buddy) for each in self._facts.held}
        if not known.issuperset((subnet_id, prefix) for prefix in prefixes):
            raise UnknownFact
        return self._unused(subnet_id, lambda prefix: prefix in prefixes)

    def free_ranges_in(self, subnet_id: int, prefix: Prefix, longest: int) -> list[FreeRange]:
        piece = self._facts.piece
        if not self._may_double_over(subnet_id, prefix) and (
            not isinstance(piece, FreeRange)
            or subnet_id != piece.subnet_id
            or not prefix.covers(piece.prefix)
            or prefix.length < piece.prefix.length - AROUND
            or longest > piece.prefix.length + 1
        ):
            raise UnknownFact
        return self._unused(
            subnet_id, lambda found: prefix.covers(found) and found.length <= longest
        )

    def _may_double_over(self, subnet_id: int, prefix: Prefix) -> bool:
        """True for the buddy of a region of less than 64 addresses that the claimant had."""
        return prefix.size < 1 << BLOCK_BITS and any(
            (each.subnet_id, each.region().buddy) == (subnet_id, prefix)
            for each in self._facts.held
        )

    def _unused(self, subnet_id: int, condition: Any) -> list[FreeRange]:
        # A buddy may also lie around the offered piece.
        found = {
            each.id: each
            for each in self._facts.free_ranges
            if each.subnet_id == subnet_id and condition(each.prefix)
        }
        return sorted(found.values(), key=_prefix)

    def piece_at(self, subnet_id: int, address: int) -> Block | FreeRange | None:
        named, piece = self._order.named, self._facts.piece
        if named is None or (subnet_id, address) != (named.subnet_id, named.address):
            raise UnknownFact
        if piece is not None and not piece.prefix.holds(address):
            piece = None
        if named.is_usable and not isinstance(piece, FreeRange):
            # It is allocated, cools, or was freed a moment ago.
            raise UnknownFact
        return piece

    def allocation_at(self, scope: str, family: int, address: int) -> AllocationRow | None:
        named = self._order.named
        if named is None or address != named.address:
            raise UnknownFact
        # The constraint on (scope, address) checks it.
        return None

    def recall(self, key: str) -> None:
        # The constraint on the key checks it.
        return

    def expired(self, now: int, limit: int) -> list[AllocationRow]:
        # There were none when the facts were read.
        return []

    def _wants(self, plan: Plan) -> bool:
        return True

    def _send(
        self,
        plan: Plan,
        grants: Sequence[tuple[dict[str, Any], dict[str, Any]]],
        events: Sequence[dict[str, Any]],
        now: int,
        bind: Binding | None,
    ) -> list[int]:
        assert self._dialect.writer is not None
        return self._dialect.writer.write_alone(
            self._runner, plan, self.catalogue.subnets, grants, events, bind
        )

    def _unknown(self, *_args: object, **_named: object) -> NoReturn:
        raise UnknownFact

    held_in = is_in_use = allocations = blocks = free_ranges = tallies = events = touch = _unknown


def _prefix(piece: Block | FreeRange) -> Prefix:
    return piece.prefix
