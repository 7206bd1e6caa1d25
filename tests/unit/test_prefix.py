"""Prefixes as integers, against ``ipaddress`` and against sets of addresses."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from borough.domain.net.addresses import WIDTH, Family
from borough.domain.net.prefixes import (
    Prefix,
    best_fit,
    enclosing,
    free_prefixes,
    merge_intervals,
    outermost,
    parse_prefix,
    span,
    subtract,
)
from borough.errors import InvalidPrefix

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

FAMILIES: st.SearchStrategy[Family] = st.sampled_from([4, 6])
SMALL = st.lists(st.tuples(st.integers(0, 80), st.integers(0, 20)), max_size=8).map(
    lambda pairs: [(first, first + more) for first, more in pairs]
)


@st.composite
def prefixes(draw: st.DrawFn, family: Family | None = None, shortest: int = 0) -> Prefix:
    """Any prefix, those at the ends of the address space included."""
    chosen = draw(FAMILIES) if family is None else family
    length = draw(st.integers(shortest, WIDTH[chosen]))
    top = 2 ** WIDTH[chosen] - 1
    address = draw(st.sampled_from([0, top]) | st.integers(0, top))
    return enclosing(chosen, address, length)


def network(prefix: Prefix) -> Any:
    """The same prefix as Python's own type, by its text."""
    return ipaddress.ip_network(str(prefix))


def members(intervals: Iterable[tuple[int, int]]) -> set[int]:
    return {address for first, last in intervals for address in range(first, last + 1)}


def intervals_of(addresses: set[int]) -> list[tuple[int, int]]:
    """The runs of consecutive numbers in a set."""
    starts = sorted(address for address in addresses if address - 1 not in addresses)
    ends = sorted(address for address in addresses if address + 1 not in addresses)
    return list(zip(starts, ends, strict=True))


# --- One prefix -------------------------------------------------------------------------------


@given(prefixes())
def test_a_prefix_has_the_bounds_of_python(prefix: Prefix) -> None:
    """Text, size, last address agree with ``ipaddress``; /0 and full length included."""
    same = network(prefix)
    assert (same.version, same.prefixlen) == (prefix.family, prefix.length)
    assert int(same.network_address) == prefix.base
    assert int(same.broadcast_address) == prefix.last
    assert same.num_addresses == prefix.size
    assert str(prefix) == f"{same.network_address}/{same.prefixlen}"
    assert parse_prefix(str(prefix)) == prefix


@given(prefixes(shortest=1))
def test_parent_and_buddy(prefix: Prefix) -> None:
    """The parent is one bit shorter; its halves are the prefix and its buddy, in order."""
    assert network(prefix.parent) == network(prefix).supernet()
    assert prefix.parent.halves() == tuple(sorted([prefix, prefix.buddy]))
    assert prefix.buddy.buddy == prefix
    assert prefix.buddy != prefix


@given(prefixes())
def test_halves(prefix: Prefix) -> None:
    """The halves are the two subnets that ``ipaddress`` makes."""
    if prefix.length < WIDTH[prefix.family]:
        assert [network(half) for half in prefix.halves()] == list(network(prefix).subnets())


@given(prefixes(), st.integers(-2, 2))
def test_holds_at_the_edges(prefix: Prefix, off: int) -> None:
    """The first and last address are inside, their outer neighbours are not."""
    assert prefix.holds(prefix.base + off) == (0 <= off < prefix.size)
    assert prefix.holds(prefix.last + off) == (0 <= -off < prefix.size)


@given(st.data(), FAMILIES)
def test_covers_and_overlaps(data: st.DataObject, family: Family) -> None:
    """Relations of two prefixes are those of ``subnet_of`` and ``overlaps``."""
    one = data.draw(prefixes(family))
    # A relative is drawn as often as a stranger, or they would hardly ever meet.
    near = st.integers(0, WIDTH[family]).map(lambda length: enclosing(family, one.base, length))
    inside = st.integers(one.length, WIDTH[family]).map(
        lambda length: enclosing(family, one.last, length)
    )
    other = data.draw(near | inside | prefixes(family))
    assert one.covers(other) == network(other).subnet_of(network(one))
    assert one.overlaps(other) == network(one).overlaps(network(other))


def test_families_never_overlap() -> None:
    """``0.0.0.0/0`` and ``::/0`` share no address, although their numbers do."""
    assert not parse_prefix("0.0.0.0/0").covers(parse_prefix("::/0"))
    assert not parse_prefix("::/0").covers(parse_prefix("0.0.0.0/8"))
    assert not parse_prefix("0.0.0.0/8").overlaps(parse_prefix("::/8"))


