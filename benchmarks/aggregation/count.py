"""The size of the lpm table, without making it: simulations count it again and again."""

from __future__ import annotations

from collections.abc import Iterable

from borough.domain.declared.records import Interval
from borough.domain.net.addresses import Family
from borough.domain.net.fewest_routes import grow, minimal
from borough.domain.net.prefixes import merge_intervals, span


def lpm_count(
    family: Family, owned: Iterable[Iterable[Interval]], bounds: Iterable[Interval]
) -> int:
    """How many prefixes :func:`borough.domain.net.fewest_routes.lpm_routes` has, without making them.

    :param owned: for each host the addresses that must lead to it, in any order; no address is in
        the intervals of two hosts.
    :param area: where prefixes may lie; all that is owned is inside.
    """
    leaves = [
        (prefix.base, 1 << at)
        for at, intervals in enumerate(owned)
        for first, last in merge_intervals(intervals)
        for prefix in span(family, first, last)
    ]
    leaves.sort()
    exceptions = 0

    def join(left: int, right: int, _length: int) -> int:
        nonlocal exceptions
        if left & right:
            return left & right
        exceptions += 1
        return left | right

    covers = sum(1 for _ in grow(family, minimal(family, bounds), leaves, join))
    return covers + exceptions
