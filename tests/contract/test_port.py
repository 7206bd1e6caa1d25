"""Promises of every store to the engine: preconditions, whole units, bounded retries."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import NoReturn

import pytest

from borough import Ipam
from borough.domain.space.blocks import Block
from borough.domain.space.events import EventRow
from borough.domain.space.plan import Act, Plan
from borough.errors import Contended
from borough.store.port import LostRace, Unit

L = {"network": "n"}


def the_block(ipam: Ipam) -> Block:
    """The only block."""
    (block,) = ipam.store.transact(lambda unit: unit.blocks(), write=False)
    return block


def test_a_catalogue_change_decided_on_an_old_version_is_refused(ipam: Ipam) -> None:
    """Two topologies decided on the same state cannot both be written."""
    ipam.add_subnet("10.0.0.0/24", labels=L)

    def stale(unit: Unit) -> None:
        unit.touch(unit.catalogue.version - 1)

    with pytest.raises(Contended):
        ipam.store.transact(stale)
    assert ipam.store.retries > 0


def test_a_plan_for_a_changed_block_is_refused(ipam: Ipam) -> None:
    """Otherwise a late plan would write an old bitmap, and free allocated addresses."""
    ipam.add_subnet("10.0.0.0/24", labels=L)
    ipam.allocate(labels=L)
    old = the_block(ipam)
    ipam.allocate(labels=L)
    plan = Plan()
    plan.change(old, old.take([old.prefix.base + 9]))
    with pytest.raises(Contended):
        ipam.store.transact(lambda unit: unit.commit(plan, 1))
    assert the_block(ipam).bitmap.bit_count() == old.bitmap.bit_count() + 1


def test_a_plan_that_removes_a_removed_free_range_is_refused(ipam: Ipam) -> None:
    """A free range can be cut once."""
    ipam.add_subnet("10.0.0.0/24", labels=L)
    (run,) = ipam.store.transact(lambda unit: unit.free_ranges(), write=False)
    ipam.allocate(labels=L)
    with pytest.raises(Contended):
        ipam.store.transact(lambda unit: unit.commit(Plan(free_ranges_removed=[run]), 1))


def test_a_unit_that_fails_leaves_nothing(ipam: Ipam) -> None:
    """All of it or none."""
    ipam.add_subnet("10.0.0.0/24", labels=L)
    before = len(ipam.events())

    def fail(unit: Unit) -> NoReturn:
        unit.record(EventRow(1, Act.TOPOLOGY, "x"))
        unit.commit(Plan(free_ranges_removed=unit.free_ranges()), 1)
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError):
        ipam.store.transact(fail)
    assert len(ipam.events()) == before
    assert ipam.audit() == []


def test_a_unit_that_loses_once_is_run_again_as_a_whole(ipam: Ipam) -> None:
    """With fresh reads, and counted."""
    tries: list[int] = []

    def lose_once(unit: Unit) -> int:
        tries.append(unit.catalogue.version)
        if len(tries) == 1:
            raise LostRace("once")
        return len(tries)

    before = ipam.store.retries
    assert ipam.store.transact(lose_once) == 2
    assert ipam.store.retries == before + 1


def test_a_change_by_another_is_seen_in_the_next_unit(ipam: Ipam) -> None:
    """The cached catalogue is checked by its version in every transaction."""
    ipam.add_subnet("10.0.0.0/24", name="a", labels=L)
    ipam.allocate(labels=L)
    ipam.add_subnet("10.0.1.0/24", name="b", labels={"network": "m"})
    assert ipam.allocate(labels={"network": "m"}).address == "10.0.1.1"


def test_threads_may_share_one_address_space(ipam: Ipam) -> None:
    """Eight threads, 400 addresses, none twice."""
    ipam.add_subnet("10.0.0.0/22", labels=L)

    def allocate(host: str) -> str:
        while True:
            # On a busy machine a timeout of one second is short.
            with suppress(Contended):
                return ipam.allocate(labels=L, host=host).address

    def work(number: int) -> list[str]:
        return [allocate(f"h{number % 3}") for _ in range(50)]

    with ThreadPoolExecutor(8) as threads:
        given = [address for some in threads.map(work, range(8)) for address in some]
    assert len(given) == len(set(given)) == 400
    assert ipam.audit() == []
