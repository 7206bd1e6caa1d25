"""A service sweeps by itself: now and then, in one process, whatever goes wrong."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from queue import SimpleQueue

import pytest

import borough
from borough.api.metrics import SHARED
from borough.api.reclaimer import RECLAIMS, Reclaimer, ReclaimLock
from borough.api.settings import ServiceSettings
from borough.domain.space.plan import Act
from borough.engine.upkeep.reclaim import Reclaimed
from borough.errors import Unavailable
from tests.api.serving import Served, wait_until
from tests.conftest import Clock

#: Seconds between two sweeps.
SOON = 0.01

#: Seconds until a test gives up.
TIMEOUT = 20


def reclaimed(code: str) -> float:
    return float(RECLAIMS.labels(code)._value.get())


def test_a_service_gives_back_what_lies_idle(tmp_path: Path, clock: Clock) -> None:
    """Nobody asks for it; and it ends with the service."""
    ipam = borough.open(f"sqlite:///{tmp_path}/reclaimed.db", create=True, clock=clock)
    ipam.apply({"subnets": [{"name": "pods", "cidr": "10.0.0.0/24", "labels": {"network": "n"}}]})
    ipam.allocate(labels={"network": "n"}, host="h1", owner="o")
    ipam.release(owner="o")
    served = Served(ipam, ServiceSettings(reclaim_every=SOON))

    def reclaimed() -> bool:
        clock.advance(5 * 60)
        return any(each.act == Act.GAVE_UP for each in ipam.events(limit=10_000))

    assert ipam.blocks() != []
    try:
        wait_until(reclaimed)
        assert ipam.blocks() == []
        assert ipam.audit() == []
    finally:
        served.close()
    assert not any(each.name == "borough-reclaim" for each in threading.enumerate())


def test_an_error_is_written_down_and_the_next_sweep_comes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Passing or not, known or not."""
    errors = [Unavailable("gone", outcome="not_done"), RuntimeError("a fault")]
    done: SimpleQueue[str] = SimpleQueue()
    before = {code: reclaimed(code) for code in ("unavailable", "internal", "ok")}

    def reclaim() -> Reclaimed:
        if errors:
            raise errors.pop(0)
        done.put("done")
        return Reclaimed(rested=3)

    reclaimer = Reclaimer(reclaim, SOON)
    with caplog.at_level(logging.INFO, logger="borough.reclaim"):
        reclaimer.start()
        done.get(timeout=TIMEOUT)
        done.get(timeout=TIMEOUT)
        reclaimer.close(TIMEOUT)
    assert [each.message for each in caplog.records[:3]] == [
        "reclaim failed",
        "reclaim failed",
        "reclaimed",
    ]
    known, unknown, well = caplog.records[:3]
    assert (known.__dict__["facts"], known.exc_info) == ({"code": "unavailable"}, None)
    assert unknown.exc_info is not None
    assert well.__dict__["facts"]["rested"] == 3
    after = {code: reclaimed(code) - count for code, count in before.items()}
    assert (after["unavailable"], after["internal"]) == (1, 1)
    assert after["ok"] >= 2


def test_the_end_waits_for_a_sweep_but_not_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    """One that is under way is finished; what one that is left behind meets is no news."""
    begun, go = threading.Event(), threading.Event()

    def reclaim() -> Reclaimed:
        begun.set()
        assert go.wait(TIMEOUT)
        raise RuntimeError("the store is closed")

    reclaimer = Reclaimer(reclaim, SOON)
    reclaimer.start()
    assert begun.wait(TIMEOUT)
    reclaimer.close(0.05)
    ending = threading.Thread(target=reclaimer.close, args=(TIMEOUT,))
    ending.start()
    ending.join(0.2)
    assert ending.is_alive()
    go.set()
    ending.join(TIMEOUT)
    assert not ending.is_alive()
    assert caplog.records == []


def test_never() -> None:
    """Where an operator has a timer of his own, or is not to have any."""

    def reclaim() -> Reclaimed:
        raise AssertionError("nobody asked for it")

    reclaimer = Reclaimer(reclaim, 0)
    reclaimer.start()
    assert not any(each.name == "borough-reclaim" for each in threading.enumerate())
    reclaimer.close(TIMEOUT)


def test_of_several_processes_one_sweeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first that asks, until it is gone."""
    assert ReclaimLock().mine()
    assert ReclaimLock().mine()
    monkeypatch.setenv(SHARED, str(tmp_path))
    first, second = ReclaimLock(), ReclaimLock()
    assert first.mine()
    assert not second.mine()
    assert first.mine()
    first.close()
    assert second.mine()
    assert not first.mine()
    second.close()
