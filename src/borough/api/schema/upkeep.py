"""Hosts that go or get another name, addresses that move, sweeps, proposals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from borough.api.schema.base import LARGEST, Input, MaybeText, Number, Text


class Prune(Input):
    """The largest id of an event to remove."""

    through: Number


@dataclass(frozen=True)
class Pruned:
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


class DefragmentQuery(Input):
    """What to propose for.

    :ivar limit: most addresses.
    """

    host: Text | None = None
    scope: MaybeText | None = None
    limit: Annotated[int, Meta(ge=1, le=LARGEST)] = 100