@given(FAMILIES, st.data())
def test_enclosing(family: Family, data: st.DataObject) -> None:
    """The prefix of a length around an address is Python's non-strict network of it."""
    address = data.draw(st.integers(0, 2 ** WIDTH[family] - 1))
    length = data.draw(st.integers(0, WIDTH[family]))
    around = ipaddress.ip_network((address.to_bytes(WIDTH[family] // 8, "big"), length), False)
    assert network(enclosing(family, address, length)) == around


# --- Text -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "prefix"),
    [
        ("0.0.0.0/0", Prefix(4, 0, 0)),
        ("10.0.0.0/8", Prefix(4, 10 << 24, 8)),
        ("192.0.2.1/32", Prefix(4, 0xC0000201, 32)),
        ("::/0", Prefix(6, 0, 0)),
        ("2001:DB8::/32", Prefix(6, 0x20010DB8 << 96, 32)),
        ("::1/128", Prefix(6, 1, 128)),
    ],
)
def test_a_prefix_is_read(text: str, prefix: Prefix) -> None:
    """Address, slash, length."""
    assert parse_prefix(text) == prefix


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "/24",
        "10.0.0.0",
        "10.0.0.0/",
        "10.0.0.0/ 8",
        "10.0.0.0 /8",
        " 10.0.0.0/8",
        "10.0.0.0/8 ",
        "10.0.0.0/8\n",
        "10.0.0.0/08",
        "10.0.0.0/00",
        "10.0.0.0/+8",
        "10.0.0.0/-1",
        "10.0.0.0/33",
        "10.0.0.0/8/8",
        "10.0.0.0/255.0.0.0",
        "10.0.0.0/\u0668",  # ARABIC-INDIC DIGIT EIGHT
        "10.0.0.0/\u00b2",  # SUPERSCRIPT TWO, a digit to str.isdigit
        "10.0.0.0/8.0",
        "10.0.0.0/1_0",
        "10.0.0.0/" + "1" * 5000,  # more digits than int() takes
        "10.0.0.0/" + "0" * 5000,
        "10/8",
        "010.0.0.0/8",
        "10.0.0.256/32",
        "::/129",
        "::/1280",
        "fe80::%eth0/64",
        "fe80::/64%eth0",
        "host/24",
    ],
)
def test_anything_else_is_no_prefix(text: str) -> None:
    """One spelling only; a bad address part is a bad prefix too."""
    with pytest.raises(InvalidPrefix) as caught:
        parse_prefix(text)
    assert caught.value.detail == {"prefix": text}


@pytest.mark.parametrize("value", [24, None, ("10.0.0.0", 8), b"10.0.0.0/8"])
def test_a_value_other_than_text_is_no_prefix(value: Any) -> None:
    """Other types are refused as bad input, not met with an accident."""
    with pytest.raises(InvalidPrefix):
        parse_prefix(value)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("10.0.0.1/8", "10.0.0.0/8"),
        ("0.0.0.1/0", "0.0.0.0/0"),
        ("255.255.255.255/31", "255.255.255.254/31"),
        ("2001:db8::1/64", "2001:db8::/64"),
        ("::1/127", "::/127"),
    ],
)
def test_host_bits_are_refused_with_the_prefix_that_was_meant(text: str, meant: str) -> None:
    """Host bits set are an error whose message says what would be right."""
    with pytest.raises(InvalidPrefix, match="host bits") as caught:
        parse_prefix(text)
    assert meant in caught.value.message


# --- Intervals --------------------------------------------------------------------------------


@given(FAMILIES, st.data())
def test_span_equals_the_summary_of_python(family: Family, data: st.DataObject) -> None:
    """An interval becomes the prefixes of ``summarize_address_range``, which are the fewest."""
    top = 2 ** WIDTH[family] - 1
    ends = st.sampled_from([0, 1, top - 1, top]) | st.integers(0, top) | st.integers(0, 300)
    first, last = sorted([data.draw(ends), data.draw(ends)])
    kind: Any = ipaddress.IPv4Address if family == 4 else ipaddress.IPv6Address
    expected = list(ipaddress.summarize_address_range(kind(first), kind(last)))
    assert [network(prefix) for prefix in span(family, first, last)] == expected


def test_span_of_nothing_is_empty() -> None:
    """An interval that ends before it starts holds no address."""
    assert list(span(4, 5, 4)) == []


@given(SMALL)
def test_merge_intervals(intervals: list[tuple[int, int]]) -> None:
    """The same addresses, sorted, none touching the next."""
    assert merge_intervals(intervals) == intervals_of(members(intervals))


