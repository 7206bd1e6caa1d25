"""Hosts, reassignment, defragmentation, pruning."""

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
    """Options for the removal of a host.

    :ivar release: release its addresses as well; otherwise they stay allocated.
    """

    release: bool = False


class NewName(Input):
    """The new name of a host."""

    name: Text


class Reassignment(Input):
    """The new host of an address.

    :ivar sequence: reassign it only while it has this sequence number.
    :ivar force: reassign it also to a host that does not reach its segment by the labels.
    """

    host: Text
    sequence: Number | None = None
    force: bool = False


class DefragmentQuery(Input):
    """The scope of a proposal.

    :ivar limit: most addresses to renumber.
    """

    host: Text | None = None
    scope: MaybeText | None = None
    limit: Annotated[int, Meta(ge=1, le=LARGEST)] = 100
