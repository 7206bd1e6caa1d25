"""Three nodes, all of them written to at once."""

from __future__ import annotations

import json
import multiprocessing
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

import borough
from borough.domain.space.partitions import ALONE, Partition
from borough.errors import RetryLater
from borough.store.sql.dialects.mariadb import Mariadb
from borough.store.sql.store import SqlStore
from tests.race.histories import Call, faults, still_held
from tests.servers.galera import GaleraCluster
from tests.servers.shared import must_have

pytestmark = [pytest.mark.server, pytest.mark.galera, pytest.mark.timeout(560)]

WRITERS = 12
L = {"network": "n"}


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str]) -> Callable[[str, str], None]:
    """Show a figure whether or not output is captured."""

    def say(name: str, figure: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{name}: {figure}\n")

    return say


@pytest.fixture(scope="module")
def cluster() -> Iterator[GaleraCluster]:
    """One cluster for all tests of this module."""
    made = must_have(GaleraCluster)
    yield made
    made.remove()


def _alone(self: Mariadb, connection: Any) -> Partition:
    return ALONE


def writer(
    number: int, url: str, start: Any, seconds: float, drawn: bool, churn: bool, results: Path
) -> None:
    """Allocate, and release some, for a while; every call has a key, and is asked again when in doubt."""
    if not drawn:
        Mariadb.partition = _alone  # type: ignore[method-assign]
    chance = random.Random(number)
    calls: list[Call] = []
    held: list[tuple[str, int]] = []
    failures: list[str] = []
    again = turn = 0
    with borough.open(url, timeout=60) as ipam:
        assert isinstance(ipam.store, SqlStore)
        ipam.usage()
        start.wait(60)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            turn += 1
            began = time.monotonic()
            try:
                if churn and held and chance.random() < 0.3:
                    address, sequence = held[-1]
                    ipam.release(address, sequence=sequence)
                    held.pop()
                    ended = time.monotonic()
                    calls.append(Call(number, "release", address, sequence, began, ended))
                    continue
                given = ipam.allocate(labels=L, owner=f"w{number}", key=f"{number}-{turn}")
                ended = time.monotonic()
                for each in given.allocations:
                    held.append((each.address, each.sequence))
                    call = Call(number, "allocate", each.address, each.sequence, began, ended)
                    calls.append(call)
            except RetryLater as error:
                # Whether a release was done is not known: what it meant is left out of the history.
                again += 1
                if error.detail.get("outcome") == "unknown" and held:
                    address, sequence = held.pop()
                    calls.append(
                        Call(number, "release", address, sequence, began, time.monotonic())
                    )
            except Exception as error:
                failures.append(repr(error))
                if held:
                    held.pop()
        retries = ipam.store.retries
    results.write_text(
        json.dumps(
            {
                "calls": [asdict(each) for each in calls],
                "failures": failures,
                "again": again,
                "retries": retries,
            }
        )
    )


class Load:
    """Writers on all nodes, and what they wrote down."""

    def __init__(
        self,
        cluster: GaleraCluster,
        folder: Path,
        *,
        seconds: float,
        drawn: bool = True,
        churn: bool = False,
    ) -> None:
        self.url = cluster.fresh()
        database = self.url.rpartition("/")[2]
        with borough.open(self.url, create=True) as ipam:
            ipam.apply({"subnets": [{"name": "a", "cidr": "10.0.0.0/16", "labels": L}]})
        spawn = multiprocessing.get_context("spawn")
        self.start = spawn.Barrier(WRITERS + 1)
        self._files = [folder / f"{number}-{drawn}-{churn}.json" for number in range(WRITERS)]
        self._processes = [
            spawn.Process(
                target=writer,
                args=(
                    number,
                    cluster.url(database, number % 3),
                    self.start,
                    seconds,
                    drawn,
                    churn,
                    file,
                ),
            )
            for number, file in enumerate(self._files)
        ]
        for process in self._processes:
            process.start()

    def reports(self) -> list[dict[str, Any]]:
        """Wait for the writers."""
        for process in self._processes:
            process.join(150)
            assert process.exitcode == 0
        return [json.loads(file.read_text()) for file in self._files]


def check(reports: list[dict[str, Any]], url: str) -> tuple[int, int]:
    """No failure, no duplicate, nothing lost; return (allocations, retries)."""
    assert [failure for report in reports for failure in report["failures"]] == []
    calls = [Call(**each) for report in reports for each in report["calls"]]
    assert faults(calls) == []
    with borough.open(url) as ipam:
        stored = {(each.address, each.sequence) for each in ipam.allocations()}
        assert still_held(calls) <= stored
        assert ipam.audit() == []
    given = sum(call.act == "allocate" for call in calls)
    return given, sum(report["retries"] for report in reports)


def test_nodes_are_drawn_apart(
    cluster: GaleraCluster, tmp_path: Path, report: Callable[[str, str], None]
) -> None:
    """Conflicts are rare when each node has blocks of its own, and many when all take the same."""
    rates = {}
    for drawn in (True, False):
        load = Load(cluster, tmp_path, seconds=8, drawn=drawn)
        load.start.wait(60)
        given, retries = check(load.reports(), load.url)
        rates[drawn] = retries * 1000 / given
        say = f"{given} allocations, {rates[drawn]:.1f} conflicts per 1,000"
        report("drawn by node" if drawn else "not drawn", say)
    assert rates[True] < 30
    assert rates[False] > 3 * rates[True]


def test_a_node_that_is_killed_takes_nothing_with_it(
    cluster: GaleraCluster, tmp_path: Path, report: Callable[[str, str], None]
) -> None:
    """Clients go on at the other nodes; the node comes back and agrees with them."""
    load = Load(cluster, tmp_path, seconds=24, churn=True)
    load.start.wait(60)
    time.sleep(4)
    cluster.nodes[2].kill()
    time.sleep(9)
    cluster.bring_back(2)
    reports = load.reports()
    given, retries = check(reports, load.url)
    again = sum(each["again"] for each in reports)
    report("a node killed", f"{given} allocations, {retries} retries, {again} asked again")
    assert all(any(call["act"] == "allocate" for call in report["calls"]) for report in reports)
    database = load.url.rpartition("/")[2]
    count = "SELECT count(*), sum(sequence) FROM borough_allocation"
    cluster.nodes[2].run("SET GLOBAL wsrep_sync_wait = 1")
    answers = {str(node.run(count, database)) for node in cluster.nodes}
    assert len(answers) == 1
