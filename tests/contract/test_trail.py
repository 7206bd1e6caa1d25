"""Events: complete, in order, seen by the labels of their time, and pruned."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import borough
from borough import Ipam
from borough.domain.encode import utc
from borough.domain.space.events import Event, EventRow
from borough.domain.space.plan import Act
from borough.engine import events
from borough.errors import EventsPruned
from borough.store.port import Unit
from borough.store.sql.runner import Statement
from borough.store.sql.store import SqlStore
from borough.store.sql.unit import trail as sql_trail
from tests.conftest import STORES, Clock, each_store

#: Seconds for another thread or a server to act.
TIMEOUT = 60.0

SERVERS = each_store("memory", "sqlite")

RED, GREEN = {"tenant": "red"}, {"tenant": "green"}

DIMENSIONS = {"dimensions": {"tenant": {"fallback": "none"}, "rack": {"fallback": "any"}}}


def subjects(found: list[Event]) -> list[str]:
    return [each.subject for each in found if each.act != Act.TOPOLOGY]


def subnet(name: str, cidr: str, **labels: str) -> dict[str, Any]:
    return {"name": name, "cidr": cidr, "labels": labels}


# --- Complete, and in order ----------------------------------------------------------------------


class Undo(Exception):
    """Ends a unit of work without a commit."""


@contextmanager
def held_open(url: str, *, undo: bool = False) -> Iterator[Callable[[], None]]:
    """A transaction that has written events and stays open until it is told to end."""
    written, go_on = threading.Event(), threading.Event()

    def work(unit: Unit) -> None:
        unit.record(EventRow(1, Act.TOPOLOGY, "early"))
        unit.record(EventRow(1, Act.TOPOLOGY, "early too"))
        written.set()
        assert go_on.wait(TIMEOUT)
        if undo:
            raise Undo

    def run() -> None:
        with borough.open(url) as other:
            try:
                other.store.transact(work)
            except Undo:
                assert undo

    thread = threading.Thread(target=run)

    def end() -> None:
        go_on.set()
        thread.join(TIMEOUT)
        assert not thread.is_alive()

    thread.start()
    try:
        assert written.wait(TIMEOUT)
        yield end
    finally:
        end()


@pytest.fixture(params=SERVERS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh database on each kind of server, with one subnet."""
    made = STORES[request.param](tmp_path, 0)
    with borough.open(made, create=True) as ipam:
        ipam.add_subnet("10.0.0.0/16", labels={"network": "n"})
    return made


def test_a_later_event_waits_for_an_earlier_one(url: str) -> None:
    """The earlier one has the smaller id, and its transaction commits last."""
    with borough.open(url) as ipam:
        last = ipam.newest_event()
        with held_open(url) as end:
            late = ipam.allocate(labels={"network": "n"}).address
            bulk = ipam.allocate(labels={"network": "n"}, count=20)
            assert ipam.events(after=last) == []
            assert ipam.newest_event() == last == ipam.space_map().event
            end()
        found = ipam.events(after=last)
        assert [each.subject for each in found[:3]] == ["early", "early too", late]
        assert len(found) == 3 + len(bulk.allocations)
        assert [each.id for each in found] == sorted(each.id for each in found)
        assert ipam.newest_event() == found[-1].id


def test_an_undone_event_delays_no_reader(url: str) -> None:
    """Its id is never used; later events are read."""
    with borough.open(url) as ipam:
        last = ipam.newest_event()
        with held_open(url, undo=True) as end:
            late = ipam.allocate(labels={"network": "n"}).address
            assert ipam.events(after=last) == []
            end()
            assert subjects(ipam.events(after=last)) == [late]


def test_an_event_of_a_dead_client_delays_no_reader(url: str) -> None:
    """The server ends its transaction."""
    with borough.open(url) as ipam, borough.open(url) as other:
        assert isinstance(other.store, SqlStore)
        last = ipam.newest_event()
        connection = other.store._engine.raw_connection()
        cursor = connection.cursor()
        cursor.execute("START TRANSACTION")
        cursor.execute(
            "INSERT INTO borough_event (at, act, subject, subnet, owner, host, detail) "
            "SELECT 1, 'topology', 'lost', '', '', '', ''"
        )
        late = ipam.allocate(labels={"network": "n"}).address
        assert ipam.events(after=last) == []
        connection.invalidate()
        gone = threading.Event()
        for _ in range(int(TIMEOUT / 0.02)):
            if ipam.events(after=last) or gone.wait(0.02):
                break
        assert subjects(ipam.events(after=last)) == [late]


