"""A proposal has the effect that it promises."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

import borough
from borough import Ipam
from borough.domain.encode import plain
from borough.errors import NeedsSpace
from tests.conftest import Clock

L = {"network": "n"}
HOSTS = ["h1", "h2", "h3", "h4"]
EXAMPLES = 150 if os.environ.get("CI") else 40

STEP = st.one_of(
    st.tuples(st.just("take"), st.sampled_from(HOSTS), st.sampled_from([1, 1, 2, 5, 12])),
    st.tuples(st.just("release"), st.integers(0, 60), st.sampled_from([1, 1, 3, 9])),
    st.tuples(st.just("move"), st.integers(0, 60), st.sampled_from(HOSTS)),
    st.tuples(st.just("drain"), st.sampled_from(HOSTS), st.just(0)),
)
SUBNETS = st.sampled_from(
    [
        # Neighbours: a prefix may span two of them.
        ["10.0.0.0/27", "10.0.0.32/27"],
        ["10.0.0.0/26"],
        ["10.0.0.0/28", "10.0.1.0/28", "10.0.2.0/29"],
        ["2001:db8::/123", "2001:db8::20/123"],
    ]
)


def play(ipam: Ipam, step: tuple[str, Any, Any]) -> None:
    act, which, how = step
    held = ipam.allocations()
    try:
        if act == "take":
            ipam.allocate(labels=L, host=which, count=how, owner=f"of-{which}")
        elif act == "release" and held:
            ipam.release([each.address for each in held[which % len(held) :][:how]])
        elif act == "move" and held:
            ipam.reassign(held[which % len(held)].address, how)
        elif act == "drain" and any(each.host == which for each in held):
            ipam.drain(which)
    except NeedsSpace:
        pass


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(cidrs=SUBNETS, steps=st.lists(STEP, min_size=5, max_size=25))
def test_a_proposal_saves_exactly_what_it_promises(
    cidrs: list[str], steps: list[tuple[str, Any, Any]]
) -> None:
    """Released and asked for again, in the order given: the addresses and the routes are as foretold."""
    with borough.open("memory:", clock=Clock()) as ipam:
        ipam.apply({"subnets": [{"name": cidr, "cidr": cidr, "labels": L} for cidr in cidrs]})
        for step in steps:
            play(ipam, step)
        before, routes = ipam.allocations(), ipam.routes()
        found = ipam.defragment()
        assert (ipam.allocations(), ipam.routes()) == (before, routes), "it renumbered"
        note(plain(found.proposals))
        assert found.routes == len(routes)
        assert found.saves >= bool(found.proposals)
        held = {each.address: each for each in before}
        expected = len(routes)
        for each in found.proposals:
            assert (each.owner, each.host) == (held[each.address].owner, held[each.address].host)
            ipam.release(each.address, sequence=each.sequence)
            answer = ipam.allocate(subnets=[each.subnets], host=each.host, owner=each.owner)
            assert answer.address == each.to
            expected -= each.saves
            assert len(ipam.routes()) == expected
        assert ipam.audit() == []


def test_loans_come_home() -> None:
    """A host that borrowed while all was full, and has room of its own now."""
    with borough.open("memory:", clock=Clock()) as ipam:
        ipam.apply({"subnets": [{"name": "s", "cidr": "10.0.0.0/27", "labels": L}]})
        ipam.allocate(labels=L, host="h1", owner="a", count=15)
        mine = ipam.allocate(labels=L, host="h2", owner="b", count=15).allocations
        for each in mine[:3]:
            ipam.reassign(each.address, "h1")
        ipam.release([each.address for each in ipam.allocations(host="h1")[:3]])
        found = ipam.defragment()
        assert {each.host for each in found.proposals} == {"h1"}
        assert found.saves == len(ipam.routes("h1")) - 1 > 0


def test_a_small_region_is_emptied_into_a_larger_one() -> None:
    """Two regions of one host become one."""
    with borough.open("memory:", clock=Clock()) as ipam:
        cidrs = ("10.0.0.0/26", "10.0.1.0/28")
        ipam.apply({"subnets": [{"name": cidr, "cidr": cidr, "labels": L} for cidr in cidrs]})
        large = ipam.allocate(labels=L, host="h1", owner="a", count=31).allocations
        ipam.allocate(labels=L, host="h2", owner="b", count=17)
        ipam.allocate(labels=L, host="h1", owner="c", count=3)
        ipam.release([each.address for each in large[10:20]])
        assert len(ipam.routes("h1")) > 1
        found = ipam.defragment(host="h1")
        assert found.saves == len(ipam.routes("h1")) - 1
        assert ipam.defragment(host="h2").proposals == ()
        assert ipam.defragment(limit=1).proposals == ()


def test_there_is_nothing_to_do_where_all_is_in_order() -> None:
    """One region a host: no proposal."""
    with borough.open("memory:", clock=Clock()) as ipam:
        assert plain(ipam.defragment()) == {"proposals": [], "routes": 0, "saves": 0}
        ipam.apply({"subnets": [{"name": "s", "cidr": "10.0.0.0/24", "labels": L}]})
        for host in HOSTS:
            ipam.allocate(labels=L, host=host, owner="o", count=9)
        assert plain(ipam.defragment()) == {"proposals": [], "routes": 4, "saves": 0}
