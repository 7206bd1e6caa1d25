"""Callers allocate and release while the declaration of their subnet changes repeatedly."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import borough
from borough import Ipam
from borough.errors import AddressOutsideGroup, WouldStrand
from tests.conftest import STORES
from tests.servers.shared import KINDS

pytestmark = [pytest.mark.server, pytest.mark.slow]

GROUP = {"network": "n"}
CALLERS = 4

#: Limit of the addresses that one caller holds.
MOST = 60

SECONDS = 8


def declared(cidr: str, *ranges: str) -> dict[str, Any]:
    return {"subnets": [{"name": "s", "cidr": cidr, "ranges": list(ranges), "labels": GROUP}]}


def together(*calls: Callable[[], Any]) -> list[BaseException]:
    """Run calls at once; return the errors raised."""
    start = threading.Barrier(len(calls))
    raised: list[BaseException] = []

    def run(call: Callable[[], Any]) -> None:
        start.wait()
        try:
            call()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


@pytest.mark.parametrize("kind", KINDS)
def test_the_end_of_a_range_moves_beside_callers(kind: str, tmp_path: Path) -> None:
    """No call fails, and the tables show exactly the addresses that the callers hold."""
    url = STORES[kind](tmp_path, 0)
    borough.open(url, create=True).close()
    over = threading.Event()
    holding: list[dict[str, int]] = [{} for _ in range(CALLERS)]

    def calls(ipam: Ipam, number: int) -> None:
        chance, held = random.Random(number), holding[number]
        while not over.is_set():
            if len(held) >= MOST or (held and chance.random() < 0.5):
                address = chance.choice(list(held))
                ipam.release(address, sequence=held.pop(address))
            else:
                answer = ipam.allocate(labels=GROUP, host=f"h{number}", owner=f"o{number}")
                held[answer.address] = answer.allocations[0].sequence

    def changes(ipam: Ipam) -> None:
        until = time.monotonic() + SECONDS
        try:
            for turn in range(1000):
                ipam.apply(declared("10.171.0.0/22", f"10.171.0.2-10.171.3.{200 + turn % 2}"))
                # Callers have space of their own between two changes, and some of it open.
                if over.wait(0.5) or time.monotonic() > until:
                    break
        finally:
            over.set()

    with borough.open(url) as ipam, borough.open(url) as other:
        ipam.apply(declared("10.171.0.0/22", "10.171.0.2-10.171.3.200"))
        raised = together(
            *(partial(calls, ipam, number) for number in range(CALLERS)),
            partial(changes, other),
        )
        assert raised == []
        present = {each.address: each.sequence for each in ipam.allocations()}
        assert present == {address: it for held in holding for address, it in held.items()}
        assert ipam.audit() == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_subnet_that_shrinks_or_an_address_of_its_lost_half(kind: str, tmp_path: Path) -> None:
    """Exactly one of the two calls is refused."""
    url = STORES[kind](tmp_path, 0)
    borough.open(url, create=True).close()
    with borough.open(url) as ipam, borough.open(url) as other:
        for _ in range(40):
            ipam.apply(declared("10.172.0.0/24"))
            other.catalogue()
            raised = together(
                lambda: ipam.apply(declared("10.172.0.0/25")),
                lambda: other.allocate(labels=GROUP, address="10.172.0.200", owner="late"),
            )
            assert [type(each) for each in raised] in ([WouldStrand], [AddressOutsideGroup])
            assert ipam.audit() == []
            ipam.release(owner="late")