def test_many_open_transactions(url: str) -> None:
    """The first open one is the horizon, for any order of their ends."""
    with borough.open(url) as ipam:
        last = ipam.newest_event()
        with held_open(url) as first:
            seen = ipam.allocate(labels={"network": "n"}).address
            with held_open(url, undo=True) as second:
                late = ipam.allocate(labels={"network": "n"}).address
                first()
                assert subjects(ipam.events(after=last)) == [seen]
                second()
                assert subjects(ipam.events(after=last)) == [seen, late]


@pytest.mark.server
def test_a_transaction_has_one_floor(tmp_path: Path) -> None:
    """For any number of statements that write events, and any outcome of its savepoints."""
    url = STORES["postgresql"](tmp_path, 0)
    borough.open(url, create=True).close()
    with borough.open(url) as ipam:
        store = ipam.store
        assert isinstance(store, SqlStore)
        ipam.add_subnet("10.0.0.0/24")
        add = (
            "INSERT INTO borough_event (at, act, subject, subnet, owner, host, detail) "
            "VALUES (1, 'topology', 'x', '', '', '', '')"
        )
        with store._engine.connect() as connection:
            floors = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
            connection.exec_driver_sql("BEGIN")
            connection.exec_driver_sql("SAVEPOINT a")
            connection.exec_driver_sql(add)
            connection.exec_driver_sql("ROLLBACK TO SAVEPOINT a")
            assert connection.exec_driver_sql(floors).scalar() == 0
            last = ipam.newest_event()
            for _ in range(100):
                connection.exec_driver_sql(add)
            assert connection.exec_driver_sql(floors).scalar() == 1
            ipam.add_subnet("10.0.1.0/24")
            assert ipam.newest_event() == last
            connection.exec_driver_sql("COMMIT")
            assert ipam.newest_event() > last + 100


# --- Visible by the labels of their time ------------------------------------------------------------


def test_events_are_seen_by_the_labels_of_their_time(ipam: Ipam) -> None:
    """A subnet with new labels leaves its past events to its old labels."""
    ipam.apply({**DIMENSIONS, "subnets": [subnet("a", "10.0.0.0/24", tenant="red")]})
    red = ipam.allocate(labels=RED).address
    ipam.apply({**DIMENSIONS, "subnets": [subnet("a", "10.0.0.0/24", tenant="green")]})
    green = ipam.allocate(labels=GREEN).address
    ipam.release([red, green])
    assert subjects(ipam.events(labels=RED)) == [red]
    assert sorted(subjects(ipam.events(labels=GREEN))) == sorted([green, red, green])
    ipam.apply({**DIMENSIONS, "subnets": []})
    ipam.apply({**DIMENSIONS, "subnets": [subnet("a", "10.7.0.0/24", tenant="blue")]})
    blue = ipam.allocate(labels={"tenant": "blue"}, count=12)
    told = sorted(each.address for each in blue.allocations)
    assert sorted(subjects(ipam.events(labels={"tenant": "blue"}))) == told
    assert subjects(ipam.events(labels=RED)) == [red]
    assert len(subjects(ipam.events(labels={"tenant": ["red", "green"]}))) == 4


def test_events_of_many_cohorts_are_one_list(ipam: Ipam) -> None:
    """Merged by id, page by page, whichever cohorts are busy."""
    ipam.apply(
        {
            **DIMENSIONS,
            "subnets": [
                *(
                    subnet(f"s{at}", f"10.0.{at}.0/24", tenant="red", rack=f"r{at}")
                    for at in range(150)
                ),
                subnet("other", "10.1.0.0/16", tenant="green"),
            ],
        }
    )
    for at in (0, 7, 149, 7, 7, 7, 80, 7):
        ipam.allocate(subnets=[f"s{at}"], count=3)
        ipam.allocate(labels=GREEN)
    everything = [each for each in ipam.events(limit=10_000) if each.subnet.startswith("s")]
    assert len(everything) == 24
    assert ipam.events(labels=RED) == everything
    found: list[Event] = []
    while page := ipam.events(labels=RED, after=found[-1].id if found else 0, limit=5):
        found += page
    assert found == everything
    assert ipam.events(labels={"tenant": "nobody"}) == []


