"""Many processes write events, in transactions of all lengths; a reader that pages misses none."""

from __future__ import annotations

import multiprocessing
import random
from pathlib import Path
from typing import Any

import pytest

import borough
from borough.domain.space.events import EventRow
from borough.domain.space.plan import Act
from borough.errors import BoroughError
from borough.store.port import Unit
from tests.conftest import STORES, each_store

WRITERS = 6
CALLS = 60

#: Seconds for a process to end: long, because the machine may run other tests.
TIMEOUT = 300.0

L = {"network": "n"}


class Undo(Exception):
    """Ends a unit of work without a commit."""


def write(number: int, url: str) -> None:
    """Single addresses, bulk requests, single events, and transactions that are undone."""
    chance = random.Random(number)
    with borough.open(url) as ipam:

        def undo(unit: Unit) -> None:
            unit.record(EventRow(1, Act.TOPOLOGY, "undone"))
            raise Undo

        for _ in range(CALLS):
            turn = chance.randrange(6)
            try:
                if turn == 0:
                    ipam.allocate(labels=L, host=f"h{number}", count=chance.choice([3, 40]))
                elif turn == 1:
                    ipam.store.transact(lambda unit: unit.record(EventRow(1, Act.TOPOLOGY, "one")))
                elif turn == 2:
                    ipam.store.transact(undo)
                else:
                    ipam.allocate(labels=L)
            except (Undo, BoroughError):
                continue


def read(url: str, last: Any, told: Any) -> None:
    """Page by ``after`` until the last event."""
    ids = [0]
    with borough.open(url) as ipam:
        while not last.value or ids[-1] < last.value:
            ids += [each.id for each in ipam.events(after=ids[-1], limit=50)]
    told.put(ids[1:])


@pytest.mark.parametrize("store", each_store("memory"))
def test_a_reader_that_pages_misses_no_event(store: str, tmp_path: Path) -> None:
    """It reads them in the order of their ids."""
    url = STORES[store](tmp_path, 0)
    with borough.open(url, create=True) as ipam:
        ipam.add_subnet("10.0.0.0/16", labels=L)
    spawn = multiprocessing.get_context("spawn")
    last, told = spawn.Value("q", 0), spawn.Queue()
    reader = spawn.Process(target=read, args=(url, last, told))
    writers = [spawn.Process(target=write, args=(number, url)) for number in range(WRITERS)]
    for each in (reader, *writers):
        each.start()
    for each in writers:
        each.join(TIMEOUT)
        assert each.exitcode == 0
    with borough.open(url) as ipam:
        written = [each.id for each in ipam.events(limit=1_000_000)]
    last.value = written[-1]
    assert told.get(timeout=TIMEOUT) == written
    reader.join(TIMEOUT)
    assert reader.exitcode == 0
