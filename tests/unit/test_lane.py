"""Lanes: every writer has an area, and together they have everything."""

from __future__ import annotations

import itertools

import pytest

from borough.domain.declared.records import Subnet
from borough.domain.net.prefixes import parse_prefix
from borough.domain.space.partitions import ALONE, Partition, bounds


def subnets(*cidrs: str) -> list[Subnet]:
    return [
        Subnet(id=number, name=cidr, scope="default", prefix=parse_prefix(cidr))
        for number, cidr in enumerate(cidrs, 1)
    ]


@pytest.mark.parametrize("total", [1, 2, 3, 5, 16, 64])
@pytest.mark.parametrize(
    "cidrs",
    [
        ["10.0.0.0/16"],
        ["10.0.0.0/26"],
        ["10.0.0.0/30"],
        ["2001:db8::/64"],
        ["10.0.0.0/24", "10.0.2.0/23"],
        [f"10.0.{number}.0/24" for number in range(7)],
    ],
)
def test_areas_cover_all_and_share_no_block(cidrs: list[str], total: int) -> None:
    """Unless there are more writers than blocks; then some share one, and nothing is left out."""
    found = subnets(*cidrs)
    bounds_cache = [bounds(found, Partition(number, total)) for number in range(total)]
    distinct = sorted(set(bounds_cache))
    for first, last in distinct:
        assert first <= last
        assert any(subnet.prefix.base <= first <= subnet.prefix.last for subnet in found)
    for (_, last), (first, _) in itertools.pairwise(distinct):
        assert last < first
        assert last >> 6 < first >> 6
    for subnet in found:
        for address in (subnet.prefix.base, subnet.prefix.last):
            assert any(first <= address <= last for first, last in distinct)


def test_one_writer_has_everything() -> None:
    assert bounds(subnets("10.0.0.0/24", "10.0.9.0/24"), ALONE) == (0x0A000000, 0x0A0009FF)


def test_a_number_beyond_the_total_is_taken_round() -> None:
    """A node's number may be read a moment after the size of its cluster."""
    found = subnets("10.0.0.0/16")
    assert bounds(found, Partition(5, 3)) == bounds(found, Partition(2, 3))
