"""The service beside the engine in process, on one PostgreSQL, in slices that alternate within one run.

    python benchmarks/http_service.py [--seconds OF_A_SLICE] [--turns N] [--netbox VENV]

Each client posts an allocation, reads its answer and posts the next one over the same connection. The rate in
process is that of as many threads that call ``ipam.allocate``. All of them share the machine.

``--netbox`` names an environment with NetBox and gunicorn (see ``tests/servers/netbox.py``). Its slices are
``POST available-ips`` on a prefix, served by two processes of four threads. Making its tables takes minutes.
"""

from __future__ import annotations

import argparse
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
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))

import borough
from tests.servers.netbox import NetboxServer
from tests.servers.postgresql import PostgresqlServer

CLIENTS = (1, 8, 32)
LABELS = {"network": "pods"}
TOPOLOGY = {
    "subnets": [
        {"name": f"s{at}", "cidr": f"10.{64 + at}.0.0/16", "labels": LABELS} for at in range(16)
    ]
}

#: Numbers of clients that NetBox is measured with; it has eight threads.
NETBOX_CLIENTS = (1, 8)


class Turn(NamedTuple):
    """Seconds of each call, and from the first call to the last answer."""

    times: list[float]
    lasted: float

    @property
    def rate(self) -> float:
        return len(self.times) / self.lasted


Way = Callable[[int, float], Turn]


def percentile(times: list[float], share: float) -> float:
    return sorted(times)[min(int(len(times) * share), len(times) - 1)] * 1000


def in_process(url: str, clients: int, seconds: float) -> Turn:
    """Measure threads that share one object."""
    times: list[float] = []
    with borough.open(url) as ipam:

        def work(end: float) -> None:
            own = []
            while (begun := time.perf_counter()) < end:
                ipam.allocate(labels=LABELS, owner="bench")
                own.append(time.perf_counter() - begun)
            times.extend(own)

        ipam.allocate(labels=LABELS, owner="warm")
        start = time.perf_counter()
        end = start + seconds
        threads = [threading.Thread(target=work, args=(end,)) for _ in range(clients)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        return Turn(times, time.perf_counter() - start)


def post(path: str, body: dict[str, Any], **headers: str) -> bytes:
    """The bytes of a request."""
    data = json.dumps(body)
    headers |= {"Content-Type": "application/json", "Content-Length": str(len(data))}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}\r\n{data}".encode()


OURS = post("/v1/allocations", {"labels": LABELS, "owner": "bench"})


def drive(port: int, request: bytes, seconds: float, clients: int, answer: Any) -> None:
    """Run all clients in one process: a connection for each, with one request under way."""
    import selectors

    chosen = selectors.DefaultSelector()
    begun: dict[socket.socket, float] = {}
    buffers: dict[socket.socket, bytes] = {}
    times = []
    start = time.perf_counter()
    end = start + seconds

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
        for key, _ in chosen.select(60):
            line = key.fileobj  # type: ignore[assignment]
            buffers[line] += line.recv(65536)
            head, split, rest = buffers[line].partition(b"\r\n\r\n")
            if not split or len(rest) < int(re.search(rb"(?i)content-length: (\d+)", head)[1]):  # type: ignore[index]
                continue
            assert head.startswith(b"HTTP/1.1 201"), buffers[line]
            now = time.perf_counter()
            times.append(now - begun[line])
            if now < end:
                send(line)
            else:
                waiting -= 1
    answer.send((times, time.perf_counter() - start))


def over_http(port: int, clients: int, seconds: float, request: bytes = OURS) -> Turn:
    here, there = get_context("spawn").Pipe()
    work = (port, request, seconds, clients, there)
    process = get_context("spawn").Process(target=drive, args=work)
    process.start()
    turn = Turn(*here.recv())
    process.join()
    return turn


@contextmanager
def serve(url: str, workers: int, folder: Path) -> Iterator[int]:
    """Run a service; yields its port."""
    log = folder / f"serve-{workers}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "borough", "--db", url),
                *("serve", "--port", "0", "--workers", str(workers)),
            ],
            stderr=file,
        )
    try:
        found = None
        while not found or log.read_text().count("startup complete") < workers:
            time.sleep(0.1)
            found = re.search(r"Serving on .*:(\d+)/", log.read_text())
        yield int(found[1])
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def netbox(server: NetboxServer) -> Way:
    """NetBox, with a prefix for its allocations."""
    login = {"Authorization": f"Bearer {server.token}"}
    made = urllib.request.Request(
        f"{server.url}/api/ipam/prefixes/",
        json.dumps({"prefix": "10.64.0.0/16"}).encode(),
        login | {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(made, timeout=60) as answer:
        path = f"/api/ipam/prefixes/{json.load(answer)['id']}/available-ips/"
    request = post(path, {"description": "bench"}, **login)
    return lambda clients, length: over_http(server.port, clients, length, request)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="of a slice")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--netbox", metavar="VENV", help="an environment with NetBox and gunicorn")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        server = PostgresqlServer()
        stack.callback(server.remove)
        url = server.fresh()
        with borough.open(url, create=True) as ipam:
            ipam.apply(TOPOLOGY)
        one, two = (stack.enter_context(serve(url, workers, Path(folder))) for workers in (1, 2))
        ways: dict[str, Way] = {
            "in process": lambda clients, length: in_process(url, clients, length),
            "HTTP, 1 worker": lambda clients, length: over_http(one, clients, length),
            "HTTP, 2 workers": lambda clients, length: over_http(two, clients, length),
        }
        if options.netbox:
            other = NetboxServer(options.netbox, threads=4)
            stack.callback(other.remove)
            ways["NetBox"] = netbox(other)
        for way in ways.values():
            way(4, 1.0)
        length, turns = options.seconds, options.turns
        print(f"{os.cpu_count()} cores; turns of {length:g} s, {turns} of each, medians\n")
        print("| clients | way | /s | ÷ in process | p50 ms | p99 ms |")
        print("|---:|---|---:|---:|---:|---:|")
        times: list[str] = []
        for clients in CLIENTS:
            measured = {
                name: way
                for name, way in ways.items()
                if name != "NetBox" or clients in NETBOX_CLIENTS
            }
            rates = report(measured, clients, length, turns)
            if "NetBox" in rates:
                ratio = rates["HTTP, 2 workers"] / rates["NetBox"]
                times.append(
                    f"- With {clients} clients, 2 workers have {ratio:.0f} times the rate of NetBox."
                )
        if times:
            print("", *times, sep="\n")
        load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
        print(f"\nLoad of the machine at the end, over 1, 5 and 15 minutes: {load}.")


def report(ways: dict[str, Way], clients: int, seconds: float, turns: int) -> dict[str, float]:
    """Print the lines for one number of clients; return the rate of each way."""
    found: dict[str, list[Turn]] = {name: [] for name in ways}
    for _ in range(turns):
        for name, way in ways.items():
            found[name].append(way(clients, seconds))
    rates: dict[str, float] = {}
    for name, runs in found.items():
        rate = rates[name] = statistics.median(run.rate for run in runs)
        p50, p99 = (
            statistics.median(percentile(run.times, share) for run in runs) for share in (0.5, 0.99)
        )
        shown = f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}"
        share = rate / rates["in process"]
        print(f"| {clients} | {name} | {shown} | {share:.2f} | {p50:.2f} | {p99:.2f} |", flush=True)
    return rates


if __name__ == "__main__":
    main()
