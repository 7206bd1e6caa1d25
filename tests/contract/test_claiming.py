"""The settings of claims: sizes, caps, and strict boundaries, of a dimension or of a subnet."""

from __future__ import annotations

from typing import Any

import pytest

from borough import Ipam
from borough.errors import Exhausted, FixInput, InvalidTopology

L = {"network": "n"}


def pods(ipam: Ipam, cidr: str = "10.0.0.0/24", /, **claims: Any) -> None:
    """One subnet, and its settings of claims."""
    ipam.apply(
        {
            "dimensions": {"host": {"fallback": "any", "claims": claims or True}},
            "subnets": [{"name": "pods", "cidr": cidr, "labels": L}],
        }
    )


def take(ipam: Ipam, host: str, count: int = 1) -> list[str]:
    answer = ipam.allocate(labels=L, host=host, count=count, owner=f"of-{host}")
    return [each.address for each in answer.allocations]


def routes(ipam: Ipam, host: str) -> list[str]:
    return [each.prefix for each in ipam.routes(host)]


@pytest.mark.parametrize("block", [1, 2, 8, 64])
def test_the_size_of_a_first_claim(ipam: Ipam, block: int) -> None:
    pods(ipam, block=block)
    take(ipam, "h1")
    (found,) = ipam.blocks(host="h1")
    assert found.prefix == f"10.0.0.{0 if block > 1 else 1}/{33 - block.bit_length()}"


def test_a_region_stops_growing(ipam: Ipam) -> None:
    """A second one starts elsewhere, although the space behind the first is free."""
    pods(ipam, largest=32)
    for _ in range(40):
        take(ipam, "h1")
    assert [each.region for each in ipam.blocks(host="h1")] == ["10.0.0.0/27", "10.0.0.128/28"]


def test_a_bulk_request_is_given_in_regions_of_the_largest_size(ipam: Ipam) -> None:
    """One piece of unused space serves several; the last leaves itself room to double."""
    pods(ipam, largest=32)
    assert len(take(ipam, "h1", 200)) == 200
    claims = [each for each in ipam.events() if each.act == "claimed"]
    assert [each.subject.partition("/")[2] for each in claims] == ["27"] * 6 + ["28"]
    assert ipam.audit() == []


def test_a_new_region_leaves_room_to_a_neighbour_without_any(ipam: Ipam) -> None:
    """Of two equal free ranges it takes the one whose neighbour can still grow without it."""
    pods(ipam, "10.0.0.0/25")
    take(ipam, "h1")
    take(ipam, "h2")
    take(ipam, "h1", 30)
    assert {each.region for each in ipam.blocks()} == {"10.0.0.0/27", "10.0.0.64/28"}
    take(ipam, "h3")
    assert [each.region for each in ipam.blocks(host="h3")] == ["10.0.0.96/28"]
    take(ipam, "h1", 30)
    assert [each.region for each in ipam.blocks(host="h1")] == ["10.0.0.0/26"]
    assert ipam.audit() == []


def test_a_second_region_leaves_itself_room_to_double(ipam: Ipam) -> None:
    """Half of what its holder has would be the whole piece."""
    pods(ipam)
    take(ipam, "h1")
    take(ipam, "h2")
    take(ipam, "h1", 126)
    assert {each.region for each in ipam.blocks(host="h1")} == {"10.0.0.0/25"}
    take(ipam, "h1")
    regions = {each.region for each in ipam.blocks(host="h1")}
    assert regions == {"10.0.0.0/25", "10.0.0.192/28"}


def test_at_its_cap_a_host_gets_single_addresses(ipam: Ipam) -> None:
    """They are unclaimed ones, side by side, and nothing fails while one is free."""
    pods(ipam, cap=32)
    given = [*take(ipam, "h1", 30), *(each for _ in range(10) for each in take(ipam, "h1"))]
    assert sum(int(each.size) for each in ipam.blocks(host="h1")) <= 32
    assert len(set(given)) == 40
    others = [each for each in ipam.blocks() if not each.holder]
    assert len(others) == 1, "single addresses are not taken from a new block each"
    assert len(take(ipam, "h1", 254 - 40)) == 214
    with pytest.raises(Exhausted):
        take(ipam, "h1")
    assert ipam.audit() == []


def test_a_cap_in_the_middle_of_a_request(ipam: Ipam) -> None:
    """Its claim uses up the piece of unused space that comes first; the rest is in those behind it."""
    pods(ipam, block=2, cap=4)
    take(ipam, "h1", 3)
    answer = ipam.allocate(labels=L, host="h2", count=5, kind="next")
    assert [each.address for each in answer.allocations] == [
        f"10.0.0.{last}" for last in range(4, 9)
    ]
    assert routes(ipam, "h2") == ["10.0.0.4/30", "10.0.0.8/32"]
    assert ipam.audit() == []


