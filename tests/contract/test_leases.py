"""Leases: addresses that are released by themselves; on every store and over HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from borough import Ipam
from borough.domain.encode import utc
from borough.domain.space.allocations import State
from borough.errors import (
    AddressInUse,
    Exhausted,
    FixInput,
    KeySpent,
    NotAllocated,
    StaleSequence,
    UnknownObject,
)
from tests.conftest import Clock

L = {"network": "n"}


def declare(ipam: Ipam, cidr: str = "10.0.0.0/30", **more: Any) -> None:
    ipam.apply({"subnets": [{"name": "s", "cidr": cidr, "labels": L, **more}]})


def take(ipam: Ipam, **more: Any) -> Any:
    (one,) = ipam.allocate(labels=L, **more).allocations
    return one


def ends(ipam: Ipam) -> list[tuple[str, str]]:
    """The subjects and texts of all releases."""
    return [(each.subject, each.detail) for each in ipam.events() if each.act == "released"]


@pytest.mark.parametrize("lease", [3600, "3600", "1h"])
def test_a_lease_ends_by_itself(ipam: Ipam, clock: Clock, lease: int | str) -> None:
    """With the sweep, at its end and not before."""
    declare(ipam)
    held = take(ipam, owner="a", lease=lease)
    assert (held.state, held.lease) == ("allocated", 3600)
    assert held.leased_until == utc(clock.now) + timedelta(hours=1)
    assert ipam.show(held.address) == held
    clock.advance(3599)
    assert ipam.reclaim().ended == 0
    assert ipam.show(held.address) == held
    clock.advance(1)
    done = ipam.reclaim()
    assert (done.ended, done.rested) == (1, 0)
    with pytest.raises(NotAllocated):
        ipam.show(held.address)
    assert ends(ipam) == [(held.address, "lease ended")]
    assert not ipam.audit()


def test_an_address_without_a_lease_stays(ipam: Ipam, clock: Clock) -> None:
    declare(ipam)
    held = take(ipam)
    assert (held.lease, held.leased_until) == (0, None)
    clock.advance(10 * 365 * 86_400)
    assert ipam.reclaim().ended == 0
    assert ipam.show(held.address) == held


@pytest.mark.parametrize("cooldown", [0, 60])
def test_the_next_allocation_ends_it(ipam: Ipam, clock: Clock, cooldown: int) -> None:
    """Where nothing else is free, in the same transaction; the cool-down begins at the end of the lease."""
    declare(ipam, cooldown=cooldown)
    first = take(ipam, owner="a", lease=60)
    take(ipam, owner="b")
    with pytest.raises(Exhausted):
        take(ipam, owner="c")
    with pytest.raises(AddressInUse):
        take(ipam, owner="c", address=first.address)
    clock.advance(60)
    if cooldown:
        with pytest.raises(Exhausted, match="cool"):
            take(ipam, owner="c")
        # The refusal has undone all: the lease is over, and still to be ended.
        clock.advance(60)
    assert ipam.explain(labels=L).outcome.startswith(f"would allocate: {first.address} ")
    again = take(ipam, owner="c")
    assert again.address == first.address
    assert again.sequence > first.sequence
    assert ends(ipam) == [(first.address, "lease ended")]
    clock.advance(3600)
    assert ipam.reclaim().ended == 0


def test_an_ended_lease_is_free_by_name(ipam: Ipam, clock: Clock) -> None:
    declare(ipam, "10.0.0.0/28")
    held = take(ipam, owner="a", lease=60, address="10.0.0.7")
    clock.advance(60)
    assert ipam.explain(labels=L, address="10.0.0.7").outcome.startswith(
        "would allocate: 10.0.0.7 "
    )
    assert take(ipam, owner="b", address="10.0.0.7").sequence > held.sequence
    assert not ipam.audit()


def test_more_leases_than_one_batch_end(ipam: Ipam, clock: Clock) -> None:
    declare(ipam, "10.0.0.0/23")
    ipam.allocate(labels=L, count=510, lease=60)
    clock.advance(60)
    assert len(ipam.allocate(labels=L, count=300, owner="b").allocations) == 300
    clock.advance(60)
    ipam.reclaim()
    assert len([each for each in ipam.events(limit=5000) if each.detail == "lease ended"]) == 510
    assert len(ipam.allocations()) == 300
    assert not ipam.audit()


def test_after_its_end_an_address_cools_down(ipam: Ipam, clock: Clock) -> None:
    """From the end of the lease, however late the sweep is."""
    declare(ipam, cooldown=300)
    held = take(ipam, owner="a", lease=60)
    over = take(ipam, owner="b", lease=60)
    clock.advance(60 + 100)
    assert (ipam.reclaim().ended, ipam.show(held.address).state) == (2, "cooling")
    shown = ipam.show(over.address)
    assert (shown.lease, shown.leased_until) == (0, None)
    assert shown.cooling_until == over.leased_until + timedelta(seconds=300)
    clock.advance(200)
    assert ipam.reclaim().rested == 2
    take(ipam, owner="c", lease=60)
    clock.advance(60 + 300)
    assert ipam.reclaim().ended == 1
    assert ipam.allocations() == []


def test_a_lease_is_renewed(ipam: Ipam, clock: Clock) -> None:
    """Sequence number, key and all else stay; the event names the new end."""
    declare(ipam)
    held = take(ipam, owner="a", host="h", key="k", lease=60)
    clock.advance(50)
    (renewed,) = ipam.renew(held.address, sequence=held.sequence).allocations
    assert renewed.leased_until == utc(clock.now) + timedelta(seconds=60)
    assert renewed.sequence == held.sequence
    clock.advance(50)
    assert ipam.reclaim().ended == 0
    (longer,) = ipam.renew(held.address, key="k", lease="1h").allocations
    assert longer.lease == 3600
    clock.advance(3599)
    assert ipam.reclaim().ended == 0
    assert ipam.allocate(labels=L, owner="a", host="h", key="k", lease=60).replayed
    acts = [(each.act, each.detail) for each in ipam.events() if each.act == "renewed"]
    assert len(acts) == 2
    assert acts[1][1].startswith("until 20")
    clock.advance(1)
    assert ipam.reclaim().ended == 1
    assert not ipam.audit()


def test_all_leases_of_a_key_are_renewed(ipam: Ipam, clock: Clock) -> None:
    declare(ipam, "10.0.0.0/28")
    given = ipam.allocate(labels=L, count=3, key="k", lease=60)
    other = take(ipam, lease=60)
    clock.advance(30)
    renewed = ipam.renew(key="k").allocations
    assert [each.address for each in renewed] == [each.address for each in given.allocations]
    clock.advance(30)
    assert ipam.reclaim().ended == 1
    with pytest.raises(NotAllocated):
        ipam.show(other.address)
    ipam.release(given.allocations[0].address)
    with pytest.raises(KeySpent):
        ipam.renew(key="k")
    with pytest.raises(KeySpent):
        ipam.renew(key="unknown")


def test_a_renewal_is_refused(ipam: Ipam, clock: Clock) -> None:
    """Without a lease, after its end, with a wrong guard; nothing changes then."""
    declare(ipam, "10.0.0.0/28")
    held = take(ipam, lease=60, key="k")
    plain = take(ipam)
    with pytest.raises(FixInput, match="no lease"):
        ipam.renew(plain.address)
    with pytest.raises(StaleSequence):
        ipam.renew(held.address, sequence=held.sequence - 1)
    with pytest.raises(StaleSequence):
        ipam.renew(held.address, key="other")
    with pytest.raises(NotAllocated):
        ipam.renew("10.0.0.14")
    with pytest.raises(UnknownObject):
        ipam.renew(held.address, scope="nowhere")
    for wrong in ({}, {"key": "k", "sequence": 1}, {"address": held.address, "lease": 0}):
        with pytest.raises(FixInput):
            ipam.renew(**wrong)
    for lease in (-1, True, "1y", "366d"):
        with pytest.raises(FixInput):
            ipam.allocate(labels=L, lease=lease)
    assert ipam.show(held.address) == held
    clock.advance(60)
    # Nobody has ended it yet, and yet it is over.
    with pytest.raises(NotAllocated, match="ended at"):
        ipam.renew(held.address)
    with pytest.raises(NotAllocated, match="ended at"):
        ipam.renew(key="k")
    with pytest.raises(KeySpent):
        ipam.allocate(labels=L, lease=60, key="k")
    assert ipam.reclaim().ended == 1


def test_a_renewal_never_ends_a_lease_earlier(ipam: Ipam, clock: Clock) -> None:
    """Neither a clock that was set back nor a shorter duration."""
    declare(ipam)
    held = take(ipam, lease=3600)
    assert ipam.renew(held.address, lease=60).allocations[0].leased_until == held.leased_until
    clock.advance(-7200)
    assert ipam.renew(held.address, lease=3600).allocations[0].leased_until == held.leased_until
    assert ipam.show(held.address).lease == 3600


def test_a_leased_address_is_released_edited_and_reassigned(ipam: Ipam, clock: Clock) -> None:
    declare(ipam, cooldown=60)
    held = take(ipam, owner="a", lease=60)
    ipam.edit(held.address, owner="b", attributes={"k": 1})
    ipam.reassign(held.address, "h2")
    ipam.transfer("b", "c")
    shown = ipam.show(held.address)
    assert (shown.owner, shown.host, shown.leased_until) == ("c", "h2", held.leased_until)
    clock.advance(30)
    ipam.release(held.address, sequence=held.sequence)
    shown = ipam.show(held.address)
    assert (shown.state, shown.lease, shown.leased_until) == ("cooling", 0, None)
    assert shown.cooling_until == utc(clock.now) + timedelta(seconds=60)
    assert ends(ipam) == [(held.address, "")]
    assert not ipam.audit()


def test_a_sticky_lease_leaves_its_reservation(ipam: Ipam, clock: Clock) -> None:
    """The owner gets the address again, also when nobody has ended the lease yet."""
    declare(ipam, "10.0.0.0/28")
    held = take(ipam, owner="a", sticky=True, lease=60)
    clock.advance(59)
    same = ipam.allocate(labels=L, owner="a", sticky=True, lease=60)
    assert (same.replayed, same.allocations[0].leased_until) == (True, held.leased_until)
    clock.advance(1)
    again = ipam.allocate(labels=L, owner="a", sticky=True, lease=60)
    assert (again.replayed, again.address) == (False, held.address)
    assert again.allocations[0].leased_until == utc(clock.now) + timedelta(seconds=60)
    clock.advance(60)
    ipam.reclaim()
    shown = ipam.show(held.address)
    assert (shown.state, shown.owner, shown.lease) == ("reserved", "a", 0)
    clock.advance(3600)
    ipam.reclaim()
    assert ipam.show(held.address) == shown
    assert not ipam.audit()


def test_sticky_leases_of_two_scopes_end_together(ipam: Ipam, clock: Clock) -> None:
    """The same address in both: each leaves its own reservation."""
    subnets = [
        {"name": name, "cidr": "10.0.0.0/30", "scope": name, "labels": L}
        for name in ("blue", "red")
    ]
    ipam.apply({"scopes": ["blue", "red"], "subnets": subnets})
    for scope in ("blue", "red"):
        ipam.allocate(labels=L, scope=scope, owner=scope, sticky=True, lease=60)
    clock.advance(60)
    assert ipam.reclaim().ended == 2
    assert [(each.scope, each.owner, each.state) for each in ipam.allocations()] == [
        ("blue", "blue", State.RESERVED),
        ("red", "red", State.RESERVED),
    ]
    assert not ipam.audit()


def test_a_reserved_address_is_leased(ipam: Ipam, clock: Clock) -> None:
    declare(ipam)
    ipam.reserve("10.0.0.1", owner="a")
    take(ipam, owner="a", address="10.0.0.1", lease=60)
    clock.advance(60)
    # Another owner cannot have it, although the lease is over.
    with pytest.raises(AddressInUse, match="reserved"):
        take(ipam, owner="b", address="10.0.0.1")
    ipam.reclaim()
    assert ipam.show("10.0.0.1").state == "reserved"


def test_an_address_whose_lease_is_over_can_be_reserved(ipam: Ipam, clock: Clock) -> None:
    declare(ipam, "10.0.0.0/28")
    held = take(ipam, owner="a", lease=60)
    with pytest.raises(AddressInUse):
        ipam.reserve(held.address, owner="b")
    clock.advance(60)
    assert ipam.reserve(held.address, owner="b").total == 1
    assert ends(ipam) == [(held.address, "lease ended")]
    assert not ipam.audit()


def test_the_end_of_a_lease_returns_the_claim(ipam: Ipam, clock: Clock) -> None:
    """As a release does: the second region of a host is free space again."""
    dimensions = {"network": {"fallback": "none"}, "host": {"claims": {"block": 2, "largest": 2}}}
    subnet = {"name": "s", "cidr": "10.0.0.0/26", "labels": L}
    ipam.apply({"dimensions": dimensions, "subnets": [subnet]})
    for _ in range(8):
        take(ipam, host="h", lease=60)
    before = len({each.region for each in ipam.blocks(host="h")})
    clock.advance(60)
    ipam.reclaim()
    assert len({each.region for each in ipam.blocks(host="h")}) < before
    assert not ipam.audit()
