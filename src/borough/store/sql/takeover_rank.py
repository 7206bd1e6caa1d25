"""The turn of a held block as an expression, for statements that change a block by themselves.

See :func:`borough.domain.space.blocks.takeover_rank`. Made from the function, so that there is one truth.
"""

from __future__ import annotations

from borough.domain.space.blocks import BLOCK_BITS, takeover_rank


def takeover_rank_of(region_bits: str, unused: str) -> str:
    """SQL for the turn.

    :param region_bits: expression for log2 of the region's size.
    :param unused: expression for the number of addresses from the block's high_water to its end.
    """
    cases = " ".join(
        f"WHEN {unused} >= {1 << tail} THEN {_by_region(region_bits, tail)}"
        for tail in range(BLOCK_BITS, -1, -1)
    )
    return f"CASE {cases} ELSE {takeover_rank(BLOCK_BITS, -1)} END"


def _by_region(region_bits: str, tail: int) -> str:
    """The turns of all regions that are large enough, equal ones of the largest as one."""
    turns = {bits: takeover_rank(bits, tail) for bits in range(tail, 129)}
    last = turns[128]
    cases = " ".join(
        f"WHEN {region_bits} = {bits} THEN {found}"
        for bits, found in turns.items()
        if found != last
    )
    return f"CASE {cases} ELSE {last} END"
