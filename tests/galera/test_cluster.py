"""Three nodes that are written to at the same time."""

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
    """Print a figure, even while output is captured."""

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
    number: int, url: str, start: Any, seconds: float, partitioned: bool, churn: bool, results: Path
) -> None:
    """Allocate with a key each, and release some when ``churn`` is set."""
    if not partitioned:
        Mariadb.partition = _alone  # type: ignore[method-assign]
    chance = random.Random(number)
    calls: list[Call] = []
    held: list[tuple[str, int]] = []
    failures: list[str] = []
    unanswered = turn = 0
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
                answer = ipam.allocate(labels=L, owner=f"w{number}", key=f"{number}-{turn}")
                ended = time.monotonic()
                for each in answer.allocations:
                    held.append((each.address, each.sequence))
                    call = Call(number, "allocate", each.address, each.sequence, began, ended)
                    calls.append(call)
            except RetryLater as error:
                # The outcome of a release is unknown: it counts as done, so the address is not expected.
                unanswered += 1
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
                "unanswered": unanswered,
                "retries": retries,
            }
        )
    )


class Load:
    """Writers on all nodes, and their results."""

    def __init__(
        self,
        cluster: GaleraCluster,
        folder: Path,
        *,
        seconds: float,
        partitioned: bool = True,
        churn: bool = False,
    ) -> None:
        self.url = cluster.fresh()
        database = self.url.rpartition("/")[2]
        with borough.open(self.url, create=True) as ipam:
            ipam.apply({"subnets": [{"name": "a", "cidr": "10.0.0.0/16", "labels": L}]})
        spawn = multiprocessing.get_context("spawn")
        self.start = spawn.Barrier(WRITERS + 1)
        self._files = [folder / f"{number}-{partitioned}-{churn}.json" for number in range(WRITERS)]
        self._processes = [
            spawn.Process(
                target=writer,
                args=(
                    number,
                    cluster.url(database, number % 3),
                    self.start,
                    seconds,
                    partitioned,
                    churn,
                    file,
                ),
            )
            for number, file in enumerate(self._files)
        ]
        for process in self._processes:
            process.start()

    def reports(self) -> list[dict[str, Any]]:
        """Wait for the writers; return their results."""
        for process in self._processes:
            process.join(150)
            assert process.exitcode == 0
        return [json.loads(file.read_text()) for file in self._files]


def check(reports: list[dict[str, Any]], url: str) -> tuple[int, int]:
    """Check for failures, duplicates and lost addresses; return (allocations, retries)."""
    assert [failure for report in reports for failure in report["failures"]] == []
    calls = [Call(**each) for report in reports for each in report["calls"]]
    assert faults(calls) == []
    with borough.open(url) as ipam:
        stored = {(each.address, each.sequence) for each in ipam.allocations()}
        assert still_held(calls) <= stored
        assert ipam.audit() == []
    allocated = sum(call.act == "allocate" for call in calls)
    return allocated, sum(report["retries"] for report in reports)


def test_partitions_keep_nodes_apart(
    cluster: GaleraCluster, tmp_path: Path, report: Callable[[str, str], None]
) -> None:
    """Conflicts are rare when each node writes first in its partition, and frequent without partitions."""
    rates = {}
    for partitioned in (True, False):
        load = Load(cluster, tmp_path, seconds=8, partitioned=partitioned)
        load.start.wait(60)
        allocated, retries = check(load.reports(), load.url)
        rates[partitioned] = retries * 1000 / allocated
        figure = f"{allocated} allocations, {rates[partitioned]:.1f} conflicts per 1,000"
        report("partitioned by node" if partitioned else "not partitioned", figure)
    assert rates[True] < 30
    assert rates[False] > 3 * rates[True]


def test_a_killed_node_loses_no_address(
    cluster: GaleraCluster, tmp_path: Path, report: Callable[[str, str], None]
) -> None:
    """Clients continue at the other nodes; the node returns and agrees with them."""
    load = Load(cluster, tmp_path, seconds=24, churn=True)
    load.start.wait(60)
    time.sleep(4)
    cluster.nodes[2].kill()
    time.sleep(9)
    cluster.bring_back(2)
    reports = load.reports()
    allocated, retries = check(reports, load.url)
    unanswered = sum(each["unanswered"] for each in reports)
    report("a node killed", f"{allocated} allocations, {retries} retries, {unanswered} errors")
    assert all(any(call["act"] == "allocate" for call in report["calls"]) for report in reports)
    database = load.url.rpartition("/")[2]
    count = "SELECT count(*), sum(sequence) FROM borough_allocation"
    cluster.nodes[2].run("SET GLOBAL wsrep_sync_wait = 1")
    answers = {str(node.run(count, database)) for node in cluster.nodes}
    assert len(answers) == 1
