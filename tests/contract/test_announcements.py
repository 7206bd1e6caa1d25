"""Reports of agents, the routes that hosts may announce, and what tells that they changed; on every store."""

from __future__ import annotations

import random
from typing import Any

import pytest

from borough import Ipam
from borough.domain.space.agents import SILENT_AFTER
from borough.engine.announcements import Announcements
from borough.errors import BoroughError, FixInput, UnknownObject
from tests.conftest import Clock

L = {"network": "n"}


def pods(ipam: Ipam, **more: Any) -> None:
    subnet = {"name": "pods", "cidr": "10.0.0.0/26", "labels": L}
    ipam.apply({"subnets": [{**subnet, **more}]})


def prefixes(ipam: Ipam, host: str) -> list[str]:
    return [each.prefix for each in ipam.routes(host)]


def test_report_is_kept_and_replaced(ipam: Ipam):
    pods(ipam)
    ipam.acknowledge("h1", ["10.0.0.0/28", "2001:db8::/64"], problems={"10.1.0.0/28": "refused"})
    [found] = ipam.agents()
    assert (found.host, found.installed, found.silent) == ("h1", 2, False)
    assert found.surplus == ("10.0.0.0/28", "2001:db8::/64")
    assert found.problems == {"10.1.0.0/28": "refused"}
    ipam.acknowledge("h1", [])
    [found] = ipam.agents()
    assert (found.installed, found.surplus, found.problems) == (0, (), {})


def test_repeated_report_is_a_sign_of_life_only(ipam: Ipam, clock: Clock):
    pods(ipam)
    ipam.acknowledge("h1", ["10.0.0.0/28"])
    [first] = ipam.agents()
    clock.now += 5_000_000
    mark = ipam.store.transact(lambda unit: unit.agents_mark(), write=False)
    ipam.acknowledge("h1", ["10.0.0.0/28"])
    [second] = ipam.agents()
    assert first.seen is not None
    assert second.seen is not None
    assert second.seen > first.seen
    assert second.changed == first.changed
    assert ipam.store.transact(lambda unit: unit.agents_mark(), write=False) == mark


def test_silent_agent_is_listed_and_nothing_is_released(ipam: Ipam, clock: Clock):
    pods(ipam)
    ipam.allocate(labels=L, host="h1")
    ipam.acknowledge("h1", prefixes(ipam, "h1"))
    before = ipam.routes()
    clock.now += SILENT_AFTER + 1
    [found] = ipam.agents()
    assert found.silent
    assert ipam.routes() == before
    assert len(ipam.allocations()) == 1


def test_scopes_have_their_own_reports(ipam: Ipam):
    ipam.apply({"scopes": ["default", "blue"]})
    ipam.acknowledge("h1", ["10.0.0.0/28"], scope="blue")
    assert ipam.agents() == []
    assert len(ipam.agents(scope="blue")) == 1
    with pytest.raises(UnknownObject):
        ipam.acknowledge("h1", [], scope="red")


@pytest.mark.parametrize("wrong", ["10.0.0.1/28", "10.0.0.0", "nonsense"])
def test_malformed_report_is_refused(ipam: Ipam, wrong: str):
    with pytest.raises(FixInput):
        ipam.acknowledge("h1", [wrong])


def test_removed_host_has_no_report(ipam: Ipam):
    pods(ipam)
    ipam.allocate(labels=L, host="h1")
    ipam.acknowledge("h1", [])
    ipam.remove_host("h1", release=True)
    assert ipam.agents() == []


def test_claim_that_changes_hands_is_announced_first_by_its_next_holder(ipam: Ipam):
    """Of a reassigned address, whose prefix of one address is announced by two hosts for a while."""
    pods(ipam, cidr="10.0.0.0/31")
    first = ipam.allocate(labels=L, address="10.0.0.0", host="h1")
    ipam.acknowledge("h1", prefixes(ipam, "h1"))
    ipam.acknowledge("h2", [])
    old = ipam.host_routes("h1").prefixes
    ipam.reassign(first.address, "h2", force=True)
    new = prefixes(ipam, "h2")
    assert new
    assert ipam.host_routes("h2").prefixes == tuple(new)
    assert set(ipam.host_routes("h1").prefixes) >= set(old)
    ipam.acknowledge("h2", new)
    assert list(ipam.host_routes("h1").prefixes) == prefixes(ipam, "h1")


def test_allocation_waits_until_it_is_routed(ipam: Ipam, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("borough.engine.announcements.ROUTED_TIME", 0.05)
    pods(ipam)
    answer = ipam.allocate(labels=L, host="h1", key="k", wait="routed")
    assert (answer.routed, answer.late) == (False, ("h1",))
    ipam.acknowledge("h1", prefixes(ipam, "h1"))
    answer = ipam.allocate(labels=L, host="h1", key="k", wait="routed")
    assert (answer.replayed, answer.routed, answer.late) == (True, True, ())
    ipam.acknowledge("h2", [f"{answer.address}/32"])
    answer = ipam.allocate(labels=L, host="h1", key="k", wait="routed")
    assert (answer.routed, answer.late) == (False, ("h2",))
    assert ipam.allocate(labels=L, host="h1").routed is None
    with pytest.raises(FixInput):
        ipam.allocate(labels=L, host="h1", wait="done")  # type: ignore[arg-type]


def act(ipam: Ipam, draw: random.Random, clock: Clock) -> None:
    host, other = draw.choice("abc"), draw.choice("abc")
    held = [each.address for each in ipam.allocations() if each.state == "allocated"]
    choice = draw.randrange(14)
    if choice < 4 or not held:
        ipam.allocate(labels=L, host=host, owner=host, count=draw.randrange(1, 4))
    elif choice < 7:
        ipam.release(draw.choice(held))
    elif choice == 7:
        ipam.reassign(draw.choice(held), other, force=True)
    elif choice == 8:
        ipam.allocate(labels=L, address=f"10.0.0.{draw.randrange(64)}", host=host)
    elif choice == 9:
        ipam.drain(host)
    elif choice == 10:
        clock.now += 4_000_000_000
        ipam.reclaim()
    elif choice == 11:
        ipam.remove_host(host, release=draw.random() < 0.5)
    elif choice == 12:
        pods(ipam, gateway=f"10.0.0.{draw.randrange(1, 60)}", cooldown=draw.choice((0, 10)))
    else:
        ipam.rename_host(host, f"{host}x")
        ipam.rename_host(f"{host}x", host)


@pytest.mark.parametrize("seed", range(3))
def test_every_change_of_routes_moves_the_horizon_or_the_version(
    ipam: Ipam, clock: Clock, seed: int
):
    """So that the service sees it: its announcements are those of a computation from nothing."""
    draw = random.Random(seed)
    pods(ipam)
    made = Announcements("default")
    for _ in range(40):
        try:
            act(ipam, draw, clock)
        except BoroughError:
            continue
        horizon = ipam.store.horizon()
        ipam.store.transact(lambda unit: made.refresh(unit, horizon, clock.now), write=False)  # noqa: B023
        expected = {(each.host, each.prefix) for each in ipam.routes()}
        assert {
            (host, str(prefix)) for host, every in made.permitted.items() for prefix in every
        } == expected
