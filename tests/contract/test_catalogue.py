"""All processes see the changes of one; they rebuild only the objects that changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import borough
from borough import Ipam
from borough.domain.declared.catalogue import Catalogue
from borough.errors import WouldStrand
from borough.store.sql import schema as t
from borough.store.sql import statements
from borough.store.sql.catalogue import change_log
from borough.store.sql.catalogue import read as catalogue_module
from borough.store.sql.store import SqlStore
from tests.conftest import STORES, each_store

DIMENSIONS = {"rack": {"fallback": "any"}}


Open = Callable[[], Ipam]


@pytest.fixture(params=each_store("memory"))
def another(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens one database, each time as another process would."""
    url = STORES[request.param](tmp_path, 0)
    with ExitStack() as opened:
        yield lambda: opened.enter_context(borough.open(url, create=True))


def topology(name: str, more: dict[str, Any]) -> dict[str, Any]:
    """A topology with one subnet, and further fields."""
    plain = {"name": name, "cidr": "10.0.0.0/24", "labels": {"network": "n"}}
    return {"name": name, "dimensions": DIMENSIONS, "scopes": ["blue"], "subnets": [plain | more]}


CHANGES: list[dict[str, Any]] = [
    {},
    {"labels": {"network": "n", "rack": "r1"}},
    {"labels": {"network": "n", "rack": ["r1", "r2"]}},
    {"ranges": ["10.0.0.8-10.0.0.90"]},
    {"ranges": ["10.0.0.8-10.0.0.90", "10.0.0.100-10.0.0.101"]},
    {"gateway": "10.0.0.1"},
    {"cidr": "10.0.0.0/25"},
    {"weight": 3},
    {"cooldown": 60},
    {"attributes": {"vlan": 1}},
    {"attributes": {"vlan": True}},
    {"claims": {"block": 4}},
]


def whole(catalogue: Catalogue) -> Catalogue:
    """A catalogue that compares by value, to the type of an attribute."""
    return replace(
        catalogue,
        subnets={
            id: replace(subnet, attributes={"as text": repr(subnet.attributes)})
            for id, subnet in catalogue.subnets.items()
        },
    )


def test_every_change_is_seen(another: Open) -> None:
    """By a process that has read an older version, as by a new one."""
    writer, reader = another(), another()
    for change in [*CHANGES, *reversed(CHANGES)]:
        writer.apply(topology("a", change))
        seen = whole(reader.catalogue())
        with another() as newcomer:
            assert seen == whole(newcomer.catalogue()), change
        assert whole(writer.catalogue()) == seen, change


def test_unchanged_objects_are_not_rebuilt(another: Open) -> None:
    """With tens of thousands of subnets this takes the time."""
    writer, reader = another(), another()
    writer.apply(topology("a", {}))
    before = reader.catalogue()
    writer.add_subnet("10.0.1.0/24", name="b", labels={"network": "m"})
    after = reader.catalogue()
    assert after.version != before.version
    assert after.by_name["a"] is before.by_name["a"]
    (cohort,) = before.cohorts
    assert after.cohorts[cohort] is before.cohorts[cohort]


def test_a_change_that_is_undone_is_not_kept(another: Open) -> None:
    """Rows that were read in a transaction that failed; then others under the same keys."""
    writer = another()
    writer.apply(topology("a", {}))
    writer.allocate(labels={"network": "n"})
    before = writer.catalogue()
    for smaller in ("10.0.0.128/25", "10.0.0.64/26"):
        with pytest.raises(WouldStrand):
            writer.apply(topology("a", {"cidr": smaller}))
    writer.add_subnet("10.0.0.0/24", name="b", scope="blue")
    with another() as newcomer:
        assert whole(writer.catalogue()) == whole(newcomer.catalogue())
    assert writer.catalogue().by_name["a"] == before.by_name["a"]


def agrees(reader: Ipam, another: Open) -> bool:
    """True when a process that has read an earlier version sees what a new process sees."""
    seen = reader.catalogue()
    with another() as newcomer:
        anew = newcomer.catalogue()
        return (
            whole(seen) == whole(anew)
            and seen.cools == anew.cools
            and seen.cohorts_with("network", "n") == anew.cohorts_with("network", "n")
            and seen.cohorts_with("network", "m") == anew.cohorts_with("network", "m")
        )


