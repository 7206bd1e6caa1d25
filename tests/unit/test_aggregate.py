"""Routes: exact and fewest, against ``collapse_addresses`` and against trying everything."""

from __future__ import annotations

import ipaddress
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from borough.domain.net.addresses import WIDTH, Family
from borough.domain.net.fewest_routes import Territory, minimal, strict_routes
from borough.domain.net.prefixes import Prefix, enclosing, outermost, parse_prefix

FAMILIES: st.SearchStrategy[Family] = st.sampled_from([4, 6])


def top(family: Family) -> int:
    return (1 << WIDTH[family]) - 1


def network(prefix: Prefix) -> Any:
    return ipaddress.ip_network(str(prefix))


def of_one(family: Family, claimed: list[Prefix], held: list[int]) -> list[Prefix]:
    """The routes of a host that is alone in the fabric."""
    return strict_routes(family, {"h": Territory(claimed, held)}).get("h", [])


def spans(family: Family) -> st.SearchStrategy[tuple[int, int]]:
    """Intervals: small and near an end of the address space, or all of it."""
    starts = st.integers(0, 200) | st.integers(top(family) - 200, top(family))
    small = st.tuples(starts, st.integers(0, 40))
    cut = small.map(lambda pair: (pair[0], min(sum(pair), top(family))))
    return st.one_of(cut, cut, cut, st.just((0, top(family))))


@given(FAMILIES, st.data())
def test_minimal_equals_the_collapse_of_python(family: Family, data: st.DataObject) -> None:
    """Overlapping, touching and unsorted intervals give the networks of ``collapse_addresses``."""
    intervals = data.draw(st.lists(spans(family), max_size=8))
    kind: Any = ipaddress.IPv4Address if family == 4 else ipaddress.IPv6Address
    pieces = [
        piece
        for first, last in intervals
        for piece in ipaddress.summarize_address_range(kind(first), kind(last))
    ]
    expected = list(ipaddress.collapse_addresses(pieces))
    assert [network(prefix) for prefix in minimal(family, intervals)] == expected


@given(st.sets(st.integers(0, 15)), st.sampled_from([0, 2**32 - 16]))
def test_no_other_set_of_prefixes_is_smaller(addresses: set[int], base: int) -> None:
    """Among all sets of prefixes that cover exactly the addresses, none has fewer members."""

    @cache
    def fewest(first: int, size: int) -> int:
        wanted = sum(address in addresses for address in range(first, first + size))
        if wanted in (0, size):
            return 1 if wanted else 0
        half = size // 2
        return fewest(first, half) + fewest(first + half, half)

    found = minimal(4, [(base + address, base + address) for address in addresses])
    assert len(found) == fewest(0, 16)
    covered = [address for prefix in found for address in range(prefix.base, prefix.last + 1)]
    assert covered == sorted(base + address for address in addresses)


def test_minimal_of_nothing() -> None:
    """No interval, no prefix."""
    assert minimal(4, []) == []


@given(FAMILIES, st.data())
def test_strict_routes_cover_claimed_and_held_addresses(
    family: Family, data: st.DataObject
) -> None:
    """Every address of a claim and every one held, nothing else, as few prefixes as can be."""
    start = data.draw(st.sampled_from([0, 1 << 20, top(family) - 255]))
    offsets = st.integers(0, 255)
    claimed = [
        enclosing(family, start + data.draw(offsets), WIDTH[family] - data.draw(st.integers(0, 6)))
        for _ in range(data.draw(st.integers(0, 5)))
    ]
    claimed = outermost(claimed)
    held = [start + data.draw(offsets) for _ in range(data.draw(st.integers(0, 12)))]
    routes = of_one(family, claimed, held)
    covered = [address for prefix in routes for address in range(prefix.base, prefix.last + 1)]
    expected = {
        address for prefix in claimed for address in range(prefix.base, prefix.last + 1)
    } | set(held)
    assert covered == sorted(expected)
    networks = [network(prefix) for prefix in routes]
    assert networks == list(ipaddress.collapse_addresses(networks))


@pytest.mark.parametrize(
    ("claimed", "held", "routes"),
    [
        ([], [], []),
        (["10.0.0.0/28"], [], ["10.0.0.0/28"]),  # claimed and empty is advertised all the same
        (["10.0.0.0/28"], ["10.0.0.3"], ["10.0.0.0/28"]),
        (["10.0.0.0/28"], ["10.0.0.16"], ["10.0.0.0/28", "10.0.0.16/32"]),
        (["10.0.0.0/28", "10.0.0.16/28"], [], ["10.0.0.0/27"]),
        (["10.0.0.16/28", "10.0.0.32/28"], [], ["10.0.0.16/28", "10.0.0.32/28"]),
        ([], ["10.0.0.3", "10.0.0.2", "10.0.0.2"], ["10.0.0.2/31"]),
        (["10.0.0.0/31", "10.0.0.2/32"], ["10.0.0.3"], ["10.0.0.0/30"]),
        ([], ["255.255.255.255", "0.0.0.0"], ["0.0.0.0/32", "255.255.255.255/32"]),
    ],
)
def test_strict_routes_known_answers(
    claimed: list[str], held: list[str], routes: list[str]
) -> None:
    """Buddies become one prefix, neighbours that are no buddies do not."""
    addresses = [int(ipaddress.IPv4Address(text)) for text in held]
    found = of_one(4, [parse_prefix(text) for text in claimed], addresses)
    assert [str(prefix) for prefix in found] == routes
