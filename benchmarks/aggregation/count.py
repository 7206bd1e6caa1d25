"""The size of the lpm table. Simulations count it often, so the table itself is not made."""

from __future__ import annotations

from collections.abc import Iterable

from borough.domain.declared.records import Interval
from borough.domain.net.addresses import Family
from borough.domain.net.fewest_routes import grow, minimal
from borough.domain.net.prefixes import merge_intervals, span


def lpm_count(
    family: Family, owned: Iterable[Iterable[Interval]], bounds: Iterable[Interval]
) -> int:
    """Number of prefixes that :func:`borough.domain.net.fewest_routes.lpm_routes` would return.

    :param owned: for each host, the addresses that are routed to it, in any order; no address is in
        the intervals of two hosts.
    :param bounds: the addresses that prefixes may cover; they contain all of ``owned``.
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
