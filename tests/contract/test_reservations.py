"""Reservations: addresses kept for an owner or for nobody; on every store and over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from borough import Ipam
from borough.errors import (
    AddressInUse,
    AddressOutsideGroup,
    AddressUnusable,
    Exhausted,
    FixInput,
    NotAllocated,
    NotReserved,
    WouldStrand,
)
from tests.conftest import Clock

L = {"network": "n"}


def subnet(name: str = "s", cidr: str = "10.0.0.0/28", **more: Any) -> dict[str, Any]:
    return {"name": name, "cidr": cidr, "labels": L, **more}


def declare(ipam: Ipam, *subnets: dict[str, Any], **more: Any) -> None:
    ipam.apply({"subnets": list(subnets), **more})


def acts(ipam: Ipam) -> list[str]:
    shown = ("allocated", "released", "reserved", "cancelled")
    return [each.act for each in ipam.events() if each.act in shown]


def take(ipam: Ipam, **more: Any) -> str:
    return ipam.allocate(labels=L, **more).address


def test_a_reserved_address_is_not_free(ipam: Ipam) -> None:
    declare(ipam, subnet("s", "10.0.0.0/30"))
    made = ipam.reserve("10.0.0.1", owner="web-0", note="printer", attributes={"a": 1})
    (one,) = made.reservations
    assert (one.state, one.owner, one.note, one.sticky) == ("reserved", "web-0", "printer", True)
    assert one.attributes == {"a": 1}
    assert one.cooling_until is None
    assert ipam.show("10.0.0.1") == one
    assert take(ipam) == "10.0.0.2"
    (usage,) = ipam.usage()
    assert (usage.used, usage.allocated, usage.reserved, usage.cooling) == (2, 1, 1, 0)
    with pytest.raises(Exhausted, match="1 address is reserved") as refused:
        ipam.allocate(labels=L)
    assert refused.value.detail["reason"] == "reserved"
    ipam.cancel("10.0.0.1")
    assert take(ipam) == "10.0.0.1"
    assert not ipam.audit()


@pytest.mark.parametrize("owner", ["", "other"])
def test_a_reserved_address_is_refused_to_others(ipam: Ipam, owner: str) -> None:
    declare(ipam, subnet())
    ipam.reserve(["10.0.0.3"], owner="web-0")
    ipam.reserve("10.0.0.4")
    for address, name in (("10.0.0.3", "web-0"), ("10.0.0.4", "nobody")):
        with pytest.raises(AddressInUse, match=f"reserved for {name}") as refused:
            ipam.allocate(labels=L, address=address, owner=owner)
        assert refused.value.detail["state"] == "reserved"
    assert acts(ipam) == ["reserved", "reserved"]


def test_the_owner_gets_it_by_name_and_leaves_it_reserved(ipam: Ipam) -> None:
    declare(ipam, subnet(cooldown=60))
    (kept,) = ipam.reserve("10.0.0.3", owner="web-0", note="n").reservations
    (held,) = ipam.allocate(labels=L, address="10.0.0.3", owner="web-0", host="h1").allocations
    assert (held.state, held.sticky, held.note) == ("allocated", True, "n")
    assert held.sequence > kept.sequence
    assert ipam.show("10.0.0.3") == held
    ipam.release(owner="web-0")
    left = ipam.show("10.0.0.3")
    assert (left.state, left.host, left.owner) == ("reserved", "", "web-0")
    assert left.sequence > held.sequence
    # The events of one transaction are in no fixed order.
    assert sorted(acts(ipam)) == ["allocated", "released", "reserved", "reserved"]
    assert [each.sequence for each in ipam.events() if each.act in ("allocated", "reserved")] == [
        kept.sequence,
        held.sequence,
        left.sequence,
    ]
    assert "h1" not in ipam.undeclared_hosts() or ipam.blocks(host="h1")
    assert not ipam.audit()


def test_a_release_does_not_end_a_reservation(ipam: Ipam) -> None:
    declare(ipam, subnet())
    ipam.reserve("10.0.0.3", owner="web-0")
    with pytest.raises(NotAllocated, match="reserved for web-0"):
        ipam.release("10.0.0.3")
    with pytest.raises(NotAllocated, match="reserved for web-0"):
        ipam.release("10.0.0.3", now=True)
    assert not ipam.release(owner="web-0", now=True)
    assert ipam.show("10.0.0.3").state == "reserved"


def test_a_held_address_stays_allocated(ipam: Ipam) -> None:
    declare(ipam, subnet())
    held = ipam.allocate(labels=L, owner="web-0").allocations[0]
    with pytest.raises(AddressInUse, match="held by web-0"):
        ipam.reserve(held.address, owner="web-1")
    with pytest.raises(AddressInUse):
        ipam.reserve(held.address)
    (kept,) = ipam.reserve(held.address, owner="web-0").reservations
    assert (kept.state, kept.sequence, kept.sticky) == ("allocated", held.sequence, True)
    assert ipam.reserve(held.address, owner="web-0").reservations == (kept,)
    ipam.cancel(owner="web-0")
    assert ipam.show(held.address) == held
    ipam.release(held.address)
    assert not ipam.allocations()
    assert acts(ipam) == ["allocated", "reserved", "cancelled", "released"]


def test_a_range_and_a_prefix(ipam: Ipam) -> None:
    """Addresses that are never allocated are left out; others are taken in order around it."""
    declare(ipam, subnet(ranges=["10.0.0.1-10.0.0.9"]), subnet("six", "2001:db8::/64"))
    made = ipam.reserve(["10.0.0.0/29", "10.0.0.12-10.0.0.15", "2001:db8::5"], owner="lab")
    four = [f"10.0.0.{at}" for at in (*range(1, 8), 12, 13, 14)]
    assert [each.address for each in made.reservations] == [*four, "2001:db8::5"]
    assert made.total == 11
    assert [take(ipam, families=4) for _ in range(2)] == ["10.0.0.8", "10.0.0.9"]
    (line, _) = ipam.usage()
    assert (line.used, line.reserved, line.outside, line.allocated) == (9, 10, 3, 2)
    assert not ipam.audit()
    assert ipam.cancel("10.0.0.0/28").total == 10
    assert ipam.cancel(owner="lab").total == 1
    assert not ipam.audit()
    assert len(ipam.allocations()) == 2


def test_a_large_piece_is_refused(ipam: Ipam) -> None:
    declare(ipam, subnet("six", "2001:db8::/64"))
    with pytest.raises(FixInput, match="at most 4096"):
        ipam.reserve("2001:db8::/64")
    with pytest.raises(FixInput, match="named twice"):
        ipam.reserve(["2001:db8::1", "2001:db8::/124"])
    with pytest.raises(FixInput):
        ipam.reserve("2001:db8::9-2001:db8::1")
    assert ipam.reserve("2001:db8::/116").total == 4095
    assert not ipam.audit()


def test_all_or_none(ipam: Ipam) -> None:
    declare(ipam, subnet("s", "10.0.0.0/28"), subnet("shut", "10.0.1.0/28", closed=True))
    ipam.reserve("10.0.0.5", owner="a")
    before = ipam.allocations(), ipam.newest_event()
    for piece, error in (
        ("10.0.0.4-10.0.0.6", AddressInUse),
        ("10.0.0.14-10.0.0.17", AddressOutsideGroup),
        ("10.0.1.1", AddressOutsideGroup),
        ("10.0.0.15", AddressUnusable),
        ("10.9.0.1", AddressOutsideGroup),
    ):
        with pytest.raises(error):
            ipam.reserve(["10.0.0.2", piece], owner="b")
    assert (ipam.allocations(), ipam.newest_event()) == before


def test_the_end_is_refused_where_nothing_is_reserved(ipam: Ipam) -> None:
    declare(ipam, subnet())
    ipam.reserve("10.0.0.5", owner="a")
    for addresses, owner in (
        (["10.0.0.5", "10.0.0.4"], ""),
        (["10.0.0.5"], "b"),
        (["10.0.0.5", "10.0.0.8/29"], ""),
    ):
        with pytest.raises(NotReserved):
            ipam.cancel(addresses, owner=owner)
    assert ipam.show("10.0.0.5").state == "reserved"
    assert ipam.cancel(owner="b").total == 0
    with pytest.raises(FixInput):
        ipam.cancel()


def test_a_cancelled_address_cools_down(ipam: Ipam, clock: Clock) -> None:
    declare(ipam, subnet("s", "10.0.0.0/30", cooldown=60))
    ipam.reserve("10.0.0.1-10.0.0.2", owner="a")
    (ended,) = ipam.cancel("10.0.0.1").reservations
    assert ended.state == "reserved"
    shown = ipam.show("10.0.0.1")
    assert (shown.state, shown.sticky) == ("cooling", False)
    ipam.cancel("10.0.0.2", now=True)
    assert take(ipam) == "10.0.0.2"
    with pytest.raises(Exhausted):
        take(ipam)
    clock.advance(61)
    assert take(ipam) == "10.0.0.1"
    assert not ipam.audit()


def test_time_does_not_end_a_reservation(ipam: Ipam, clock: Clock) -> None:
    declare(ipam, subnet(cooldown=60))
    ipam.reserve("10.0.0.1", owner="a")
    clock.advance(10 * 365 * 24 * 3600)
    ipam.reclaim()
    declare(ipam, subnet(cooldown=30))
    assert ipam.show("10.0.0.1").state == "reserved"
    declare(ipam, subnet())
    assert ipam.show("10.0.0.1").state == "reserved"
    assert not ipam.audit(repair=True)


def test_a_cooling_address_is_reserved(ipam: Ipam, clock: Clock) -> None:
    declare(ipam, subnet(cooldown=60))
    held = take(ipam, owner="a")
    ipam.release(held)
    ipam.reserve(held, owner="b")
    clock.advance(61)
    ipam.reclaim()
    assert (ipam.show(held).state, ipam.show(held).owner) == ("reserved", "b")
    assert not ipam.audit()


def test_an_owner_in_two_scopes_keeps_both(ipam: Ipam) -> None:
    """The two reservations of one release have the same address."""
    names = ["default", "red"]
    declare(ipam, *(subnet(f"s-{name}", scope=name) for name in names), scopes=names)
    for name in names:
        ipam.reserve("10.0.0.5", owner="a", scope=name)
        ipam.allocate(labels=L, address="10.0.0.5", owner="a", scope=name)
    assert ipam.release(owner="a").total == 2
    assert {(each.scope, each.state) for each in ipam.allocations()} == {
        (name, "reserved") for name in names
    }
    assert ipam.cancel(owner="a", scope="red").total == 1
    assert [each.scope for each in ipam.allocations()] == ["default"]
    assert not ipam.audit()


def test_a_reservation_keeps_its_subnet(ipam: Ipam) -> None:
    """It follows where the subnet is split, and a subnet with one is not removed."""
    declare(ipam, subnet())
    ipam.reserve("10.0.0.9", owner="a")
    with pytest.raises(WouldStrand):
        declare(ipam)
    declare(ipam, subnet("low", "10.0.0.0/29"), subnet("high", "10.0.0.8/29"))
    assert (ipam.show("10.0.0.9").subnet, ipam.show("10.0.0.9").state) == ("high", "reserved")
    assert not ipam.audit()
    ipam.cancel("10.0.0.9")
    declare(ipam)


def test_a_reserved_address_has_no_route(ipam: Ipam) -> None:
    declare(ipam, subnet())
    ipam.reserve("10.0.0.9", owner="a")
    ipam.allocate(labels=L, address="10.0.0.9", owner="a", host="h1", claims=False)
    assert [each.prefix for each in ipam.routes("h1")] == ["10.0.0.9/32"]
    ipam.release("10.0.0.9")
    assert not ipam.routes("h1")


def test_an_import_leaves_reserved_addresses(ipam: Ipam) -> None:
    declare(ipam, subnet())
    ipam.reserve("10.0.0.9", owner="a")
    (conflict,) = ipam.import_allocations([{"address": "10.0.0.9", "owner": "b"}]).conflicts
    assert (conflict.reason, conflict.owner) == ("reserved", "a")
