"""The takeover rank of a held block as an SQL expression.

It is generated from :func:`borough.domain.space.blocks.takeover_rank`, so both agree.
"""

from __future__ import annotations

from borough.domain.space.blocks import BLOCK_BITS, takeover_rank


def takeover_rank_of(region_bits: str, unused: str) -> str:
    """SQL for the takeover rank.

    :param region_bits: expression for log2 of the region's size.
    :param unused: expression for the number of addresses from the block's high water to its end.
    """
    cases = " ".join(
        f"WHEN {unused} >= {1 << tail} THEN {_by_region(region_bits, tail)}"
        for tail in range(BLOCK_BITS, -1, -1)
    )
    return f"CASE {cases} ELSE {takeover_rank(BLOCK_BITS, -1)} END"


def _by_region(region_bits: str, tail: int) -> str:
    """The ranks by size of region; the largest regions share one case."""
    ranks = {bits: takeover_rank(bits, tail) for bits in range(tail, 129)}
    last = ranks[128]
    cases = " ".join(
        f"WHEN {region_bits} = {bits} THEN {found}"
        for bits, found in ranks.items()
        if found != last
    )
    return f"CASE {cases} ELSE {last} END" if cases else str(last)
