"""Soft host boundaries: blocks are claimed, grown, released, taken over and borrowed from."""

from __future__ import annotations

from typing import Any

import pytest

from borough import Ipam
from borough.domain.encode import plain
from borough.domain.net.addresses import parse_address
from borough.domain.net.prefixes import parse_prefix
from borough.engine.queries import RouteForm
from borough.errors import FixInput, UnknownObject

L = {"network": "n"}
FORMS: tuple[RouteForm, ...] = ("strict", "lpm")


def pods(ipam: Ipam, cidr: str = "10.0.0.0/24", **more: Any) -> None:
    ipam.apply({"subnets": [{"name": "pods", "cidr": cidr, "labels": L}], **more})


def take(ipam: Ipam, host: str, count: int = 1) -> list[str]:
    answer = ipam.allocate(labels=L, host=host, count=count, owner=f"of-{host}")
    return [each.address for each in answer.allocations]


def routes(ipam: Ipam, host: str) -> list[str]:
    return [each.prefix for each in ipam.routes(host)]


@pytest.mark.parametrize(
    ("cidr", "expected"),
    [("10.0.0.0/24", "10.0.0.0/28"), ("2001:db8::/64", "2001:db8::/124")],
)
def test_a_first_claim_is_small(ipam: Ipam, cidr: str, expected: str) -> None:
    """A /28 or a /124, in both families alike."""
    pods(ipam, cidr)
    take(ipam, "h1")
    assert routes(ipam, "h1") == [expected]


def test_hosts_are_placed_apart(ipam: Ipam) -> None:
    """Each next host starts in the middle of the largest free space, where it can double most."""
    pods(ipam)
    for host in ("h1", "h2", "h3", "h4"):
        take(ipam, host)
    starts = [routes(ipam, host) for host in ("h1", "h2", "h3", "h4")]
    assert starts == [["10.0.0.0/28"], ["10.0.0.128/28"], ["10.0.0.64/28"], ["10.0.0.192/28"]]


def test_a_region_doubles_in_place(ipam: Ipam) -> None:
    """Fifteen addresses, then 16, 32 and 102: one route all the time."""
    pods(ipam)
    seen = []
    for count in (15, 1, 16, 70):
        take(ipam, "h1", count)
        seen.append(routes(ipam, "h1"))
    assert seen == [["10.0.0.0/28"], ["10.0.0.0/27"], ["10.0.0.0/26"], ["10.0.0.0/25"]]


def test_a_bulk_request_claims_what_it_needs_at_once(ipam: Ipam) -> None:
    """200 addresses of a fresh host are one region."""
    pods(ipam, "10.0.0.0/16")
    take(ipam, "h1", 200)
    assert routes(ipam, "h1") == ["10.0.0.0/24"]


def test_growth_stops_at_a_neighbour_of_the_same_size(ipam: Ipam) -> None:
    """When a region as large as its own is the buddy, a second region starts elsewhere."""
    pods(ipam, "10.0.0.0/26")
    take(ipam, "h1", 15)
    take(ipam, "h2")
    take(ipam, "h1", 1)
    assert routes(ipam, "h1") == ["10.0.0.0/27"]
    take(ipam, "h2", 16)
    assert routes(ipam, "h2") == ["10.0.0.32/27"]
    ipam.apply({"subnets": [{"name": "more", "cidr": "10.0.1.0/28", "labels": L}]}, name="more")
    take(ipam, "h1", 16)
    assert routes(ipam, "h1") == ["10.0.0.0/27", "10.0.1.0/28"]


def test_a_region_grows_over_the_smaller_one_of_a_neighbour(ipam: Ipam) -> None:
    """The neighbour keeps its route, which is longer, and gets back to the new holder what it returns."""
    pods(ipam, "10.0.0.0/26")
    take(ipam, "h1", 15)
    take(ipam, "h2")
    take(ipam, "h1", 17)
    assert routes(ipam, "h1") == ["10.0.0.0/26"]
    assert routes(ipam, "h2") == ["10.0.0.32/28"]
    assert ipam.audit() == []
    ipam.release(host="h2")
    assert [(each.prefix, each.holder) for each in ipam.blocks()] == [("10.0.0.0/26", "host=h1")]
    assert routes(ipam, "h1") == ["10.0.0.0/26"]
    assert ipam.audit() == []


