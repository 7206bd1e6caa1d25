"""The cost of an allocation does not depend on the number of allocations or of subnets in the group.

Counted, never timed: statements sent to the database, and the steps that SQLite's virtual machine takes,
which grow with every row and index entry that a statement visits.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import borough
from borough import Ipam
from borough.store.sql.store import SqlStore

L = {"network": "n"}


class Meter:
    """Counts statements and virtual machine steps of one call."""

    def __init__(self, ipam: Ipam) -> None:
        assert isinstance(ipam.store, SqlStore)
        self._store = ipam.store
        connection = self._store._links.idle[0].connection
        self._steps = 0
        connection.dbapi_connection.set_progress_handler(self._step, 1)

    def _step(self) -> int:
        self._steps += 1
        return 0

    def __call__(self, act: Callable[[], Any]) -> tuple[int, int]:
        self._steps = 0
        before = self._store.statements
        act()
        return self._store.statements - before, self._steps


def open_sqlite(folder: Path, name: str, subnets: int) -> Ipam:
    """A group of /28 subnets, all but the last full; the last is a /16."""
    ipam = borough.open(f"sqlite:///{folder}/{name}.db", create=True)
    small = [
        {"name": f"s{n}", "cidr": f"10.0.{n // 16}.{n % 16 * 16}/28", "labels": L}
        for n in range(subnets - 1)
    ]
    ipam.apply({"subnets": [*small, {"name": "last", "cidr": "10.1.0.0/16", "labels": L}]})
    if small:
        ipam.allocate(labels=L, count=14 * len(small), owner="fill")
    ipam.allocate(labels=L, owner="warm")
    return ipam


def cost(ipam: Ipam, **request: Any) -> tuple[int, int]:
    """Statements and steps of one allocation, after one that warms the caches up."""
    ipam.allocate(labels=L, **request)
    return Meter(ipam)(lambda: ipam.allocate(labels=L, **request))


@pytest.mark.parametrize("request_", [{}, {"host": "h"}, {"kind": "next"}, {"count": 5}])
def test_cost_does_not_depend_on_the_number_of_subnets(
    tmp_path: Path, request_: dict[str, Any]
) -> None:
    """1 subnet, or 256 with 255 full: the same statements, nearly the same steps."""
    costs = []
    for subnets in (1, 256):
        with open_sqlite(tmp_path, f"g{subnets}", subnets) as ipam:
            costs.append(cost(ipam, **request_))
    assert costs[0][0] == costs[1][0]
    assert costs[1][1] <= costs[0][1] * 1.1


def test_cost_does_not_depend_on_the_number_of_allocations(tmp_path: Path) -> None:
    """An empty /16 or one with 30,000 addresses taken."""
    with open_sqlite(tmp_path, "taken", 1) as ipam:
        empty = cost(ipam)
        ipam.allocate(labels=L, count=30_000, owner="fill")
        full = cost(ipam)
    assert empty[0] == full[0]
    assert full[1] <= empty[1] * 1.1


def test_one_allocation_is_seven_statements(tmp_path: Path) -> None:
    """Begin, version, one probe for all rungs, block, event, allocation, commit."""
    with open_sqlite(tmp_path, "seven", 4) as ipam:
        assert cost(ipam)[0] == 7
        assert cost(ipam, host="h")[0] == 7


def test_several_cohorts_are_still_one_probe(tmp_path: Path) -> None:
    """Subnets of different racks, none named: more index probes, no more statements."""
    with borough.open(f"sqlite:///{tmp_path}/r.db", create=True) as ipam:
        ipam.apply(
            {
                "dimensions": {"rack": {"fallback": "any"}},
                "subnets": [
                    {
                        "name": f"s{n}",
                        "cidr": f"10.{n}.0.0/16",
                        "labels": {**L, "rack": f"r{n}"},
                    }
                    for n in range(40)
                ],
            }
        )
        ipam.allocate(labels=L, owner="warm")
        assert cost(ipam)[0] == 7
        few = cost(ipam)
        ipam.allocate(labels=L, count=10_000, owner="fill")
        ipam.release(owner="fill")
        assert cost(ipam)[1] <= few[1] * 1.1


def test_a_bulk_request_costs_by_the_hundred(tmp_path: Path) -> None:
    """1,000 addresses: rows are written in batches, not one by one."""
    with open_sqlite(tmp_path, "bulk", 1) as ipam:
        statements, _ = Meter(ipam)(lambda: ipam.allocate(labels=L, count=1000))
    assert statements < 40


def test_a_fresh_subnet_is_one_row(tmp_path: Path) -> None:
    """For any size."""
    with borough.open(f"sqlite:///{tmp_path}/f.db", create=True) as ipam:
        for cidr in ("10.0.0.0/8", "2001:db8::/32", "192.0.2.0/24"):
            ipam.add_subnet(cidr)
        runs = ipam.store.transact(lambda unit: unit.free_ranges(), write=False)
    assert len(runs) == 3
