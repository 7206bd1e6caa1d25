"""Hosts that go or get another name, addresses that move, sweeps, proposals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Self

from msgspec import Meta

from borough.api.schema.addresses import Allocation
from borough.api.schema.base import LARGEST, Input, MaybeText, Number, Output, Text
from borough.engine import defragment, moves, views
from borough.engine.defragment import Proposal
from borough.engine.views import Claim


class Prune(Input):
    """The largest id of an event to remove."""

    through: Number


class Pruned(Output):
    """Number of events that were removed."""

    pruned: int


class HostName(Input):
    """The name of a host, declared or not."""

    host: Text


class Removal(Input):
    """How to remove a host.

    :ivar release: release its addresses as well; otherwise they stay held.
    """

    release: bool = False


class NewName(Input):
    """What a host is to be called."""

    name: Text


class Move(Input):
    """Where an address moves to.

    :ivar sequence: move it only if it still has this sequence number.
    :ivar force: move it also where the labels of the host say that it cannot be reached.
    """

    host: Text
    sequence: Number | None = None
    force: bool = False


class Vacated(Output):
    """What became of a host that was drained or removed.

    :ivar claims: what it claimed, and nobody claims now.
    :ivar remaining: addresses that are still held on it, until they are released or moved.
    :ivar released: addresses that were released, the first 10,000 of them.
    :ivar total: how many were released.
    :ivar source: the topology that declared it, if its entry was removed.
    """

    host: str
    claims: Sequence[Claim]
    remaining: list[Allocation]
    released: list[Allocation]
    total: int
    source: str | None

    @classmethod
    def of(cls, done: moves.Vacated) -> Self:
        """From the library's record."""
        remaining, released = _all(done.remaining), _all(done.released)
        return cls(done.host, done.claims, remaining, released, done.released.total, done.source)


class Renamed(Output):
    """What became of a host that got another name.

    :ivar claims: what it claims under its new name, as far as it came from the old one.
    :ivar moved: addresses that are held on it under its new name.
    :ivar source: the topology that declared it under its old name, if one did.
    """

    old: str
    new: str
    claims: Sequence[Claim]
    moved: list[Allocation]
    source: str | None

    @classmethod
    def of(cls, done: moves.Renamed) -> Self:
        """From the library's record."""
        return cls(done.old, done.new, done.claims, _all(done.moved), done.source)


class DefragmentQuery(Input):
    """What to propose for.

    :ivar limit: most addresses.
    """

    host: Text | None = None
    scope: MaybeText | None = None
    limit: Annotated[int, Meta(ge=1, le=LARGEST)] = 100


class Defragmentation(Output):
    """What would have to be renumbered, in this order, and what for.

    :ivar routes: how many there are now, in the strict form.
    :ivar saves: routes that all of it together saves.
    """

    proposals: Sequence[Proposal]
    routes: int
    saves: int

    @classmethod
    def of(cls, found: defragment.Defragmentation) -> Self:
        """From the library's record."""
        return cls(found.proposals, found.routes, found.saves)


def _all(allocations: Iterable[views.Allocation]) -> list[Allocation]:
    return [Allocation.of(each) for each in allocations]
