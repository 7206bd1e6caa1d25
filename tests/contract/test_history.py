"""Questions to the audit trail: filters, newest first, by index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import borough
from borough import Ipam
from borough.api.scoped import ScopedIpam, VisibleSubnets
from borough.domain.declared.dimensions import make_labels
from borough.domain.encode import utc
from borough.domain.net.prefixes import parse_prefix
from borough.domain.space.events import Event
from borough.domain.space.filters import Trail
from borough.errors import FixInput, UnknownObject
from borough.store.actor import acting
from borough.store.port import ReadUnit
from borough.store.sql.runner import Statement
from borough.store.sql.store import SqlStore
from borough.store.sql.unit import trail as sql_trail
from tests.conftest import STORES, Clock, each_store
from tests.contract.test_trail import DIMENSIONS, fill, subnet

PLACE = parse_prefix("10.0.0.0/16")
RED, GREEN = {"tenant": "red"}, {"tenant": "green"}


def told(found: list[Event]) -> list[tuple[str, str]]:
    return [(each.act, each.subject) for each in found]


def prepared(ipam: Ipam, clock: Clock) -> Ipam:
    """Two tenants, two scopes, and an address that two owners had one after the other."""
    ipam.apply(
        {
            **DIMENSIONS,
            "scopes": ["vrf"],
            "subnets": [
                subnet("a", "10.0.0.0/24", tenant="red"),
                subnet("b", "10.0.1.0/24", tenant="green"),
                subnet("c", "2001:db8::/64", tenant="red"),
                {**subnet("v", "10.0.0.0/24", tenant="green"), "scope": "vrf"},
            ],
        }
    )
    clock.advance(3600)
    ipam.allocate(address="10.0.0.7", subnets=["a"], owner="vm1", host="h1")
    clock.advance(3600)
    ipam.release("10.0.0.7")
    with acting("alice"):
        ipam.allocate(address="10.0.0.7", subnets=["a"], owner="vm2", host="h2")
    ipam.allocate(address="10.0.0.7", subnets=["v"], owner="vm3", scope="vrf")
    ipam.allocate(address="10.0.1.7", subnets=["b"], owner="vm1", host="h2")
    ipam.allocate(address="2001:db8::7", subnets=["c"], owner="vm1")
    return ipam


def test_who_had_an_address(ipam: Ipam, clock: Clock) -> None:
    """Newest first, in every scope or one, also before a time."""
    prepared(ipam, clock)
    seven = ipam.history("10.0.0.7")
    assert [(each.act, each.owner, each.scope) for each in seven] == [
        ("allocated", "vm3", "vrf"),
        ("allocated", "vm2", "default"),
        ("released", "vm1", "default"),
        ("allocated", "vm1", "default"),
    ]
    assert ipam.history("10.0.0.7/24") == seven
    assert ipam.history("10.0.0.7", scope="default") == seven[1:]
    assert ipam.history("10.0.0.7", until=seven[2].at) == seven[3:]
    assert ipam.history("10.0.0.7", since=seven[2].at) == seven[:3]
    if isinstance(ipam, Ipam):
        assert ipam.history("10.0.0.7", actor="alice") == [seven[1]]
        assert ipam.history(actor="alice") == [seven[1]]
    assert ipam.history("10.0.0.7", act="released") == [seven[2]]
    assert ipam.history("10.0.0.7", limit=2) == seven[:2]
    assert ipam.history("10.0.0.7", before=seven[1].id) == seven[2:]
    assert ipam.history("10.0.0.7", after=seven[1].id) == seven[:1]
    assert ipam.history("2001:db8::7")[0].owner == "vm1"
    with pytest.raises(FixInput):
        ipam.history(act="forgotten")


def test_history_of_names_and_prefixes(ipam: Ipam, clock: Clock) -> None:
    """An owner, a host, a prefix and a subnet; each finds its own events only."""
    prepared(ipam, clock)
    assert told(ipam.history("vm1")) == [
        ("allocated", "2001:db8::7"),
        ("allocated", "10.0.1.7"),
        ("released", "10.0.0.7"),
        ("allocated", "10.0.0.7"),
    ]
    assert ipam.history(owner="vm1") == ipam.history("vm1")
    assert told(ipam.history("h2")) == [("allocated", "10.0.1.7"), ("allocated", "10.0.0.7")]
    assert ipam.history("vm1", host="h2") == ipam.history("10.0.1.7")
    within = ipam.history("10.0.0.0/23", scope="default")
    assert {each.subject for each in within} == {"10.0.0.7", "10.0.1.7", "a", "b"}
    assert [each.id for each in within] == sorted((each.id for each in within), reverse=True)
    assert ipam.history("10.0.0.0/23", scope="default", limit=2) == within[:2]
    everything = ipam.history(limit=1000)
    assert everything == ipam.events()[::-1]
    assert ipam.history(subnet="b") == [
        each for each in within if each.subject in ("b", "10.0.1.7")
    ]
    assert ipam.history(since=everything[0].at)[-1].subject == "10.0.0.7"
    assert ipam.history(until=utc(0)) == []


def test_a_wide_prefix_is_read_by_id(
    ipam: Ipam, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same answer, when too many events lie in it."""
    prepared(ipam, clock)
    expected = ipam.history("10.0.0.0/16")
    assert len(expected) >= 7
    monkeypatch.setattr(sql_trail, "_IN_PREFIX", -1)
    assert ipam.history("10.0.0.0/16") == expected


