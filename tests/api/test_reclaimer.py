"""A service reclaims by itself: periodically, in one process, also after errors."""

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

#: Seconds between two runs.
SOON = 0.01

#: Seconds until a test gives up.
TIMEOUT = 20


def reclaimed(code: str) -> float:
    return float(RECLAIMS.labels(code)._value.get())


def test_a_service_reclaims_idle_claims(tmp_path: Path, clock: Clock) -> None:
    """No request is needed, and the thread ends with the service."""
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


def test_an_error_is_logged_and_the_next_run_takes_place(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Passing and permanent, expected and unexpected errors."""
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


def test_close_waits_for_a_run_until_its_timeout(caplog: pytest.LogCaptureFixture) -> None:
    """A run under way is finished; errors of a run after the timeout are not logged."""
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
    """An interval of 0 starts no thread."""

    def reclaim() -> Reclaimed:
        raise AssertionError("reclaim is off")

    reclaimer = Reclaimer(reclaim, 0)
    reclaimer.start()
    assert not any(each.name == "borough-reclaim" for each in threading.enumerate())
    reclaimer.close(TIMEOUT)


def test_one_of_several_processes_reclaims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first process that asks has the lock until it ends."""
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