def test_borrowing_comes_last_and_is_reported(ipam: Ipam) -> None:
    """No request fails while any address of the network is free."""
    pods(ipam, "10.0.0.0/27")
    take(ipam, "h1")
    ipam.release(take(ipam, "h2", 15)[4:7:2])
    assert len(take(ipam, "h1", 15)) == 15
    answer = ipam.allocate(labels=L, host="h1", explain=True)
    assert answer.address == "10.0.0.22"
    assert answer.allocations[0].borrowed
    assert answer.explanation is not None
    assert "borrowed from host=h2" in answer.explanation.notes[0]
    block = next(each for each in ipam.blocks() if each.holder == "host=h2")
    assert answer.address in block.borrowed
    assert f"{answer.address}/32" in routes(ipam, "h1")


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("rack", [1, 2, 3])
def test_the_last_free_address_of_a_small_group_is_found(
    ipam: Ipam, rack: int, named: bool
) -> None:
    """Three racks have a full block each, and one address comes free again, whichever rack it is in."""
    ipam.apply(
        {
            "dimensions": {"rack": {"fallback": "any"}},
            "subnets": [
                {"name": f"s{n}", "cidr": f"10.0.{n}.0/29", "labels": {**L, "rack": f"r{n}"}}
                for n in (1, 2, 3)
            ],
            "hosts": {f"h{n}": {"rack": f"r{n}"} for n in (1, 2, 3)},
        }
    )
    for number in (1, 2, 3):
        for _ in range(6):
            take(ipam, f"h{number}")
    ipam.release(f"10.0.{rack}.4")
    group: dict[str, Any] = {"subnets": [("s1", "s2", "s3")]} if named else {"labels": L}
    assert ipam.allocate(**group, host="h9").address == f"10.0.{rack}.4"


def test_a_borrowed_address_is_one_route_and_its_lender_keeps_its_own(ipam: Ipam) -> None:
    """The lender's prefix covers what it claimed; the borrower adds a host route."""
    pods(ipam, "10.0.0.0/28")
    ipam.release(take(ipam, "h1", 14)[6])
    (address,) = take(ipam, "h2")
    assert routes(ipam, "h1") == ["10.0.0.0/28"]
    assert routes(ipam, "h2") == [f"{address}/32"]


def test_an_unused_piece_of_a_region_is_borrowed(ipam: Ipam) -> None:
    """It costs h1 no further route, and h2 one; when h2 needs it no more, h1 has it again."""
    pods(ipam, "10.0.0.0/28")
    take(ipam, "h1", 3)
    assert take(ipam, "h2") == ["10.0.0.12"]
    assert routes(ipam, "h1") == ["10.0.0.0/28"]
    assert routes(ipam, "h2") == ["10.0.0.12/30"]
    assert [(each.prefix, each.lender, each.lent_from) for each in ipam.blocks()] == [
        ("10.0.0.0/29", "", ""),
        ("10.0.0.8/30", "", ""),
        ("10.0.0.12/30", "host=h1", "10.0.0.0/28"),
    ]
    assert ipam.audit() == []
    ipam.release(host="h2")
    assert [(each.prefix, each.holder) for each in ipam.blocks()] == [("10.0.0.0/28", "host=h1")]
    assert routes(ipam, "h1") == ["10.0.0.0/28"]
    assert ipam.audit() == []


