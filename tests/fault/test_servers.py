"""Faults between Borough and its server: clear errors or success, and no address allocated twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import borough
from borough import Ipam
from borough.errors import Contended, RetryLater, Unavailable
from borough.store.sql.store import SqlStore
from tests.fault.proxy import Proxy
from tests.race.histories import Call, faults, still_held
from tests.servers.base import Server
from tests.servers.mariadb import MariadbServer
from tests.servers.postgresql import PostgresqlServer
from tests.servers.shared import must_have

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("fault-servers")]

L = {"network": "n"}


@pytest.fixture(
    scope="module", params=[PostgresqlServer, MariadbServer], ids=["postgresql", "mariadb"]
)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server for tests that restart it, kill it and bound its statements."""
    made = must_have(request.param)
    yield made
    made.remove()


@pytest.fixture
def url(server: Server) -> str:
    """A database with a network."""
    made = server.fresh()
    with borough.open(made, create=True) as ipam:
        ipam.add_subnet("10.0.0.0/14", name="a", labels=L)
    return made


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    """Between client and server."""
    made = Proxy(server.port)
    yield made
    made.close()


def cost(ipam: Ipam, act: Callable[[], Any]) -> int:
    """Statements of a call."""
    assert isinstance(ipam.store, SqlStore)
    before = ipam.store.statements
    act()
    return ipam.store.statements - before


def assert_whole(ipam: Ipam, count: int) -> None:
    """A number of addresses, consistent tables, and no connection outside of the pool."""
    held = [each.address for each in ipam.allocations()]
    assert len(held) == len(set(held)) == count
    assert ipam.audit() == []
    store = ipam.store
    assert isinstance(store, SqlStore)
    pool: Any = store._engine.pool
    assert pool.checkedout() == len(store._links.idle) <= 2


def test_a_connection_cut_in_mid_transaction(url: str, proxy: Proxy) -> None:
    """At each statement but the commit: the unit of work runs again as a whole."""
    with borough.open(proxy.url(url)) as ipam:
        for _ in range(2):
            ipam.allocate(labels=L, count=5)
        statements = cost(ipam, lambda: ipam.allocate(labels=L, count=5))
        for at in range(1, statements):
            proxy.break_at(at, answered=at % 2 == 0)
            assert len(ipam.allocate(labels=L, count=5).allocations) == 5
            assert proxy.broken == at
            ipam.allocate(labels=L, count=5)
        assert_whole(ipam, 5 * (3 + 2 * (statements - 1)))


@pytest.mark.parametrize("count", [1, 5])
def test_a_commit_whose_answer_is_lost_is_found_by_its_key(
    url: str, proxy: Proxy, count: int
) -> None:
    """The caller gets the allocated address, once."""
    with borough.open(proxy.url(url)) as ipam:
        for turn in range(4):
            ipam.allocate(labels=L, count=count, key=f"warm-{turn}")
        statements = cost(ipam, lambda: ipam.allocate(labels=L, count=count, key="warm"))
        proxy.break_at(statements, answered=True)
        answer = ipam.allocate(labels=L, count=count, key="lost")
        assert proxy.broken == 1
        assert answer.replayed
        assert_whole(ipam, 6 * count)
        assert ipam.allocate(labels=L, count=count, key="lost").allocations == answer.allocations


@pytest.mark.parametrize("count", [1, 5])
def test_without_a_key_the_outcome_is_unknown(url: str, proxy: Proxy, count: int) -> None:
    """A repetition might allocate twice."""
    with borough.open(proxy.url(url)) as ipam:
        for _ in range(4):
            ipam.allocate(labels=L, count=count)
        statements = cost(ipam, lambda: ipam.allocate(labels=L, count=count))
        proxy.break_at(statements, answered=True)
        with pytest.raises(Unavailable) as caught:
            ipam.allocate(labels=L, count=count)
        assert caught.value.detail["outcome"] == "unknown"
        assert proxy.broken == 1
        assert_whole(ipam, 6 * count)


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("turns", [1, 1_000_000])
def test_a_statement_that_was_refused_unread_was_not_done(
    server: Server, url: str, monkeypatch: pytest.MonkeyPatch, count: int, turns: int
) -> None:
    """A Galera node outside the majority, at the last statement: the next host is used at once."""
    if not isinstance(server, MariadbServer):
        pytest.skip("of Galera")
    import pymysql.cursors

    execute = pymysql.cursors.Cursor.execute
    refused: list[str] = []

    def refuse(cursor: Any, query: Any, parameters: Any = None) -> Any:
        last = "COMMIT" if count > 1 else "EXECUTE"
        if isinstance(query, str) and query.startswith(last) and len(refused) < turns:
            refused.append(query)
            raise pymysql.OperationalError(1047, "WSREP has not yet prepared node for use")
        return execute(cursor, query, parameters)

    with borough.open(url, timeout=0.3) as ipam:
        for _ in range(2):
            ipam.allocate(labels=L, count=count)
        monkeypatch.setattr(pymysql.cursors.Cursor, "execute", refuse)
        if turns == 1:
            assert len(ipam.allocate(labels=L, count=count).allocations) == count
        else:
            with pytest.raises(Unavailable) as caught:
                ipam.allocate(labels=L, count=count)
            assert caught.value.detail["outcome"] == "not_done"
        assert refused
        monkeypatch.undo()
        assert_whole(ipam, (3 if turns == 1 else 2) * count)


