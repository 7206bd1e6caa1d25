"""Sticky requests: an owner gets its address again; on every store and over HTTP."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from borough import Ipam
from borough.errors import AddressInUse, Exhausted, FixInput
from tests.conftest import Clock

L = {"network": "n"}


def declare(ipam: Ipam, *subnets: dict[str, Any], **more: Any) -> None:
    ipam.apply({"subnets": list(subnets), **more})


def subnet(name: str = "s", cidr: str = "10.0.0.0/28", **more: Any) -> dict[str, Any]:
    return {"name": name, "cidr": cidr, "labels": L, **more}


def racks(ipam: Ipam, fallback: str) -> None:
    ipam.apply(
        {
            "dimensions": {"rack": {"fallback": fallback}},
            "subnets": [
                subnet(f"{rack}-{family}", cidr) | {"labels": {**L, "rack": rack}}
                for rack, family, cidr in (
                    ("r1", 4, "10.0.1.0/28"),
                    ("r1", 6, "2001:db8:1::/64"),
                    ("r2", 4, "10.0.2.0/28"),
                    ("r2", 6, "2001:db8:2::/64"),
                )
            ],
        }
    )


def ask(ipam: Ipam, owner: str = "web-0", labels: Any = L, **more: Any) -> list[str]:
    answer = ipam.allocate(labels=labels, owner=owner, sticky=True, **more)
    assert all(each.sticky and each.state == "allocated" for each in answer.allocations)
    return [each.address for each in answer.allocations]


def test_repeated_requests_get_the_same_address(ipam: Ipam) -> None:
    """Whatever their keys, hosts and notes."""
    declare(ipam, subnet())
    first = ipam.allocate(labels=L, owner="web-0", sticky=True, host="h1", key="k1", note="n")
    assert not first.replayed
    newest = ipam.newest_event()
    for more in ({}, {"key": "k1"}, {"key": "k2"}, {"host": "h2"}, {"kind": "next"}, {"note": "x"}):
        again = ipam.allocate(labels=L, owner="web-0", sticky=True, **more)  # type: ignore[arg-type]
        assert (again.allocations, again.replayed) == (first.allocations, True)
    assert ipam.newest_event() == newest
    assert ask(ipam, "web-1") != [first.address]
    # The key was not used.
    assert not ipam.allocate(labels=L, owner="web-0", key="k1").replayed


def test_a_set_that_is_scaled_to_zero_gets_its_addresses_back(ipam: Ipam, clock: Clock) -> None:
    declare(ipam, subnet(cooldown=60))
    owners = [f"web-{at}" for at in range(3)]
    before = {owner: ask(ipam, owner, host="h1") for owner in owners}
    for owner in owners:
        ipam.release(owner=owner)
    clock.advance(7 * 24 * 3600 + 61)
    ipam.reclaim()
    for at in range(300):
        ipam.release(ipam.allocate(labels=L, owner="other", key=f"k{at}").address, now=True)
    assert {owner: ask(ipam, owner, host="h2") for owner in reversed(owners)} == before
    assert {each.host for each in ipam.allocations(owner="web-1")} == {"h2"}
    assert not ipam.audit()


def test_a_reserved_address_goes_before_a_new_one(ipam: Ipam) -> None:
    """The oldest reservation in the group; a held address goes before it."""
    declare(ipam, subnet(), subnet("other", "10.1.0.0/28") | {"labels": {"network": "m"}})
    ipam.reserve("10.1.0.3", owner="web-0")
    ipam.reserve("10.0.0.9", owner="web-0", note="printer", attributes={"a": 1})
    ipam.reserve("10.0.0.5", owner="web-0")
    assert ask(ipam) == ["10.0.0.9"]
    held = ipam.show("10.0.0.9")
    assert (held.note, held.attributes) == ("printer", {"a": 1})
    assert ask(ipam) == ["10.0.0.9"]
    assert ask(ipam, labels={"network": "m"}) == ["10.1.0.3"]
    assert ipam.cancel(owner="web-0").total == 3
    assert {each.address for each in ipam.allocations()} == {"10.0.0.9", "10.1.0.3"}
    assert not ipam.audit()


def test_an_address_that_was_no_sticky_one_becomes_sticky(ipam: Ipam) -> None:
    declare(ipam, subnet())
    held = ipam.allocate(labels=L, owner="web-0").allocations[0]
    (found,) = ipam.allocate(labels=L, owner="web-0", sticky=True).allocations
    assert (found.address, found.sequence, found.sticky) == (held.address, held.sequence, True)
    assert ipam.show(held.address) == found
    ipam.release(held.address)
    assert ipam.show(held.address).state == "reserved"


def test_the_group_is_that_of_the_request(ipam: Ipam) -> None:
    """Of a hard dimension only that value; of a soft one any, the best first."""
    racks(ipam, "none")
    one, two = (ask(ipam, labels={**L, "rack": rack}) for rack in ("r1", "r2"))
    assert one != two
    assert ask(ipam, labels={**L, "rack": "r1"}) == one
    ipam.release(owner="web-0")
    assert ask(ipam, labels={**L, "rack": ["r2", "r1"]}) == one
    racks(ipam, "any")
    assert ask(ipam, labels={**L, "rack": "r2"}) == one
    ipam.release(owner="web-0")
    assert ask(ipam, labels={**L, "rack": "r2"}) == two


def test_both_families_lie_together(ipam: Ipam) -> None:
    """A missing family comes from the rack of the other one."""
    racks(ipam, "none")
    both = {**L, "rack": ["r1", "r2"]}
    (four,) = ask(ipam, labels={**L, "rack": "r2"}, families=4)
    assert four.startswith("10.0.2.")
    assert ask(ipam, labels=both, families=[4, 6]) == [four, "2001:db8:2::1"]
    ipam.release(four)
    assert ask(ipam, labels=both, families=[4, 6]) == [four, "2001:db8:2::1"]
    # Two held addresses in one rack go before one in another.
    ask(ipam, labels={**L, "rack": "r1"}, families=4)
    assert ask(ipam, labels=both, families=[4, 6]) == [four, "2001:db8:2::1"]
    assert not ipam.audit()


def test_a_full_group_is_refused(ipam: Ipam) -> None:
    declare(ipam, subnet("s", "10.0.0.0/30"))
    ask(ipam, "a")
    ipam.reserve("10.0.0.2", owner="b")
    newest = ipam.newest_event()
    with pytest.raises(Exhausted, match="reserved"):
        ask(ipam, "c")
    assert ipam.newest_event() == newest
    assert ask(ipam, "b") == ["10.0.0.2"]
    with pytest.raises(AddressInUse):
        ipam.allocate(labels=L, owner="c", address="10.0.0.2")


def test_an_address_after_its_cool_down_is_found(ipam: Ipam, clock: Clock) -> None:
    declare(ipam, subnet("s", "10.0.0.0/32", cooldown=60))
    ipam.release(ipam.allocate(labels=L, owner="a").address)
    with pytest.raises(Exhausted):
        ask(ipam, "a")
    clock.advance(61)
    assert ask(ipam, "a") == ["10.0.0.0"]


def test_a_request_without_an_owner_or_for_several_is_refused(ipam: Ipam) -> None:
    declare(ipam, subnet())
    for more in (
        {},
        {"owner": "a", "count": 2},
        {"owner": "a", "address": "10.0.0.3"},
        {"owner": "a", "kind": "gateway"},
        {"owner": "a", "mac": "00:16:3e:00:00:01"},
    ):
        with pytest.raises(FixInput):
            ipam.allocate(labels=L, sticky=True, **more)


def test_an_explanation_of_a_held_address(ipam: Ipam) -> None:
    declare(ipam, subnet())
    made = ipam.allocate(labels=L, owner="a", sticky=True, explain=True).explanation
    again = ipam.allocate(labels=L, owner="a", sticky=True, explain=True).explanation
    assert made
    assert again
    assert made.outcome == "allocated: 10.0.0.1 from s"
    assert again.outcome == "a has 10.0.0.1"


def test_a_request_in_another_scope_is_another_one(ipam: Ipam) -> None:
    names = ["default", "red"]
    declare(ipam, *(subnet(f"s-{name}", scope=name) for name in names), scopes=names)
    for name in names:
        assert ask(ipam, scope=name) == ["10.0.0.1"]
    assert ipam.release(owner="web-0").total == 2
    assert [ask(ipam, scope=name) for name in names] == [["10.0.0.1"]] * 2


def test_requests_at_one_time_get_one_address(ipam: Ipam) -> None:
    """Their hosts claim different blocks, so that only the owner is common."""
    declare(ipam, subnet("s", "10.0.0.0/22"))
    with ThreadPoolExecutor(6) as threads:
        for owner in ("a", "b"):
            hosts = [f"h{at}" for at in range(6)]
            found = list(threads.map(lambda host, owner=owner: ask(ipam, owner, host=host), hosts))
            assert len({address for (address,) in found}) == 1
            assert len(ipam.allocations(owner=owner)) == 1
    assert not ipam.audit()
