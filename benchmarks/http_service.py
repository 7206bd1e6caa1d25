"""The service beside the engine in process, on one PostgreSQL, in turns within one run.

python benchmarks/http_service.py [seconds of a turn] [turns]

Every client posts an allocation, reads its answer and posts the next, over one kept connection. The
engine's own rate is that of as many threads in one process, calling ``ipam.allocate``. Clients, service
and database share the machine.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import borough
from tests.servers.postgresql import PostgresqlServer

CLIENTS = (1, 8, 32)
LABELS = {"network": "pods"}
TOPOLOGY = {
    "subnets": [
        {"name": f"s{at}", "cidr": f"10.{64 + at}.0.0/16", "labels": LABELS} for at in range(16)
    ]
}

#: NetBox's ``POST available-ips`` as it was measured on a machine of the same size, two workers of four
#: threads; it is not run here.
NETBOX = 14


def percentile(times: list[float], share: float) -> float:
    return sorted(times)[min(int(len(times) * share), len(times) - 1)] * 1000


def in_process(url: str, clients: int, seconds: float) -> list[float]:
    """Seconds of each call of threads that share one object."""
    times: list[float] = []
    with borough.open(url) as ipam:

        def work(end: float) -> None:
            own = []
            while (begun := time.perf_counter()) < end:
                ipam.allocate(labels=LABELS, owner="bench")
                own.append(time.perf_counter() - begun)
            times.extend(own)

        ipam.allocate(labels=LABELS, owner="warm")
        end = time.perf_counter() + seconds
        threads = [threading.Thread(target=work, args=(end,)) for _ in range(clients)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    return times


def drive(port: int, seconds: float, clients: int, answer: Any) -> None:
    """As many connections as clients, each with one request under way, in one light process."""
    import selectors

    body = json.dumps({"labels": LABELS, "owner": "bench"}).encode()
    request = (
        b"POST /v1/allocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body
    )
    chosen = selectors.DefaultSelector()
    begun: dict[socket.socket, float] = {}
    buffers: dict[socket.socket, bytes] = {}
    times = []
    end = time.perf_counter() + seconds

    def send(line: socket.socket) -> None:
        buffers[line] = b""
        begun[line] = time.perf_counter()
        line.sendall(request)

    for _ in range(clients):
        line = socket.create_connection(("127.0.0.1", port))
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        chosen.register(line, selectors.EVENT_READ)
        send(line)
    waiting = clients
    while waiting:
        for key, _ in chosen.select(10):
            line = key.fileobj  # type: ignore[assignment]
            buffers[line] += line.recv(65536)
            head, split, rest = buffers[line].partition(b"\r\n\r\n")
            if not split or len(rest) < int(re.search(rb"content-length: (\d+)", head)[1]):  # type: ignore[index]
                continue
            assert head.startswith(b"HTTP/1.1 201"), buffers[line]
            now = time.perf_counter()
            times.append(now - begun[line])
            if now < end:
                send(line)
            else:
                waiting -= 1
    answer.send(times)


def over_http(port: int, clients: int, seconds: float) -> list[float]:
    here, there = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=drive, args=(port, seconds, clients, there))
    process.start()
    times: list[float] = here.recv()
    process.join()
    return times


def serve(url: str, workers: int, folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    log = folder / f"serve-{workers}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "borough.cli", "--db", url),
                *("serve", "--port", "0", "--workers", str(workers)),
            ],
            stderr=file,
        )
    while True:
        time.sleep(0.1)
        found = re.search(r"Serving on .*:(\d+)/", log.read_text())
        if found and log.read_text().count("startup complete") == workers:
            return process, int(found[1])


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    turns = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    server = PostgresqlServer()
    with tempfile.TemporaryDirectory() as folder:
        url = server.fresh()
        with borough.open(url, create=True) as ipam:
            ipam.apply(TOPOLOGY)
        one, port_one = serve(url, 1, Path(folder))
        two, port_two = serve(url, 2, Path(folder))
        ways: dict[str, Callable[[int, float], list[float]]] = {
            "in process": lambda clients, length: in_process(url, clients, length),
            "HTTP, 1 worker": lambda clients, length: over_http(port_one, clients, length),
            "HTTP, 2 workers": lambda clients, length: over_http(port_two, clients, length),
        }
        try:
            for way in ways.values():
                way(4, 1.0)
            print(f"{os.cpu_count()} cores; turns of {seconds:g} s, {turns} of each, medians\n")
            print("| clients | way | /s | ÷ in process | p50 ms | p99 ms |")
            print("|---:|---|---:|---:|---:|---:|")
            for clients in CLIENTS:
                report(ways, clients, seconds, turns)
            print(f"\nNetBox (not run here): {NETBOX} /s at 1 and 8 clients.")
        finally:
            for process in (one, two):
                process.send_signal(signal.SIGTERM)
                process.wait()
            server.remove()


def report(
    ways: dict[str, Callable[[int, float], list[float]]], clients: int, seconds: float, turns: int
) -> None:
    found: dict[str, list[list[float]]] = {name: [] for name in ways}
    for _ in range(turns):
        for name, way in ways.items():
            found[name].append(way(clients, seconds))
    base = 0.0
    for name, runs in found.items():
        rate = statistics.median(len(times) / seconds for times in runs)
        base = base or rate
        p50, p99 = (
            statistics.median(percentile(times, share) for times in runs) for share in (0.5, 0.99)
        )
        print(
            f"| {clients} | {name} | {rate:,.0f} | {rate / base:.2f} | {p50:.2f} | {p99:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
