"""Sessions that end at every moment of every way to allocate an address."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest

import borough
from borough.engine import allocation
from borough.errors import KeySpent, NotAllocated, RetryLater, StaleSequence, Unavailable
from borough.store.sql.unit.unit import SqlUnit
from tests.fault.proxy import Proxy
from tests.fault.test_servers import L, assert_whole, locked
from tests.race.histories import Call, faults, still_held
from tests.servers.base import Server
from tests.servers.mariadb import MariadbServer
from tests.servers.postgresql import PostgresqlServer
from tests.servers.shared import must_have

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("fault-servers")]

T = TypeVar("T")

#: More messages than any call takes.
MANY = 60

SECOND = 1_000_000
DAY = 86_400 * SECOND


@pytest.fixture(
    scope="module", params=[PostgresqlServer, MariadbServer], ids=["postgresql", "mariadb"]
)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server for tests that end its sessions and restart it."""
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


def sessions(server: Server, url: str) -> list[int]:
    """The server's list of the sessions of a database."""
    database = url.rpartition("/")[2]
    found = server.run(
        f"SELECT pid FROM pg_stat_activity WHERE datname = '{database}'"
        if isinstance(server, PostgresqlServer)
        else f"SELECT id FROM information_schema.processlist WHERE db = '{database}'"
    )
    return [int(str(row[0])) for row in found]


def assert_sessions(server: Server, url: str, most: int) -> None:
    """At most so many sessions, as soon as the server has noticed closed connections."""
    deadline = time.monotonic() + 5
    while len(sessions(server, url)) > most:
        assert time.monotonic() < deadline, f"more than {most} sessions stay open"
        time.sleep(0.05)


