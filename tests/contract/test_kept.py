"""The caches of a store and an engine are bounded in bytes, for any requests."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import borough
from borough import Ipam
from borough.engine import allocation, request
from borough.store.cache import Cache, weigh
from borough.store.sql import store as store_module
from borough.store.sql.runner import Prepared, Shaped, shaped
from borough.store.sql.store import SqlStore
from tests.servers.shared import shared_server

SMALL = 64 << 10


def test_entries_used_last_stay() -> None:
    cache: Cache[str, str] = Cache(10_000)
    for name in "abcdefghijkl":
        cache.put(name, name, 900)
        assert cache.get("a") == "a"
    assert cache.weight <= 10_000
    assert cache.get("b") is None
    cache.drop("a")
    assert cache.get("a") is None
    cache.clear()
    assert (cache.weight, len(cache)) == (0, 0)


def test_an_entry_that_would_push_out_the_others_is_not_kept() -> None:
    cache: Cache[str, str] = Cache(80_000)
    cache.put("small", "x")
    assert cache.put("large", "x" * 20_000) == "x" * 20_000
    assert (cache.get("large"), cache.get("small")) == (None, "x")
    cache.put("small", "x" * 20_000)
    assert cache.get("small") is None
    assert cache.weight == 0


def test_entries_are_weighed_with_their_parts() -> None:
    part = tuple(range(1000))
    assert weigh({"a": [part, part]}) < weigh(part) + 1000
    assert weigh("x" * 5000) > 5000
    assert weigh(Shaped(len, ("y" * 5000,))) > 5000


def test_the_shape_of_a_statement_is_positional() -> None:
    made: list[int] = []

    @shaped
    def build(number: int) -> int:
        made.append(number)
        return number

    assert build(3) == build(3)
    assert not made
    assert build(3).made() == 3


def groups() -> Iterator[list[list[str]]]:
    """Lists of subnets, each of another shape."""
    for first, second in itertools.combinations(range(1, 40), 2):
        names = iter(f"s{number}" for number in range(100))
        yield [[next(names) for _ in range(count)] for count in (first, second)]


@pytest.fixture
def small(make_ipam: Callable[[], Ipam], monkeypatch: pytest.MonkeyPatch) -> Ipam:
    """An address space that keeps little."""
    monkeypatch.setattr(store_module, "KEPT", SMALL)
    monkeypatch.setattr(allocation, "_LADDERS", SMALL)
    ipam = make_ipam()
    subnets = [{"name": f"s{at}", "cidr": f"10.0.{at}.0/24"} for at in range(100)]
    ipam.apply({"subnets": subnets})
    return ipam


def weights(ipam: Ipam) -> tuple[int, int]:
    """Bytes kept of statements and of ladders."""
    behind: Any = getattr(ipam, "served", None)
    library = behind.ipam if behind else ipam
    kept = library.store._kept.weight if isinstance(library.store, SqlStore) else 0
    return kept, library._allocator.ladders._kept.weight


def test_requests_of_many_shapes_are_answered_and_not_kept(small: Ipam) -> None:
    """Statements were kept for ever by their shape, 3 MB each: 300 explanations took a gigabyte."""
    most = [0, 0]
    for tiers in itertools.islice(groups(), 15):
        assert small.explain(subnets=tiers).rungs[0].verdict == "taken"
        assert small.allocate(subnets=tiers).allocations[0].subnet in tiers[0]
        most = [max(pair) for pair in zip(most, weights(small), strict=True)]
    assert max(most) <= SMALL
    assert most[1] > SMALL // 2, "the requests must be more than what is kept"


def test_long_lists_are_not_kept(make_ipam: Callable[[], Ipam]) -> None:
    """One explanation with thousands of subnets took 11 MB, and 4,096 of them were kept."""
    ipam = make_ipam()
    names = [f"s{at}" for at in range(500)]
    subnets = [
        {"name": name, "cidr": f"10.{at >> 8}.{at & 255}.0/24"} for at, name in enumerate(names)
    ]
    ipam.apply({"subnets": subnets})
    before = sum(weights(ipam))
    for at in range(6):
        tier = names[at:] + names[:at]
        assert ipam.explain(subnets=[tier], host="h").rungs
        assert ipam.allocate(subnets=[tier], host="h", owner="o").address
    assert sum(weights(ipam)) - before < 2 << 20


def test_labels_that_were_parsed_are_bounded() -> None:
    ipam = borough.open("memory:", create=True)
    for at in range(200):
        labels = {f"d{at}x{number}": "y" * 200 for number in range(200)}
        with pytest.raises(borough.BoroughError):
            ipam.allocate(labels=labels)
    assert request._PARSED.weight <= request._KEPT


# --- Statements that a server keeps ------------------------------------------------------------


def test_names_of_prepared_statements_are_reused() -> None:
    names = Prepared()
    texts = [str(number) for number in range(Prepared.LIMIT * 2)]
    given = set()
    for text in texts:
        assert names.find(text) is None
        name = names.free()
        given.add(name)
        names.keep(text, name)
        assert names.find(texts[0]) is not None, "the one used last stays"
    assert len(given) == Prepared.LIMIT
    assert names.find(texts[1]) is None


@pytest.fixture
def on_mariadb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ipam]:
    monkeypatch.setattr(Prepared, "LIMIT", 4)
    with borough.open(shared_server("mariadb").fresh(), create=True) as ipam:
        subnets = [{"name": f"s{at}", "cidr": f"10.0.{at}.0/24"} for at in range(100)]
        ipam.apply({"subnets": subnets})
        yield ipam


def ask(ipam: Ipam, text: str) -> Any:
    """One value from the server, on a connection of the store's own."""
    store = ipam.store
    assert isinstance(store, SqlStore)
    cursor = store._engine.raw_connection().cursor()
    cursor.execute(text)
    found = cursor.fetchone()
    return found and found[-1]


