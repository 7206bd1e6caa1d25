"""Hosts that are drained, removed and renamed, and addresses that move; on every store.

Rules under "Reassignment" of ``docs/reference/rules.md``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from borough import Ipam
from borough.domain.space.filters import Filter
from borough.domain.space.plan import Act, Plan
from borough.errors import (
    AddressOutsideGroup,
    Contended,
    FixInput,
    NotAllocated,
    StaleSequence,
    UnknownObject,
)
from borough.store.port import Unit
from tests.conftest import Clock

L = {"network": "n"}


def pods(ipam: Ipam, cidr: str = "10.0.0.0/24", **more: Any) -> None:
    ipam.apply({"subnets": [{"name": "pods", "cidr": cidr, "labels": L}], **more})


def take(ipam: Ipam, host: str, count: int = 1) -> list[str]:
    answer = ipam.allocate(labels=L, host=host, count=count, owner=f"of-{host}")
    return [each.address for each in answer.allocations]


def routes(ipam: Ipam, host: str) -> list[str]:
    return [each.prefix for each in ipam.routes(host)]


def runs(ipam: Ipam) -> list[str]:
    found = ipam.store.transact(lambda unit: unit.free_ranges(), write=False)
    return [str(run.prefix) for run in found]


def acts(ipam: Ipam, act: Act) -> list[tuple[str, str, str]]:
    return [
        (each.subject, each.host, each.detail)
        for each in ipam.events(limit=100_000)
        if each.act == act
    ]


def sound(ipam: Ipam) -> None:
    assert ipam.audit() == []


# --- Drain ------------------------------------------------------------------------------------


def test_a_drained_host_claims_nothing_and_keeps_its_addresses(ipam: Ipam) -> None:
    """Its region of 32 has 14 addresses in the lower half: the upper half is unclaimed again."""
    pods(ipam)
    held = take(ipam, "h1", 17)
    for address in held[14:]:
        ipam.release(address)
    assert routes(ipam, "h1") == ["10.0.0.0/27"]
    gone = ipam.drain("h1")
    assert [(each.prefix, each.holder) for each in gone.claims] == [("10.0.0.0/27", "host=h1")]
    assert [each.address for each in gone.remaining] == held[:14]
    assert [(each.prefix, each.holder) for each in ipam.blocks()] == [("10.0.0.0/28", "")]
    assert runs(ipam) == ["10.0.0.16/28", "10.0.0.32/27", "10.0.0.64/26", "10.0.0.128/25"]
    assert len(routes(ipam, "h1")) > 1
    sound(ipam)


def test_unused_space_of_a_drained_host_can_be_claimed(ipam: Ipam) -> None:
    """Nothing else is free: h2 claims the released half."""
    pods(ipam, "10.0.0.0/27")
    take(ipam, "h1", 17)
    ipam.release([f"10.0.0.{last}" for last in range(14, 18)])
    ipam.drain("h1")
    take(ipam, "h2")
    assert routes(ipam, "h2") == ["10.0.0.16/28"]
    sound(ipam)


def test_draining_a_host_whose_regions_are_empty_leaves_whole_space(ipam: Ipam) -> None:
    """The last region, which a release leaves to its host, is released too."""
    pods(ipam)
    take(ipam, "h1", 30)
    ipam.release(owner="of-h1")
    assert ipam.blocks() != []
    ipam.drain("h1")
    assert ipam.blocks() == []
    assert runs(ipam) == ["10.0.0.0/24"]
    sound(ipam)


def test_a_drain_is_done_once(ipam: Ipam) -> None:
    """The host is not locked: it claims again when it asks; and draining again is no error."""
    pods(ipam)
    (first,) = take(ipam, "h1")
    ipam.drain("h1")
    assert ipam.drain("h1").claims == ()
    (second,) = take(ipam, "h1")
    assert ipam.show(second).block is not None
    assert ipam.show(first).block is None


def test_a_drain_spares_cooling_addresses_and_borrowers(ipam: Ipam, clock: Clock) -> None:
    """Cool-downs continue, and borrowed addresses are not allocated twice."""
    subnet = {"name": "pods", "cidr": "10.0.0.0/28", "labels": L, "cooldown": 60}
    ipam.apply({"subnets": [subnet]})
    cooling, *_ = take(ipam, "h1", 3)
    borrowed = take(ipam, "h2", 1)[0]
    ipam.release(cooling)
    ipam.drain("h1")
    sound(ipam)
    given = [take(ipam, "h3")[0] for _ in range(10)]
    assert len(set(given)) == 10
    assert not {cooling, borrowed} & set(given)
    clock.advance(61)
    assert take(ipam, "h3") == [cooling]
    sound(ipam)


def test_other_hosts_and_scopes(ipam: Ipam) -> None:
    """A host is drained in every scope; its neighbours keep what they have."""
    subnets = [
        {"name": scope, "cidr": "10.0.0.0/26", "scope": scope, "labels": L}
        for scope in ("default", "blue")
    ]
    ipam.apply({"scopes": ["default", "blue"], "subnets": subnets})
    for scope in ("default", "blue"):
        for host in ("h1", "h2"):
            ipam.allocate(labels=L, scope=scope, host=host, owner="o")
    gone = ipam.drain("h1")
    assert sorted(each.scope for each in gone.claims) == ["blue", "default"]
    assert {each.holder for each in ipam.blocks()} == {"", "host=h2"}
    sound(ipam)


def test_an_unknown_host_is_not_drained(ipam: Ipam) -> None:
    """Most likely its name is misspelt."""
    pods(ipam, hosts={"node-1": {}})
    assert ipam.drain("node-1").claims == ()
    for call in (ipam.drain, ipam.remove_host, lambda name: ipam.rename_host(name, "x")):
        with pytest.raises(UnknownObject, match="node-1"):
            call("node1")


@pytest.mark.parametrize("name", ["a/drain", "rename", "x/rename", "ü ?#%2F", ".."])
def test_a_host_may_have_any_name(ipam: Ipam, name: str) -> None:
    """One that reads like a path is drained, renamed and removed like every other."""
    pods(ipam, hosts={name: {}})
    take(ipam, name)
    assert ipam.drain(name).host == name
    assert ipam.rename_host(name, f"{name}/drain").new == f"{name}/drain"
    assert len(ipam.remove_host(f"{name}/drain", release=True).released) == 1
    assert (ipam.hosts(), ipam.allocations()) == ([], [])


def test_a_drain_keeps_only_the_used_part_of_a_large_region(ipam: Ipam) -> None:
    """Whole unused blocks of a region become unclaimed space, joined with the space around."""
    pods(ipam, "10.0.0.0/22")
    held = take(ipam, "h1", 500)
    kept = {held[0], held[100], held[499]}
    ipam.release([each for each in held if each not in kept])
    ipam.drain("h1")
    blocks = [each.prefix for each in ipam.blocks()]
    assert len(blocks) == 3
    assert all(each.endswith("/28") for each in blocks)
    sound(ipam)
    ipam.release(owner="of-h1")
    sound(ipam)


# --- Remove -----------------------------------------------------------------------------------


def test_a_removed_host_is_declared_no_more(ipam: Ipam) -> None:
    """Its addresses stay held; the topology that declares it is named, and would declare it again."""
    topology = {
        "name": "racks",
        "subnets": [{"name": "pods", "cidr": "10.0.0.0/24", "labels": L}],
        "hosts": {"h1": {}, "h2": {}},
    }
    ipam.apply(topology)
    (address,) = take(ipam, "h1")
    gone = ipam.remove_host("h1")
    assert gone.source == "racks"
    assert [each.address for each in gone.remaining] == [address]
    assert [each.name for each in ipam.hosts()] == ["h2"]
    assert ipam.show(address).host == "h1"
    assert [change.name for change in ipam.apply(topology).changes] == ["h1"]
    assert ("h1", "h1", "remove host") in acts(ipam, Act.TOPOLOGY)
    assert ipam.remove_host("h2").source == "racks"
    sound(ipam)


def test_a_removed_host_may_release_all_at_once(ipam: Ipam) -> None:
    """Addresses, claims and entry are removed in one step; addresses borrowed from it stay."""
    pods(ipam, "10.0.0.0/27")
    take(ipam, "h1", 28)
    (borrowed,) = take(ipam, "h2", 1)
    gone = ipam.remove_host("h1", release=True)
    assert len(gone.released) == 28
    assert gone.remaining == ()
    assert {each.holder for each in gone.claims} == {"host=h1"}
    assert [each.address for each in ipam.allocations()] == [borrowed]
    assert not any(each.holder == "host=h1" for each in ipam.blocks())
    sound(ipam)
    with pytest.raises(UnknownObject):
        ipam.remove_host("h1")


def test_a_removed_host_that_cools_leaves_no_claim(ipam: Ipam, clock: Clock) -> None:
    """Released addresses cool in unclaimed space, and become free in time."""
    subnet = {"name": "pods", "cidr": "10.0.0.0/28", "labels": L, "cooldown": 60}
    ipam.apply({"subnets": [subnet]})
    take(ipam, "h1", 14)
    ipam.remove_host("h1", release=True)
    assert {each.holder for each in ipam.blocks()} == {""}
    clock.advance(61)
    assert len(take(ipam, "h2", 14)) == 14
    sound(ipam)


# --- Rename -----------------------------------------------------------------------------------


def test_a_renamed_host_keeps_everything(ipam: Ipam) -> None:
    """Claims, addresses, sequence numbers, labels; events have the old name."""
    pods(
        ipam,
        dimensions={"rack": {"fallback": "any"}},
        hosts={"h1": {"rack": "r1"}},
    )
    held = take(ipam, "h1", 20)
    before = {each.address: each.sequence for each in ipam.allocations()}
    done = ipam.rename_host("h1", "hôte 1")
    assert [each.prefix for each in done.claims] == ["10.0.0.0/27"]
    assert sorted(each.address for each in done.reassigned) == sorted(held)
    assert done.source == "default"
    assert routes(ipam, "h1") == []
    assert routes(ipam, "hôte 1") == ["10.0.0.0/27"]
    assert {each.address: each.sequence for each in ipam.allocations(host="hôte 1")} == before
    assert [(host.name, dict(host.labels)) for host in ipam.hosts()] == [
        ("hôte 1", {"rack": ["r1"]})
    ]
    moved = acts(ipam, Act.REASSIGNED)
    assert len(moved) == 20
    assert moved[0] == (held[0], "hôte 1", "from host h1")
    sound(ipam)
    assert len(ipam.rename_host("hôte 1", "h1").reassigned) == 20
    assert routes(ipam, "h1") == ["10.0.0.0/27"]


def test_a_renamed_host_joins_regions_of_its_new_name(ipam: Ipam) -> None:
    """Two regions that are buddies become one."""
    pods(ipam, "10.0.0.0/27", hosts={"old": {}, "new": {}})
    take(ipam, "old", 15)
    take(ipam, "new")
    assert routes(ipam, "new") == ["10.0.0.16/28"]
    ipam.rename_host("old", "new")
    assert routes(ipam, "new") == ["10.0.0.0/27"]
    assert [host.name for host in ipam.hosts()] == ["new"]
    sound(ipam)


def test_cooling_addresses_follow_a_renamed_host(ipam: Ipam, clock: Clock) -> None:
    """Otherwise they would name an unknown host; the end of the cool-down is unchanged."""
    subnet = {"name": "pods", "cidr": "10.0.0.0/28", "labels": L, "cooldown": 60}
    ipam.apply({"subnets": [subnet]})
    first, second = take(ipam, "h1", 2)
    ipam.release(first)
    done = ipam.rename_host("h1", "h2")
    assert [each.address for each in done.reassigned] == [second]
    cooling = ipam.show(first)
    assert (cooling.host, cooling.state) == ("h2", "cooling")
    clock.advance(61)
    assert take(ipam, "h2") == [first]


def test_a_host_is_not_renamed_to_itself(ipam: Ipam) -> None:
    """That is a mistake, and changes nothing."""
    pods(ipam)
    take(ipam, "h1")
    with pytest.raises(FixInput):
        ipam.rename_host("h1", "h1")


# --- Reassign ---------------------------------------------------------------------------------


def test_a_reassigned_address_keeps_its_allocation(ipam: Ipam) -> None:
    """Same owner, same sequence number, another host; the route follows."""
    pods(ipam)
    address, other = take(ipam, "h1", 2)
    before = ipam.show(address)
    moved = ipam.reassign(address, "h2")
    assert (moved.host, moved.owner, moved.sequence) == ("h2", "of-h1", before.sequence)
    assert moved.borrowed
    assert routes(ipam, "h2") == [f"{address}/32"]
    assert routes(ipam, "h1") == ["10.0.0.0/28"]
    assert ipam.show(other).host == "h1"
    assert acts(ipam, Act.REASSIGNED) == [(address, "h2", "from host h1")]
    (block,) = ipam.blocks()
    assert block.borrowers == {address: "h2"}
    assert ipam.release(address, sequence=before.sequence)[0].host == "h2"
    sound(ipam)


def test_a_repeated_reassignment_changes_nothing(ipam: Ipam) -> None:
    """A caller that lost the answer may ask again."""
    pods(ipam)
    (address,) = take(ipam, "h1")
    first = ipam.reassign(address, "h2")
    assert ipam.reassign(address, "h2") == first
    assert len(acts(ipam, Act.REASSIGNED)) == 1


def test_the_region_follows_its_last_address(ipam: Ipam) -> None:
    """When all of its addresses are on another host, that host gets the claim."""
    pods(ipam)
    held = take(ipam, "h1", 20)
    for address in held[:-1]:
        ipam.reassign(address, "h2")
    assert routes(ipam, "h1") == ["10.0.0.0/27"]
    last = ipam.reassign(held[-1], "h2")
    assert not last.borrowed
    assert routes(ipam, "h1") == []
    assert routes(ipam, "h2") == ["10.0.0.0/27"]
    assert ("10.0.0.0/27", "", "host=h2") in acts(ipam, Act.TRANSFERRED)
    sound(ipam)


def test_a_region_that_follows_joins_its_buddy(ipam: Ipam) -> None:
    """h2 has the other half already: one route."""
    pods(ipam, "10.0.0.0/27")
    (address,) = take(ipam, "h1")
    take(ipam, "h2")
    assert routes(ipam, "h2") == ["10.0.0.16/28"]
    ipam.reassign(address, "h2")
    assert routes(ipam, "h2") == ["10.0.0.0/27"]
    sound(ipam)


def test_a_region_does_not_follow_while_another_host_uses_it(ipam: Ipam) -> None:
    """Neither its holder nor a third host that has borrowed loses its space."""
    pods(ipam, "10.0.0.0/28")
    held = take(ipam, "h1", 14)
    ipam.release(held.pop(6))
    take(ipam, "h3")
    for address in held:
        ipam.reassign(address, "h2")
    assert routes(ipam, "h1") == ["10.0.0.0/28"]
    assert {each.holder for each in ipam.blocks()} == {"host=h1"}


def test_after_a_drain_the_block_is_claimed_by_the_new_host(ipam: Ipam) -> None:
    """The block is unclaimed then; with only one host it is one route instead of many."""
    pods(ipam)
    held = take(ipam, "h1", 5)
    ipam.drain("h1")
    for address in held:
        ipam.reassign(address, "h2")
    assert routes(ipam, "h2") == ["10.0.0.0/28"]
    assert routes(ipam, "h1") == []
    sound(ipam)


def test_a_region_does_not_follow_beyond_a_cap(ipam: Ipam) -> None:
    """The cap of a host applies to reassigned regions as well."""
    pods(ipam, dimensions={"host": {"fallback": "any", "claims": {"cap": 16}}})
    one, two = take(ipam, "h1", 1) + take(ipam, "h3", 1)
    ipam.reassign(one, "h2")
    assert routes(ipam, "h2") == ["10.0.0.0/28"]
    ipam.reassign(two, "h2")
    assert routes(ipam, "h2") == ["10.0.0.0/28", f"{two}/32"]
    sound(ipam)


def test_a_released_neighbour_does_not_prevent_it(ipam: Ipam) -> None:
    """A cooling address has no host."""
    subnet = {"name": "pods", "cidr": "10.0.0.0/28", "labels": L, "cooldown": 60}
    ipam.apply({"subnets": [subnet]})
    one, two = take(ipam, "h1", 2)
    ipam.release(one)
    ipam.reassign(two, "h2")
    assert routes(ipam, "h2") == ["10.0.0.0/28"]
    sound(ipam)


def test_a_stale_sequence_reassigns_nothing(ipam: Ipam) -> None:
    """The address was released and allocated to another owner since."""
    pods(ipam, "10.0.0.0/31")
    (address,) = take(ipam, "h1")
    stale = ipam.show(address).sequence
    ipam.release(address)
    ipam.allocate(labels=L, address=address, host="h3", owner="next")
    with pytest.raises(StaleSequence):
        ipam.reassign(address, "h2", sequence=stale)
    assert ipam.show(address).host == "h3"
    assert ipam.reassign(address, "h2", sequence=ipam.show(address).sequence).host == "h2"


def test_an_address_without_an_allocation_is_not_reassigned(ipam: Ipam) -> None:
    """Neither a free address nor a cooling one; nor to no host, nor in an unknown scope."""
    subnet = {"name": "pods", "cidr": "10.0.0.0/28", "labels": L, "cooldown": 60}
    ipam.apply({"subnets": [subnet]})
    (address,) = take(ipam, "h1")
    ipam.release(address)
    for each in (address, "10.0.0.9", "192.0.2.1"):
        with pytest.raises(NotAllocated):
            ipam.reassign(each, "h2")
    with pytest.raises(FixInput):
        ipam.reassign(address, "")
    with pytest.raises(UnknownObject):
        ipam.reassign(address, "h2", scope="blue")


def test_an_address_stays_in_the_segment_that_its_host_reaches(ipam: Ipam) -> None:
    """A live migration to a host of another segment would disconnect it; ``force`` allows it."""
    ipam.apply(
        {
            "subnets": [
                {"name": "a", "cidr": "10.0.0.0/28", "labels": {**L, "segment": "s1"}},
                {"name": "flat", "cidr": "10.0.1.0/28", "labels": {"network": "flat"}},
            ],
            "hosts": {"h1": {"segment": "s1"}, "h2": {"segment": "s2"}, "h3": {"segment": "s1"}},
        }
    )
    (address,) = take(ipam, "h1")
    with pytest.raises(AddressOutsideGroup) as refused:
        ipam.reassign(address, "h2")
    assert refused.value.detail["dimensions"] == ["segment"]
    assert "segment=s1" in refused.value.message
    assert ipam.show(address).host == "h1"
    assert ipam.reassign(address, "h3").host == "h3"
    assert ipam.reassign(address, "h2", force=True).host == "h2"
    # An undeclared host, and a network without segments.
    assert ipam.reassign(address, "h9").host == "h9"
    flat = ipam.allocate(labels={"network": "flat"}, host="h1").address
    assert ipam.reassign(flat, "h2").host == "h2"


def test_reassignment_inside_a_rack_leaves_its_claim(ipam: Ipam) -> None:
    """Where racks claim, the block follows to another rack, not to another host of the same one."""
    dimensions = {"host": {"fallback": "any"}, "rack": {"fallback": "any", "claims": True}}
    hosts = {"h1": {"rack": "r1"}, "h2": {"rack": "r1"}, "h3": {"rack": "r2"}}
    pods(ipam, dimensions=dimensions, hosts=hosts)
    (address,) = take(ipam, "h1")
    assert [each.holder for each in ipam.blocks()] == ["rack=r1"]
    ipam.reassign(address, "h2")
    assert [each.holder for each in ipam.blocks()] == ["rack=r1"]
    ipam.reassign(address, "h3")
    assert [each.holder for each in ipam.blocks()] == ["rack=r2"]
    sound(ipam)


def test_a_reassigned_address_is_still_the_answer_to_its_key(ipam: Ipam) -> None:
    """The key is bound to the allocation, which is the same."""
    pods(ipam)
    given = ipam.allocate(labels=L, host="h1", owner="o", key="k")
    ipam.reassign(given.address, "h2")
    again = ipam.allocate(labels=L, host="h1", owner="o", key="k")
    assert again.replayed
    assert (again.address, again.allocations[0].host) == (given.address, "h2")


@pytest.mark.parametrize("count", [1, 12])
@pytest.mark.parametrize("stale", ["version", "sequence", "until"])
def test_a_late_reassignment_is_refused(ipam: Ipam, clock: Clock, count: int, stale: str) -> None:
    """Two reassignments of one address at once, or one of an address that another caller has released."""
    pods(ipam)
    take(ipam, "h1", count)

    def late(unit: Unit) -> None:
        found = unit.allocations(Filter(host="h1"))
        wrong = {"version": 7, "sequence": 1 << 40, "until": clock.now}[stale]
        plan = Plan()
        plan.edited = [(each, replace(each, host="h2")) for each in found[:-1]]
        old = replace(found[-1], **{stale: wrong})  # type: ignore[arg-type]
        plan.edited.append((old, replace(old, host="h2")))
        unit.commit(plan, clock.now)

    with pytest.raises(Contended):
        ipam.store.transact(late)
    assert {each.host for each in ipam.allocations()} == {"h1"}
    assert acts(ipam, Act.REASSIGNED) == []


def test_ipv6_is_reassigned_alike(ipam: Ipam) -> None:
    """The same rules for both families."""
    pods(ipam, "2001:db8::/64")
    held = take(ipam, "h1", 3)
    for address in held:
        ipam.reassign(address, "h2")
    assert routes(ipam, "h2") == ["2001:db8::/124"]
    ipam.drain("h2")
    sound(ipam)