def test_next_goes_on_where_its_claim_ends(ipam: Ipam) -> None:
    pods(ipam, block=2, cap=4)
    answer = ipam.allocate(labels=L, host="h1", count=5, kind="next")
    assert [each.address for each in answer.allocations] == [
        f"10.0.0.{last}" for last in range(1, 6)
    ]


def test_at_its_cap_a_host_may_also_fail(ipam: Ipam) -> None:
    """Only this host fails: others still get addresses."""
    pods(ipam, cap=16, at_cap="fail")
    take(ipam, "h1", 15)
    with pytest.raises(Exhausted):
        take(ipam, "h1")
    assert take(ipam, "h2")
    assert routes(ipam, "h1") == ["10.0.0.0/28"]


def test_a_cap_below_the_first_claim_makes_it_smaller(ipam: Ipam) -> None:
    pods(ipam, cap=8)
    take(ipam, "h1")
    assert routes(ipam, "h1") == ["10.0.0.0/29"]


def test_a_strict_claim_is_its_holders_alone(ipam: Ipam) -> None:
    """No request borrows from it, with a host or without one; unused pieces are still taken over."""
    pods(ipam, "10.0.0.0/28", borrow=False)
    mine = take(ipam, "h1", 13)
    ipam.release(mine[2:4])
    for host in ("h2", None):
        with pytest.raises(Exhausted):
            ipam.allocate(labels=L, host=host)
    assert len(take(ipam, "h1", 3)) == 3
    ipam.release(owner="of-h1")
    take(ipam, "h2")
    assert routes(ipam, "h2") == ["10.0.0.0/28"]


def test_strict_and_other_subnets_in_one_group(ipam: Ipam) -> None:
    """A subnet overrides its dimension; free addresses behind a strict one are found."""
    ipam.apply(
        {
            "subnets": [
                {"name": "a", "cidr": "10.0.0.0/28", "labels": L, "claims": {"borrow": False}},
                {"name": "b", "cidr": "10.0.1.0/28", "labels": L},
            ]
        }
    )
    first = take(ipam, "h1", 14)
    second = take(ipam, "h2", 14)
    ipam.release([first[5], second[5]])
    answer = ipam.allocate(labels=L, host="h3")
    assert answer.allocations[0].subnet == "b"
    assert answer.allocations[0].borrowed
    with pytest.raises(Exhausted):
        ipam.allocate(labels=L, host="h3")


def test_a_rack_claims_by_its_own_rules(ipam: Ipam) -> None:
    """Any soft dimension, with settings of its own."""
    ipam.apply(
        {
            "dimensions": {"rack": {"fallback": "any", "claims": {"block": 64}}},
            "subnets": [{"name": "pods", "cidr": "10.0.0.0/24", "labels": L}],
        }
    )
    ipam.allocate(labels={**L, "rack": "r1"})
    assert [(each.holder, each.prefix) for each in ipam.blocks()] == [("rack=r1", "10.0.0.0/26")]


def test_settings_are_kept(ipam: Ipam) -> None:
    """Applied again, nothing changes; applied without them, they are removed."""
    topology: dict[str, Any] = {
        "dimensions": {"host": {"fallback": "any", "claims": {"block": 8, "at_cap": "fail"}}},
        "subnets": [{"name": "a", "cidr": "10.0.0.0/28", "claims": {"cap": 4}}],
    }
    assert ipam.apply(topology)
    assert not ipam.apply(topology)
    (host,) = [each for each in ipam.dimensions() if each.name == "host"]
    assert host.claiming == {"block": 8, "at_cap": "fail"}
    assert ipam.subnets()[0].claims == {"cap": 4}
    topology["subnets"][0].pop("claims")
    assert ipam.apply(topology)
    assert ipam.subnets()[0].claims == {}
    assert ipam.audit() == []


@pytest.mark.parametrize(
    "claims",
    [
        {"block": 3},
        {"block": 128},
        {"block": 16, "largest": 8},
        {"cap": -1},
        {"at_cap": "wait"},
        {"borrow": "no"},
        {"blok": 4},
    ],
)
def test_invalid_settings(ipam: Ipam, claims: dict[str, Any]) -> None:
    """In a file as in a call; nothing changes."""
    with pytest.raises(InvalidTopology):
        pods(ipam, **claims)
    with pytest.raises(FixInput):
        ipam.add_subnet("10.0.0.0/24", claims=claims)
    assert ipam.subnets() == []


def declared(claims: dict[str, Any], of_subnet: dict[str, Any] | None = None) -> dict[str, Any]:
    """Two hosts, one with settings of claims."""
    return {
        "subnets": [
            {"name": "pods", "cidr": "10.0.0.0/23", "labels": L, "claims": of_subnet or {}},
        ],
        "hosts": {"large": {"rack": "r1", "claims": claims}, "small": {"rack": "r1"}},
        "dimensions": {"rack": {"fallback": "any"}},
    }


