"""Loans, and the regions around them, that change between a decision and its write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import borough
from borough import Ipam
from borough.store.sql.unit.unit import SqlUnit
from tests.conftest import STORES, Clock, each_store

L = {"network": "n"}

#: A database with one writer at a time has no such meetings.
servers = pytest.mark.parametrize("store", each_store("memory", "sqlite"))

Act = Callable[[Ipam], Any]


def fill(ipam: Ipam) -> None:
    """The buddy of h1's region has a region of h2, one of h3, and unclaimed space."""
    ipam.apply(
        {
            "dimensions": {"host": {"fallback": "any", "claims": {"block": 8}}},
            "subnets": [{"name": "s", "cidr": "10.0.0.0/26", "labels": L}],
        }
    )
    ipam.allocate(labels=L, host="h1", owner="a", count=31)
    for host in ("h2", "h3"):
        ipam.allocate(labels=L, host=host, kind="next", owner=host)
    assert [(each.prefix, each.holder) for each in ipam.blocks()] == [
        ("10.0.0.0/27", "host=h1"),
        ("10.0.0.32/29", "host=h2"),
        ("10.0.0.40/29", "host=h3"),
    ]


def grow(ipam: Ipam) -> None:
    ipam.allocate(labels=L, host="h1", owner="more")


def leaves(host: str) -> Act:
    return lambda ipam: ipam.release(host=host)


@servers
@pytest.mark.parametrize(
    ("before", "act", "meanwhile"),
    [
        pytest.param(lambda ipam: None, grow, leaves("h2"), id="growth-and-return"),
        pytest.param(grow, leaves("h2"), leaves("h1"), id="return-and-end-of-lender"),
        pytest.param(grow, leaves("h1"), leaves("h2"), id="end-of-lender-and-return"),
        pytest.param(grow, leaves("h2"), leaves("h3"), id="two-returns"),
    ],
)
def test_a_decision_on_a_loan_that_changed_is_made_again(
    store: str,
    before: Act,
    act: Act,
    meanwhile: Act,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither free space inside a region nor a region of nobody is left."""
    url = STORES[store](tmp_path, 0)
    with borough.open(url, create=True) as ipam, borough.open(url) as other:
        fill(ipam)
        before(ipam)
        commit = SqlUnit.commit
        met: list[bool] = []

        def meet(unit: SqlUnit, *plan: Any, **more: Any) -> Any:
            if not met:
                met.append(True)
                meanwhile(other)
            return commit(unit, *plan, **more)

        monkeypatch.setattr(SqlUnit, "commit", meet)
        act(ipam)
        assert met
        assert ipam.audit() == []
        for host in ("h1", "h2", "h3"):
            ipam.release(host=host)
        runs = ipam.store.transact(lambda unit: unit.free_ranges(), write=False)
        assert [str(run.prefix) for run in runs] == ["10.0.0.0/26"]


def test_a_loan_outside_narrower_ranges_outlives_its_lender(ipam: Ipam, clock: Clock) -> None:
    """It has no usable address, and a row. What its lender returns ends before it."""
    topology: dict[str, Any] = {
        "dimensions": {"host": {"fallback": "any", "claims": {"block": 16}}},
        "subnets": [{"name": "s", "cidr": "10.0.0.0/28", "labels": L}],
    }
    ipam.apply(topology)
    ipam.allocate(labels=L, host="h1", owner="lender")
    ipam.allocate(labels=L, host="h2", owner="guest")
    guest = ipam.allocations(owner="guest")[0]
    assert guest.address in ("10.0.0.12", "10.0.0.8")
    topology["subnets"][0]["ranges"] = ["10.0.0.1-10.0.0.5"]
    ipam.apply(topology)
    assert {each.holder for each in ipam.blocks()} == {"host=h1", "host=h2"}
    ipam.release(owner="lender")
    for _ in range(2):
        clock.advance(7 * 3600)
        ipam.reclaim()
    assert [each.holder for each in ipam.blocks()] == ["host=h2"]
    assert ipam.audit() == []
    assert len(ipam.allocate(labels=L, host="h3", owner="next", count=5).allocations) == 5
    assert ipam.audit() == []


def test_a_half_with_a_loan_outside_narrower_ranges_stays(ipam: Ipam, clock: Clock) -> None:
    """The unused half of a region has a row of another holder."""
    topology: dict[str, Any] = {
        "dimensions": {"host": {"fallback": "any", "claims": {"block": 32}}},
        "subnets": [{"name": "s", "cidr": "10.0.0.0/27", "labels": L}],
    }
    ipam.apply(topology)
    ipam.allocate(labels=L, host="h1", owner="lender")
    ipam.allocate(labels=L, host="h2", owner="guest")
    topology["subnets"][0]["ranges"] = ["10.0.0.1-10.0.0.20"]
    ipam.apply(topology)
    for _ in range(2):
        clock.advance(7 * 3600)
        ipam.reclaim()
    assert ipam.audit() == []
    ipam.allocate(labels=L, host="h3", owner="next", count=3)
    assert ipam.audit() == []
