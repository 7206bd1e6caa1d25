"""The time by which leases are over: no jump of the clock moves it forward."""

from __future__ import annotations

from pathlib import Path

import pytest

from borough import Ipam
from borough.engine.clock import SteadyClock, running_time, wall_time
from borough.errors import AddressInUse, Exhausted
from borough.store.open import open_store
from tests.conftest import STORES

SECOND = 1_000_000
HOUR = 3600 * SECOND
L = {"network": "n"}


class Machine:
    """A clock that can be set, and the time that has gone by."""

    def __init__(self) -> None:
        self.running = 17 * SECOND
        self.ahead = 1_700_000_000 * SECOND
        self.steady = SteadyClock(self.wall, lambda: self.running)

    def wall(self) -> int:
        return self.ahead + self.running

    def behind(self) -> int:
        """By how much the steady clock is behind."""
        return self.wall() - self.steady()


def test_it_follows_a_clock_that_runs() -> None:
    machine = Machine()
    for _ in range(100):
        machine.running += 10 * SECOND
        # A clock that is corrected little by little.
        machine.ahead += SECOND
        assert machine.behind() == 0


def test_a_jump_forward_does_not_count_for_a_day() -> None:
    machine = Machine()
    machine.ahead += 6 * HOUR
    assert machine.behind() == 6 * HOUR
    machine.running += 23 * HOUR
    assert machine.behind() == 6 * HOUR
    machine.running += HOUR
    assert machine.behind() == 0


def test_a_jump_that_is_undone_leaves_nothing() -> None:
    machine = Machine()
    machine.ahead += 6 * HOUR
    machine.steady()
    machine.ahead -= 6 * HOUR
    assert machine.behind() == 0
    machine.running += 48 * HOUR
    machine.ahead += 6 * HOUR
    assert machine.behind() == 6 * HOUR


def test_a_jump_backward_counts_at_once() -> None:
    machine = Machine()
    machine.ahead -= 6 * HOUR
    assert machine.behind() == 0
    machine.running += HOUR
    machine.ahead += 6 * HOUR
    assert machine.behind() == 0


def test_the_clock_of_the_machine_is_steady() -> None:
    before, steady = wall_time(), SteadyClock()()
    assert before <= steady <= wall_time()
    assert 0 < running_time() <= running_time()


@pytest.mark.parametrize("cooldown", [0, 60])
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_lease_does_not_end_early_when_the_clock_jumps(
    kind: str, cooldown: int, tmp_path: Path
) -> None:
    """For the sweep, an allocation, a repeated request, an explanation and a renewal."""
    machine = Machine()
    store = open_store(STORES[kind](tmp_path, 0), create=True)
    with Ipam(store, clock=machine.wall, steady=machine.steady) as ipam:
        ipam.add_subnet("10.0.0.0/30", name="s", labels=L, cooldown=cooldown)
        (held,) = ipam.allocate(labels=L, key="k", lease=3600).allocations
        ipam.allocate(labels=L, owner="other")
        machine.ahead += 6 * HOUR
        assert ipam.reclaim().ended == 0
        with pytest.raises(Exhausted):
            ipam.allocate(labels=L)
        with pytest.raises(AddressInUse):
            ipam.allocate(labels=L, address=held.address)
        assert "is held by" in ipam.explain(labels=L, address=held.address).outcome
        assert ipam.allocate(labels=L, key="k", lease=3600).replayed
        machine.running += 3599 * SECOND
        assert ipam.reclaim().ended == 0
        machine.running += SECOND
        assert ipam.reclaim().ended == 1
        # Its cool-down has begun, and not ended.
        assert len(ipam.allocations()) == 1 + (cooldown > 0)


def test_a_renewal_under_a_wrong_clock_counts() -> None:
    machine = Machine()
    with Ipam(open_store("memory:"), clock=machine.wall, steady=machine.steady) as ipam:
        ipam.add_subnet("10.0.0.0/30", labels=L)
        held = ipam.allocate(labels=L, lease=3600).address
        machine.ahead += 6 * HOUR
        ipam.renew(held)
        # The clock was right, and another process goes by it.
        other = Ipam(ipam.store, clock=machine.wall)
        machine.running += 3599 * SECOND
        assert other.reclaim().ended == 0
        machine.running += SECOND
        assert other.reclaim().ended == 1
