"""Several callers declare at once: each succeeds or gets the precise error."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import borough
from borough import Ipam
from borough.errors import BoroughError
from borough.store.sql.unit.unit import SqlUnit
from tests.conftest import STORES, each_store

CALLERS = 8

everywhere = pytest.mark.parametrize("store", each_store("memory"))


def side_by_side(url: str, callers: int, work: Callable[[Ipam, int], object]) -> Counter[str]:
    """Run callers at once, each on its own address space; count the results."""
    outcomes: Counter[str] = Counter()
    start = threading.Barrier(callers)

    def call(number: int) -> None:
        with borough.open(url) as ipam:
            start.wait()
            try:
                work(ipam, number)
            except BoroughError as error:
                outcomes[error.code] += 1
            except Exception as error:
                outcomes[repr(error)] += 1
            else:
                outcomes["done"] += 1

    threads = [threading.Thread(target=call, args=(number,)) for number in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return outcomes


@everywhere
def test_carved_prefixes_differ(store: str, tmp_path: Path):
    url = STORES[store](tmp_path, 0)
    with borough.open(url, create=True) as ipam:
        pool = {"name": "p", "prefixes": ["172.16.0.0/20"], "minimum_length": 24}
        ipam.apply({"pools": [{**pool, "maximum_length": 30}]})

        def carve(mine: Ipam, number: int) -> None:
            for at in range(4):
                mine.allocate_subnet("p", prefix_length=28, name=f"link-{number}-{at}")

        assert side_by_side(url, 16, carve) == {"done": 16}
        prefixes = {subnet.prefix for subnet in ipam.catalogue().subnets.values()}
        assert len(prefixes) == 64
        assert ipam.audit() == []


@everywhere
def test_carving_at_once_with_one_key_gives_one_subnet(store: str, tmp_path: Path):
    url = STORES[store](tmp_path, 0)
    with borough.open(url, create=True) as ipam:
        ipam.apply({"pools": [{"name": "p", "prefixes": ["172.16.0.0/20"], "minimum_length": 24}]})
        done = side_by_side(url, CALLERS, lambda mine, _: mine.allocate_subnet("p", key="k"))
        assert done == {"done": CALLERS}
        assert len(ipam.catalogue().subnets) == 1
        assert ipam.audit() == []


@everywhere
def test_one_topology_applied_by_several(store: str, tmp_path: Path):
    url = STORES[store](tmp_path, 0)
    subnets = [
        {"name": f"s{at}", "cidr": f"10.{at}.0.0/16", "scope": "red", "labels": {"network": "n"}}
        for at in range(8)
    ]
    with borough.open(url, create=True) as ipam:
        topology = {"name": "one", "scopes": ["red"], "subnets": subnets}
        assert side_by_side(url, CALLERS, lambda mine, _: mine.apply(topology)) == {"done": CALLERS}
        assert len(ipam.catalogue().subnets) == 8
        assert ipam.audit() == []


@everywhere
def test_topologies_that_bring_one_new_label_set(store: str, tmp_path: Path):
    url = STORES[store](tmp_path, 0)

    def declare(mine: Ipam, number: int) -> None:
        subnet = {"name": f"s{number}", "cidr": f"10.{number}.0.0/16", "labels": {"network": "n"}}
        mine.apply({"name": f"t{number}", "subnets": [subnet]})

    with borough.open(url, create=True) as ipam:
        assert side_by_side(url, CALLERS, declare) == {"done": CALLERS}
        assert len(ipam.catalogue().cohorts) == 1
        assert ipam.audit() == []


@everywhere
@pytest.mark.parametrize(
    ("declare", "refusal"),
    [
        (lambda mine, number: mine.apply({"name": f"t{number}", "scopes": ["blue"]}), "in_use"),
        (lambda mine, number: mine.add_subnet(f"10.{number}.0.0/16", name="one"), "invalid_input"),
        (lambda mine, number: mine.add_subnet("10.0.0.0/16", name=f"s{number}"), "overlap"),
        (lambda mine, _number: mine.create_token("one"), "invalid_input"),
    ],
    ids=["scope", "name", "prefix", "token"],
)
def test_one_of_several_callers_succeeds(
    store: str, declare: Callable[[Ipam, int], object], refusal: str, tmp_path: Path
):
    url = STORES[store](tmp_path, 0)
    with borough.open(url, create=True) as ipam:
        assert side_by_side(url, CALLERS, declare) == {"done": 1, refusal: CALLERS - 1}
        assert ipam.audit() == []


@pytest.mark.parametrize("store", each_store("memory", "sqlite"))
def test_a_release_of_a_host_spares_an_address_that_moved_away(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The block shows no difference: both addresses lie in a region of the first host."""
    url = STORES[store](tmp_path, 0)
    with borough.open(url, create=True) as ipam, borough.open(url) as other:
        ipam.apply({"subnets": [{"name": "s", "cidr": "10.0.0.0/24"}]})
        stays, moves = (
            ipam.allocate(subnets=["s"], host="h1", owner=owner).address for owner in "ab"
        )
        commit = SqlUnit.commit
        rivals = [threading.Thread(target=other.reassign, args=(moves, "h2"))]

        def race(self: SqlUnit, *arguments: Any, **named: Any) -> list[int]:
            if rivals and threading.current_thread() is threading.main_thread():
                rival = rivals.pop()
                rival.start()
                rival.join(60)
            return commit(self, *arguments, **named)

        monkeypatch.setattr(SqlUnit, "commit", race)
        released = [each.address for each in ipam.release(host="h1")]
        assert released == [stays]
        assert ipam.show(moves).host == "h2"
        assert ipam.audit() == []
