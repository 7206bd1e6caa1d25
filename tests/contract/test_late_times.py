"""A clock that was a year fast for a minute leaves late times; an audit repairs them."""

from __future__ import annotations

from borough import Ipam
from tests.conftest import Clock

L = {"network": "n"}
YEAR = 365 * 86_400
CODES = ["idle_since_future", "key_from_future", "lease_from_future", "rest_too_long"]


def disturb(ipam: Ipam, clock: Clock) -> None:
    """Release, lease, mark and bind keys while the clock is a year ahead."""
    ipam.add_subnet("10.0.0.0/29", name="s", labels=L, cooldown=60)
    ipam.add_subnet("10.0.1.0/24", name="t", labels={"network": "m"})
    given = ipam.allocate(labels=L, count=6)
    on_host = ipam.allocate(labels={"network": "m"}, host="h")
    clock.advance(YEAR)
    ipam.release([each.address for each in given.allocations])
    ipam.release(on_host.address)
    ipam.allocate(labels={"network": "m"}, key="k")
    ipam.allocate(labels={"network": "m"}, address="10.0.1.200", lease=3600)
    ipam.reclaim()
    clock.advance(60 - YEAR)


def test_an_audit_finds_times_in_the_future(ipam: Ipam, clock: Clock) -> None:
    """Each kind once a subnet; a repair cuts them, and writes events."""
    disturb(ipam, clock)
    found = ipam.audit()
    assert sorted(each.code for each in found) == CODES
    subjects = {each.code: (each.subnet, each.subject) for each in found}
    assert subjects["rest_too_long"] == ("s", "10.0.0.0/29")
    assert subjects["lease_from_future"] == ("t", "10.0.1.0/24")
    assert subjects["idle_since_future"] == ("t", "10.0.1.0/24")
    repaired = ipam.audit(repair=True)
    assert sorted(each.code for each in repaired) == CODES
    assert all(each.repaired for each in repaired)
    assert sum(each.act == "repaired" for each in ipam.events()) == 4
    assert ipam.audit() == []


def test_after_a_repair_rests_and_idle_regions_end_as_they_should(ipam: Ipam, clock: Clock) -> None:
    """Cool-downs and leases end at most one of theirs later; idle regions are reclaimed in the usual time."""
    disturb(ipam, clock)
    ipam.audit(repair=True)
    assert {each.state for each in ipam.allocations(subnet="s")} == {"cooling"}
    clock.advance(60)
    assert len(ipam.allocate(labels=L, count=6).allocations) == 6
    clock.advance(15 * 60)
    ipam.reclaim()
    assert ipam.blocks(host="h") == []
    assert ipam.show("10.0.1.200").state == "allocated"
    clock.advance(45 * 60)
    assert ipam.reclaim().ended == 1


def test_times_as_they_should_be_are_left_alone(ipam: Ipam, clock: Clock) -> None:
    """Cool-downs, leases, idle marks, and clocks that differ by a few minutes."""
    disturb(ipam, clock)
    clock.advance(YEAR - 240)
    assert ipam.audit() == []
