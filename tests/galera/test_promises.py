"""Promises of a cluster: no acknowledged change is lost while one node keeps its files."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

import borough
from borough import Ipam
from borough.domain.space.plan import Plan
from borough.errors import RetryLater
from borough.store.port import Unit
from tests.servers.galera import GaleraCluster
from tests.servers.mariadb import MariadbServer
from tests.servers.shared import must_have

pytestmark = [pytest.mark.server, pytest.mark.galera, pytest.mark.timeout(560)]

L = {"network": "n"}


@pytest.fixture
def cluster() -> Iterator[GaleraCluster]:
    """A cluster that may be killed."""
    made = must_have(GaleraCluster)
    yield made
    made.remove()


def count_up(unit: Unit) -> None:
    """Write the row of a block once, on a condition; its idle mark is the counter."""
    (block,) = unit.blocks()
    plan = Plan()
    plan.change(block, replace(block, idle_since=block.idle_since + 1))
    unit.commit(plan, 0)


class Writer(threading.Thread):
    """Repeats a call on one connection.

    :ivar done: the result of each acknowledged call.
    :ivar doubtful: number of calls with an unknown outcome.
    """

    def __init__(self, url: str, act: Callable[[Ipam], object], times: int) -> None:
        super().__init__(daemon=True)
        self._url, self._act, self._times = url, act, times
        self.done: list[object] = []
        self.doubtful = 0

    def run(self) -> None:
        with borough.open(self._url, timeout=60) as ipam:
            for _ in range(self._times):
                try:
                    self.done.append(self._act(ipam))
                except RetryLater as error:
                    self.doubtful += error.detail.get("outcome") == "unknown"


def on_all_nodes(
    cluster: GaleraCluster, database: str, act: Callable[[Ipam], object], times: int
) -> list[Writer]:
    """Start two writers on each node."""
    writers = [
        Writer(cluster.url(database, node), act, times) for node in range(3) for _ in range(2)
    ]
    for writer in writers:
        writer.start()
    return writers


def test_concurrent_changes_of_one_row_are_all_kept(cluster: GaleraCluster) -> None:
    """A write requires the row as it was read, so no update is lost."""
    url = cluster.fresh()
    with borough.open(url, create=True) as ipam:
        ipam.add_subnet("10.0.0.0/26", name="a", labels=L)
        ipam.allocate(labels=L)

    def act(ipam: Ipam) -> object:
        return ipam.store.transact(count_up)

    writers = on_all_nodes(cluster, url.rpartition("/")[2], act, 40)
    for writer in writers:
        writer.join(300)
        assert not writer.is_alive()
    acknowledged = sum(len(writer.done) for writer in writers)
    assert acknowledged > 200
    for node in cluster.nodes:
        # A call with an unknown outcome may have been done or not.
        ((counted, version),) = _caught_up(
            node, url, "SELECT idle_since, version FROM borough_block"
        )
        assert 0 <= int(str(counted)) - acknowledged <= sum(each.doubtful for each in writers)
        assert int(str(version)) - int(str(counted)) <= 1
    with borough.open(url) as ipam:
        assert ipam.audit() == []


def _caught_up(node: MariadbServer, url: str, query: str) -> list[tuple[object, ...]]:
    """The rows of a query, after the node has applied all acknowledged changes."""
    with node.connect(url.rpartition("/")[2]) as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION wsrep_sync_wait = 1")
        cursor.execute(query)
        return list(cursor.fetchall())


def test_acknowledged_addresses_survive_a_kill_of_all_nodes(cluster: GaleraCluster) -> None:
    """Each node has innodb_flush_log_at_trx_commit=1."""
    url = cluster.fresh()
    with borough.open(url, create=True) as ipam:
        ipam.add_subnet("10.0.0.0/16", name="a", labels=L)

    def act(ipam: Ipam) -> object:
        if killed.is_set():
            return None
        return ipam.allocate(labels=L).address

    killed = threading.Event()
    writers = on_all_nodes(cluster, url.rpartition("/")[2], act, 100_000)
    deadline = time.monotonic() + 60
    while sum(len(writer.done) for writer in writers) < 300:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    for node in cluster.nodes:
        node.kill()
    killed.set()
    cluster.bring_all_back()
    for writer in writers:
        writer.join(120)
        assert not writer.is_alive()
    acknowledged = {each for writer in writers for each in writer.done if each}
    assert len(acknowledged) >= 300
    for node in cluster.nodes:
        rows = _caught_up(node, url, "SELECT hex(address) FROM borough_allocation")
        stored = {_text(str(row[0])) for row in rows}
        assert acknowledged <= stored
    with borough.open(url) as ipam:
        assert ipam.audit() == []


def _text(packed: str) -> str:
    return ".".join(str(each) for each in bytes.fromhex(packed))


def test_calls_refused_by_a_node_run_on_the_next_one(cluster: GaleraCluster) -> None:
    """The refusing node did nothing, so even a call without a key is repeated."""
    url = cluster.fresh()
    with borough.open(url, create=True) as ipam:
        ipam.add_subnet("10.0.0.0/24", name="a", labels=L)
        ipam.allocate(labels=L)
        ipam.allocate(labels=L, count=3)
        cluster.nodes[0].run("SET GLOBAL wsrep_reject_queries = ALL")
        ipam.allocate(labels=L)
        ipam.allocate(labels=L, count=3)
        assert len(ipam.allocations()) == 8
        assert ipam.audit() == []
