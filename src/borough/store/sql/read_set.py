"""The answers that a decision was given, to be compared by the statement that writes its plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from borough.domain.declared.catalogue import Catalogue
from borough.domain.net.prefixes import Prefix
from borough.domain.space.blocks import Block, FreeRange
from borough.domain.space.keys import Binding
from borough.domain.space.rungs import Rung


@dataclass(frozen=True, slots=True)
class Offered:
    """The first offer on a ladder, as it is believed to be."""

    rungs: Sequence[Rung]
    claimant: str
    lowest: bool
    piece: Block | FreeRange


@dataclass(frozen=True, slots=True)
class Held:
    """All blocks of a holder on a rung, as they are believed to be."""

    rung: Rung
    holder: str
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class Within:
    """The runs inside a prefix down to a size, as they are believed to be."""

    subnet_id: int
    prefix: Prefix
    longest: int
    free_ranges: Sequence[FreeRange]


@dataclass(slots=True)
class Guess:
    """Everything that a decision was made on, all of it to be checked.

    :ivar queried: places that were asked for runs, and how many of them had one.
    """

    catalogue: Catalogue
    now: int = 0
    bind: Binding | None = None
    offered: Offered | None = None
    held: Held | None = None
    queried: list[tuple[int, Prefix]] = field(default_factory=list)
    found: int = 0
    within: Within | None = None
