"""A refusal names what refused, and its advice works; each reason, on every store and over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from borough import Ipam
from borough.errors import (
    Exhausted,
    NeedsSpace,
    NoMatchingSubnet,
    PoolExhausted,
    QuotaExceeded,
)
from tests.conftest import Clock

L = {"network": "n"}


def subnet(name: str, cidr: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "cidr": cidr, "labels": L, **more}


def declare(ipam: Ipam, *subnets: dict[str, Any]) -> None:
    ipam.apply({"subnets": list(subnets)})


def refused(ipam: Ipam, reason: str, **request: Any) -> str:
    """Check that a request is refused for a reason, explained likewise, and changes nothing."""
    before = len(ipam.allocations())
    with pytest.raises(Exhausted) as caught:
        ipam.allocate(labels=L, **request)
    assert caught.value.detail["reason"] == reason
    assert caught.value.detail["try"]
    assert len(ipam.allocations()) == before
    assert ipam.explain(labels=L, **request).outcome in caught.value.message
    return caught.value.message


def works(ipam: Ipam, **request: Any) -> None:
    assert ipam.allocate(labels=L, **request).allocations


CAPPED = {"block": 16, "largest": 16, "cap": 16, "at_cap": "fail"}


@pytest.mark.parametrize(
    "follow",
    [
        lambda ipam: declare(ipam, subnet("s", "10.0.0.0/24", claims={**CAPPED, "cap": 32})),
        lambda ipam: declare(
            ipam, subnet("s", "10.0.0.0/24", claims={**CAPPED, "at_cap": "borrow"})
        ),
        lambda ipam: ipam.release(ipam.allocations(host="h1")[0].address),
    ],
    ids=["raise the cap", "borrow", "release"],
)
def test_a_cap(ipam: Ipam, follow: Callable[[Ipam], object]) -> None:
    declare(ipam, subnet("s", "10.0.0.0/24", claims=CAPPED))
    ipam.allocate(labels=L, host="h1", count=15)
    said = refused(ipam, "cap", host="h1")
    assert "host=h1 has reached the cap of its claims" in said
    assert "239 addresses beyond it are free" in said
    follow(ipam)
    works(ipam, host="h1")


@pytest.mark.parametrize(
    "follow",
    [
        lambda ipam: declare(ipam, subnet("s", "10.0.0.0/28", claims={"borrow": True})),
        lambda ipam: ipam.drain("h1"),
        lambda ipam: ipam.apply({"subnets": [subnet("t", "10.0.1.0/28")]}, name="more"),
    ],
    ids=["borrow", "drain", "add a subnet"],
)
def test_borrowing_is_off(ipam: Ipam, follow: Callable[[Ipam], object]) -> None:
    declare(ipam, subnet("s", "10.0.0.0/28", claims={"borrow": False}))
    ipam.allocate(labels=L, host="h1", count=12)
    said = refused(ipam, "borrow", host="h2")
    assert "2 addresses are free in blocks that others have claimed" in said
    follow(ipam)
    works(ipam, host="h2")


def test_a_count(ipam: Ipam) -> None:
    declare(ipam, subnet("s", "10.0.0.0/28"))
    assert "20 asked, 14 free" in refused(ipam, "count", count=20)
    works(ipam, count=14)


def test_a_count_on_one_segment(ipam: Ipam) -> None:
    ipam.apply(
        {
            "subnets": [
                {**subnet(name, cidr), "labels": {**L, "segment": name}}
                for name, cidr in (("a", "10.0.0.0/28"), ("b", "10.0.1.0/28"))
            ]
        }
    )
    request: dict[str, Any] = {"labels": {**L, "segment": ["a", "b"]}}
    with pytest.raises(Exhausted, match="20 asked, 14 free on one segment, 28 on all") as caught:
        ipam.allocate(**request, count=20)
    assert caught.value.detail["reason"] == "split"
    assert len(ipam.allocate(**request, count=14).allocations) == 14


@pytest.mark.parametrize("way", ["wait", "now", "shorter"])
def test_cool_downs(ipam: Ipam, clock: Clock, way: str) -> None:
    declare(ipam, subnet("s", "10.0.0.0/30", cooldown=3600))
    first, second = ipam.allocate(labels=L, count=2).allocations
    ipam.release(first.address)
    clock.advance(60)
    ipam.release(second.address)
    cooling = min(each.cooling_until for each in ipam.allocations() if each.cooling_until)
    said = refused(ipam, "cooling")
    assert "2 addresses cool down, the first until" in said
    assert cooling.strftime("%H:%M:%S") in said
    if way == "wait":
        clock.advance(3600)
    elif way == "now":
        ipam.release(first.address, now=True)
    else:
        declare(ipam, subnet("s", "10.0.0.0/30"))
    works(ipam)


def test_a_count_that_cool_downs_would_meet(ipam: Ipam, clock: Clock) -> None:
    declare(ipam, subnet("s", "10.0.0.0/29", cooldown=3600))
    held = ipam.allocate(labels=L, count=4).allocations
    ipam.release([each.address for each in held])
    assert "5 asked, 2 free, and 4 addresses cool down" in refused(ipam, "cooling", count=5)
    clock.advance(3601)
    works(ipam, count=5)


@pytest.mark.parametrize("count", [1, 5])
def test_reservations(ipam: Ipam, count: int) -> None:
    declare(ipam, subnet("s", "10.0.0.0/29"))
    ipam.reserve("10.0.0.1-10.0.0.4", owner="later")
    if count == 1:
        ipam.allocate(labels=L, count=2)
    said = refused(ipam, "reserved", count=count)
    assert "4 addresses are reserved" in said
    assert ("5 asked, 2 free" in said) is (count == 5)
    ipam.cancel("10.0.0.1" if count == 1 else "10.0.0.1-10.0.0.4")
    works(ipam, count=count)


def test_the_family_that_is_out(ipam: Ipam) -> None:
    declare(ipam, subnet("four", "10.0.0.0/24"), subnet("six", "2001:db8::/127"))
    ipam.allocate(labels=L, families=6, count=2)
    said = refused(ipam, "full", families=[4, 6])
    assert said.startswith("no free IPv6 address in ")
    with pytest.raises(Exhausted) as caught:
        ipam.allocate(labels=L, families=[4, 6])
    assert "ask for IPv4 only" in caught.value.detail["try"]
    works(ipam, families=4)


@pytest.mark.parametrize("way", ["release", "add"])
def test_a_full_group(ipam: Ipam, way: str) -> None:
    declare(ipam, subnet("s", "10.0.0.0/30"))
    held = ipam.allocate(labels=L, count=2).allocations
    assert "every address is allocated" in refused(ipam, "full")
    if way == "release":
        ipam.release(held[0].address)
    else:
        ipam.apply({"subnets": [subnet("t", "10.0.1.0/30")]}, name="more")
    works(ipam)


def test_a_large_group_is_not_counted(ipam: Ipam) -> None:
    declare(ipam, *(subnet(f"s{at}", f"10.0.{at}.0/31") for at in range(33)))
    ipam.allocate(labels=L, count=66)
    with pytest.raises(Exhausted) as caught:
        ipam.allocate(labels=L)
    assert caught.value.detail["reason"] == ""


def nothing_matches(ipam: Ipam, text: str, **request: Any) -> None:
    with pytest.raises(NoMatchingSubnet, match=text):
        ipam.allocate(**request)


def test_a_closed_subnet(ipam: Ipam) -> None:
    declare(ipam, subnet("s", "10.0.0.0/30", closed=True))
    nothing_matches(ipam, "closed", labels=L)
    declare(ipam, subnet("s", "10.0.0.0/30"))
    works(ipam)


def test_a_boundary(ipam: Ipam) -> None:
    declare(ipam, subnet("s", "10.0.0.0/30"))
    nothing_matches(ipam, "inside a boundary; name a value of network")
    works(ipam)


def test_a_label_that_no_subnet_has(ipam: Ipam) -> None:
    declare(ipam, subnet("s", "10.0.0.0/30"))
    ipam.apply(
        {"subnets": [{"name": "t", "cidr": "10.1.0.0/30", "labels": {"network": "pods"}}]}, name="t"
    )
    nothing_matches(
        ipam, "no subnet has network=podz; did you mean 'pods'", labels={"network": "podz"}
    )
    assert ipam.allocate(labels={"network": "pods"}).address


def test_advice_is_no_advice_to_wait_for_ever(ipam: Ipam) -> None:
    """Every refusal has advice."""
    declare(ipam, subnet("s", "10.0.0.0/30"))
    for request in (
        {"labels": {"network": "x"}},
        {"labels": L, "count": 9},
        {"labels": L, "families": 6},
    ):
        with pytest.raises(NeedsSpace) as caught:
            ipam.allocate(**request)
        assert caught.value.detail["try"]


POOL = {"name": "p", "prefixes": ["10.9.0.0/24"], "default_length": 26, "minimum_length": 25}


def test_a_pool_that_is_out(ipam: Ipam) -> None:
    """The advice names a length that the pool still has."""
    ipam.apply({"pools": [POOL]})
    ipam.allocate_subnet("p", prefix_length=25, name="a")
    last = ipam.allocate_subnet("p", name="b")
    with pytest.raises(PoolExhausted) as caught:
        ipam.allocate_subnet("p", prefix_length=25, name="c")
    assert caught.value.detail["try"][0] == "ask for a /26"
    ipam.allocate_subnet("p", prefix_length=26, name="c")
    with pytest.raises(PoolExhausted) as caught:
        ipam.allocate_subnet("p", name="d")
    assert caught.value.detail["try"] == [
        "add a prefix to the pool",
        "remove a subnet of the pool",
    ]
    ipam.remove_subnet(last.name)
    ipam.allocate_subnet("p", name="d")


@pytest.mark.parametrize("way", ["raise", "remove", "other"])
def test_a_quota(ipam: Ipam, way: str) -> None:
    ipam.apply({"pools": [{**POOL, "quota": 64}]})
    ipam.allocate_subnet("p", project="x", name="a")
    with pytest.raises(QuotaExceeded) as caught:
        ipam.allocate_subnet("p", project="x", name="b")
    assert caught.value.detail["try"]
    if way == "raise":
        ipam.apply({"pools": [{**POOL, "quota": 128}]})
    elif way == "remove":
        ipam.remove_subnet("a")
    project = "y" if way == "other" else "x"
    assert ipam.allocate_subnet("p", project=project, name="b").project == project
