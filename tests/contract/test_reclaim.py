"""Reclaim of idle claims, on every store, with a clock set by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from borough import Ipam
from borough.engine.upkeep import reclaim as reclaim_module
from borough.errors import Unavailable
from borough.store.port import Unit
from tests.conftest import Clock

L = {"network": "n"}

MINUTE = 60
HOUR = 3600


def pods(ipam: Ipam, cidr: str = "10.0.0.0/24", **more: Any) -> None:
    ipam.apply({"subnets": [{"name": "pods", "cidr": cidr, "labels": L, **more}]})


def take(ipam: Ipam, host: str, count: int = 1) -> list[str]:
    answer = ipam.allocate(labels=L, host=host, count=count, owner=f"of-{host}")
    return [each.address for each in answer.allocations]


def routes(ipam: Ipam, host: str) -> list[str]:
    return [each.prefix for each in ipam.routes(host)]


def runs(ipam: Ipam) -> list[str]:
    found = ipam.store.transact(lambda unit: unit.free_ranges(), write=False)
    return [str(run.prefix) for run in found]


def test_nothing_to_do(ipam: Ipam) -> None:
    """On an empty space, and on space in use: nothing is written."""
    assert ipam.reclaim() == ipam.reclaim()
    pods(ipam)
    take(ipam, "h1", 12)
    before = ipam.events()
    reclaimed = ipam.reclaim()
    assert (reclaimed.rested, reclaimed.marked, reclaimed.reclaimed, reclaimed.joined) == (
        0,
        (),
        (),
        0,
    )
    assert ipam.events() == before


def test_a_rest_ends_where_nothing_cools_any_more(ipam: Ipam, clock: Clock) -> None:
    """Without a cool-down in any subnet, no allocation searches for ended ones."""
    pods(ipam, cooldown=60)
    address = ipam.allocate(labels=L).address
    ipam.release(address)

    def no_cooldown(unit: Unit) -> None:
        version = unit.catalogue.version
        unit.put_subnet(replace(unit.catalogue.by_name["pods"], cooldown=0))
        unit.touch(version)

    ipam.store.transact(no_cooldown)
    assert ipam.show(address).state == "cooling"
    clock.advance(61)
    assert ipam.reclaim().rested == 1
    assert ipam.allocations() == []


def test_an_empty_region_goes_after_a_quarter_of_an_hour(ipam: Ipam, clock: Clock) -> None:
    """The first reclaim marks it, one before its time leaves it, one after returns it."""
    pods(ipam)
    take(ipam, "h1", 3)
    take(ipam, "h2", 8)
    ipam.release(owner="of-h1")
    marked = ipam.reclaim()
    assert [(each.prefix, each.holder) for each in marked.marked] == [("10.0.0.0/28", "host=h1")]
    clock.advance(14 * MINUTE)
    assert not ipam.reclaim().reclaimed
    assert routes(ipam, "h1") == ["10.0.0.0/28"]
    clock.advance(MINUTE)
    reclaimed = ipam.reclaim()
    assert [(each.prefix, each.holder) for each in reclaimed.reclaimed] == [
        ("10.0.0.0/28", "host=h1")
    ]
    assert routes(ipam, "h1") == []
    assert routes(ipam, "h2") == ["10.0.0.128/28"]
    assert ("gave_up", "10.0.0.0/28") in [(each.act, each.subject) for each in ipam.events()]
    assert ipam.audit() == []


def test_a_region_in_use_again_is_not_reclaimed(ipam: Ipam, clock: Clock) -> None:
    """The mark is removed when it is found in use, and its time begins again."""
    pods(ipam)
    (address,) = take(ipam, "h1")
    ipam.release(address)
    ipam.reclaim()
    take(ipam, "h1", 8)
    clock.advance(20 * MINUTE)
    assert ipam.reclaim().reclaimed == ()
    ipam.release(owner="of-h1")
    assert [each.prefix for each in ipam.reclaim().marked] == ["10.0.0.0/28"]
    clock.advance(14 * MINUTE)
    assert ipam.reclaim().reclaimed == ()


def test_a_little_used_region_loses_its_upper_half(ipam: Ipam, clock: Clock) -> None:
    """After six hours with at most three eighths in use, all in the lower half; again for the rest."""
    pods(ipam)
    held = take(ipam, "h1", 60)
    ipam.release(held[5:])
    assert routes(ipam, "h1") == ["10.0.0.0/26"]
    ipam.reclaim()
    clock.advance(6 * HOUR - 1)
    assert ipam.reclaim().reclaimed == ()
    clock.advance(1)
    assert [each.prefix for each in ipam.reclaim().reclaimed] == ["10.0.0.32/27"]
    assert routes(ipam, "h1") == ["10.0.0.0/27"]
    assert ipam.audit() == []
    ipam.reclaim()
    clock.advance(6 * HOUR)
    ipam.reclaim()
    assert routes(ipam, "h1") == ["10.0.0.0/28"]
    assert ipam.audit() == []
    assert [each.address for each in ipam.allocations()] == held[:5]


def test_a_cooling_address_keeps_its_region(ipam: Ipam, clock: Clock) -> None:
    """A region with a cooling address is in use; after the cool-down it is reclaimed."""
    pods(ipam, cooldown=HOUR)
    held = take(ipam, "h1", 8)
    ipam.release(held)
    for _ in range(3):
        clock.advance(16 * MINUTE)
        reclaimed = ipam.reclaim()
        assert (reclaimed.rested, reclaimed.marked, reclaimed.reclaimed) == (0, (), ())
    assert ipam.show(held[0]).state == "cooling"
    clock.advance(15 * MINUTE)
    reclaimed = ipam.reclaim()
    assert reclaimed.rested == 8
    assert [each.prefix for each in reclaimed.marked] == ["10.0.0.0/28"]
    assert ipam.allocations() == []
    clock.advance(15 * MINUTE)
    ipam.reclaim()
    assert runs(ipam) == ["10.0.0.0/24"]
    assert ipam.audit() == []


def test_unused_unclaimed_blocks_are_joined(ipam: Ipam, clock: Clock) -> None:
    """After a drain and the last release, the space is whole again in time."""
    pods(ipam)
    held = take(ipam, "h1", 40)
    ipam.release(held[1:30])
    ipam.drain("h1")
    ipam.allocate(labels=L, owner="loose")
    ipam.release(owner="of-h1")
    ipam.release(owner="loose")
    assert len(runs(ipam)) > 1
    first = ipam.reclaim()
    assert (first.marked, first.joined) == ((), 0)
    clock.advance(15 * MINUTE)
    reclaimed = ipam.reclaim()
    assert reclaimed.joined > 0
    assert reclaimed.reclaimed == ()
    assert runs(ipam) == ["10.0.0.0/24"]
    assert ipam.blocks() == []
    assert ipam.audit() == []


def test_many_regions_take_several_units(ipam: Ipam, clock: Clock) -> None:
    """More hosts than one unit of work handles: all of them are reclaimed."""
    pods(ipam, "10.0.0.0/20")
    hosts = [f"h{number}" for number in range(70)]
    for host in hosts:
        take(ipam, host)
    for host in hosts:
        ipam.release(owner=f"of-{host}")
    assert len(ipam.reclaim().marked) == 70
    clock.advance(15 * MINUTE)
    assert len(ipam.reclaim().reclaimed) == 70
    assert runs(ipam) == ["10.0.0.0/20"]
    assert ipam.audit() == []


def test_topologies_scopes_and_racks(ipam: Ipam, clock: Clock) -> None:
    """Every topology, scope and claimant is reclaimed from, and no declared object is changed."""
    dimensions = {"rack": {"fallback": "any", "claims": True}}
    ipam.apply(
        {
            "name": "one",
            "scopes": ["default", "blue"],
            "dimensions": dimensions,
            "subnets": [{"name": "a", "cidr": "10.0.0.0/28", "labels": L, "scope": "blue"}],
        }
    )
    ipam.apply({"name": "two", "subnets": [{"name": "b", "cidr": "2001:db8::/64", "labels": L}]})
    declared = ipam.subnets()
    ipam.allocate(labels={**L, "rack": "r1"}, scope="blue", owner="o")
    ipam.release(owner="o", scope="blue")
    ipam.allocate(labels=L, host="h1", owner="o")
    ipam.release(owner="o")
    marked = ipam.reclaim().marked
    assert {each.holder for each in marked} == {"rack=r1", "host=h1"}
    clock.advance(15 * MINUTE)
    assert len(ipam.reclaim().reclaimed) == 2
    assert ipam.subnets() == declared
    assert runs(ipam) == ["10.0.0.0/28", "2001:db8::/64"]


def test_an_error_reports_earlier_work(
    ipam: Ipam, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reclaim is many transactions; those before the error stay."""
    subnets = [
        {"name": name, "cidr": f"10.0.{at}.0/24", "labels": {"network": name}, "cooldown": 60}
        for at, name in enumerate(("a", "b"))
    ]
    ipam.apply({"subnets": subnets})
    for name in ("a", "b"):
        ipam.allocate(labels={"network": name}, host="h", owner="o")
    ipam.release(owner="o")
    clock.advance(61)
    tidied: list[int] = []
    reclaim_idle = reclaim_module._Reclaim.__call__

    def fails(self: reclaim_module._Reclaim, unit: Unit) -> Any:
        if tidied and self.subnet_id not in tidied:
            raise Unavailable("gone", outcome="not_done")
        tidied.append(self.subnet_id)
        return reclaim_idle(self, unit)

    monkeypatch.setattr(reclaim_module._Reclaim, "__call__", fails)
    with pytest.raises(Unavailable) as caught:
        ipam.reclaim()
    detail = caught.value.detail
    assert detail["outcome"] == "partial"
    assert (detail["done"]["rested"], len(detail["done"]["marked"])) == (2, 1)
    tidied[:] = [-1]
    with pytest.raises(Unavailable) as caught:
        ipam.reclaim()
    assert caught.value.detail == {"outcome": "not_done"}