def fill(ipam: Ipam, rows: int) -> Ipam:
    """Many events of another tenant around one event of the tenant."""
    ipam.apply(
        {
            **DIMENSIONS,
            "subnets": [
                *(subnet(f"r{at}", f"10.0.{at}.0/24", tenant="red", rack=f"{at}") for at in "12"),
                subnet("g", "10.1.0.0/16", tenant="green"),
            ],
        }
    )
    ipam.allocate(labels=GREEN)
    ipam.allocate(labels=RED)
    store = ipam.store
    assert isinstance(store, SqlStore)
    with store._engine.connect() as connection:
        last = ipam.newest_event()
        numbers = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {})"
        if connection.dialect.name == "mariadb":
            connection.exec_driver_sql(f"SET max_recursive_iterations = {rows}")
        connection.exec_driver_sql(
            "INSERT INTO borough_event (id, at, act, subject, subnet, owner, host, detail, cohort_id) "
            f"{numbers.format(rows)} SELECT {last} + x, 1, 'allocated', '10.1.0.9', 'g', '', '', '', "
            "(SELECT cohort_id FROM borough_subnet WHERE name = 'g') FROM n"
        )
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT setval('borough_event_id_seq', {last + rows})")
            connection.exec_driver_sql("ANALYZE borough_event")
    return ipam


@pytest.mark.parametrize("store", each_store("memory", "sqlite"))
def test_others_events_are_not_read(store: str, tmp_path: Path) -> None:
    """A page of few events in a table of many others is a probe of an index for each cohort."""
    with borough.open(STORES[store](tmp_path, 0), create=True) as ipam:
        fill(ipam, 20_000)
        found = ipam.events(labels=RED, limit=10)
        assert len(found) == 1
        assert isinstance(ipam.store, SqlStore)
        compiler = ipam.store._compiler
        statement = Statement.of(
            sql_trail.first_of("cohort_id", 2, 16, False, (), compiler.name).made(), compiler
        )
        values = {"key_0": 1, "key_1": 2, "after": 0, "upto": 1 << 40}
        with ipam.store._links.use() as link:
            plan = explain(link.cursor, statement, values)
        assert plan.count("ix_borough_event_cohort") >= 2
        assert "Seq Scan" not in plan
        assert "Sort" not in plan
        assert "filesort" not in plan


def explain(cursor: Any, statement: Statement, values: dict[str, Any]) -> str:
    """The plan of a statement; on PostgreSQL the generic one, which ours use."""
    text, bound = statement.text, statement.bind(values)
    if "$1" in text:
        cursor.execute(f"PREPARE borough_plan AS {text}")
        text, bound = f"EXECUTE borough_plan ({', '.join(map(str, bound))})", None
    cursor.execute(f"EXPLAIN {text}", bound)
    return "\n".join(map(str, cursor.fetchall()))


def test_others_events_cost_nothing(tmp_path: Path) -> None:
    """Steps of SQLite's virtual machine do not grow with the events of others."""
    steps = []
    for rows in (100, 20_000):
        with borough.open(f"sqlite:///{tmp_path}/{rows}.db", create=True) as ipam:
            fill(ipam, rows)
            ipam.events(labels=RED)
            assert isinstance(ipam.store, SqlStore)
            count = [0]

            def step(count: list[int] = count) -> int:
                count[0] += 1
                return 0

            raw = ipam.store._links.idle[0].connection.dbapi_connection
            raw.set_progress_handler(step, 1)
            ipam.events(labels=RED)
            raw.set_progress_handler(None, 1)
            steps.append(count[0])
    assert steps[1] < steps[0] + 50


# --- Pruned --------------------------------------------------------------------------------------