def regions(ipam: Ipam, host: str) -> set[str]:
    return {each.region for each in ipam.blocks(host=host)}


def test_a_host_that_expects_much_starts_large(ipam: Ipam) -> None:
    """As large as it expects to become, where three times as much is left; others are as before."""
    ipam.apply(declared({"expected": 100}))
    take(ipam, "small")
    take(ipam, "large")
    assert regions(ipam, "small") == {"10.0.0.0/28"}
    # Half of the subnet is unclaimed in one piece, and a quarter of that is 64 addresses.
    assert regions(ipam, "large") == {"10.0.1.0/26"}
    take(ipam, "large", 64)
    assert regions(ipam, "large") == {"10.0.1.0/25"}
    assert ipam.audit() == []


def test_a_further_region_is_what_is_missing_of_what_is_expected(ipam: Ipam) -> None:
    ipam.apply(declared({"expected": 20, "largest": 16}))
    take(ipam, "large")
    assert regions(ipam, "large") == {"10.0.0.0/28"}
    ipam.apply(declared({"expected": 80}))
    take(ipam, "small")
    take(ipam, "large", 16)
    assert regions(ipam, "large") == {"10.0.0.0/27"}
    ipam.apply(declared({"expected": 80, "largest": 32}))
    take(ipam, "large", 16)
    assert regions(ipam, "large") == {"10.0.0.0/27", "10.0.0.128/27"}


def test_what_is_expected_of_every_host(ipam: Ipam) -> None:
    """Where all hosts are alike, it is set on the dimension or the subnet."""
    pods(ipam, "10.0.0.0/22", expected=100)
    take(ipam, "h1")
    assert regions(ipam, "h1") == {"10.0.0.0/25"}
    ipam.apply(
        {
            "subnets": [
                {"name": "pods", "cidr": "10.0.0.0/22", "labels": L, "claims": {"expected": 9}}
            ]
        }
    )
    take(ipam, "h2")
    assert regions(ipam, "h2") == {"10.0.2.0/28"}


def test_a_host_has_settings_of_its_own(ipam: Ipam) -> None:
    """It overrules the dimension, and a subnet overrules it."""
    ipam.apply(declared({"block": 64, "cap": 64}))
    take(ipam, "small")
    take(ipam, "large", 80)
    assert (regions(ipam, "small"), regions(ipam, "large")) == ({"10.0.0.0/28"}, {"10.0.1.0/26"})
    ipam.release(host="large")
    ipam.apply(declared({"block": 64, "cap": 64}, {"block": 4}))
    take(ipam, "large")
    assert regions(ipam, "large") == {"10.0.1.0/30"}


def test_settings_of_a_host_do_not_apply_to_its_rack(ipam: Ipam) -> None:
    topology = declared({"block": 64})
    topology["dimensions"] = {
        "host": {"fallback": "any", "claims": False},
        "rack": {"fallback": "any", "claims": True},
    }
    ipam.apply(topology)
    take(ipam, "large")
    assert [(each.holder, each.region) for each in ipam.blocks()] == [("rack=r1", "10.0.0.0/28")]


def test_the_settings_of_a_host_are_kept(ipam: Ipam) -> None:
    """Through a change, another name, and an apply without them, when they go."""
    topology = declared({"expected": 110, "at_cap": "fail"})
    assert ipam.apply(topology)
    assert not ipam.apply(topology)
    kept = {each.name: each for each in ipam.hosts()}
    assert kept["large"].claims == {"expected": 110, "at_cap": "fail"}
    assert kept["large"].labels == {"rack": ["r1"]}
    assert kept["small"].claims == {}
    topology["hosts"]["large"]["claims"] = {"expected": 60}
    (change,) = ipam.apply(topology).changes
    assert [each.field for each in change.fields] == ["claims"]
    ipam.rename_host("large", "larger")
    assert [each.claims for each in ipam.hosts() if each.name == "larger"] == [{"expected": 60}]
    topology["hosts"] = {"larger": {"rack": "r1"}}
    assert ipam.apply(topology)
    assert [each.claims for each in ipam.hosts()] == [{}]


@pytest.mark.parametrize("claims", [{"expected": -1}, {"expected": "many"}, {"expects": 4}, True])
def test_invalid_settings_of_a_host(ipam: Ipam, claims: Any) -> None:
    with pytest.raises(InvalidTopology):
        ipam.apply(declared(claims))
    assert ipam.hosts() == []


def test_no_dimension_is_called_claims(ipam: Ipam) -> None:
    """That name among a host's labels means its settings."""
    with pytest.raises(InvalidTopology, match="cannot name a dimension"):
        ipam.apply({"dimensions": {"claims": {"fallback": "any"}}})
