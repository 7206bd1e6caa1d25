"""The answers that a decision used, for comparison by the statement that writes its plan."""

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
    """The remembered first offer on a ladder."""

    rungs: Sequence[Rung]
    claimant: str
    lowest: bool
    piece: Block | FreeRange


@dataclass(frozen=True, slots=True)
class Held:
    """All remembered blocks of a holder on a rung."""

    rung: Rung
    holder: str
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class Within:
    """The remembered free ranges inside a prefix, down to a size."""

    subnet_id: int
    prefix: Prefix
    longest: int
    free_ranges: Sequence[FreeRange]


@dataclass(slots=True)
class Guess:
    """All answers that a decision used.

    :ivar queried: places that were searched for free ranges.
    :ivar found: number of these places with a free range.
    """

    catalogue: Catalogue
    now: int = 0
    bind: Binding | None = None
    offered: Offered | None = None
    held: Held | None = None
    queried: list[tuple[int, Prefix]] = field(default_factory=list)
    found: int = 0
    within: Within | None = None
