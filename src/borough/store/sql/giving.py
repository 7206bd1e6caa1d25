"""Allocation of one address in one statement: the common part of all databases.

The statement reads the ladder's rungs as a unit of work would, and takes the lowest free address of the first
block where the rules leave no choice. Otherwise it returns the reason and changes nothing. See
``docs/explanation/architecture.md``, "PostgreSQL and MariaDB: one round trip".
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from borough.domain.declared.catalogue import Catalogue
from borough.domain.net.addresses import to_bytes
from borough.domain.policy.take import Taken, TakeRequest
from borough.domain.space.blocks import Block
from borough.domain.space.partitions import ALONE, Partition, bounds
from borough.domain.space.rungs import Hold, Rung
from borough.store.cache import Cache
from borough.store.sql.facts import Facts
from borough.store.sql.offers import Shape
from borough.store.sql.probes import ids_of
from borough.store.sql.runner import Prepared


class Word(Enum):
    """Answer of the single-statement allocation."""

    GIVEN = "given"
    #: A decision is needed: new space, a claim, a borrowed address, or exhaustion.
    DECIDE = "decide"
    #: Every suitable block is locked by another transaction.
    LOCKED = "locked"


class Outcome(NamedTuple):
    """Outcome of the single-statement allocation.

    :ivar has_free_range: the rung of the locked block has unused space as well.
    :ivar facts: what a decision needs; None where a unit of work has to read it.
    """

    word: Word
    taken: Taken | None = None
    has_free_range: bool = False
    facts: Facts | None = None


_Key = tuple[object, str, bool]


def _key(order: TakeRequest) -> _Key:
    return order.ladder, order.claimant, order.lowest


def _weight(order: TakeRequest) -> int:
    """Bytes of a hint: its key, a subnet and a base. An estimate, because it is needed with every address."""
    return 512 + 4 * len(order.claimant)


class Hints:
    """The blocks of the last allocations of one connection, by ladder and claimant.

    A hint saves the read of the rungs, and keeps connections apart. Only blocks of a ladder's first rung
    are kept: on another rung a hint would skip a block that was opened on a better one. Within a rung the
    order is only a preference, so a hint may skip a block that another process has opened.
    """

    #: Most bytes of hints; one for each ladder and claimant in use.
    _LIMIT = 1 << 20

    def __init__(self) -> None:
        #: The prepared statements of the connection.
        self.prepared = Prepared()
        self._version = -1
        self._found: Cache[_Key, tuple[int, bytes]] = Cache(self._LIMIT)

    def find(self, order: TakeRequest) -> tuple[int, bytes]:
        """Subnet and base of the block to try first; (0, b"") for none."""
        if order.lowest or order.catalogue.version != self._version:
            return 0, b""
        return self._found.get(_key(order)) or (0, b"")

    def keep(self, order: TakeRequest, block: Block | None) -> None:
        """Remember a block after an allocation from it; forget it when it is full."""
        if not order.rungs:
            # A named address says nothing of the block to try first.
            return
        if order.catalogue.version != self._version:
            self._found.clear()
            self._version = order.catalogue.version
        key = _key(order)
        first = order.rungs[0]
        holder = order.claimant if first.hold is Hold.OWN else ""
        if (
            block is not None
            and block.free_count
            and first.hold is not Hold.OTHERS
            and block.holder == holder
            and (block.cohort_id in first.cohorts or block.subnet_id in first.subnets)
        ):
            base = to_bytes(block.prefix.family, block.prefix.base)
            self._found.put(key, (block.subnet_id, base), _weight(order))
        else:
            self._found.drop(key)

    def clear(self) -> None:
        """Forget all after a release, which may change the order of the blocks."""
        self._found.clear()


class PartitionBounds(NamedTuple):
    """The addresses that a partition searches first.

    :ivar column: the column that selects its rung; ``id`` is the value.
    :ivar first: first and ``last`` address, packed.
    """

    column: str
    id: int
    first: bytes
    last: bytes


class BoundsCache:
    """Bounds by ladder, for the partition of one connection."""

    #: Most bytes of bounds and their rungs.
    _LIMIT = 1 << 20

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self._found: Cache[int, tuple[Sequence[Rung], PartitionBounds | None]] = Cache(self._LIMIT)

    def find(self, catalogue: Catalogue, rungs: Sequence[Rung]) -> PartitionBounds | None:
        """The bounds on a ladder's first rung; None where partitions do not apply.

        They apply to unclaimed blocks only, because a claimant has blocks of its own; and to one cohort or
        subnet, where an index has one order.
        """
        if self.partition.total == 1:
            return None
        found = self._found.get(id(rungs))
        # The cache keeps the rungs alive, so their id is not used again.
        if found is None or found[0] is not rungs:
            found = self._found.put(id(rungs), (rungs, self._made(catalogue, rungs[0])))
        return found[1]

    def _made(self, catalogue: Catalogue, rung: Rung) -> PartitionBounds | None:
        column, ids = ids_of(rung)
        if rung.hold is not Hold.UNCLAIMED or len(ids) != 1:
            return None
        subnets = catalogue.members[ids[0]] if rung.cohorts else [catalogue.subnets[ids[0]]]
        first, last = bounds(subnets, self.partition)
        return PartitionBounds(
            column, ids[0], to_bytes(rung.family, first), to_bytes(rung.family, last)
        )


NO_BOUNDS = BoundsCache(ALONE)


def shape_of(rungs: Sequence[Rung]) -> Shape:
    """The shape of a statement over these rungs."""
    return tuple((rung.hold, ids_of(rung)[0], len(ids_of(rung)[1])) for rung in rungs)


def takeable(order: TakeRequest) -> tuple[int, ...]:
    """The rungs on which the rules leave no choice.

    A claimant may claim an unclaimed block, or take over one of another host.
    """
    if order.claimant:
        return tuple(at for at, rung in enumerate(order.rungs) if rung.hold is Hold.OWN)
    return tuple(
        at
        for at, rung in enumerate(order.rungs)
        if rung.hold is not Hold.OTHERS or rung.claiming.borrow
    )
