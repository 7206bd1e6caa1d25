"""Two calls that meet, beside those of the matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import borough
from borough import Ipam
from borough.errors import EventsPruned
from tests.conftest import STORES, Clock
from tests.interleaving.gate import Gate, meet, open_gated
from tests.interleaving.servers import engine_of, is_waiting
from tests.servers.shared import KINDS

pytestmark = pytest.mark.server

GROUP = {"network": "n"}


@dataclass
class Two:
    """Two processes with one database open; the first has a gate."""

    first: Ipam
    second: Ipam
    clock: Clock
    gate: Gate
    is_waiting: Callable[[], bool]

    def meet(self, stopped: Callable[[], Any], other: Callable[[], Any]) -> None:
        """Run the second call between the reads and the writes of the first. Both succeed."""
        outcomes = meet(stopped, other, self.gate, self.is_waiting)
        assert [each.error for each in outcomes] == [None, None]


@pytest.fixture(params=KINDS)
def two(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Two]:
    url = STORES[request.param](tmp_path, 0)
    borough.open(url, create=True).close()
    engine, clock = engine_of(url), Clock()
    (first, gate), (second, _) = open_gated(url, clock), open_gated(url, clock)
    with first, second:
        yield Two(first, second, clock, gate, is_waiting(engine, request.param))
    engine.dispose()


def declared(cooldown: int) -> dict[str, Any]:
    subnet = {"name": "s", "cidr": "10.173.0.0/24", "ranges": ["10.173.0.10-10.173.0.20"]}
    return {"subnets": [{**subnet, "labels": GROUP, "cooldown": cooldown}]}


@pytest.mark.parametrize("address", ["10.173.0.10", "10.173.0.200"], ids=["inside", "outside"])
def test_no_address_rests_where_nothing_cools(two: Two, address: str) -> None:
    """An address that is released while its cool-down is declared away is free in the end."""
    two.first.apply(declared(60))
    two.first.allocate(labels=GROUP, address=address)
    two.meet(lambda: two.first.apply(declared(0)), lambda: two.second.release(address))
    two.clock.advance(3600)
    two.first.reclaim()
    assert two.first.allocations() == []


def test_what_is_pruned_stays_known(two: Two) -> None:
    """A reader after a pruned event is told so, whichever of two prunings ends last."""
    two.first.apply(declared(0))
    for _ in range(9):
        two.first.allocate(labels=GROUP)
    ids = [each.id for each in two.first.events()]
    two.meet(lambda: two.first.prune_events(ids[2]), lambda: two.second.prune_events(ids[7]))
    with pytest.raises(EventsPruned):
        two.first.events(after=ids[5])


@pytest.mark.parametrize("before", ["nothing", "released", "reserved", "forgotten"])
def test_two_sticky_requests_get_one_address(two: Two, before: str) -> None:
    """They share no block and no free range: each host has a region of its own."""
    two.first.apply({"subnets": [{"name": "s", "cidr": "10.173.0.0/24", "labels": GROUP}]})
    for host in ("h1", "h2"):
        two.first.allocate(labels=GROUP, owner="b", host=host)
    if before != "nothing":
        two.first.allocate(labels=GROUP, owner="a", host="h3", sticky=True)
        two.first.release(owner="a")
    if before in ("released", "forgotten"):
        two.first.cancel(owner="a")
    if before == "forgotten":
        two.clock.advance(30 * 24 * 3600)
        forget_at = two.clock.now
        two.second.store.transact(lambda unit: unit.forget(forget_at, 100))
    found: list[str] = []

    def ask(ipam: Ipam, host: str) -> None:
        answer = ipam.allocate(labels=GROUP, owner="a", host=host, sticky=True)
        found.append(answer.address)

    two.meet(lambda: ask(two.first, "h1"), lambda: ask(two.second, "h2"))
    assert len(found) == 2
    assert len(set(found)) == 1
    assert [each.address for each in two.first.allocations(owner="a")] == found[:1]
    assert two.first.audit() == []
