"""Brief units of several threads share a transaction on SQLite: one commit, and every caller for itself."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import borough
from borough import Ipam
from borough.engine.request import parse_request
from borough.errors import Contended, DeadlineExceeded, Exhausted, Unavailable
from borough.store.actor import acting
from borough.store.deadline import until
from borough.store.sql.shared_commits import MOST, SharedCommits, SharedUnit
from borough.store.sql.store import SqlStore

LABELS = {"network": "n"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.db"


@pytest.fixture
def ipam(path: Path) -> Iterator[Ipam]:
    made = borough.open(f"sqlite:///{path}", create=True)
    subnets = [
        {"name": "wide", "cidr": "10.0.0.0/22", "labels": LABELS},
        {"name": "small", "cidr": "10.9.0.0/30", "labels": {"network": "small"}},
    ]
    made.apply({"subnets": subnets})
    made.allocate(labels=LABELS)
    with made:
        yield made


@pytest.fixture
def store(ipam: Ipam) -> SqlStore:
    found = ipam.store
    assert isinstance(found, SqlStore)
    return found


@pytest.fixture
def commits(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """One entry a shared transaction, which may last as long as it takes on a busy machine."""
    monkeypatch.setattr("borough.store.sql.sharing.LONGEST", 60)
    led: list[None] = []
    lead = store._sharing._lead

    def count(unit: Any) -> None:
        led.append(None)
        lead(unit)

    monkeypatch.setattr(store._sharing, "_lead", count)
    return led


@contextmanager
def writer(path: Path) -> Iterator[None]:
    """Another process that has the lock of the database."""
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def queued(store: SqlStore, count: int) -> None:
    """Wait until some units are in line behind the one that leads."""
    ends = time.monotonic() + 20
    while len(store._sharing._units._waiting) < count:
        assert time.monotonic() < ends, "the units do not queue"
        time.sleep(0.001)


class Line:
    """Calls of several threads, in line behind one that waits for the lock of the database."""

    def __init__(self, path: Path, store: SqlStore) -> None:
        self._store = store
        self._lock = writer(path)
        self._pool = ThreadPoolExecutor(MOST + 8)
        self.calls: list[Future[Any]] = []

    def __enter__(self) -> Line:
        self._lock.__enter__()
        return self

    def add(self, call: Callable[[], Any]) -> Future[Any]:
        """Begin a call, and wait until it is in line."""
        made = self._pool.submit(call)
        self.calls.append(made)
        if len(self.calls) == 1:
            ends = time.monotonic() + 20
            while not self._store._sharing._units._leading:
                assert time.monotonic() < ends
                time.sleep(0.001)
        queued(self._store, len(self.calls) - 1)
        return made

    def __exit__(self, *_: object) -> None:
        self._lock.__exit__(None, None, None)
        for each in self.calls:
            each.exception(timeout=60)
        self._pool.shutdown()


@pytest.fixture
def line(path: Path, store: SqlStore) -> Line:
    return Line(path, store)


def clean(ipam: Ipam) -> bool:
    return not ipam.audit()


def test_callers_that_wait_share_one_commit(ipam: Ipam, line: Line, commits: list[None]) -> None:
    with line:
        calls = [line.add(lambda: ipam.allocate(labels=LABELS)) for _ in range(12)]
    addresses = {call.result().address for call in calls}
    assert len(addresses) == 12
    assert len(commits) == 1
    assert clean(ipam)


def test_a_shared_transaction_is_bounded(ipam: Ipam, line: Line, commits: list[None]) -> None:
    with line:
        for _ in range(MOST + 5):
            line.add(lambda: ipam.allocate(labels=LABELS))
    assert len({call.result().address for call in line.calls}) == MOST + 5
    assert len(commits) >= 2


def test_a_lone_caller_sends_no_statement_more(ipam: Ipam, store: SqlStore) -> None:
    before = store.statements
    ipam.allocate(labels=LABELS)
    # BEGIN, version, offers, block, event, allocation, COMMIT.
    assert store.statements - before == 7


def test_a_failing_unit_is_undone_alone(ipam: Ipam, line: Line, commits: list[None]) -> None:
    held = ipam.allocate(labels=LABELS, owner="held")
    commits.clear()

    def fail() -> None:
        def work(unit: Any) -> None:
            ipam._allocator.allocate_in(unit, _request(key="k1", owner="lost"))
            raise Exhausted("after its writes")

        ipam.store.transact(work, brief=True)

    with line:
        first = line.add(lambda: ipam.allocate(labels=LABELS, key="k0"))
        failed = line.add(fail)
        last = line.add(lambda: ipam.allocate(labels=LABELS, key="k2"))
        released = line.add(lambda: ipam.release(held.address))
    assert len(commits) == 1
    assert isinstance(failed.exception(), Exhausted)
    assert first.result().address != last.result().address
    assert released.result().total == 1
    assert not ipam.allocations(owner="lost")
    # The key of the unit that was undone is free, those of the others are bound.
    assert not ipam.allocate(labels=LABELS, key="k1", owner="now").replayed
    assert ipam.allocate(labels=LABELS, key="k2").replayed
    assert clean(ipam)


def _request(**parts: Any) -> Any:
    return parse_request(labels=LABELS, **parts)


def test_each_caller_gets_its_own_error(ipam: Ipam, line: Line, commits: list[None]) -> None:
    with line:
        line.add(lambda: ipam.allocate(labels=LABELS))
        calls = [line.add(lambda: ipam.allocate(labels={"network": "small"})) for _ in range(4)]
    assert len(commits) == 1
    errors = [call.exception() for call in calls]
    assert [type(each) for each in errors] == [type(None), type(None), Exhausted, Exhausted]
    assert errors[2] is not errors[3]


def test_events_name_the_caller_and_not_the_thread(ipam: Ipam, line: Line) -> None:
    def allocate(name: str) -> None:
        with acting(name):
            ipam.allocate(labels=LABELS, owner=name)

    with line:
        for name in ("anna", "ben", "carl"):
            line.add(partial(allocate, name))
    found = {event.owner: event.actor for event in ipam.events() if event.owner}
    assert found == {"anna": "anna", "ben": "ben", "carl": "carl"}


def test_a_deadline_is_that_of_its_caller(ipam: Ipam, line: Line, commits: list[None]) -> None:
    def allocate(seconds: float) -> Any:
        with until(time.monotonic() + seconds):
            return ipam.allocate(labels=LABELS)

    with line:
        first = line.add(lambda: ipam.allocate(labels=LABELS))
        soon = line.add(lambda: allocate(0.05))
        late = line.add(lambda: allocate(30))
        assert isinstance(soon.exception(timeout=10), DeadlineExceeded)
        queued(ipam.store, 1)  # type: ignore[arg-type]
    assert first.result()
    assert late.result()
    # The two, and the one of the fixture.
    assert len(ipam.allocations()) == 3


def test_a_wait_ends_with_the_timeout(path: Path, ipam: Ipam) -> None:
    brief = borough.open(f"sqlite:///{path}", timeout=0.2)
    line = Line(path, brief.store)  # type: ignore[arg-type]
    with line:
        line.add(lambda: brief.allocate(labels=LABELS))
        second = line.add(lambda: brief.allocate(labels=LABELS))
        assert isinstance(second.exception(timeout=10), Contended)
    brief.close()
    assert ipam.allocate(labels=LABELS).address


def test_a_transaction_that_the_database_undoes_runs_again(ipam: Ipam, line: Line) -> None:
    """As SQLite does when a statement meets a full disk."""

    def undo() -> None:
        def work(unit: Any) -> None:
            ipam._allocator.allocate_in(unit, _request(owner="lost"))
            unit._runner.text("ROLLBACK")
            raise ValueError("undone")

        ipam.store.transact(work, brief=True)

    with line:
        before = [line.add(lambda: ipam.allocate(labels=LABELS, owner="kept")) for _ in range(3)]
        failed = line.add(undo)
        after = [line.add(lambda: ipam.allocate(labels=LABELS, owner="kept")) for _ in range(3)]
    assert isinstance(failed.exception(), ValueError)
    assert len({call.result().address for call in before + after}) == 6
    assert len(ipam.allocations(owner="kept")) == 6
    assert not ipam.allocations(owner="lost")
    assert clean(ipam)


def test_a_commit_that_fails_is_run_again_by_each_alone(ipam: Ipam, line: Line) -> None:
    def break_commit() -> None:
        def work(unit: Any) -> None:
            unit._runner.text("PRAGMA defer_foreign_keys=ON")
            unit._runner.text("UPDATE borough_block SET subnet_id = 999999")

        ipam.store.transact(work, brief=True)

    with line:
        kept = [line.add(lambda: ipam.allocate(labels=LABELS, owner="kept")) for _ in range(3)]
        failed = line.add(break_commit)
        kept.append(line.add(lambda: ipam.allocate(labels=LABELS, owner="kept")))
    assert "FOREIGN KEY" in str(failed.exception())
    # The first led the transaction that failed, and has its error. The last was refused in it, on rows
    # that were undone.
    assert [call.exception() is None for call in kept] == [False, True, True, True]
    assert len(ipam.allocations(owner="kept")) == 3
    assert clean(ipam)


def test_an_interrupt_of_the_leader_stops_nobody(ipam: Ipam, line: Line) -> None:
    """Python delivers an interrupt to the main thread, which may run the unit of another."""

    def interrupt() -> None:
        calls: list[None] = []

        def work(unit: Any) -> None:
            calls.append(None)
            if len(calls) == 1:
                raise KeyboardInterrupt
            ipam._allocator.allocate_in(unit, _request(owner="kept"))

        ipam.store.transact(work, brief=True)

    with line:
        led = line.add(lambda: ipam.allocate(labels=LABELS, owner="led"))
        ran = line.add(lambda: ipam.allocate(labels=LABELS, owner="kept"))
        cut = line.add(interrupt)
        later = line.add(lambda: ipam.allocate(labels=LABELS, owner="kept"))
    assert isinstance(led.exception(), KeyboardInterrupt)
    assert [each.exception() for each in (ran, cut, later)] == [None, None, None]
    assert len(ipam.allocations(owner="kept")) == 3
    assert not ipam.allocations(owner="led")
    assert clean(ipam)


def test_an_interrupted_commit_is_unknown_without_a_key(ipam: Ipam, line: Line) -> None:
    """The others may have been committed: with a key they find out, without one they are told."""
    store = ipam.store
    assert isinstance(store, SqlStore)
    links = store._links
    use = links.use

    class Cursor:
        def __init__(self, cursor: Any) -> None:
            self._cursor = cursor

        def __getattr__(self, name: str) -> Any:
            return getattr(self._cursor, name)

        def execute(self, text: str, *values: Any) -> Any:
            made = self._cursor.execute(text, *values)
            if text == "COMMIT" and not cut:
                cut.append(None)
                raise KeyboardInterrupt
            return made

    cut: list[None] = []

    @contextmanager
    def wrapped() -> Iterator[Any]:
        with use() as link:
            link.cursor = Cursor(link.cursor)
            yield link

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(links, "use", wrapped)
        with line:
            led = line.add(lambda: ipam.allocate(labels=LABELS))
            plain = line.add(lambda: ipam.allocate(labels=LABELS, owner="plain"))
            keyed = line.add(lambda: ipam.allocate(labels=LABELS, owner="keyed", key="k"))
    assert isinstance(led.exception(), KeyboardInterrupt)
    unknown = plain.exception()
    assert isinstance(unknown, Unavailable)
    assert unknown.detail["outcome"] == "unknown"
    assert keyed.result().replayed
    assert len(ipam.allocations(owner="keyed")) == 1
    assert clean(ipam)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_has_a_queue_of_its_own() -> None:
    commits = SharedCommits()
    leading = threading.Event()
    done = threading.Event()

    def lead() -> None:
        with commits.lead(SharedUnit(lambda _: None), 1) as leads:
            assert leads
            leading.set()
            done.wait(30)

    thread = threading.Thread(target=lead)
    thread.start()
    leading.wait(30)
    child = os.fork()
    if not child:
        with commits.lead(SharedUnit(lambda _: None), 5) as leads:
            os._exit(0 if leads else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    done.set()
    thread.join()


def test_threads_are_served_in_turn(ipam: Ipam) -> None:
    """No thread starves: with eight at work each gets a fair part."""
    counts = dict.fromkeys(range(8), 0)
    ends = time.monotonic() + 1.5

    def work(number: int) -> None:
        while time.monotonic() < ends:
            held = ipam.allocate(labels=LABELS)
            ipam.release(held.address)
            counts[number] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in counts]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert min(counts.values()) * 3 >= max(counts.values())
    assert clean(ipam)
