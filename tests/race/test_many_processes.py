"""Sixteen processes on one database, allocating and releasing at once."""

from __future__ import annotations

import json
import multiprocessing
import random
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

import borough
from borough.errors import Exhausted
from tests.conftest import STORES, each_store
from tests.race.histories import Call, faults, still_held

PROCESSES = 16
CALLS = 60

#: Seconds for a worker to end: long, because the machine may run other tests.
TIMEOUT = 300.0

SHARED = each_store("memory")

#: 16 clients that hold up to 4 addresses each need 64 of 56: the group often has one free address.
TOPOLOGY = {
    "subnets": [
        {"name": name, "cidr": f"10.0.{number}.0/28", "labels": {"network": "n"}}
        for number, name in enumerate("abcd")
    ]
}


def client(number: int, url: str, kind: str, results: Path) -> None:
    """Allocate and release at random; record the results, and every failure."""
    chance = random.Random(number)
    ipam = borough.open(url)
    calls: list[Call] = []
    held: list[tuple[str, int]] = []
    failures: list[str] = []
    exhausted = deepest = 0
    for turn in range(CALLS):
        began = time.monotonic()
        before = ipam.store.retries
        try:
            if held and (len(held) >= 4 or chance.random() < 0.45):
                address, sequence = held.pop(chance.randrange(len(held)))
                ipam.release(address, sequence=sequence)
                ended = time.monotonic()
                calls.append(Call(number, "release", address, sequence, began, ended))
                continue
            request: dict[str, Any] = {"labels": {"network": "n"}, "owner": f"c{number}"}
            if kind == "host":
                request["host"] = f"h{number}"
            elif kind == "next":
                request["kind"] = "next"
            elif kind == "bulk":
                # In opposite orders, so each takes first the address that the other takes next.
                del request["labels"]
                request["subnets"] = list("abcd" if number % 2 else "dcba")
                request["count"] = chance.choice([1, 2, 15, 17])
            elif turn % 5 == 0:
                request["count"] = 2
            given = ipam.allocate(**request).allocations
            ended = time.monotonic()
            for each in given:
                held.append((each.address, each.sequence))
                seen = Call(number, "allocate", each.address, each.sequence, began, ended)
                calls.append(seen)
        except Exhausted:
            exhausted += 1
        except Exception as error:
            failures.append(repr(error))
        deepest = max(deepest, ipam.store.retries - before)
    ipam.close()
    results.write_text(
        json.dumps(
            {
                "calls": [asdict(each) for each in calls],
                "failures": failures,
                "exhausted": exhausted,
                "retries": ipam.store.retries,
                "deepest": deepest,
            }
        )
    )


@pytest.mark.parametrize("kind", ["any", "next", "host", "bulk"])
@pytest.mark.parametrize("store", SHARED)
def test_no_address_has_two_holders(store: str, kind: str, tmp_path: Path) -> None:
    """No duplicate, no loss, no failure, and tables that agree in the end."""
    url = STORES[store](tmp_path, 0)
    with borough.open(url, create=True) as ipam:
        ipam.apply(TOPOLOGY)
    spawn = multiprocessing.get_context("spawn")
    files = [tmp_path / f"{number}.json" for number in range(PROCESSES)]
    workers = [
        spawn.Process(target=client, args=(number, url, kind, file))
        for number, file in enumerate(files)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(TIMEOUT)
        assert worker.exitcode == 0
    reports = [json.loads(file.read_text()) for file in files]
    assert [failure for report in reports for failure in report["failures"]] == []
    retries = sum(report["retries"] for report in reports)
    assert retries < 5 * PROCESSES * CALLS, "retries are bounded"
    assert max(report["deepest"] for report in reports) < 16, "nobody loses for ever"
    calls = [Call(**each) for report in reports for each in report["calls"]]
    assert faults(calls) == []
    with borough.open(url) as ipam:
        stored = {(each.address, each.sequence) for each in ipam.allocations()}
        assert stored == still_held(calls)
        assert ipam.audit() == []


def last_one(number: int, url: str, barrier: Any, results: Path) -> None:
    """Take the last free address as soon as all processes are ready."""
    with borough.open(url) as ipam:
        barrier.wait(60)
        try:
            address = ipam.allocate(labels={"network": "n"}, owner=f"c{number}").address
        except Exhausted:
            address = ""
    results.write_text(address)


@pytest.mark.parametrize("store", SHARED)
def test_the_last_free_address_is_found_by_exactly_one(store: str, tmp_path: Path) -> None:
    """``exhausted`` is raised only when it is true (rule 10)."""
    url = STORES[store](tmp_path, 0)
    with borough.open(url, create=True) as ipam:
        ipam.apply({"subnets": [{"name": "s", "cidr": "10.0.0.0/30", "labels": {"network": "n"}}]})
        ipam.allocate(labels={"network": "n"})
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(4)
    files = [tmp_path / f"last-{number}" for number in range(4)]
    workers = [
        spawn.Process(target=last_one, args=(number, url, barrier, file))
        for number, file in enumerate(files)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(TIMEOUT)
    assert sorted(file.read_text() for file in files) == ["", "", "", "10.0.0.2"]


def child(ipam: borough.Ipam, results: Path) -> None:
    """Use an address space that the parent opened."""
    results.write_text(" ".join(ipam.allocate(labels={"network": "n"}).address for _ in range(20)))


@pytest.mark.parametrize("store", SHARED)
def test_a_forked_process_makes_connections_of_its_own(store: str, tmp_path: Path) -> None:
    """A server may open the database before it forks its workers."""
    fork = multiprocessing.get_context("fork")
    with borough.open(STORES[store](tmp_path, 0), create=True) as ipam:
        ipam.apply({"subnets": [{"name": "s", "cidr": "10.0.0.0/24", "labels": {"network": "n"}}]})
        files = [tmp_path / f"child-{number}" for number in range(3)]
        workers = [fork.Process(target=child, args=(ipam, file)) for file in files]
        for worker in workers:
            worker.start()
        given = [ipam.allocate(labels={"network": "n"}).address for _ in range(20)]
        for worker in workers:
            worker.join(TIMEOUT)
        for file in files:
            given += file.read_text().split()
        assert len(given) == len(set(given)) == 80
        assert ipam.audit() == []


def upgrader(url: str, barrier: Any) -> None:
    """Make the schema at the same moment as others."""
    barrier.wait(60)
    borough.open(url, create=True).close()


@pytest.mark.parametrize("store", SHARED)
def test_several_processes_may_initialise_at_once(store: str, tmp_path: Path) -> None:
    """The schema is made once, and no process fails."""
    url = STORES[store](tmp_path, 0)
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(4)
    workers = [spawn.Process(target=upgrader, args=(url, barrier)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(TIMEOUT)
    assert [worker.exitcode for worker in workers] == [0, 0, 0, 0]
    with borough.open(url) as ipam:
        assert ipam.dimensions()[0].name == "network"
