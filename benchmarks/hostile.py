"""Memory of a service worker while one caller tries to exhaust it.

    python benchmarks/hostile.py [--seconds 20] [--markdown]

One worker on an SQLite file, with tokens. The caller has a token that may read, or none. Each attack runs for
the given time. The figures are the amount of the attack, and the largest resident memory of the worker so
far, in megabytes. It fails when the worker has more than 300 MB, or does not answer another token.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import borough
from borough import Ipam

#: Megabytes that a worker may have.
LIMIT = 300

SUBNETS = 5000


class Target:
    """A worker, the connections to it, and tokens of two callers."""

    def __init__(self, folder: Path) -> None:
        url = f"sqlite:///{folder}/hostile.db"
        with borough.open(url, create=True) as ipam:
            fill(ipam)
            _, self.hostile = ipam.create_token(
                "hostile", permission="read", labels={"network": "n"}
            )
            _, self.other = ipam.create_token("other", permission="read")
        program = str(Path(sys.executable).with_name("borough"))
        command = [program, "--db", url, "serve", "--port", "0", "--tokens"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        found = re.search(r":(\d+)/", self.process.stderr.readline())
        assert found
        self.port = int(found[1])
        threading.Thread(target=self._drain, daemon=True).start()
        ends = time.monotonic() + 60
        while time.monotonic() < ends:
            with contextlib.suppress(ConnectionRefusedError):
                self.connect().close()
                return
            time.sleep(0.1)
        raise AssertionError("the worker does not listen")

    def _drain(self) -> None:
        assert self.process.stderr is not None
        for _ in self.process.stderr:
            pass

    def peak(self) -> float:
        """The largest resident memory so far, in megabytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+)", status)
        assert found
        return int(found[1]) / 1024

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=5)

    def ask(self, line: str, body: object = None, token: str = "") -> bytes:
        """The head of a request, and its body."""
        data = b"" if body is None else json.dumps(body).encode()
        return (
            f"{line} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {token or self.hostile}\r\nContent-Length: {len(data)}\r\n\r\n"
        ).encode() + data

    def is_alive(self) -> bool:
        """True when another token is answered."""
        with self.connect() as line:
            line.settimeout(60)
            line.sendall(self.ask("GET /v1/subnets?limit=1", token=self.other))
            return line.recv(100).startswith(b"HTTP/1.1 200")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def fill(ipam: Ipam) -> None:
    """Add 5,000 subnets and 20,000 addresses."""
    labels = {"network": "n"}
    ipam.apply(
        {
            "subnets": [
                {"name": f"s{at}", "cidr": f"10.{at >> 8}.{at & 255}.0/24", "labels": labels}
                for at in range(SUBNETS)
            ]
        }
    )
    ipam.allocate(labels=labels, count=20_000, owner="fill", attributes={"text": "x" * 200})


Attack = Callable[[Target, Callable[[], bool]], int]


def trailers(target: Target, go_on: Callable[[], bool]) -> int:
    """Endless trailers, without a token."""
    sent = 0
    head = b"POST /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
    piece = b"x: y\r\n" * 20_000
    while go_on():
        with contextlib.suppress(OSError), target.connect() as line:
            line.sendall(head)
            while go_on():
                line.sendall(piece)
                sent += len(piece)
    return sent >> 20


def heads(target: Target, go_on: Callable[[], bool]) -> int:
    """1,000 heads without an end, without a token."""
    return len(hold(target, go_on, b"GET / HTTP/1.1\r\nX: " + b"y" * 60_000, 1000))


def in_advance(target: Target, go_on: Callable[[], bool]) -> int:
    """200 connections with 10,000 requests before the first answer is read."""
    return len(hold(target, go_on, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 10_000, 200))


def bodies(target: Target, go_on: Callable[[], bool]) -> int:
    """Bodies without an end."""
    whole = target.ask("POST /v1/explain", {"text": "x" * 1_000_000})
    return len(hold(target, go_on, whole[:-10], 500))


def streams(target: Target, go_on: Callable[[], bool]) -> int:
    """All events, as streams that are not read."""
    head = b"\r\nAccept: text/event-stream\r\nContent-Length: 0\r\n\r\n"
    asked = target.ask("GET /v1/events?after=0").replace(b"\r\nContent-Length: 0\r\n\r\n", head)
    return len(hold(target, go_on, asked, 600))


def answers(target: Target, go_on: Callable[[], bool]) -> int:
    """Long lists that are not read."""
    return len(hold(target, go_on, target.ask("GET /v1/allocations?limit=10000"), 300))


def hold(target: Target, go_on: Callable[[], bool], data: bytes, count: int) -> list[socket.socket]:
    """Send data on many connections, and read nothing."""
    held: list[socket.socket] = []
    while go_on() and len(held) < count:
        with contextlib.suppress(OSError):
            line = socket.socket()
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            line.settimeout(1)
            line.connect(("127.0.0.1", target.port))
            held.append(line)
            line.sendall(data)
    while go_on():
        time.sleep(0.1)
    for line in held:
        line.close()
    return held


def shapes(target: Target, go_on: Callable[[], bool]) -> int:
    """Explanations, each with another shape of the ladder."""
    rolls = random.Random(1)
    return explain(target, go_on, lambda: [rolls.randint(1, 60) for _ in range(5)])


def lists(target: Target, go_on: Callable[[], bool]) -> int:
    """Explanations, each with nearly all subnets by name."""
    rolls = random.Random(2)
    return explain(target, go_on, lambda: [rolls.randint(4000, SUBNETS - 1)])


def explain(target: Target, go_on: Callable[[], bool], sizes: Callable[[], list[int]]) -> int:
    rolls = random.Random(3)
    done = 0

    def ask() -> None:
        nonlocal done
        with contextlib.suppress(OSError), target.connect() as line:
            line.settimeout(60)
            while go_on():
                names: Iterator[str] = (f"s{at}" for at in rolls.sample(range(SUBNETS), SUBNETS))
                tiers = [list(itertools.islice(names, size)) for size in sizes()]
                line.sendall(target.ask("POST /v1/explain", {"subnets": tiers}))
                found = line.recv(1 << 20)
                length = int(re.findall(rb"content-length: (\d+)", found)[0])
                size = len(found.partition(b"\r\n\r\n")[2])
                while size < length:
                    size += len(line.recv(1 << 20))
                done += 1

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return done


ATTACKS: list[Attack] = [trailers, heads, in_advance, bodies, shapes, lists, answers, streams]


def run(seconds: float) -> list[tuple[str, int, float]]:
    """Run every attack; return its name, its amount, and the worker's memory in megabytes after it."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        target = Target(Path(folder))
        try:
            assert target.is_alive()
            rows.append(("at rest", 0, target.peak()))
            for attack in ATTACKS:
                ends = time.monotonic() + seconds
                count = attack(target, lambda ends=ends: time.monotonic() < ends)  # type: ignore[misc]
                assert target.is_alive(), attack.__name__
                rows.append(((attack.__doc__ or "").rstrip("."), count, target.peak()))
        finally:
            target.close()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="of each attack")
    parser.add_argument("--markdown", action="store_true", help="print a table in Markdown")
    options = parser.parse_args()
    rows = run(options.seconds)
    line = "| {} | {} | {:.0f} |" if options.markdown else "{:60} {:>8} {:>6.0f}"
    for row in rows:
        print(line.format(*row))
    if rows[-1][2] > LIMIT:
        sys.exit(f"the worker has more than {LIMIT} MB")


if __name__ == "__main__":
    main()