def test_a_loan_outlives_its_lender(ipam: Ipam) -> None:
    """The borrower keeps its piece as a region of its own, and the rest is unclaimed."""
    pods(ipam, "10.0.0.0/27")
    take(ipam, "h1", 20)
    assert take(ipam, "h2") == ["10.0.0.28"]
    ipam.release(host="h1")
    assert routes(ipam, "h1") == []
    assert routes(ipam, "h2") == ["10.0.0.28/30"]
    assert [(each.prefix, each.region) for each in ipam.blocks()] == [
        ("10.0.0.28/30", "10.0.0.28/30")
    ]
    assert ipam.audit() == []
    take(ipam, "h3", 3)
    ipam.release(host="h2")
    ipam.release(host="h3")
    runs = ipam.store.transact(lambda unit: unit.free_ranges(), write=False)
    assert [str(run.prefix) for run in runs] == ["10.0.0.0/27"]


def test_a_drained_borrower_leaves_addresses_to_its_lender(ipam: Ipam) -> None:
    """They are borrowed one by one then, and free space of the lender after their release."""
    pods(ipam, "10.0.0.0/28")
    take(ipam, "h1", 3)
    (address,) = take(ipam, "h2")
    ipam.drain("h2")
    assert [(each.prefix, each.holder, each.borrowed) for each in ipam.blocks()] == [
        ("10.0.0.0/28", "host=h1", (address,))
    ]
    assert routes(ipam, "h2") == [f"{address}/32"]
    assert ipam.audit() == []


def test_loans_inside_loans(ipam: Ipam) -> None:
    """Each address leads to its host, whoever leaves first."""
    pods(ipam, "10.0.0.0/26")
    take(ipam, "h1", 20)
    take(ipam, "h2", 9)
    take(ipam, "h3", 4)
    take(ipam, "h4", 2)
    assert ipam.audit() == []
    for host in ("h3", "h1", "h4", "h2"):
        ipam.release(host=host)
        assert ipam.audit() == []
    assert ipam.blocks() == []


def test_the_largest_piece_is_borrowed_first(ipam: Ipam) -> None:
    """Of two full subnets h1 has 4 unused addresses at the end, h2 10."""
    networks = ("10.0.0.0/28", "10.0.1.0/28")
    ipam.apply({"subnets": [{"name": each, "cidr": each, "labels": L} for each in networks]})
    first = take(ipam, "h1", 11)
    second = take(ipam, "h2", 5)
    assert first[0].startswith("10.0.0.")
    assert second[0].startswith("10.0.1.")
    assert take(ipam, "h3") == ["10.0.1.12"]


def test_half_of_a_region_of_several_blocks_is_taken_over(ipam: Ipam) -> None:
    """The blocks change hands; nothing of them is lost."""
    pods(ipam, "10.0.0.0/24")
    take(ipam, "h1", 200)
    held = [each.address for each in ipam.allocations(host="h1")]
    ipam.release(held[100:])
    assert routes(ipam, "h1") == ["10.0.0.0/24"]
    take(ipam, "h2", 60)
    assert routes(ipam, "h1") == ["10.0.0.0/25"]
    assert routes(ipam, "h2") == ["10.0.0.128/25"]
    assert ipam.audit() == []


def test_a_loan_joins_its_buddy(ipam: Ipam) -> None:
    """Buddies of one holder are one region, and one route."""
    pods(ipam, "10.0.0.0/27")
    take(ipam, "h1", 20)
    take(ipam, "h2", 3)
    assert routes(ipam, "h2") == ["10.0.0.28/30"]
    take(ipam, "h2", 4)
    assert routes(ipam, "h2") == ["10.0.0.24/29"]
    assert [each.region for each in ipam.blocks(host="h2")] == ["10.0.0.24/29"]


def test_a_holder_of_much_claims_much(ipam: Ipam) -> None:
    """A new region has half of what its holder has already, where it cannot grow in place."""
    pods(ipam, "10.0.0.0/23")
    take(ipam, "h1", 63)
    take(ipam, "h2", 1)
    ipam.allocate(labels=L, kind="specific", address="10.0.0.64")
    take(ipam, "h1", 1)
    # Of the two pieces of 128 the one beside h2, which can double without it.
    assert routes(ipam, "h1") == ["10.0.0.0/26", "10.0.1.128/27"]


