"""The bench plays the same decisions as the stores, and its yardsticks are what they say."""

from __future__ import annotations

import pytest
from aggregation.indexed_space import make_subnets
from aggregation.measure import bound, play
from aggregation.policies import Borough, Calico, FirstFit
from aggregation.trace import Event, Shape, peak, peaks, trace

import borough
from borough.domain.net.addresses import Family, format_address


@pytest.mark.parametrize(
    ("pool", "expected_acts"), [(1.05, {"claimed", "borrowed", "gave_up"}), (2.0, {"grew"})]
)
@pytest.mark.parametrize("declared", [False, True])
@pytest.mark.parametrize(("subnets", "family"), [(1, 4), (2, 6)])
def test_the_bench_allocates_the_addresses_that_a_store_allocates(
    subnets: int, family: Family, declared: bool, pool: float, expected_acts: set[str]
) -> None:
    """Event by event, in a pool so tight that pieces of regions are borrowed, and in a wide one."""
    events = trace(Shape(8, mean=12.0, days=0.1, seed=3))
    made = make_subnets(round(peak(events) * pool), subnets, family)
    expected = peaks(events) if declared else {}
    policy = Borough(made, expected)
    ipam = borough.open("memory:")
    for subnet in made:
        first, last = (format_address(family, address) for address in (subnet.ranges or ())[0])
        ipam.add_subnet(str(subnet.prefix), ranges=[f"{first}-{last}"])
    hosts = {f"h{host}": {"claims": {"expected": size}} for host, size in expected.items()}
    ipam.apply({"name": "hosts", "hosts": hosts})
    given: dict[int, int] = {}
    for event in events:
        if event.starts:
            address = policy.allocate(event.host, event.at)
            assert address is not None
            answer = ipam.allocate(host=f"h{event.host}", families=family)
            assert answer.address == format_address(family, address), event
            given[event.workload] = address
        else:
            address = given.pop(event.workload)
            policy.release(event.host, address, event.at)
            ipam.release(format_address(family, address))
    acts = {each.act for each in ipam.events(limit=100_000)}
    assert declared or expected_acts <= acts
    assert ipam.audit() == []


def test_a_trace_is_the_same_for_the_same_seed() -> None:
    shape = Shape(10, days=0.1)
    assert trace(shape) == trace(shape)
    assert trace(shape) != trace(Shape(10, days=0.1, seed=2))
    times = [event.at for event in trace(shape)]
    assert times == sorted(times)


def test_measured_values() -> None:
    """Two hosts, one and three addresses; a route is counted for as long as it is there."""
    events = [
        Event(10.0, True, 1, 0),
        Event(20.0, True, 2, 1),
        Event(30.0, True, 3, 1),
        Event(7200.0 + 100, True, 4, 1),
        Event(7200.0 + 200, False, 1, 0),
        Event(7200.0 + 400, False, 2, 1),
    ]
    made = make_subnets(256, 1, 4)
    found = play(events, FirstFit(made), made[0].capacity)
    # 10.0.0.1 to host 0, .2 and .3 to host 1 (one prefix), then .4 (another).
    assert found.peak == 3
    assert found.mean == pytest.approx((2 * 100 + 3 * 100 + 2 * 200) / 400)
    assert found.active == pytest.approx((2 * 200 + 1 * 200) / 400)
    assert found.refused == 0


def test_no_policy_beats_the_bound() -> None:
    events = trace(Shape(12, days=0.3))
    for pool in (1.1, 1.5, 4.0):
        made = make_subnets(round(peak(events) * pool), 1, 4)
        capacity = sum(subnet.capacity for subnet in made)
        least = bound(events, capacity)
        for policy in (Borough(made), Calico(made, 4), FirstFit(made)):
            assert play(events, policy, capacity).mean >= least * 0.95


def test_replaced_hosts_start_nothing_again() -> None:
    """A host that is replaced ends its workloads within minutes; others run them, new hosts among them."""
    events = trace(Shape(6, mean=8.0, days=1.0, host_days=0.5))
    last = {event.host: event.at for event in events if event.starts}
    assert max(last) >= 6
    running: dict[int, set[int]] = {}
    for event in events:
        here = running.setdefault(event.host, set())
        (here.add if event.starts else here.remove)(event.workload)
    silent = [host for host, at in last.items() if at < events[-1].at / 2]
    assert silent
    assert all(not running[host] for host in silent)


def test_the_aged_part_is_the_second_half() -> None:
    """One route in the first half after the fill, two in the second."""
    events = [
        Event(10.0, True, 1, 0),
        Event(7200.0 + 100, True, 2, 0),
        Event(7200.0 + 300, True, 3, 0),
        Event(7200.0 + 600, False, 1, 0),
    ]
    made = make_subnets(256, 1, 4)
    found = play(events, FirstFit(made), made[0].capacity)
    # .1 alone, .1 and .2 (two prefixes), then .1 and .2-.3 (two).
    assert found.mean == pytest.approx((1 * 100 + 2 * 500) / 600)
    assert found.aged_mean == pytest.approx(2)
    assert found.aged_per_host == pytest.approx(2)
    # Of two events the first replaces .2/32 by .2/31, and the second withdraws .1.
    assert found.aged_churn == pytest.approx(3 * 1000 / 2)


def test_an_address_that_is_lent_does_not_split_its_region() -> None:
    """Both counts: under longest match, and with the region split around the loan."""
    made = make_subnets(64, 1, 4)
    starts = [Event(10.0 + at, True, at, 0) for at in range(62)]
    freed = Event(90.0, False, 7, 0)
    events = [*starts, freed, Event(100.0, True, 62, 1), Event(7200.0 + 9000, False, 0, 0)]
    policy = Borough(made)
    found = play(events, policy, made[0].capacity)
    assert policy.borrowed == 1
    assert found.split > found.mean
