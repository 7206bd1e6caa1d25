"""Allocation of one address in a single statement: its request and its result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from borough.domain.declared.catalogue import Catalogue
from borough.domain.request import Request
from borough.domain.space.blocks import Block
from borough.domain.space.rungs import Rung


class NamedAddress(NamedTuple):
    """An address that is known beforehand.

    :ivar is_usable: *any* and *next* may allocate it, so a block or a free range shows it.
    """

    subnet_id: int
    address: int
    is_usable: bool


@dataclass(frozen=True, slots=True)
class TakeRequest:
    """A request for one address, for stores that can allocate it in one round trip.

    A store may decide it where the rules leave no choice: the first block on the rungs is the claimant's
    own, or there is no claimant, and its lowest free address is allocated. A unit of work decides all else.

    :ivar catalogue: the source of the ladder; the request is void when it has changed since.
    :ivar rungs: the ladder; empty when the address is known beforehand.
    :ivar named: the address that is known beforehand; None when the rungs are searched.
    :ivar ladder: :attr:`~borough.domain.policy.selection.Ladder.identity`.
    :ivar claimant: see :class:`~borough.domain.policy.selection.ResolvedSelector`.
    :ivar lowest: true for the lowest address of a rung, false for any.
    :ivar now: microseconds since the epoch.
    :ivar fingerprint: of the request with an idempotency key; empty without one.
    """

    catalogue: Catalogue
    rungs: tuple[Rung, ...]
    named: NamedAddress | None
    ladder: object
    claimant: str
    lowest: bool
    request: Request
    now: int
    fingerprint: str


class Taken(NamedTuple):
    """An address that a store allocated.

    :ivar block: the block of the address after the allocation.
    """

    block: Block
    address: int
    sequence: int
