"""One address wanted, and one given, in a single statement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from borough.domain.declared.catalogue import Catalogue
from borough.domain.request import Request
from borough.domain.space.blocks import Block
from borough.domain.space.rungs import Rung


@dataclass(frozen=True, slots=True)
class TakeRequest:
    """One address wanted, for stores that can give it in one round trip.

    A store may give it by itself where the rules leave no choice: the first block that the rungs have to
    offer is the claimant's own, or there is no claimant, and the address is the lowest free one of it.
    Everything else is decided in a unit of work.

    :ivar catalogue: what the ladder was made from; the order is void when it changed since.
    :ivar rungs: the ladder; empty when the address is known beforehand.
    :ivar ladder: tells the ladder apart from all others, without keeping it.
    :ivar claimant: see :class:`borough.domain.policy.selection.ResolvedSelector`.
    :ivar lowest: true when the lowest address of a rung is wanted, and not just any.
    :ivar now: microseconds since the epoch.
    :ivar fingerprint: what the idempotency key is bound to; empty without one.
    """

    catalogue: Catalogue
    rungs: tuple[Rung, ...]
    ladder: object
    claimant: str
    lowest: bool
    request: Request
    now: int
    fingerprint: str


class Taken(NamedTuple):
    """What a store gave by itself.

    :ivar block: where the address lies, as it is now.
    """

    block: Block
    address: int
    sequence: int