@pytest.mark.server
def test_few_statements_are_prepared_on_mariadb(on_mariadb: Ipam) -> None:
    """Every shape was prepared and none dropped, until the server refused more (error 1461)."""
    asked = "SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'"
    before = int(ask(on_mariadb, asked))
    for _ in range(2):
        for tiers in itertools.islice(groups(), 10):
            on_mariadb.allocate(subnets=tiers)
    assert int(ask(on_mariadb, asked)) - before <= 4


@pytest.mark.server
def test_addresses_are_allocated_where_mariadb_prepares_nothing(on_mariadb: Ipam) -> None:
    most = ask(on_mariadb, "SELECT @@GLOBAL.max_prepared_stmt_count")
    ask(on_mariadb, "SET GLOBAL max_prepared_stmt_count = 0")
    try:
        given = {
            on_mariadb.allocate(subnets=["s1"], owner="it's", key=str(at)).address
            for at in range(3)
        }
        assert on_mariadb.allocate(subnets=["s1"], owner="it's", key="2").address in given
    finally:
        ask(on_mariadb, f"SET GLOBAL max_prepared_stmt_count = {most}")
    assert given == {"10.0.1.1", "10.0.1.2", "10.0.1.3"}
    assert {each.owner for each in on_mariadb.allocations()} == {"it's"}


@pytest.mark.server
def test_few_statements_are_prepared_on_postgresql() -> None:
    """Its driver drops the least recently used ones."""
    with borough.open(shared_server("postgresql").fresh(), create=True) as ipam:
        subnets = [{"name": f"s{at}", "cidr": f"10.0.{at}.0/24"} for at in range(100)]
        ipam.apply({"subnets": subnets})
        store = ipam.store
        assert isinstance(store, SqlStore)
        raw = store._links.idle[-1].connection.dbapi_connection
        assert raw.prepared_max <= 100
        raw.prepared_max = most = len(
            raw.execute("SELECT 1 FROM pg_prepared_statements").fetchall()
        )
        for tiers in itertools.islice(groups(), 10):
            ipam.explain(subnets=tiers)
            ipam.allocate(subnets=tiers)
        ((count,),) = raw.execute("SELECT count(*) FROM pg_prepared_statements").fetchall()
        assert count <= most + 1