def test_idle_connections_that_died_are_noticed(server: Server, url: str) -> None:
    """No caller gets an error after a restart of an idle server."""
    with borough.open(url) as ipam:
        ipam.allocate(labels=L)
        server.stop()
        server.start()
        ipam.allocate(labels=L)
        server.kill()
        server.start()
        ipam.allocate(labels=L)
        assert_whole(ipam, 3)


class Worker(threading.Thread):
    """Allocates and releases until it is stopped, and records the results."""

    def __init__(self, number: int, ipam: Ipam, stop: threading.Event) -> None:
        super().__init__()
        self._number, self._ipam, self._halt = number, ipam, stop
        self.calls: list[Call] = []
        self.again = 0
        self.failures: list[str] = []

    def run(self) -> None:
        turn = 0
        key = ""
        while not self._halt.is_set() or key:
            began = time.monotonic()
            if not key:
                turn += 1
                key = f"{self._number}-{turn}"
            try:
                answer = self._ipam.allocate(labels=L, owner=f"w{self._number}", key=key)
            except RetryLater:
                # The same key again: the result is one address, whether the first call was done or not.
                self.again += 1
                continue
            except Exception as error:
                self.failures.append(repr(error))
                return
            key = ""
            (given,) = answer.allocations
            self._seen("allocate", given.address, given.sequence, began)

    def _seen(self, act: str, address: str, sequence: int, began: float) -> None:
        self.calls.append(Call(self._number, act, address, sequence, began, time.monotonic()))


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_server_restarted_under_load(server: Server, url: str, how: str) -> None:
    """Acknowledged addresses are stored; every call succeeds or gets an error to retry."""
    stop = threading.Event()
    with borough.open(url, timeout=20) as ipam:
        workers = [Worker(number, ipam, stop) for number in range(6)]
        for worker in workers:
            worker.start()
        for _ in range(2):
            time.sleep(0.7)
            getattr(server, how)()
            time.sleep(0.2)
            server.start()
        time.sleep(0.7)
        stop.set()
        for worker in workers:
            worker.join(60)
            assert not worker.is_alive()
        assert [failure for worker in workers for failure in worker.failures] == []
        calls = [call for worker in workers for call in worker.calls]
        assert faults(calls) == []
        assert len(calls) > 100
        stored = {(each.address, each.sequence) for each in ipam.allocations()}
        assert stored == still_held(calls)
        assert ipam.audit() == []
        pool: Any = ipam.store._engine.pool  # type: ignore[attr-defined]
        assert pool.checkedout() == len(ipam.store._links.idle) <= 7  # type: ignore[attr-defined]


@contextmanager
def locked(server: Server, url: str) -> Iterator[None]:
    """Another transaction locks every block and does not end."""
    database = url.rpartition("/")[2]
    if isinstance(server, PostgresqlServer):
        import psycopg

        connection: Any = psycopg.connect(server.url(database))
    else:
        assert isinstance(server, MariadbServer)
        connection = server.connect(database)
        connection.cursor().execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        connection.begin()
    cursor = connection.cursor()
    cursor.execute("SELECT id FROM borough_block FOR UPDATE")
    yield
    connection.rollback()
    connection.close()


@pytest.mark.parametrize("timeout", ["of the statement", "of the lock"])
def test_a_wait_that_takes_too_long(server: Server, url: str, timeout: str) -> None:
    """Contended, within bounds; and success as soon as the other transaction has ended."""
    database = url.rpartition("/")[2]
    postgresql = isinstance(server, PostgresqlServer)
    if timeout == "of the statement":
        server.run(
            f"ALTER DATABASE {database} SET statement_timeout = '300ms'"
            if postgresql
            else "SET GLOBAL max_statement_time = 0.3"
        )
    try:
        with borough.open(url, timeout=1) as ipam:
            ipam.allocate(labels=L, kind="next")
            with locked(server, url):
                began = time.monotonic()
                with pytest.raises(Contended):
                    ipam.allocate(labels=L, kind="next")
                assert time.monotonic() - began < 8
            ipam.allocate(labels=L, kind="next")
            assert_whole(ipam, 2)
    finally:
        if not postgresql:
            server.run("SET GLOBAL max_statement_time = 0")


def test_a_locked_block_is_skipped(server: Server, url: str) -> None:
    """Another block has a free address, so no call waits."""
    with borough.open(url, timeout=1) as ipam:
        ipam.allocate(labels=L)
        with locked(server, url):
            ipam.allocate(labels=L)
        assert_whole(ipam, 2)


def test_a_clock_that_jumps(server: Server) -> None:
    """Backwards and forwards: a jump back cuts no cool-down short, and no address is allocated twice."""
    clock = [1_700_000_000_000_000]
    made = server.fresh()
    with borough.open(made, create=True, clock=lambda: clock[0]) as ipam:
        ipam.apply(
            {"subnets": [{"name": "a", "cidr": "10.0.0.0/29", "labels": L, "cooldown": "60s"}]}
        )
        first = ipam.allocate(labels=L, key="k").allocations[0]
        seen = [first.sequence]
        ipam.release(first.address)
        for jump in (-86_400, 3_600, -7_200):
            clock[0] += jump * 1_000_000
            given = ipam.allocate(labels=L).allocations[0]
            assert given.address != first.address
            assert given.sequence > max(seen)
            seen.append(given.sequence)
        clock[0] += 10 * 86_400 * 1_000_000
        addresses = {ipam.allocate(labels=L).address for _ in range(3)}
        assert first.address in addresses
        assert_whole(ipam, 6)