@given(SMALL, SMALL)
def test_subtract(intervals: list[tuple[int, int]], holes: list[tuple[int, int]]) -> None:
    """Exactly the addresses of the intervals that are in no hole, as the fewest intervals.

    Pieces of neighbours that touch are one, unless a hole lies between them.
    """
    assert subtract(intervals, holes) == intervals_of(members(intervals) - members(holes))


# --- Free space -------------------------------------------------------------------------------

#: Two that touch, two nested ones, and a gap.
WITHIN = [
    parse_prefix(text)
    for text in ("10.0.0.0/26", "10.0.0.128/27", "10.0.0.96/27", "10.0.0.16/28", "10.0.0.0/30")
]


def brute_free(within: list[Prefix], taken: list[Prefix]) -> list[Prefix]:
    """Every aligned piece that is free and whose parent is not, by trying all of them."""

    def is_free(piece: Prefix) -> bool:
        return any(whole.covers(piece) for whole in within) and not any(
            piece.overlaps(each) for each in taken
        )

    pieces = {
        enclosing(whole.family, address, length)
        for whole in within
        for address in range(whole.base, whole.last + 1)
        for length in range(whole.length, WIDTH[whole.family] + 1)
    }
    return sorted(piece for piece in pieces if is_free(piece) and not is_free(piece.parent))


@st.composite
def pieces_of(draw: st.DrawFn, whole: Prefix) -> Prefix:
    length = draw(st.integers(max(whole.length - 1, 1), WIDTH[whole.family]))
    return enclosing(whole.family, draw(st.integers(whole.base, whole.last)), length)


@given(st.data())
def test_free_prefixes(data: st.DataObject) -> None:
    """All largest aligned prefixes inside and clear of what is taken, none across two wholes."""
    within = data.draw(st.sets(st.sampled_from(WITHIN)).map(list))
    taken = data.draw(st.lists(st.sampled_from(WITHIN).flatmap(pieces_of), max_size=6))
    free = free_prefixes(within, taken)
    assert free == brute_free(within, taken)
    addresses = members((prefix.base, prefix.last) for prefix in free)
    assert sum(prefix.size for prefix in free) == len(addresses)


@given(st.lists(st.sampled_from(WITHIN).flatmap(pieces_of), max_size=8))
def test_outermost(several: list[Prefix]) -> None:
    """Each that no other one covers, once, ascending."""
    expected = {
        prefix
        for prefix in several
        if not any(other.covers(prefix) for other in several if other != prefix)
    }
    assert outermost(several) == sorted(expected)


@pytest.mark.parametrize("text", ["0.0.0.0/0", "::/0", "::1/128", "255.255.255.255/32"])
def test_free_prefixes_at_the_ends(text: str) -> None:
    """The whole address space is one free prefix, and nothing is left beside itself."""
    whole = parse_prefix(text)
    assert free_prefixes([whole], []) == [whole]
    assert free_prefixes([whole], [whole]) == []
    assert free_prefixes([], [whole]) == []


def test_nested_wholes_count_once() -> None:
    """A whole inside another one, or named twice, adds no free space and hides no neighbour."""
    nested = [parse_prefix(text) for text in ("10.0.0.64/26", "10.0.0.0/24", "10.0.0.0/24")]
    beside = parse_prefix("10.0.1.0/24")
    taken = [parse_prefix("10.0.0.0/25")]
    assert free_prefixes([*nested, beside], taken) == [parse_prefix("10.0.0.128/25"), beside]
    assert outermost([beside, *nested]) == [nested[1], beside]


@given(prefixes(), st.data())
def test_one_hole_equals_address_exclude(whole: Prefix, data: st.DataObject) -> None:
    """Taking one prefix out leaves Python's ``address_exclude``, in a whole of any size."""
    hole = data.draw(
        st.integers(whole.length, WIDTH[whole.family]).map(
            lambda length: enclosing(whole.family, whole.last, length)
        )
    )
    expected = sorted(network(whole).address_exclude(network(hole)))
    assert [network(prefix) for prefix in free_prefixes([whole], [hole])] == expected


@given(st.lists(st.sampled_from(WITHIN).flatmap(pieces_of), max_size=6), st.integers(25, 32))
def test_best_fit_takes_the_smallest_that_is_large_enough(taken: list[Prefix], length: int) -> None:
    """The start of the smallest free prefix that fits, the lowest of equals."""
    free = free_prefixes(WITHIN, taken)
    found = best_fit(reversed(free), length)
    fitting = [prefix for prefix in free if prefix.size >= 1 << 32 - length]
    if found is None:
        assert not fitting
        return
    smallest = min(prefix.size for prefix in fitting)
    lowest = min(prefix.base for prefix in fitting if prefix.size == smallest)
    assert found == Prefix(4, lowest, length)