def test_the_last_subnet_that_lets_addresses_rest_is_gone(another: Open) -> None:
    """A cool-down anywhere decides what every allocation looks for."""
    writer, reader = another(), another()
    writer.apply(topology("a", {"cooldown": 60}))
    assert reader.catalogue().cools
    writer.apply(topology("a", {}))
    assert agrees(reader, another)
    writer.apply(topology("a", {"cooldown": 60}))
    assert agrees(reader, another)
    writer.remove_subnet("a")
    assert agrees(reader, another)


def test_an_id_that_is_used_again_stands_for_something_else(another: Open) -> None:
    """SQLite gives the id of the newest row again when that row is gone."""
    writer, reader = another(), another()
    writer.apply(topology("a", {}))
    reader.catalogue()
    writer.remove_subnet("a")
    writer.add_subnet("10.0.1.0/24", name="b", labels={"network": "m"})
    assert agrees(reader, another)


def test_a_process_that_missed_more_than_is_kept_reads_everything(
    another: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of versions whose rows were dropped nothing is known."""
    monkeypatch.setattr(change_log, "KEPT", 2)
    monkeypatch.setattr(change_log, "STEP", 1)
    writer, reader = another(), another()
    writer.apply(topology("a", {}))
    reader.catalogue()
    for at in range(4):
        writer.add_subnet(f"10.0.{at + 1}.0/24", labels={"network": "m"})
    assert agrees(reader, another)
    versions = writer.store.transact(change_log_versions, write=False)
    assert len(versions) == 2


def change_log_versions(unit: Any) -> set[int]:
    """The versions that the log holds."""
    return {version for (version,) in unit._runner.rows(sa.select(t.change.c.version))}


def test_a_change_of_many_objects_is_read_with_all_others(
    another: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One row says so; to list them would cost more than it saves."""
    monkeypatch.setattr(change_log, "LISTED", 3)
    writer, reader = another(), another()
    writer.apply(topology("a", {}))
    reader.catalogue()
    many = [{"name": f"s{at}", "cidr": f"10.1.{at}.0/24"} for at in range(8)]
    writer.apply({"name": "many", "subnets": many})
    assert agrees(reader, another)
    for at in range(4):
        writer.remove_subnet(f"s{at}")
    assert agrees(reader, another)


def test_a_version_whose_writer_keeps_no_log_is_read_as_a_whole(another: Open) -> None:
    """A process of an earlier release may still run while the schema is upgraded."""
    writer, reader = another(), another()
    writer.apply(topology("a", {}))
    reader.catalogue()
    writer.store.transact(_rename_without_a_version)
    writer.add_subnet("10.0.9.0/24", labels={"network": "m"})
    assert agrees(reader, another)
    assert "renamed" in reader.catalogue().by_name


def _rename_without_a_version(unit: Any) -> None:
    unit._runner.write(sa.update(t.subnet).values(name=sa.literal_column("'renamed'")))
    version = unit.catalogue.version
    unit._runner.write(statements.touch, seen=version, version=version + 1)


def test_where_rows_change_without_a_version_everything_is_read(another: Open) -> None:
    """Neutron adds subnets without a version: they are read with the next version."""
    writer, reader = another(), another()
    assert isinstance(writer.store, SqlStore)
    with writer.store._engine.begin() as connection:
        change_log.keep_none(connection)
        change_log.keep_none(connection)
    writer.apply(topology("a", {}))
    reader.catalogue()
    writer.store.transact(
        lambda unit: unit.put_subnet(replace(unit.catalogue.by_name["a"], weight=1))
    )
    writer.add_subnet("10.0.9.0/24", labels={"network": "m"})
    assert agrees(reader, another)
    assert reader.catalogue().by_name["a"].weight == 1


def test_a_process_that_only_declares_follows_as_well(
    another: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process knows the catalogue before its own change, and does not read all again."""
    writer = another()
    writer.apply(topology("a", {}))
    writer.add_subnet("10.0.1.0/24", name="b")
    monkeypatch.setattr(catalogue_module, "_whole", None)
    writer.add_subnet("10.0.2.0/24", name="c")
    writer.remove_subnet("b")
    assert set(writer.catalogue().by_name) == {"a", "c"}
