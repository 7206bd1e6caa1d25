"""Routes of a whole fabric: every address is found, and no smaller set of prefixes finds it.

The slow truth knows nothing of tries: it makes every set of announcements of a tiny address space.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import pytest
from aggregation.count import lpm_count
from hypothesis import given, settings
from hypothesis import strategies as st

from borough.domain.net.addresses import WIDTH, Family, parse_address
from borough.domain.net.fewest_routes import Routes, Territory, lpm_routes, strict_routes
from borough.domain.net.prefixes import Prefix, enclosing, parse_prefix

FAMILIES: st.SearchStrategy[Family] = st.sampled_from([4, 6])

#: Who an address leads to; None for nobody.
Map = tuple[str | None, ...]

#: Whether a host may advertise a prefix: the host, the first address, the number of addresses.
May = Callable[[str, int, int], bool]


def fewest(size: int, hosts: list[str], may: May) -> dict[Map, int]:
    """Everything that announcements can bring about in a space, and the fewest that do.

    A set of announcements is one for the lower half, one for the upper half, and perhaps one host that
    advertises the whole and gets what the halves leave open.
    """

    def of(first: int, size: int) -> dict[Map, int]:
        below: dict[Map, int] = {(None,): 0}
        if size > 1:
            halves = of(first, size // 2), of(first + size // 2, size // 2)
            below = {
                low + high: cost + more
                for (low, cost), (high, more) in itertools.product(
                    *(each.items() for each in halves)
                )
            }
        found = dict(below)
        for host in hosts:
            if may(host, first, size):
                for made, cost in below.items():
                    filled = tuple(each or host for each in made)
                    found[filled] = min(found.get(filled, 99), cost + 1)
        return found

    return of(0, size)


def fits(wanted: Map, made: Map) -> bool:
    return all(want in (None, got) for want, got in zip(wanted, made, strict=True))


def announced(routes: Routes) -> dict[Prefix, str]:
    """Every prefix and who advertises it; no prefix has two."""
    made: dict[Prefix, str] = {}
    for host, prefixes in routes.items():
        assert prefixes == sorted(prefixes)
        for prefix in prefixes:
            assert prefix not in made
            made[prefix] = host
    return made


def forward(table: Mapping[Prefix, str], family: Family, address: int) -> str | None:
    """The host that the longest match leads to."""
    for length in range(WIDTH[family], -1, -1):
        found = table.get(enclosing(family, address, length))
        if found:
            return found
    return None


class Fabric:
    """A tiny space in which hosts have claimed and hold addresses."""

    def __init__(self, family: Family, size: int, claims: list[tuple[int, int, str]], held: Map):
        self.family, self.size, self.held = family, size, held
        # Not at the start of the address space, and aligned.
        self.base = (2**20) if family == 4 else 0x20010DB8 << 96
        self.claimed: list[str | None] = [None] * size
        for first, length, host in claims:
            if not any(self.claimed[first : first + length]):
                self.claimed[first : first + length] = [host] * length
        self.claims = [
            each
            for each in claims
            if self.claimed[each[0] : each[0] + each[1]] == [each[2]] * each[1]
        ]
        self.wanted: Map = tuple(
            holder or claimant for holder, claimant in zip(held, self.claimed, strict=True)
        )

    @property
    def territories(self) -> dict[str, Territory]:
        made = {host: Territory(set(), []) for host in "abc"}
        for first, length, host in self.claims:
            prefix_length = WIDTH[self.family] - (length.bit_length() - 1)
            made[host].claimed.add(Prefix(self.family, self.base + first, prefix_length))  # type: ignore[attr-defined]
        for at, holder in enumerate(self.held):
            if holder:
                made[holder].held.append(self.base + at)  # type: ignore[attr-defined]
        return made

    def led(self, routes: Routes) -> Map:
        table = announced(routes)
        return tuple(forward(table, self.family, self.base + at) for at in range(self.size))

    def has(self, host: str, at: int) -> bool:
        return host in (self.held[at], self.claimed[at])


@st.composite
def fabrics(draw: st.DrawFn, size: int, hosts: str) -> Fabric:
    sizes = [1 << bits for bits in range(size.bit_length() - 1)]
    claims = []
    for _ in range(draw(st.integers(0, 4))):
        length = draw(st.sampled_from(sizes))
        first = draw(st.integers(0, size // length - 1)) * length
        claims.append((first, length, draw(st.sampled_from(hosts))))
    holders = st.sampled_from([None, *hosts])
    held = tuple(draw(st.lists(holders, min_size=size, max_size=size)))
    return Fabric(draw(FAMILIES), size, claims, held)


@st.composite
def tiny(draw: st.DrawFn) -> tuple[Fabric, list[str]]:
    """Eight addresses and two hosts, or four and three: as much as everything can be tried for."""
    size, hosts = draw(st.sampled_from([(8, "ab"), (4, "abc")]))
    return draw(fabrics(size, hosts)), list(hosts)


@settings(deadline=None)  # trying everything takes its time
@given(tiny())
def test_no_smaller_set_is_strict_and_leads_right(drawn: tuple[Fabric, list[str]]) -> None:
    """Of all sets in which each host covers only space that it holds or claims."""
    fabric, hosts = drawn

    def may(host: str, first: int, size: int) -> bool:
        return all(fabric.has(host, at) for at in range(first, first + size))

    routes = strict_routes(fabric.family, fabric.territories)
    assert fits(fabric.wanted, fabric.led(routes))
    for prefix, host in announced(routes).items():
        assert may(host, prefix.base - fabric.base, prefix.size)
    possible = fewest(fabric.size, hosts, may)
    assert len(announced(routes)) == min(
        cost for made, cost in possible.items() if fits(fabric.wanted, made)
    )


@settings(deadline=None)  # trying everything takes its time
@given(tiny(), st.data())
def test_no_smaller_set_leads_right_by_longest_match(
    drawn: tuple[Fabric, list[str]], data: st.DataObject
) -> None:
    """Of all sets inside the area; what is in the way is covered only where it is claimed."""
    fabric, hosts = drawn
    inside = [
        data.draw(st.booleans()) or fabric.wanted[at] is not None for at in range(fabric.size)
    ]
    avoid = [at for at in range(fabric.size) if not fabric.held[at] and data.draw(st.booleans())]
    open_ = [
        inside[at] and (at not in avoid or fabric.claimed[at] is not None)
        for at in range(fabric.size)
    ]

    def may(_host: str, first: int, size: int) -> bool:
        return all(open_[first : first + size])

    bounds = [(fabric.base + at,) * 2 for at in range(fabric.size) if inside[at]]
    routes = lpm_routes(
        fabric.family, fabric.territories, bounds, [fabric.base + at for at in avoid]
    )
    assert fits(fabric.wanted, fabric.led(routes))
    for prefix, host in announced(routes).items():
        assert may(host, prefix.base - fabric.base, prefix.size)
    possible = fewest(fabric.size, hosts, may)
    assert len(announced(routes)) == min(
        cost for made, cost in possible.items() if fits(fabric.wanted, made)
    )


@cache
def everything() -> dict[Map, int]:
    """The effect of each of the 4^7 sets of announcements on four addresses, and the smallest such set."""
    nodes = [range(4), range(2), range(2, 4), *(range(at, at + 1) for at in range(4))]
    found: dict[Map, int] = {}
    for hosts in itertools.product((None, "a", "b", "c"), repeat=len(nodes)):
        made: list[str | None] = [None] * 4
        for node, host in zip(nodes, hosts, strict=True):
            for at in node if host else ():
                made[at] = host  # the longer prefixes come later
        cost = sum(host is not None for host in hosts)
        found[tuple(made)] = min(found.get(tuple(made), 99), cost)
    return found


@pytest.mark.parametrize("family", [4, 6])
def test_every_fabric_of_four_addresses(family: Family) -> None:
    """All 256 of them, against all 16,384 sets of announcements."""
    for held in itertools.product((None, "a", "b", "c"), repeat=4):
        fabric = Fabric(family, 4, [], held)
        bounds = [(fabric.base, fabric.base + 3)]
        routes = lpm_routes(family, fabric.territories, bounds)
        assert fits(held, fabric.led(routes))
        assert sum(map(len, routes.values())) == min(
            cost for made, cost in everything().items() if fits(held, made)
        )


def test_the_slow_truth_is_the_truth() -> None:
    """Halving finds what trying each set finds."""
    assert fewest(4, ["a", "b", "c"], lambda *_: True) == everything()


@st.composite
def larger(draw: st.DrawFn) -> Fabric:
    """Up to 256 addresses, mostly held where they are claimed, by up to 3 hosts."""
    fabric = draw(fabrics(draw(st.sampled_from([16, 64, 256])), "abc"))
    held = tuple(
        (claimant if draw(st.integers(0, 3)) else holder)
        for claimant, holder in zip(fabric.claimed, fabric.held, strict=True)
    )
    return Fabric(fabric.family, fabric.size, fabric.claims, held)


@settings(deadline=None)  # as above
@given(larger())
def test_both_forms_lead_right_and_lpm_needs_no_more(fabric: Fabric) -> None:
    """Every address of larger spaces; and the count is what is counted."""
    bounds = [(fabric.base, fabric.base + fabric.size - 1)]
    strict = strict_routes(fabric.family, fabric.territories)
    loose = lpm_routes(fabric.family, fabric.territories, bounds)
    assert fits(fabric.wanted, fabric.led(strict))
    assert fits(fabric.wanted, fabric.led(loose))
    number = len(announced(loose))
    assert number <= len(announced(strict))
    assert number == lpm_count(fabric.family, owned(fabric), bounds)
    unclaimed = [
        made for made, want in zip(fabric.led(strict), fabric.wanted, strict=True) if not want
    ]
    assert unclaimed == [None] * len(unclaimed)


def owned(fabric: Fabric) -> Iterator[list[tuple[int, int]]]:
    for host in "abc":
        yield [(fabric.base + at,) * 2 for at in range(fabric.size) if fabric.wanted[at] == host]


# --- Known answers --------------------------------------------------------------------------------


def territories(**hosts: str) -> dict[str, Territory]:
    """Claims and addresses, separated by blanks."""
    made = {}
    for host, text in hosts.items():
        words = text.split()
        made[host] = Territory(
            [parse_prefix(word) for word in words if "/" in word],
            [parse_address(word)[1] for word in words if "/" not in word],
        )
    return made


def interval(text: str) -> tuple[int, int]:
    prefix = parse_prefix(text)
    return prefix.base, prefix.last


def shown(routes: Routes) -> dict[str, Any]:
    return {host: " ".join(map(str, prefixes)) for host, prefixes in routes.items()}


NET = [interval("10.0.0.0/24")]


@pytest.mark.parametrize(
    ("hosts", "strict", "loose"),
    [
        ({}, {}, {}),
        ({"a": ""}, {}, {}),
        (  # no need of one prefix for each
            {"a": "10.0.0.1 10.0.0.4"},
            {"a": "10.0.0.1/32 10.0.0.4/32"},
            {"a": "10.0.0.0/29"},
        ),
        (  # a covering prefix and an exception
            {"a": "10.0.0.0/28 10.0.0.32/28", "b": "10.0.0.16"},
            {"a": "10.0.0.0/28 10.0.0.32/28", "b": "10.0.0.16/32"},
            {"a": "10.0.0.0/26", "b": "10.0.0.16/32"},
        ),
        (  # a borrowed address
            {"a": "10.0.0.0/28", "b": "10.0.0.3 10.0.0.16/28"},
            {"a": "10.0.0.0/28", "b": "10.0.0.3/32 10.0.0.16/28"},
            {"a": "10.0.0.0/28", "b": "10.0.0.3/32 10.0.0.16/28"},
        ),
        (  # all of a claim is borrowed: its prefix would make the way of each address a matter of chance
            {"a": "10.0.0.0/31", "b": "10.0.0.0 10.0.0.1"},
            {"b": "10.0.0.0/31"},
            {"b": "10.0.0.0/31"},
        ),
        (  # the same, and a prefix for the claim would take the addresses away from who holds them
            {"a": "10.0.0.0/31", "b": "10.0.0.0 10.0.0.1 10.0.0.2/31"},
            {"b": "10.0.0.0/30"},
            {"b": "10.0.0.0/30"},
        ),
        (  # each holds all of the other's
            {"a": "10.0.0.0/31 10.0.0.2 10.0.0.3", "b": "10.0.0.2/31 10.0.0.0 10.0.0.1"},
            {"a": "10.0.0.0/30", "b": "10.0.0.0/31"},
            {"a": "10.0.0.2/31", "b": "10.0.0.0/31"},
        ),
        (  # half of a claim is borrowed: the claimant's prefix stays as it is
            {"a": "10.0.0.0/30", "b": "10.0.0.2 10.0.0.3"},
            {"a": "10.0.0.0/30", "b": "10.0.0.2/31"},
            {"a": "10.0.0.0/31", "b": "10.0.0.2/31"},
        ),
    ],
)
def test_known_answers(
    hosts: dict[str, str], strict: dict[str, str], loose: dict[str, str]
) -> None:
    assert shown(strict_routes(4, territories(**hosts))) == strict
    assert shown(lpm_routes(4, territories(**hosts), NET)) == loose


def test_no_prefix_leaves_the_area() -> None:
    """Two subnets with a gap have a prefix each; two that touch share one."""
    hosts = territories(a="10.0.0.1 10.0.0.200 10.0.2.1")
    apart = [interval("10.0.0.0/24"), interval("10.0.2.0/24")]
    assert shown(lpm_routes(4, hosts, apart)) == {"a": "10.0.0.0/24 10.0.2.1/32"}
    together = [interval("10.0.0.0/24"), interval("10.0.1.0/24"), interval("10.0.2.0/24")]
    assert shown(lpm_routes(4, hosts, together)) == {"a": "10.0.0.0/24 10.0.2.1/32"}
    whole = [*together, interval("10.0.3.0/24")]
    assert shown(lpm_routes(4, hosts, whole)) == {"a": "10.0.0.0/22"}


def test_traffic_of_addresses_without_a_host_is_not_attracted() -> None:
    """An address held without a host is left alone, but for a host that has claimed it."""
    hosts = territories(a="10.0.0.1 10.0.0.2")
    address = interval("10.0.0.3/32")[0]
    assert shown(lpm_routes(4, hosts, NET, [address])) == {"a": "10.0.0.1/32 10.0.0.2/32"}
    assert shown(lpm_routes(4, hosts, NET, [])) == {"a": "10.0.0.0/30"}
    claimed = territories(a="10.0.0.0/30")
    assert shown(lpm_routes(4, claimed, NET, [address])) == {"a": "10.0.0.0/30"}


def test_the_size_of_the_space_does_not_matter() -> None:
    """Two addresses at the ends of a /64 and of everything."""
    hosts = territories(a="2001:db8::1", b="2001:db8::ffff:ffff:ffff:ffff", c="2001:db8::2")
    assert shown(lpm_routes(6, hosts, [interval("2001:db8::/64")])) == {
        "a": "2001:db8::1/128",
        "b": "2001:db8::ffff:ffff:ffff:ffff/128",
        "c": "2001:db8::2/128",
    }
    hosts = territories(a=":: ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")
    assert shown(lpm_routes(6, hosts, [interval("::/0")])) == {"a": "::/0"}
