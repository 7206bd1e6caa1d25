"""Statements of MariaDB that are interrupted between their commit and their answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pymysql
import pytest

import borough
from borough.errors import Unavailable
from borough.store.sql.dialects import mariadb_give
from borough.store.sql.runner import Runner
from tests.fault.test_servers import L, assert_whole
from tests.servers.mariadb import MariadbServer
from tests.servers.shared import must_have

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("fault-servers")]


@pytest.fixture(scope="module")
def server() -> Iterator[MariadbServer]:
    """A server for tests that bound its statements."""
    made: MariadbServer = must_have(MariadbServer)
    yield made
    made.remove()


@pytest.fixture
def url(server: MariadbServer) -> str:
    """A database with a network."""
    made = server.fresh()
    with borough.open(made, create=True) as ipam:
        ipam.add_subnet("10.0.0.0/24", name="a", labels=L)
    return made


def slow(monkeypatch: pytest.MonkeyPatch, before: str, after: str) -> None:
    """Make the allocating statement wait longer than its bound."""
    monkeypatch.setattr(mariadb_give, "_SQL", mariadb_give._SQL.replace(before, after))


@pytest.fixture
def bounded(server: MariadbServer) -> Iterator[None]:
    """Statements of new sessions end after 0.3 seconds."""
    server.run("SET GLOBAL max_statement_time = 0.3")
    yield
    server.run("SET GLOBAL max_statement_time = 0")


@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize("key", [None, "k"])
def test_interrupted_after_its_commit(
    url: str, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    """The answer is the allocated address, and no other one is allocated."""
    with borough.open(url, timeout=2) as ipam:
        ipam.allocate(labels=L)
    slow(monkeypatch, "{commit}", "{commit} SELECT SLEEP(9) INTO @borough_slept;")
    with borough.open(url, timeout=2) as ipam:
        ipam.usage()
        (given,) = ipam.allocate(labels=L, key=key, owner="o").allocations
        (held,) = ipam.allocations(owner="o")
        assert (held.address, held.sequence) == (given.address, given.sequence)
        assert_whole(ipam, 2)


@pytest.mark.usefixtures("bounded")
def test_interrupted_before_its_commit(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was allocated: a later attempt allocates the address, once."""
    with borough.open(url, timeout=2) as ipam:
        ipam.allocate(labels=L)
    slow(monkeypatch, "{commit}", "SELECT SLEEP(9) INTO @borough_slept; {commit}")
    with borough.open(url, timeout=20) as ipam:
        ipam.usage()
        before = ipam.store.retries
        (given,) = ipam.allocate(labels=L, owner="o").allocations
        assert ipam.store.retries > before
        (held,) = ipam.allocations(owner="o")
        assert (held.address, held.sequence) == (given.address, given.sequence)
        assert_whole(ipam, 2)


@pytest.mark.parametrize("key", [None, "k"])
def test_a_commit_of_a_unit_that_is_interrupted(
    url: str, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    """With a key the answer is found; without one the outcome is unknown, and reported."""
    real: Callable[[Runner, str], None] = Runner.text
    interrupted = 0

    def text(self: Runner, statement: str) -> Any:
        nonlocal interrupted
        real(self, statement)
        if statement == "COMMIT" and not interrupted:
            interrupted += 1
            raise pymysql.err.OperationalError(1969, "max_statement_time exceeded")

    with borough.open(url) as ipam:
        ipam.allocate(labels=L, count=3)
        monkeypatch.setattr(Runner, "text", text)
        if key is None:
            with pytest.raises(Unavailable) as caught:
                ipam.allocate(labels=L, count=3, key=key)
            assert caught.value.detail["outcome"] == "unknown"
        else:
            assert ipam.allocate(labels=L, count=3, key=key).replayed
        assert interrupted == 1
        assert_whole(ipam, 6)


@pytest.mark.parametrize("word", ["PREPARE", "EXECUTE"])
def test_interrupted_before_it_began(url: str, monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    """The answer of the previous call on the same connection is not used."""
    real: Callable[..., None] = Runner._execute
    interrupted = 0

    def execute(self: Runner, statement: str, values: Any) -> None:
        nonlocal interrupted
        if statement.startswith(word) and not interrupted:
            interrupted += 1
            raise pymysql.err.OperationalError(1317, "Query execution was interrupted")
        real(self, statement, values)

    with borough.open(url) as ipam:
        ipam.allocate(labels=L)
        first = ipam.allocate(labels=L, owner="first")
        monkeypatch.setattr(Runner, "_execute", execute)
        # With a key the statement is another one, and is prepared again.
        second = ipam.allocate(labels=L, owner="second", key="k" if word == "PREPARE" else None)
        assert interrupted == 1
        assert second.address != first.address
        (held,) = ipam.allocations(owner="second")
        assert held.address == second.address
        assert_whole(ipam, 3)