def test_an_unused_block_is_taken_over(ipam: Ipam) -> None:
    """h1 left its last block empty: h2 gets it as its own, with no host routes."""
    pods(ipam, "10.0.0.0/28")
    take(ipam, "h1")
    ipam.release(owner="of-h1")
    assert routes(ipam, "h1") == ["10.0.0.0/28"]
    take(ipam, "h2")
    assert routes(ipam, "h1") == []
    assert routes(ipam, "h2") == ["10.0.0.0/28"]


def test_an_empty_region_is_released_except_the_last(ipam: Ipam) -> None:
    """It returns to the unclaimed space, joined with its buddies."""
    pods(ipam, "10.0.0.0/25")
    take(ipam, "h1", 31)
    take(ipam, "h2", 20)
    second = take(ipam, "h1", 33)
    ipam.release(second)
    assert len(routes(ipam, "h1")) == 1
    ipam.release(owner="of-h2")
    assert len(routes(ipam, "h2")) == 1
    ipam.release(host="h2")
    assert routes(ipam, "h2") == []
    ipam.release(host="h1")
    runs = ipam.store.transact(lambda unit: unit.free_ranges(), write=False)
    assert [str(run.prefix) for run in runs] == ["10.0.0.0/25"]


def test_a_host_that_is_released_leaves_nothing(ipam: Ipam) -> None:
    """Its addresses and its claims go, and the space is whole again."""
    pods(ipam)
    take(ipam, "h1", 40)
    ipam.release(host="h1")
    assert ipam.blocks() == []
    runs = ipam.store.transact(lambda unit: unit.free_ranges(), write=False)
    assert [str(run.prefix) for run in runs] == ["10.0.0.0/24"]


def test_releasing_a_host_where_nothing_is_declared(ipam: Ipam) -> None:
    """No subnet, no cohort, no claim: nothing to do."""
    assert not ipam.release(host="h1")


def test_requests_without_a_host_leave_claims_alone(ipam: Ipam) -> None:
    """They use unclaimed space while there is any."""
    pods(ipam, "10.0.0.0/25")
    take(ipam, "h1")
    got = ipam.allocate(labels=L, count=100).allocations
    assert not any(each.borrowed for each in got)


def test_any_soft_dimension_may_claim(ipam: Ipam) -> None:
    """A rack claims blocks just as a host does, when its dimension says so."""
    pods(ipam, dimensions={"rack": {"fallback": "any", "claims": True}})
    answer = ipam.allocate(labels={**L, "rack": "r1"})
    assert [each.holder for each in ipam.blocks()] == ["rack=r1"]
    assert answer.allocations[0].block == "10.0.0.0/28"


def test_next_claims_at_the_lowest_place(ipam: Ipam) -> None:
    """The lowest free address decides; growth is not sought."""
    pods(ipam)
    take(ipam, "h1")
    answer = ipam.allocate(labels=L, host="h2", kind="next")
    assert answer.address == "10.0.0.16"
    assert answer.allocations[0].block == "10.0.0.16/28"


def test_routes_are_of_the_whole_fabric(ipam: Ipam) -> None:
    """A claim of which a guest holds everything leads to the guest, in both forms."""
    pods(ipam, "10.0.0.0/31")
    lent = take(ipam, "h1", 2)
    for address in lent:
        ipam.release(address)
        ipam.allocate(labels=L, address=address, host="h2", owner="guest")
    for form in FORMS:
        assert plain(ipam.routes(form=form)) == [
            {"host": "h2", "scope": "default", "family": 4, "prefix": "10.0.0.0/31"}
        ]
        assert ipam.routes("h1", form) == []


