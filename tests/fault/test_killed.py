"""A process killed at any moment loses nothing that it acknowledged, and leaves nothing half done."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import pytest

import borough
from borough.errors import KeyReused
from tests.conftest import STORES, each_store

SHARED = each_store("memory")
KILLS = 12

TOPOLOGY = {
    "subnets": [
        {"name": "v4", "cidr": "10.0.0.0/22", "labels": {"network": "n"}},
        {"name": "v6", "cidr": "2001:db8::/64", "labels": {"network": "n"}},
    ]
}


def worker(url: str, log: Path, life: int) -> None:
    """Allocate two at a time and release one, without end; write a line before and after each call."""
    chance = random.Random(life)
    journal = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def say(*lines: str) -> None:
        # In one write: a kill between two lines of one answer would look like half an answer.
        os.write(journal, "".join(f"{line}\n" for line in lines).encode())

    ipam = borough.open(url)
    held: list[str] = []
    for turn in range(100_000):
        key = f"life{life}-{turn}"
        say(f"asking {key}")
        host = f"h{chance.randrange(5)}"
        answer = ipam.allocate(labels={"network": "n"}, host=host, families=[4, 6], key=key)
        say(*(f"got {each.address} {each.sequence} {key}" for each in answer.allocations))
        held += [each.address for each in answer.allocations]
        if len(held) > 40:
            address = held.pop(chance.randrange(len(held)))
            say(f"releasing {address}")
            ipam.release(address)
            say(f"released {address}")


def replay(log: Path) -> tuple[dict[str, int], set[str], set[str]]:
    """(allocated by address, in doubt, keys used) from a journal, without a torn last line."""
    held: dict[str, int] = {}
    doubt: set[str] = set()
    asked: set[str] = set()
    text = log.read_text()
    for line in text[: text.rfind("\n") + 1].splitlines():
        act, subject, *rest = line.split()
        if act == "asking":
            asked.add(subject)
        elif act == "got":
            held[subject] = int(rest[0])
            asked.discard(rest[1])
        elif act == "releasing":
            doubt.add(subject)
            held.pop(subject)
        elif act == "released":
            doubt.discard(subject)
    return held, doubt, asked


@pytest.mark.parametrize("store", SHARED)
def test_acknowledged_addresses_survive_a_kill(store: str, tmp_path: Path) -> None:
    """After every kill the database has all addresses of the journal, and is consistent."""
    url = STORES[store](tmp_path, 0)
    chance = random.Random(7)
    with borough.open(url, create=True) as ipam:
        ipam.apply(TOPOLOGY)
    spawn = multiprocessing.get_context("spawn")
    for life in range(KILLS):
        log = tmp_path / f"journal-{life}"
        process = spawn.Process(target=worker, args=(url, log, life))
        process.start()
        deadline = time.monotonic() + 60
        while not log.exists() or log.stat().st_size < 200:
            assert time.monotonic() < deadline, "the worker did not start"
            time.sleep(0.01)
        time.sleep(chance.random() * 0.15)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join(30)
        assert process.exitcode == -signal.SIGKILL
        _check(url, log)


def _check(url: str, log: Path) -> None:
    held, doubt, asked = replay(log)
    assert held, "killed before anything happened: this round proves nothing"
    with borough.open(url) as ipam:
        stored = {each.address: each.sequence for each in ipam.allocations()}
        assert {address: stored.get(address) for address in held} == held
        # Addresses beyond the journal can only be those of the interrupted call.
        beyond = set(stored) - set(held) - doubt
        assert len(asked) <= 1
        assert len(beyond) in (0, 2), "an answer of two addresses is there by half"
        for key in asked:
            _ask_again(ipam, key, beyond)
        assert ipam.audit() == []
        ipam.release(sorted(set(stored) - beyond))


def _ask_again(ipam: borough.Ipam, key: str, beyond: set[str]) -> None:
    """The key finds the answer that was lost with the process (rule 7)."""
    found: set[str] = set()
    for host in (f"h{number}" for number in range(5)):
        try:
            answer = ipam.allocate(labels={"network": "n"}, host=host, families=[4, 6], key=key)
        except KeyReused:
            continue
        found = {each.address for each in answer.allocations}
        assert answer.replayed == bool(beyond)
        break
    if beyond:
        assert found == beyond
    ipam.release(list(found))