def test_pruned_events_are_gone_and_the_newest_stays(ipam: Ipam) -> None:
    """An older reader gets an error; ids continue."""
    ipam.add_subnet("10.0.0.0/24", labels={"network": "n"})
    ipam.allocate(labels={"network": "n"}, count=10)
    ids = [each.id for each in ipam.events()]
    assert ipam.prune_events(ids[4]) == 5
    assert ipam.prune_events(ids[4]) == 0
    with pytest.raises(EventsPruned) as caught:
        ipam.events(after=ids[2])
    assert caught.value.detail["pruned"] == ids[4]
    kept = ipam.events(after=ids[4])
    assert [each.id for each in kept[:-1]] == ids[5:]
    assert (kept[-1].act, kept[-1].detail) == (Act.PRUNED, f"5 events, up to {ids[4]}")
    assert ipam.events() == kept
    assert ipam.prune_events(1 << 40) == len(kept) - 1
    assert ipam.events(after=kept[-1].id)[0].act == Act.PRUNED
    sequence = ipam.allocate(labels={"network": "n"}).allocations[0].sequence
    assert sequence > kept[-1].id
    assert ipam.audit() == []


def test_old_events_are_archived_and_pruned(ipam: Ipam, clock: Clock) -> None:
    """Piece by piece, each safe before it is removed."""
    ipam.add_subnet("10.0.0.0/24", labels={"network": "n"})
    ipam.allocate(labels={"network": "n"}, count=10)
    before = ipam.events()
    clock.advance(3600)
    cut = clock.now
    ipam.allocate(labels={"network": "n"})
    kept = ipam.events(after=before[-1].id)
    archived: list[Event] = []

    def archive(found: Any) -> None:
        assert ipam.events(limit=len(found)) == list(found)
        archived.extend(found)

    assert events.prune(ipam, utc(cut), archive) == len(before)
    assert archived == before
    assert ipam.events()[: len(kept)] == kept
    clock.advance(3600)
    count = len(ipam.events())
    assert events.prune(ipam, utc(clock.now)) == count - 1


@pytest.mark.parametrize("store", each_store())
def test_pruning_is_in_pieces(
    store: str, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction removes at most one piece; events above the horizon stay."""
    monkeypatch.setattr(events, "PIECE", 4)
    with borough.open(STORES[store](tmp_path, 0), create=True, clock=clock) as ipam:
        ipam.add_subnet("10.0.0.0/24", labels={"network": "n"})
        ipam.allocate(labels={"network": "n"}, count=9)
        assert ipam.prune_events(1 << 40) == 4
        clock.advance(1)
        assert events.prune(ipam, utc(clock.now)) == 6


@pytest.mark.parametrize("store", each_store())
def test_labels_that_no_event_names_are_pruned(store: str, tmp_path: Path, clock: Clock) -> None:
    """Those of removed cohorts; a later cohort gets another id."""
    url = STORES[store](tmp_path, 0)
    with borough.open(url, create=True, clock=clock) as ipam:
        ipam.apply(DIMENSIONS)

        def known() -> dict[int, Any]:
            return ipam.store.transact(lambda unit: unit.cohort_labels(), write=False)

        for rack in ("r1", "r2", "r3"):
            ipam.apply(DIMENSIONS | {"subnets": [subnet("a", "10.0.0.0/24", rack=rack)]})
        before = known()
        assert len(before) == 3
        clock.advance(3600)
        ipam.allocate(labels={"rack": "r3"})
        events.prune(ipam, utc(clock.now))
        assert list(known().values()) == [{"rack": frozenset({"r3"})}]
        ipam.apply(DIMENSIONS | {"subnets": [subnet("a", "10.0.0.0/24", rack="r4")]})
        assert max(known()) > max(before)
        assert len(ipam.events(labels={"rack": "r3"})) > 0


def test_an_open_transaction_is_not_pruned(url: str) -> None:
    """Nor later events: readers have not seen them yet."""
    with borough.open(url) as ipam:
        with held_open(url) as end:
            ipam.allocate(labels={"network": "n"}, count=5)
            last = ipam.newest_event()
            ipam.prune_events(1 << 40)
            end()
        assert [each.subject for each in ipam.events(after=last)][:2] == ["early", "early too"]