@pytest.mark.parametrize("store", each_store())
@pytest.mark.parametrize("newest_first", [True, False])
def test_few_of_many_events_in_a_prefix_are_found(
    store: str, newest_first: bool, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page is completed from longer and longer pages of ids."""
    monkeypatch.setattr(sql_trail, "_IDS", 2)
    monkeypatch.setattr(sql_trail, "_LONGER", 2)
    with borough.open(STORES[store](tmp_path, 0), create=True, clock=clock) as ipam:
        prepared(ipam, clock)
        for at in range(20, 40):
            ipam.allocate(address=f"10.0.1.{at}", subnets=["b"], owner="many")
        ipam.release("10.0.1.30")
        order = -1 if newest_first else 1
        everything = [each for each in ipam.events()[::order] if "10.0." in each.subject]
        for act in ("allocated", "released"):
            for limit in (1, 2, 21, 100):
                wanted = Trail(0, 1 << 40, limit, act=act, within=PLACE, newest_first=newest_first)

                def read(unit: ReadUnit, of: Trail = wanted) -> list[Event]:
                    return unit.events(of)

                found = ipam.store.transact(read, write=False)
                assert found == [each for each in everything if each.act == act][:limit]


@pytest.mark.parametrize("store", each_store())
def test_a_confined_token_asks_within_its_boundary(
    store: str, tmp_path: Path, clock: Clock
) -> None:
    """By the labels of the time, whatever it names."""
    ipam = borough.open(STORES[store](tmp_path, 0), create=True, clock=clock)
    prepared(ipam, clock)
    scoped = ScopedIpam(ipam, make_labels(GREEN), VisibleSubnets())
    assert told(scoped.history("vm1")) == [("allocated", "10.0.1.7")]
    assert [each.owner for each in scoped.history("10.0.0.7")] == ["vm3"]
    assert told(scoped.history("10.0.0.0/16")) == told(scoped.history())
    assert len(scoped.history("10.0.0.0/16")) == 2
    with pytest.raises(UnknownObject):
        scoped.history(subnet="a")
    ipam.release(["10.0.1.7"])
    ipam.apply(
        {
            **DIMENSIONS,
            "scopes": ["vrf"],
            "subnets": [
                subnet("b", "10.0.1.0/24", tenant="red"),
                {**subnet("v", "10.0.0.0/24", tenant="green"), "scope": "vrf"},
                subnet("a", "10.0.0.0/24", tenant="red"),
                subnet("c", "2001:db8::/64", tenant="red"),
            ],
        }
    )
    ipam.allocate(address="10.0.1.9", subnets=["b"], owner="vm1")
    assert told(scoped.history("vm1")) == [("released", "10.0.1.7"), ("allocated", "10.0.1.7")]


def test_declared_changes_tell_old_and_new_values(ipam: Ipam) -> None:
    """Who changed what, from what to what, and in which scope; of bounded length."""
    with acting("alice"):
        ipam.apply({"subnets": [{"name": "web", "cidr": "10.1.0.0/24", "cooldown": 60}]})
        ipam.apply({"subnets": [{"name": "web", "cidr": "10.1.0.0/23", "cooldown": 90}]})
        ipam.apply({"subnets": []})
    removed, changed, added = ipam.history("10.1.0.0/16")
    assert added.detail == "add subnet 10.1.0.0/24: cooldown 60"
    assert changed.detail == "change subnet: cidr 10.1.0.0/24 -> 10.1.0.0/23; cooldown 60 -> 90"
    assert removed.detail == "remove subnet 10.1.0.0/23: cooldown 90"
    actor = "alice" if isinstance(ipam, Ipam) else ""
    assert {(each.scope, each.actor, each.subject) for each in (added, changed, removed)} == {
        ("default", actor, "web")
    }
    ipam.add_subnet("10.2.0.0/24", name="long", attributes={"text": "x" * 9000})
    assert len(ipam.history("10.2.0.0/24")[0].detail) < 300


def _plan(cursor: Any, statement: Statement, values: dict[str, Any]) -> str:
    """The plan of a statement, whatever the types of its parameters."""
    text, bound = statement.text, statement.bind(values)
    if "$1" in text:
        cursor.execute(f"PREPARE borough_plan AS {text}")
        words = [f"'\\x{each.hex()}'" if isinstance(each, bytes) else repr(each) for each in bound]
        cursor.execute(f"EXPLAIN EXECUTE borough_plan ({', '.join(words)})")
    elif "?" in text:
        cursor.execute(f"EXPLAIN QUERY PLAN {text}", bound)
    else:
        cursor.execute(f"EXPLAIN {text}", bound)
    return "\n".join(map(str, cursor.fetchall()))


@pytest.mark.parametrize("store", each_store("memory"))
@pytest.mark.parametrize(
    "column", ["address", "owner", "host", "act", "actor", "scope", "cohort_id"]
)
def test_history_reads_an_index(store: str, column: str, tmp_path: Path) -> None:
    """Backwards, without a sort, and with a condition beside it."""
    with borough.open(STORES[store](tmp_path, 0), create=True) as ipam:
        fill(ipam, 20_000)
        assert isinstance(ipam.store, SqlStore)
        compiler = ipam.store._compiler
        clause = sql_trail.first_of(column, 1, 128, True, ("subnet",), compiler.name)
        key = {"address": b"\n\x01\x00\x07", "cohort_id": 1}.get(column, "nobody")
        statement = Statement.of(clause.made(), compiler)
        values = {"key_0": key, "after": 0, "upto": 1 << 40, "subnet": "a"}
        with ipam.store._links.use() as link:
            plan = _plan(link.cursor, statement, values)
        assert f"ix_borough_event_{column.removesuffix('_id')}" in plan
        assert "Seq Scan" not in plan
        assert "Sort" not in plan
        assert "TEMP B-TREE" not in plan
        assert "filesort" not in plan
