"""The facts of a decision about one address, as a server reads them in the round trip of a take."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from borough.domain.space.blocks import Block, FreeRange
from borough.store.sql import rows
from borough.store.sql.runner import Row


class Facts(NamedTuple):
    """The rows that a decision needs; see ``borough_facts_1.sql`` in :mod:`borough.store.sql.routines`.

    :ivar rung: the position of the rung that the piece was offered on; -1 for a named address.
    :ivar piece: the block or free range that was offered or named; None when there is none.
    :ivar held: the blocks that the claimant holds on the rung.
    :ivar free_ranges: the buddies of these regions, those inside of small buddies, and those around an
        offered free range.
    :ivar region: the blocks in the region that an offered block of another holder is part of.
    :ivar near: the blocks in the buddies of regions of less than 64 addresses.
    """

    rung: int
    piece: Block | FreeRange | None
    held: list[Block]
    free_ranges: list[FreeRange]
    region: list[Block]
    near: list[Block]

    @classmethod
    def of(cls, rung: int, is_free_range: bool, found: Iterable[Row]) -> Facts:
        """From rows of (fact, the columns of a block)."""
        facts = cls(rung, None, [], [], [], [])
        for fact, *columns in found:
            row = tuple(columns)
            if fact == 0:
                piece = rows.to_free_range(row) if is_free_range else rows.to_block(row)
                facts = facts._replace(piece=piece)
            elif fact == 1:
                facts.held.append(rows.to_block(row))
            elif fact == 2:
                facts.free_ranges.append(rows.to_free_range(row))
            else:
                (facts.region if fact == 3 else facts.near).append(rows.to_block(row))
        return facts