@pytest.mark.parametrize(
    ("cidr", "gateway", "ranges", "expected"),
    [
        ("10.0.0.0/24", "10.0.0.1", ["10.0.0.10-10.0.0.250"], ["10.0.0.10/31", "10.0.0.12/30"]),
        (
            "10.0.0.0/24",
            "10.0.0.14",
            None,
            ["10.0.0.0/29", "10.0.0.8/30", "10.0.0.12/31", "10.0.0.15/32"],
        ),
        (
            "10.0.0.0/24",
            None,
            ["10.0.0.2-10.0.0.5", "10.0.0.8-10.0.0.255"],
            ["10.0.0.2/31", "10.0.0.4/31", "10.0.0.8/29"],
        ),
        (
            "2001:db8::/64",
            "2001:db8::8",
            None,
            ["2001:db8::/125", "2001:db8::9/128", "2001:db8::a/127", "2001:db8::c/126"],
        ),
    ],
)
def test_strict_routes_end_where_the_ranges_end(
    ipam: Ipam, cidr: str, gateway: str | None, ranges: list[str] | None, expected: list[str]
) -> None:
    """A host draws nothing for the gateway or an excluded address in its claim, in use or not."""
    ipam.add_subnet(cidr, labels=L, gateway=gateway, ranges=ranges)
    take(ipam, "h1")
    assert routes(ipam, "h1") == expected
    assert ipam.defragment().routes == len(expected)


def test_strict_routes_leave_exclusions_out(ipam: Ipam) -> None:
    """An excluded address leads to a host when it is allocated by name, and only then."""
    subnet = {"name": "pods", "cidr": "10.0.0.0/24", "labels": L, "exclude": ["10.0.0.4-10.0.0.7"]}
    ipam.apply({"subnets": [subnet]})
    take(ipam, "h1")
    assert routes(ipam, "h1") == ["10.0.0.0/30", "10.0.0.8/29"]
    ipam.allocate(labels=L, address="10.0.0.6", host="h2", owner="o")
    assert routes(ipam, "h2") == ["10.0.0.6/32"]


def test_an_address_outside_the_ranges_leads_to_its_host(ipam: Ipam) -> None:
    """Also one inside a claim: its own prefix, on the host that holds it."""
    ipam.add_subnet("10.0.0.0/24", labels=L, gateway="10.0.0.1", ranges=["10.0.0.10-10.0.0.250"])
    take(ipam, "h1")
    ipam.allocate(labels=L, address="10.0.0.4", host="h2", owner="o")
    assert routes(ipam, "h2") == ["10.0.0.4/32"]
    ipam.allocate(labels=L, address="10.0.0.9", host="h1", owner="o")
    assert routes(ipam, "h1") == ["10.0.0.9/32", "10.0.0.10/31", "10.0.0.12/30"]


def test_addresses_without_a_host_have_no_route(ipam: Ipam) -> None:
    """In the lpm form a prefix may cover addresses without a holder, and no others."""
    pods(ipam, "10.0.0.0/28")
    ipam.allocate(labels=L, address="10.0.0.2", owner="o")
    for address in ("10.0.0.5", "10.0.0.6"):
        ipam.allocate(labels=L, address=address, host="h1", owner="o")
    found = [each.prefix for each in ipam.routes("h1", "lpm")]
    assert not any(parse_prefix(each).holds(parse_address("10.0.0.2")[1]) for each in found)
    assert any(parse_prefix(each).holds(parse_address("10.0.0.5")[1]) for each in found)


def test_routes_of_one_scope(ipam: Ipam) -> None:
    """The same prefix in two scopes is two routes; an unknown scope and an unknown form are refused."""
    subnets = [
        {"name": scope, "cidr": "10.0.0.0/28", "scope": scope, "labels": L}
        for scope in ("default", "blue")
    ]
    ipam.apply({"scopes": ["default", "blue"], "subnets": subnets})
    for scope in ("default", "blue"):
        ipam.allocate(labels=L, scope=scope, host="h1", owner="o")
    assert [each.scope for each in ipam.routes("h1")] == ["blue", "default"]
    assert [each.scope for each in ipam.routes(scope="blue", form="lpm")] == ["blue"]
    with pytest.raises(UnknownObject):
        ipam.routes(scope="red")
    with pytest.raises(FixInput):
        ipam.routes(form="loose")  # type: ignore[arg-type]
