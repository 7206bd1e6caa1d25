"""Shared addresses: several owners, the last of which frees it; on every store and over HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from borough import Ipam
from borough.domain.encode import utc
from borough.errors import (
    AddressInUse,
    AddressOutsideGroup,
    FixInput,
    KeySpent,
    NotAllocated,
    StaleSequence,
)
from tests.conftest import Clock

L = {"network": "n"}
VIP = "10.0.0.9"


def declare(ipam: Ipam, **more: Any) -> None:
    ipam.apply({"subnets": [{"name": "s", "cidr": "10.0.0.0/28", "labels": L, **more}]})


def share(ipam: Ipam, owner: str, address: str = VIP, **more: Any) -> Any:
    (one,) = ipam.allocate(labels=L, address=address, owner=owner, shared=True, **more).allocations
    return one


def acts(ipam: Ipam) -> list[tuple[str, str]]:
    shown = ("allocated", "attached", "detached", "released")
    return [(each.act, each.owner) for each in ipam.events() if each.act in shown]


@pytest.mark.parametrize("cooldown", [0, 60])
def test_owners_come_and_leave(ipam: Ipam, cooldown: int) -> None:
    """Sequence number and address stay; the last one that leaves frees it."""
    declare(ipam, cooldown=cooldown)
    first = share(ipam, "a")
    assert (first.owner, first.sharers) == ("", ("a",))
    second = share(ipam, "b", explain=True)
    assert (second.sequence, second.sharers) == (first.sequence, ("a", "b"))
    assert ipam.show(VIP) == second
    assert share(ipam, "b") == second
    assert [each.address for each in ipam.allocations(owner="b")] == [VIP]
    with pytest.raises(FixInput, match="shared by a, b"):
        ipam.release(VIP)
    with pytest.raises(NotAllocated):
        ipam.release(VIP, owner="c")
    with pytest.raises(StaleSequence):
        ipam.release(VIP, owner="a", sequence=first.sequence - 1)
    assert ipam.release(VIP, owner="a", sequence=first.sequence).total == 1
    assert ipam.show(VIP).sharers == ("b",)
    assert ipam.allocations(owner="a") == []
    assert ipam.release(owner="b").total == 1
    if cooldown:
        shown = ipam.show(VIP)
        assert (shown.state, shown.sharers) == ("cooling", ("b",))
    else:
        with pytest.raises(NotAllocated):
            ipam.show(VIP)
    assert acts(ipam) == [
        ("allocated", "a"),
        ("attached", "b"),
        ("detached", "a"),
        ("released", "b"),
    ]
    assert share(ipam, "c").sequence > first.sequence
    assert not ipam.audit()


def test_an_address_that_is_not_shared_stays_so(ipam: Ipam) -> None:
    """Nor does an owner get a shared one that does not ask for it so."""
    declare(ipam)
    ipam.allocate(labels=L, address="10.0.0.5", owner="a")
    with pytest.raises(AddressInUse, match="held by a"):
        share(ipam, "b", "10.0.0.5")
    share(ipam, "a")
    share(ipam, "b")
    with pytest.raises(AddressInUse, match="held by a, b") as refused:
        ipam.allocate(labels=L, address=VIP, owner="a")
    assert refused.value.detail["owner"] == "a, b"
    with pytest.raises(AddressInUse):
        ipam.reserve(VIP, owner="a")
    ipam.reserve("10.0.0.6", owner="a")
    with pytest.raises(AddressInUse):
        share(ipam, "b", "10.0.0.6")
    assert not ipam.audit()


def test_a_boundary_holds_for_every_owner(ipam: Ipam) -> None:
    declare(ipam)
    ipam.add_subnet("10.1.0.0/28", labels={"network": "m"})
    share(ipam, "a")
    with pytest.raises(AddressOutsideGroup):
        ipam.allocate(labels={"network": "m"}, address=VIP, owner="b", shared=True)
    assert ipam.show(VIP).sharers == ("a",)


def test_what_a_shared_address_does_not_have(ipam: Ipam) -> None:
    declare(ipam)
    wrongs: list[dict[str, Any]] = [
        {},
        {"owner": "a", "host": "h"},
        {"owner": "a", "lease": 60},
        {"owner": "a", "sticky": True},
        {"owner": "a", "address": VIP, "key": "k"},
    ]
    for wrong in wrongs:
        with pytest.raises(FixInput):
            ipam.allocate(labels=L, shared=True, **wrong)
    share(ipam, "a")
    share(ipam, "b")
    with pytest.raises(FixInput, match="no host"):
        ipam.reassign(VIP, "h")
    with pytest.raises(FixInput, match="no owner"):
        ipam.edit(VIP, owner="c")
    with pytest.raises(FixInput, match="no lease"):
        ipam.renew(VIP)
    edited = ipam.edit(VIP, note="a virtual address", attributes={"k": 1})
    assert (edited.sharers, edited.note) == (("a", "b"), "a virtual address")
    assert ipam.allocations(owner="b", attributes={"k": "1"}) == [edited]


def test_any_address_is_shared_with_a_key(ipam: Ipam) -> None:
    declare(ipam)
    wanted: dict[str, Any] = {"labels": L, "owner": "a", "shared": True, "key": "k"}
    held = ipam.allocate(**wanted)
    assert ipam.allocate(**wanted).allocations == held.allocations
    share(ipam, "b", held.address)
    ipam.release(held.address, owner="a")
    with pytest.raises(KeySpent):
        ipam.allocate(**wanted)
    assert ipam.show(held.address).sharers == ("b",)


def test_names_that_are_alike(ipam: Ipam) -> None:
    """An owner is found by its whole name, whatever characters it has."""
    declare(ipam)
    names = ['a"b', "a", "ä", "%", "a_b", "axb", "!", '", "']
    for at, name in enumerate(names):
        share(ipam, name, f"10.0.0.{at + 1}")
        share(ipam, "all", f"10.0.0.{at + 1}")
    for at, name in enumerate(names):
        assert [each.address for each in ipam.allocations(owner=name)] == [f"10.0.0.{at + 1}"]
    assert len(ipam.allocations(owner="all", limit=5)) == 5
    last = ipam.allocations(owner="all", limit=5)[-1].sequence
    assert len(ipam.allocations(owner="all", after=last)) == 3
    assert ipam.release(owner="all").total == 8
    assert {each.sharers for each in ipam.allocations()} == {(name,) for name in names}
    assert not ipam.audit()


def test_a_transfer_and_a_reconciliation_know_all_owners(ipam: Ipam, clock: Clock) -> None:
    declare(ipam)
    for owner in ("a", "b", "c"):
        share(ipam, owner)
    ipam.allocate(labels=L, owner="a")
    assert ipam.transfer("a", "d").total == 2
    assert ipam.show(VIP).sharers == ("d", "b", "c")
    assert ipam.transfer("d", "c").total == 2
    assert ipam.show(VIP).sharers == ("c", "b")
    now = utc(clock.now)
    hour = timedelta(hours=1)
    first = ipam.reconcile_owners(["b"], {}, now, grace=hour)
    # One of the owners of the shared address lives.
    assert [each.owner for each in first.waiting] == ["c"]
    first = ipam.reconcile_owners(["x"], {}, now, grace=hour)
    assert len(ipam.reconcile_owners(["x"], first.missing, now + hour, grace=hour).released) == 2
    assert ipam.allocations() == []


def test_a_shared_address_follows_to_another_subnet(ipam: Ipam) -> None:
    declare(ipam)
    share(ipam, "a")
    before = share(ipam, "b")
    halves = [
        {"name": name, "cidr": cidr, "labels": L}
        for name, cidr in (("low", "10.0.0.0/29"), ("high", "10.0.0.8/29"))
    ]
    ipam.apply({"subnets": halves})
    after = ipam.show(VIP)
    assert (after.subnet, after.sharers, after.sequence) == ("high", ("a", "b"), before.sequence)
    assert not ipam.audit()
