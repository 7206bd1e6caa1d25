"""Orphans, and keys bound without a plan, on every store."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import borough
from borough import Ipam
from borough.domain.space.keys import Binding
from borough.domain.space.orphans import GRACE, Orphan
from borough.driver.ledger import Ledger
from borough.driver.shim import Shim
from borough.errors import Contended, KeyReused
from borough.store.port import Unit
from tests.conftest import Clock
from tests.driver.classic import ClassicDriver
from tests.driver.test_shim import ask, subnet


def orphan(token: str, at: int = 0, driver: str = "d", reason: str = "no answer") -> Orphan:
    return Orphan(token, at, driver, "default", "s", "10.0.0.1", "web", reason)


def kept(ipam: Ipam, driver: str | None = None) -> list[Orphan]:
    return ipam.store.transact(lambda unit: unit.orphans(driver), write=False)


def keep(ipam: Ipam, *orphans: Orphan) -> None:
    def work(unit: Unit) -> None:
        for each in orphans:
            unit.keep_orphan(each)

    ipam.store.transact(work)


def test_orphans_are_kept_by_token_the_oldest_first(ipam: Ipam) -> None:
    """Each driver finds its own, the audit all of them."""
    old, new = orphan("b", 1), orphan("a", 2)
    other = orphan("c", 3, driver="e", reason="x" * 70_000)
    keep(ipam, new, other, old)
    assert kept(ipam) == [old, new, other]
    assert kept(ipam, "d") == [old, new]
    assert kept(ipam, "nobody") == []


def test_an_orphan_is_replaced_and_discarded(ipam: Ipam) -> None:
    """To discard it again changes nothing."""
    keep(ipam, orphan("a", reason=""))
    keep(ipam, orphan("a", reason="refused"))
    assert [each.reason for each in kept(ipam)] == ["refused"]
    for _ in range(2):
        ipam.store.transact(lambda unit: unit.discard_orphan("a"))
    assert kept(ipam) == []


def test_the_audit_lists_orphans_that_no_process_handles(ipam: Ipam, clock: Clock) -> None:
    """One with a reason at once, one without when its process must be dead; neither is repaired."""
    keep(ipam, orphan("a"), orphan("b", clock.now, reason=""))
    assert [each.code for each in ipam.audit(repair=True)] == ["left_behind"]
    clock.now += GRACE + 1
    found = ipam.audit()
    assert [(each.code, each.repaired) for each in found] == [("left_behind", False)] * 2


def test_an_orphan_from_the_future_is_listed(ipam: Ipam, clock: Clock) -> None:
    """A clock that was fast would otherwise hide it until that time."""
    keep(ipam, orphan("a", clock.now + 365 * 86_400_000_000, reason=""))
    assert [each.code for each in ipam.audit()] == ["left_behind"]


def test_a_key_is_bound_once(ipam: Ipam) -> None:
    """A second unit that binds it loses the race, and is undone."""
    bound = Binding("k", "f" * 64)
    ipam.store.transact(lambda unit: unit.bind(bound, [1, 2], 5))
    remembered = ipam.store.transact(lambda unit: unit.recall("k"), write=False)
    assert remembered is not None
    assert remembered.sequences == (1, 2)
    with pytest.raises((Contended, borough.BoroughError)):
        ipam.store.transact(lambda unit: unit.bind(bound, [3], 6))
    again = ipam.store.transact(lambda unit: unit.recall("k"), write=False)
    assert again == remembered


def test_a_ledger_lives_on_every_store(make_ipam: Callable[[], Ipam], clock: Clock) -> None:
    """Owners, keys, sequence numbers and the last used subnets; the tables agree at the end."""
    ipam = make_ipam()
    driver = Shim(ClassicDriver(), Ledger(ipam.store, "classic", clock))
    driver.apply(
        {
            "subnets": [
                subnet("a", "10.0.0.0/30", segment="a"),
                subnet("b", "10.0.1.0/24", segment="b"),
                subnet("six", "2001:db8::/64", segment="b"),
            ]
        }
    )
    segments = {"segment": ["a", "b"]}
    first = ask(driver, segments, count=5, families=[4, 6], owner="web", key="k", host="h")
    assert ask(driver, segments, count=5, families=[4, 6], owner="web", key="k", host="h") == first
    with pytest.raises(KeyReused):
        ask(driver, segments, count=4, families=[4, 6], owner="web", key="k", host="h")
    again = Shim(driver.driver, driver.ledger)
    before = again.round_trips
    assert ask(again, segments, host="h")[0].startswith("10.0.1.")
    assert again.round_trips == before + 1
    assert ipam.audit() == []
    assert len(driver.release(owner="web")) == 10
    assert ipam.audit() == []