def end_sessions(server: Server, url: str) -> None:
    """End all sessions of a database, as an administrator does."""
    for id in sessions(server, url):
        if isinstance(server, PostgresqlServer):
            server.run(f"SELECT pg_terminate_backend({id}, 5000)")
        else:
            server.run(f"KILL {id}")


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_session_that_the_server_ends_in_mid_transaction(
    server: Server, url: str, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """Before or after the plan is written: the unit runs again, and nothing of the first run stays."""
    real: Callable[..., list[int]] = SqlUnit.commit
    turns = 0

    def commit(self: SqlUnit, *args: Any) -> list[int]:
        nonlocal turns
        turns += 1
        if turns == 1 and when == "before":
            end_sessions(server, url)
        answer = real(self, *args)
        if turns == 1 and when == "after":
            end_sessions(server, url)
        return answer

    with borough.open(url) as ipam:
        ipam.allocate(labels=L, count=5)
        monkeypatch.setattr(SqlUnit, "commit", commit)
        if when == "after":
            # The commit itself finds the session closed, so only a key makes the result known.
            ipam.allocate(labels=L, count=5, key="k")
        else:
            ipam.allocate(labels=L, count=5)
        assert turns == 2
        assert_whole(ipam, 10)
        assert_sessions(server, url, 1)


def outcome_of(act: Callable[[], object]) -> object:
    """``done``, or the outcome in the error."""
    try:
        act()
    except Unavailable as error:
        return error.detail["outcome"]
    return "done"


WAYS: dict[str, Callable[[int], dict[str, Any]]] = {
    "a claim": lambda at: {"labels": L, "host": f"h{at}"},
    "by name": lambda at: {"labels": L, "address": f"10.1.0.{at}"},
}


@pytest.mark.parametrize("answered", [False, True], ids=["not sent", "not answered"])
@pytest.mark.parametrize("way", WAYS)
def test_cut_at_every_message_with_a_key(url: str, proxy: Proxy, way: str, answered: bool) -> None:
    """For every way of decision the caller gets exactly one address, and no error."""
    with borough.open(proxy.url(url)) as ipam:
        ipam.allocate(**WAYS[way](250))
        for at in range(1, MANY):
            proxy.break_at(at, answered=answered)
            given = ipam.allocate(**WAYS[way](at), owner=f"o{at}", key=f"k{at}").allocations
            (held,) = ipam.allocations(owner=f"o{at}")
            assert (held.address, held.sequence) == (given[0].address, given[0].sequence)
            if proxy.broken < at:
                break
        assert 1 < at < MANY - 1
        assert_whole(ipam, at + 1)


@pytest.mark.parametrize("answered", [False, True], ids=["not sent", "not answered"])
@pytest.mark.parametrize("way", WAYS)
def test_cut_at_every_message_without_a_key(
    url: str, proxy: Proxy, way: str, answered: bool
) -> None:
    """Success is one address; an unknown outcome is reported, and is one address or none."""
    unknown: list[int] = []
    total = 1
    with borough.open(proxy.url(url)) as ipam:
        ipam.allocate(**WAYS[way](250))
        for at in range(1, MANY):
            proxy.break_at(at, answered=answered)
            outcome = outcome_of(partial(ipam.allocate, **WAYS[way](at), owner=f"o{at}"))
            assert outcome in ("done", "unknown")
            done = outcome == "done"
            cut = proxy.broken == at
            stored = len(ipam.allocations(owner=f"o{at}"))
            if done:
                assert stored == 1
            else:
                # A message that never arrived did nothing; one that arrived may be incomplete.
                assert stored <= int(answered)
                unknown.append(at)
            total += stored
            if not cut:
                break
        assert unknown
        assert 1 < at < MANY - 1
        assert_whole(ipam, total)


def test_a_release_whose_answer_is_lost(url: str, proxy: Proxy) -> None:
    """It is unknown, or done once; repeated by sequence number, it releases no address of another owner."""
    with borough.open(proxy.url(url)) as ipam:
        unknown = 0
        for at in range(1, MANY):
            given = ipam.allocate(labels=L).allocations[0]
            proxy.break_at(at, answered=True)
            before = proxy.broken
            outcome = outcome_of(partial(ipam.release, given.address, sequence=given.sequence))
            assert outcome in ("done", "unknown")
            if outcome == "unknown":
                unknown += 1
                # Another owner may have the address by now.
                ipam.allocate(labels=L, address=given.address, owner="next")
                with pytest.raises(StaleSequence):
                    ipam.release(given.address, sequence=given.sequence)
                ipam.release(given.address, owner="next")
            assert list(ipam.allocations()) == []
            if proxy.broken == before:
                break
        assert unknown >= 1
        assert 1 < at < MANY - 1
        assert_whole(ipam, 0)


def test_sessions_do_not_pile_up(server: Server, url: str) -> None:
    """Neither after calls that fail, nor after sessions that the server ended, as the server counts them."""
    with borough.open(url) as ipam:
        for _ in range(12):
            with pytest.raises(NotAllocated):
                ipam.release("10.0.0.77")
            ipam.allocate(labels=L, count=2)
        assert_sessions(server, url, 1)
        for _ in range(3):
            end_sessions(server, url)
            ipam.allocate(labels=L, count=2)
        assert_sessions(server, url, 1)
        assert_whole(ipam, 30)
    assert_sessions(server, url, 0)


def test_a_lock_that_is_released_in_time(server: Server, url: str) -> None:
    """A statement that was aborted while it waited is repeated until it gets the lock."""
    database = url.rpartition("/")[2]
    postgresql = isinstance(server, PostgresqlServer)
    server.run(
        f"ALTER DATABASE {database} SET statement_timeout = '200ms'"
        if postgresql
        else "SET GLOBAL max_statement_time = 0.2"
    )
    try:
        with borough.open(url, timeout=20) as ipam:
            ipam.allocate(labels=L, kind="next")
            given: list[str] = []
            waiter = threading.Thread(
                target=lambda: given.append(ipam.allocate(labels=L, kind="next").address)
            )
            with locked(server, url):
                waiter.start()
                time.sleep(0.8)
                assert given == []
            waiter.join(15)
            assert len(given) == 1
            assert ipam.store.retries >= 1
            assert_whole(ipam, 2)
    finally:
        if not postgresql:
            server.run("SET GLOBAL max_statement_time = 0")


def test_keys_while_the_clock_jumps(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key keeps its answer while the address is allocated, for any time on the clock."""
    monkeypatch.setattr(allocation, "FORGET_EVERY", 1)
    now = [1_700_000_000 * SECOND]
    with borough.open(url, clock=lambda: now[0]) as ipam:
        kept = ipam.allocate(labels=L, key="kept").allocations
        spent = ipam.allocate(labels=L, key="spent").address
        ipam.release(spent)
        last = kept[0].sequence
        for turn, jump in enumerate((-DAY, 3600 * SECOND, -30 * DAY)):
            now[0] += jump
            again = ipam.allocate(labels=L, key="kept")
            assert again.replayed
            assert again.allocations == kept
            with pytest.raises(KeySpent):
                ipam.allocate(labels=L, key="spent")
            (new,) = ipam.allocate(labels=L, key=f"new-{turn}").allocations
            assert new.sequence > last
            last = new.sequence
        now[0] += 365 * DAY
        assert ipam.allocate(labels=L, key="kept").allocations == kept
        # A week after the release of its address a key may be used again.
        assert not ipam.allocate(labels=L, key="spent").replayed
        assert_whole(ipam, 5)


def insist(act: Callable[[], T]) -> T:
    """Repeat a call until no error of the server is left."""
    while True:
        try:
            return act()
        except RetryLater:
            time.sleep(0.01)


def client(number: int, url: str, folder: Path) -> None:
    """Allocate and release until the end; record the results."""
    calls: list[Call] = []
    failures: list[str] = []
    held: list[tuple[str, int]] = []

    def seen(act: str, address: str, sequence: int, began: float) -> None:
        calls.append(Call(number, act, address, sequence, began, time.monotonic()))

    def release(ipam: borough.Ipam, address: str, sequence: int) -> None:
        # Refused: an earlier attempt, whose answer was lost, has done it.
        with contextlib.suppress(NotAllocated, StaleSequence):
            insist(lambda: ipam.release(address, sequence=sequence))

    with borough.open(url, timeout=2) as ipam:
        (folder / f"ready-{number}").touch()
        turn = 0
        try:
            while not (folder / "stop").exists():
                turn += 1
                key = f"{number}-{turn}"
                began = time.monotonic()
                answer = insist(partial(ipam.allocate, labels=L, key=key))
                (given,) = answer.allocations
                seen("allocate", given.address, given.sequence, began)
                held.append((given.address, given.sequence))
                if len(held) > 3:
                    address, sequence = held.pop(0)
                    began = time.monotonic()
                    release(ipam, address, sequence)
                    seen("release", address, sequence, began)
        except Exception as error:
            failures.append(repr(error))
    lines = {"calls": [asdict(call) for call in calls], "failures": failures}
    (folder / f"client-{number}").write_text(json.dumps(lines))


def test_processes_that_share_few_addresses_while_the_server_is_restarted(
    server: Server, tmp_path: Path
) -> None:
    """Owners change, no address has two at once, and acknowledged addresses are stored."""
    url = server.fresh()
    with borough.open(url, create=True) as ipam:
        ipam.add_subnet("10.0.0.0/27", labels=L)
    spawn = multiprocessing.get_context("spawn")
    clients = [spawn.Process(target=client, args=(number, url, tmp_path)) for number in range(3)]
    for process in clients:
        process.start()
    deadline = time.monotonic() + 30
    while len(list(tmp_path.glob("ready-*"))) < len(clients):
        assert time.monotonic() < deadline, "the clients did not start"
        time.sleep(0.02)
    for end in (server.stop, server.kill):
        time.sleep(0.5)
        end()
        server.start()
    time.sleep(0.5)
    (tmp_path / "stop").touch()
    for process in clients:
        process.join(30)
        assert process.exitcode == 0
    found = [json.loads((tmp_path / f"client-{n}").read_text()) for n in range(len(clients))]
    assert [failure for each in found for failure in each["failures"]] == []
    calls = [Call(**call) for each in found for call in each["calls"]]
    assert faults(calls) == []
    assert len({call.address for call in calls}) < len(calls) / 4
    assert_sessions(server, url, 0)
    with borough.open(url) as ipam:
        stored = {(each.address, each.sequence) for each in ipam.allocations()}
        assert stored == still_held(calls)
        assert_whole(ipam, len(stored))
