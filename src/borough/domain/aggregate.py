"""What a host advertises: the fewest prefixes that cover what it claims and holds.

A claimed region is one prefix; an address that was borrowed from somebody else's region is one of
its own (a /32 or a /128), unless it happens to complete a larger prefix.
"""

from __future__ import annotations

from collections.abc import Iterable

from borough.domain.address import Family
from borough.domain.prefix import Prefix, merge_intervals, span


def minimal(family: Family, intervals: Iterable[tuple[int, int]]) -> list[Prefix]:
    """The fewest prefixes that cover exactly the union of closed intervals, ascending.

    :param intervals: first and last address of each, in any order; they may overlap or touch.
    """
    return [
        prefix for first, last in merge_intervals(intervals) for prefix in span(family, first, last)
    ]


def strict_routes(
    family: Family, claimed: Iterable[Prefix], addresses: Iterable[int]
) -> list[Prefix]:
    """The fewest prefixes with which a host advertises what it claims and holds, ascending.

    They cover every address of a claim and every address held, and no other, so that no host draws
    the traffic of another. Where an address held lies in the claim of another host, the longer
    prefix wins there (longest match, RFC 1812, 5.2.4.3).

    :param claimed: the regions that the host claims; those of the other family are passed over.
    :param addresses: the addresses that it holds, all of ``family``; in a claim or outside.
    """
    intervals = [(prefix.base, prefix.last) for prefix in claimed if prefix.family == family]
    intervals += [(address, address) for address in addresses]
    return minimal(family, intervals)
