"""Completeness of events for readers that page, and the waiting time of readers.

    python benchmarks/events.py missed URL [--events 100000]
    python benchmarks/events.py pages URL [--events 1000000] [--readers 17]

``missed``: six processes allocate and release, singly and in bulk. Another one holds transactions open for
ten seconds; of three, one commits, one rolls back and one is killed. Two readers page by ``after``. In the
end their events are compared with the table.

``pages``: the first page of each list of a token that is confined to labels, beside events and allocations of
others. Then allocations through a service, alone and beside readers that read such pages once a second.

The database of the URL must exist (``createdb`` or ``CREATE DATABASE``) and be empty.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import borough
from borough.api.scoped import ScopedIpam, VisibleSubnets
from borough.domain.declared.dimensions import make_labels
from borough.domain.space.events import EventRow
from borough.domain.space.plan import Act
from borough.errors import BoroughError
from borough.store.port import Unit

WRITERS = 6
OPEN_TIME = 10.0


class _Undo(Exception):
    """Ends a unit of work without a commit."""


def _write(url: str, number: int, stop: Any) -> None:
    chance = random.Random(number)
    held: list[str] = []
    with borough.open(url) as ipam:
        while not stop.is_set():
            try:
                if len(held) > 500:
                    some = [held.pop() for _ in range(chance.choice([1, 4, 200]))]
                    ipam.release(some)
                    continue
                count = chance.choice([1] * 30 + [3, 200])
                answer = ipam.allocate(
                    labels={"network": "n"}, host=f"h{number}" if count == 3 else None, count=count
                )
                held += [each.address for each in answer.allocations]
            except BoroughError:
                continue


def _hold_open(url: str, stop: Any) -> None:
    """Hold one transaction after another open: in turn, one commits, one rolls back, one is killed."""
    with borough.open(url) as ipam:
        for turn in range(1_000_000):
            if stop.is_set():
                return
            if turn % 3 == 2:
                child = multiprocessing.Process(target=_die, args=(url,))
                child.start()
                child.join()
                continue

            def work(unit: Unit, turn: int = turn) -> None:
                unit.record(EventRow(turn, Act.TOPOLOGY, "open"))
                stop.wait(OPEN_TIME)
                if turn % 3 == 1:
                    raise _Undo

            with contextlib.suppress(_Undo):
                ipam.store.transact(work)


def _die(url: str) -> None:
    with borough.open(url) as ipam:

        def work(unit: Unit) -> None:
            unit.record(EventRow(0, Act.TOPOLOGY, "dies"))
            time.sleep(1)
            os.kill(os.getpid(), signal.SIGKILL)

        ipam.store.transact(work)


def _read(url: str, last: Any, results: Any) -> None:
    """Page up to the last id; return the ids, the seconds of each page, and how old its last event was."""
    ids: list[int] = []
    times: list[float] = []
    lags: list[float] = []
    with borough.open(url) as ipam:
        while not last.value or ids[-1:] < [last.value]:
            began = time.perf_counter()
            page = ipam.events(after=ids[-1] if ids else 0, limit=1000)
            times.append(time.perf_counter() - began)
            ids += [each.id for each in page]
            if page:
                lags.append(time.time() - page[-1].at.timestamp())
            else:
                time.sleep(0.01)
    results.put((ids, times, lags))


def missed(url: str, number: int) -> None:
    """Count the events that a reader by ``after`` does not get.

    :param number: events after which the writers stop.
    """
    with borough.open(url, create=True) as ipam:
        ipam.add_subnet("10.0.0.0/10", name="n", labels={"network": "n"})
    stop = multiprocessing.Event()
    last = multiprocessing.Value("q", 0)
    results: Any = multiprocessing.Queue()
    readers = [multiprocessing.Process(target=_read, args=(url, last, results)) for _ in range(2)]
    writers = [
        multiprocessing.Process(target=_write, args=(url, writer, stop))
        for writer in range(WRITERS)
    ]
    writers.append(multiprocessing.Process(target=_hold_open, args=(url, stop)))
    for each in (*readers, *writers):
        each.start()
    with borough.open(url) as ipam:
        while _count(ipam) < number:
            time.sleep(1)
        stop.set()
        for each in writers:
            each.join()
        ids = [row[0] for row in _rows(ipam, "SELECT id FROM borough_event ORDER BY id")]
        last.value = ids[-1]
        for _ in readers:
            found, times, lags = results.get()
            print(
                f"missed {len(set(ids) - set(found))} of {len(ids)}; "
                f"in order: {found == sorted(set(found))}; "
                f"page {1000 * statistics.median(times):.1f} ms median, "
                f"{1000 * sorted(times)[int(len(times) * 0.99)]:.1f} ms p99; "
                f"behind {statistics.median(lags):.2f} s median, {max(lags):.1f} s at most"
            )
        for each in readers:
            each.join()


TOPOLOGY: dict[str, Any] = {
    "dimensions": {"tenant": {"fallback": "none"}},
    "subnets": [
        *(
            {"name": f"theirs-{at}", "cidr": f"10.{at}.0.0/16", "labels": {"tenant": "green"}}
            for at in range(32)
        ),
        *(
            {"name": f"ours-{at}", "cidr": f"10.200.{at}.0/24", "labels": {"tenant": "red"}}
            for at in range(16)
        ),
    ],
}


def _fill(ipam: borough.Ipam, number: int) -> None:
    ipam.apply(TOPOLOGY)
    ipam.allocate(labels={"tenant": "red"}, count=500)
    for at in range(0, number, 4000):
        ipam.allocate(labels={"tenant": "green"}, host=f"h{at % 64000}", count=4000)
    ipam.allocate(labels={"tenant": "red"}, host="red-host", count=500)


def pages(url: str, number: int, readers: int) -> None:
    """Time first pages of a confined token, and allocations beside its readers.

    :param number: events in the database.
    """
    with borough.open(url, create=True) as ipam:
        if _count(ipam) < number:
            _fill(ipam, number)
        print(f"{_count(ipam)} events")
        scoped = ScopedIpam(ipam, make_labels({"tenant": "red"}), VisibleSubnets())
        reads: dict[str, Callable[[], Any]] = {
            "events": lambda: scoped.events(limit=100),
            "allocations": lambda: scoped.allocations(limit=100),
            "allocations of a host": lambda: scoped.allocations(host="red-host", limit=100),
            "blocks": scoped.blocks,
            "hosts": scoped.hosts,
            "subnets": scoped.subnets,
            "map": scoped.space_map,
            "usage": scoped.usage,
            "routes": scoped.routes,
            "newest event": ipam.newest_event,
            "events of all": lambda: ipam.events(limit=100),
        }
        for name, read in reads.items():
            took = []
            for _ in range(20):
                began = time.perf_counter()
                read()
                took.append(1000 * (time.perf_counter() - began))
            print(f"{name}: first {took[0]:.1f} ms, median {statistics.median(took):.1f} ms")
        _, red = ipam.create_token(
            f"red-{time.time()}", permission="read", labels={"tenant": "red"}
        )
        _, one = ipam.create_token(f"one-{time.time()}", permission="allocate")
    service = subprocess.Popen(
        [sys.executable, "-m", "borough", "serve", "--port", "18081", "--tokens"],
        env={**os.environ, "BOROUGH_DB": url},
    )
    try:
        at = "http://127.0.0.1:18081"
        _until_up(at, one)
        print("allocations alone:", _allocate(at, one))
        stop = multiprocessing.Event()
        others = [
            multiprocessing.Process(target=_poll, args=(at, red, stop)) for _ in range(readers)
        ]
        for each in others:
            each.start()
        print(f"allocations beside {readers} readers:", _allocate(at, one))
        stop.set()
        for each in others:
            each.join()
    finally:
        service.terminate()
        service.wait()


def _until_up(at: str, token: str) -> None:
    for _ in range(300):
        try:
            borough.connect(at, token).newest_event()
            return
        except BoroughError:
            time.sleep(0.1)
    raise SystemExit("the service does not answer")


def _allocate(at: str, token: str) -> str:
    """Times of 1,000 allocations in sequence."""
    took = []
    with borough.connect(at, token) as ipam:
        for _ in range(1000):
            began = time.perf_counter()
            answer = ipam.allocate(labels={"tenant": "green"})
            took.append(1000 * (time.perf_counter() - began))
            ipam.release(answer.address)
    took.sort()
    return f"median {took[500]:.1f} ms, p99 {took[990]:.1f} ms"


def _poll(at: str, token: str, stop: Any) -> None:
    with borough.connect(at, token) as ipam:
        while not stop.wait(1):
            ipam.events(limit=1)
            ipam.allocations(limit=1)


def _rows(ipam: borough.Ipam, text: str) -> list[Any]:
    with ipam.store._engine.connect() as connection:  # type: ignore[attr-defined]
        return list(connection.exec_driver_sql(text))


def _count(ipam: borough.Ipam) -> int:
    return int(_rows(ipam, "SELECT count(*) FROM borough_event")[0][0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mode", choices=["missed", "pages"])
    parser.add_argument("url")
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--readers", type=int, default=17)
    options = parser.parse_args()
    if options.mode == "missed":
        missed(options.url, options.events)
    else:
        pages(options.url, options.events, options.readers)


if __name__ == "__main__":
    main()
