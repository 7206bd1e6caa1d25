"""A copy of a database to another: every row, and no half-done copy."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import borough
from borough import Ipam
from borough.domain.space.orphans import Orphan
from borough.errors import FixInput, SourceChanged, TargetInUse, UnfinishedCopy
from borough.store.sql import copy as moving
from borough.store.sql import schema
from borough.store.sql.open import resolve
from tests.conftest import STORES, each_store

L = {"network": "n"}
Make = Callable[[str], str]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Make an empty database of a kind."""
    numbers = count()
    return lambda kind: STORES[kind](tmp_path, next(numbers))


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many batches from few rows."""
    monkeypatch.setattr(moving, "BATCH", 7)


def fill(ipam: Ipam) -> None:
    """Rows in every table."""
    ipam.apply(
        {
            "dimensions": {"rack": {"fallback": "any"}},
            "scopes": ["blue"],
            "pools": [{"name": "p", "prefixes": ["10.9.0.0/16"], "default_length": 24}],
            "subnets": [
                {
                    "name": "a",
                    "cidr": "10.0.0.0/24",
                    "labels": L,
                    "cooldown": "1h",
                    "ranges": ["10.0.0.10-10.0.0.250"],
                },
                {"name": "b", "cidr": "2001:db8::/64", "labels": {**L, "rack": "r1"}},
                {"name": "c", "cidr": "10.0.0.0/24", "scope": "blue", "labels": L},
            ],
            "hosts": {"h1": {"rack": "r1"}},
        }
    )
    ipam.create_token("node-1", permission="allocate", labels=L)
    for turn in range(30):
        ipam.allocate(labels=L, host=f"h{turn % 3}", owner=f"o{turn}", key=f"k{turn}")
    ipam.allocate(labels=L, families=6, count=20, attributes={"note": "é"})
    ipam.release(owner="o3")
    left = Orphan("t", 1, "netbox", "default", "a", "10.0.0.11", "o", "no answer")
    ipam.store.transact(lambda unit: unit.keep_orphan(left))
    ipam.acknowledge("h1", ["10.0.0.0/28"], problems={"10.0.1.0/28": "no answer"})


def everything(url: str) -> dict[str, list[Any]]:
    """All rows by table, sorted."""
    found, dialect = resolve(url)
    engine = dialect.engine(found, create=False)
    with engine.connect() as connection:
        rows = {
            table.name: sorted(
                (tuple(row) for row in connection.execute(sa.select(*table.c))), key=repr
            )
            for table in schema.metadata.sorted_tables
        }
    engine.dispose()
    return rows


@pytest.fixture
def source(make: Make, request: pytest.FixtureRequest) -> str:
    """The URL of a database with rows."""
    url = make(getattr(request, "param", "sqlite"))
    with borough.open(url, create=True) as ipam:
        fill(ipam)
    return url


@pytest.mark.parametrize("target_kind", each_store("memory"))
@pytest.mark.parametrize("source", each_store("memory"), indirect=True)
def test_every_row_arrives_and_work_goes_on(source: str, target_kind: str, make: Make) -> None:
    """Between all kinds; the next sequence number is above all older ones."""
    target = make(target_kind)
    seen: list[tuple[int, int]] = []
    moved = borough.copy(source, target, lambda done, total: seen.append((done, total)))
    assert everything(target) == everything(source)
    assert [name for name, rows in everything(target).items() if not rows] == []
    assert not moved.resumed
    assert seen[-1][0] == seen[-1][1] == 2 * sum(moved.rows.values())
    with borough.open(target) as ipam, borough.open(source) as old:
        newest = max(event.id for event in old.events())
        held = {each.address for each in ipam.allocations()}
        assert [each.code for each in ipam.audit()] == ["left_behind"]
        fresh = [ipam.allocate(labels=L, host="h1") for _ in range(20)]
        fresh += [ipam.allocate(labels=L, families=6, count=3)]
        for answer in fresh:
            for each in answer.allocations:
                assert each.sequence > newest
                assert each.address not in held
        assert ipam.allocate(labels=L, host="h1", owner="o1", key="k1").replayed
        ipam.add_subnet("10.77.0.0/24", labels={"network": "new"})
        assert [each.code for each in ipam.audit()] == ["left_behind"]


class Stop(Exception):
    """Interrupts a copy."""


@pytest.mark.parametrize("target_kind", each_store("memory"))
def test_another_run_finishes_an_interrupted_copy(
    source: str, target_kind: str, make: Make
) -> None:
    """Until then the target cannot be opened; rows written in between are copied too."""
    target = make(target_kind)
    borough.open(target, create=True).close()

    def stop(done: int, _total: int) -> None:
        if done > 60:
            raise Stop

    with pytest.raises(Stop):
        borough.copy(source, target, stop)
    for create in (False, True):
        with pytest.raises(UnfinishedCopy):
            borough.open(target, create=create)
    with borough.open(source) as ipam:
        ipam.release(owner="o5")
        ipam.allocate(labels=L, host="h2", owner="late")
    assert borough.copy(source, target).resumed
    assert everything(target) == everything(source)
    with pytest.raises(Stop):
        # A referenced row has changed as well: the second run begins from empty tables.
        borough.copy(source, second := make(target_kind), stop)
    with borough.open(source) as ipam:
        ipam.remove_subnet("c")
        ipam.add_subnet("10.5.0.0/24", labels=L)
    borough.copy(source, second)
    assert everything(second) == everything(source)


def test_a_target_in_use_is_refused_and_left_alone(source: str, make: Make) -> None:
    """With any kind of row in it."""
    target = make("sqlite")
    with borough.open(target, create=True) as ipam:
        ipam.add_subnet("192.0.2.0/24")
    before = everything(target)
    with pytest.raises(TargetInUse):
        borough.copy(source, target)
    assert everything(target) == before


def test_a_source_that_is_written_to_is_noticed(source: str, make: Make) -> None:
    """The target stays unfinished, and the next run finishes it."""
    target = make("sqlite")
    written: list[str] = []

    def write(_done: int, _total: int) -> None:
        if not written:
            with borough.open(source) as ipam:
                written.append(ipam.allocate(labels=L, owner="meanwhile").address)

    with pytest.raises(SourceChanged):
        borough.copy(source, target, write)
    with pytest.raises(UnfinishedCopy):
        borough.open(target)
    borough.copy(source, target)
    assert everything(target) == everything(source)


def test_a_changed_row_fails_the_verification(source: str, make: Make) -> None:
    """A row of the target differs from the source."""
    target = make("sqlite")
    done_at: list[int] = []

    def tamper(done: int, total: int) -> None:
        if done >= total // 2 and not done_at:
            done_at.append(done)
            found, dialect = resolve(target)
            engine = dialect.engine(found, create=False)
            with engine.connect() as connection:
                connection.exec_driver_sql("UPDATE borough_allocation SET owner = 'x'")
            engine.dispose()

    with pytest.raises(borough.BoroughError, match="borough_allocation"):
        borough.copy(source, target, tamper)
    with pytest.raises(UnfinishedCopy):
        borough.open(target)


def test_invalid_urls_are_refused(source: str) -> None:
    """To itself, or to nowhere."""
    with pytest.raises(FixInput):
        borough.copy(source, source)
    with pytest.raises(FixInput):
        borough.copy(source, "memory:")
