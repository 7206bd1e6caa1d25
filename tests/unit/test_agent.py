"""The agent: reconciliation of a table, what it reports, and its status."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from borough.agent.netlink import METRIC, PROTOCOL, KernelRoute
from borough.agent.reconcile import Reconciler
from borough.agent.status import AgentStatus, read_status
from borough.domain.net.prefixes import Prefix, parse_prefix
from borough.errors import FixInput

A, B = parse_prefix("10.0.0.0/28"), parse_prefix("10.0.0.16/28")
INNER = parse_prefix("10.0.0.5/32")
BLACKHOLE = 6


@dataclass
class FakeTable:
    """A table in memory that may refuse a prefix."""

    present: dict[tuple[Prefix, int], KernelRoute] = field(default_factory=dict)
    refuses: set[Prefix] = field(default_factory=set)
    batches: list[list[tuple[Prefix, bool]]] = field(default_factory=list)

    def routes(self) -> list[KernelRoute]:
        return list(self.present.values())

    def change(self, batch: Sequence[tuple[Prefix, bool]]) -> dict[Prefix, OSError]:
        self.batches.append(list(batch))
        for prefix, is_added in batch:
            if prefix in self.refuses:
                continue
            if is_added:
                self.add(prefix)
            else:
                del self.present[prefix, METRIC]
        return {each: OSError(1, "not permitted") for each, _ in batch if each in self.refuses}

    def add(self, prefix: Prefix, protocol: int = PROTOCOL, metric: int = METRIC) -> None:
        self.present[prefix, metric] = KernelRoute(prefix, protocol, metric, BLACKHOLE)


def test_nothing_changes_before_the_service_has_named_the_routes():
    table = FakeTable()
    table.add(A)
    made = Reconciler(0.3)
    assert made.reconcile(table, 0) == 0
    assert made.installed == {A}
    assert table.batches == []
    assert made.report(0).installed == {A}


def test_one_batch_for_each_change():
    table = FakeTable()
    table.add(B)
    made = Reconciler(0.3, wanted=frozenset((A, INNER)))
    made.reconcile(table, 0)
    assert table.batches == [[(INNER, True), (A, True), (B, False)]]
    assert made.installed == {A, INNER}


def test_report_waits_until_the_routers_have_the_change():
    table = FakeTable()
    table.add(B)
    made = Reconciler(0.3, wanted=frozenset((A,)))
    made.reconcile(table, 10)
    early = made.report(10.2)
    assert early.installed == frozenset()
    assert early.settling == {A, B}
    assert early.due == 10.3
    late = made.report(10.31)
    assert late.installed == {A}
    assert late.settling == frozenset()
    assert late.due is None


def test_route_stays_until_those_in_its_place_have_settled():
    """A daemon may send the withdrawal of the /28 before the announcement of the /32 inside it."""
    table = FakeTable()
    table.add(A)
    table.add(B)
    made = Reconciler(0.3, wanted=frozenset((INNER,)))
    made.reconcile(table, 10)
    assert table.batches == [[(INNER, True), (B, False)]]
    assert made.report(10).due == 10.3
    made.reconcile(table, 10.3)
    assert table.batches[1:] == [[(A, False)]]


def test_route_of_another_program_is_left_and_reported():
    table = FakeTable()
    table.add(A, protocol=4, metric=100)
    made = Reconciler(0, wanted=frozenset((A,)))
    made.reconcile(table, 0)
    assert (A, 100) in table.present
    assert made.installed == {A}
    assert "protocol 4" in made.report(0).problems[A]
    made.wanted = frozenset()
    made.reconcile(table, 0)
    assert list(table.present) == [(A, 100)]


@pytest.mark.parametrize(("prefix", "protocol"), [(A, 12), (A, 186), (INNER, 3)])
def test_routes_of_daemons_and_workloads_are_no_problem(prefix: Prefix, protocol: int):
    table = FakeTable()
    table.add(prefix, protocol=protocol, metric=32)
    made = Reconciler(0, wanted=frozenset((prefix,)))
    made.reconcile(table, 0)
    assert made.problems == {}


def test_refused_route_is_reported_and_the_others_are_installed():
    table = FakeTable(refuses={A})
    made = Reconciler(0, wanted=frozenset((A, B)))
    made.reconcile(table, 0)
    assert made.installed == {B}
    assert made.problems == {A: "not permitted"}
    table.refuses.clear()
    made.reconcile(table, 1)
    assert made.installed == {A, B}
    assert made.problems == {}


def test_route_that_another_program_removed_is_corrected():
    table = FakeTable()
    made = Reconciler(0, wanted=frozenset((A, B)))
    made.reconcile(table, 0)
    assert (made.changes, made.corrections) == (2, 0)
    del table.present[A, METRIC]
    made.reconcile(table, 1)
    assert (made.changes, made.corrections) == (3, 1)
    assert made.installed == {A, B}


def test_status_is_written_and_read(tmp_path: Path):
    path = tmp_path / "status.json"
    made = AgentStatus("h1", "default", "http://127.0.0.1:1", 1, connected=True, wanted=0)
    made.write(path)
    found = read_status(path)
    assert found == made
    assert found.is_well
    found.at = time.time() - 100
    assert not found.is_well


def test_missing_status_is_an_error_for_people(tmp_path: Path):
    with pytest.raises(FixInput, match="is one running"):
        read_status(tmp_path / "none.json")
