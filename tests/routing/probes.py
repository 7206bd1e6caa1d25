"""Probes to addresses: one sender on the router, a witness on each host, and a log of where they arrived."""

from __future__ import annotations

import ctypes
import os
import select
import socket
import struct
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

PORT = 7007
_LIBC = ctypes.CDLL(None, use_errno=True)
_ALL = 0x0003
_OUTGOING = 4

#: Seconds between two probes of an address.
EVERY = 0.05

#: Seconds that a probe may take.
FLIGHT = 1.0


def inside(space: str, work: Callable[[], T]) -> T:
    """Run work in a network namespace, in a thread of its own."""
    made: list[T] = []

    def run() -> None:
        number = os.open(f"/var/run/netns/{space}", os.O_RDONLY)
        try:
            assert _LIBC.setns(number, 0x40000000) == 0, os.strerror(ctypes.get_errno())
        finally:
            os.close(number)
        made.append(work())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return made[0]


def _witness() -> socket.socket:
    made = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ALL))
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    made.bind(("fabric", _ALL))
    made.setblocking(False)
    return made


@dataclass
class Flow:
    """The probes to one address.

    :ivar hosts: from each time on, the hosts that may get a probe.
    :ivar until: time of the end; None while it lasts.
    """

    address: str
    hosts: list[tuple[float, frozenset[str]]]
    until: float | None = None

    def allowed(self, sent: float, arrived: float) -> frozenset[str]:
        """The hosts that may get a probe between two times."""
        found: frozenset[str] = frozenset()
        for at, hosts in reversed(self.hosts):
            if at <= arrived:
                found |= hosts
            if at <= sent:
                break
        return found


@dataclass
class Verdict:
    """The fate of all probes."""

    sent: int = 0
    arrived: int = 0
    lost: list[tuple[str, str, float]] = field(default_factory=list)
    astray: list[tuple[str, str, float]] = field(default_factory=list)


class Probes:
    """Sends a probe to each address of a flow again and again, and sees where it arrives."""

    def __init__(self, router: str, hosts: Mapping[str, str]) -> None:
        self.verdict = Verdict()
        self._flows: dict[str, Flow] = {}
        self._waiting: dict[int, tuple[Flow, float]] = {}
        self._copies: dict[int, int] = defaultdict(int)
        self._number = 0
        self._lock = threading.Lock()
        self._stopping = False
        self._senders = {
            4: inside(router, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)),
            6: inside(router, lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)),
        }
        for each in self._senders.values():
            each.setblocking(False)
        self._witnesses = {inside(space, _witness): name for name, space in hosts.items()}
        self._threads = [
            threading.Thread(target=work, daemon=True) for work in (self._send, self._receive)
        ]
        for thread in self._threads:
            thread.start()

    def start(self, address: str, *hosts: str) -> None:
        """Begin a flow to an address that these hosts may get."""
        with self._lock:
            self._flows[address] = Flow(address, [(time.monotonic(), frozenset(hosts))])

    def move(self, address: str, *hosts: str) -> None:
        """From now on only these hosts may get the flow."""
        with self._lock:
            self._flows[address].hosts.append((time.monotonic(), frozenset(hosts)))

    def stop(self, address: str) -> None:
        """End a flow."""
        with self._lock:
            flow = self._flows.pop(address, None)
            if flow is not None:
                flow.until = time.monotonic()

    def finish(self) -> Verdict:
        """End all flows, and return the verdict."""
        for address in list(self._flows):
            self.stop(address)
        time.sleep(FLIGHT + 0.2)
        self._stopping = True
        for thread in self._threads:
            thread.join()
        self._expire(time.monotonic() + FLIGHT)
        for each in (*self._senders.values(), *self._witnesses):
            each.close()
        return self.verdict

    def _send(self) -> None:
        while not self._stopping:
            begun = time.monotonic()
            with self._lock:
                flows = list(self._flows.values())
            for flow in flows:
                with self._lock:
                    if flow.until is not None:
                        continue
                    self._number += 1
                    number = self._number
                    self._waiting[number] = flow, time.monotonic()
                    self.verdict.sent += 1
                family = 6 if ":" in flow.address else 4
                try:
                    data = b"BOROUGH!" + struct.pack("!Q", number)
                    self._senders[family].sendto(data, (flow.address, PORT))
                except OSError:
                    pass  # without a route it is lost, which the verdict counts
            with self._lock:
                self._expire(time.monotonic())
            time.sleep(max(0.0, EVERY - (time.monotonic() - begun)))

    def _expire(self, now: float) -> None:
        """Count the probes that have not arrived."""
        for number, (flow, sent) in list(self._waiting.items()):
            if now - sent < FLIGHT:
                break
            del self._waiting[number]
            # A probe that was under way at the end of its flow may have met the end of its route.
            if flow.until is None or flow.until > sent + 0.2:
                self.verdict.lost.append((flow.address, str(flow.hosts), sent))

    def _receive(self) -> None:
        poll = select.poll()
        by_number = {each.fileno(): each for each in self._witnesses}
        for each in self._witnesses:
            poll.register(each, select.POLLIN)
        while not self._stopping:
            for number, _ in poll.poll(100):
                witness = by_number[number]
                while True:
                    try:
                        data, where = witness.recvfrom(256)
                    except OSError:
                        break
                    if where[2] != _OUTGOING:
                        self._see(self._witnesses[witness], data)

    def _see(self, host: str, data: bytes) -> None:
        at = data.find(b"BOROUGH!")
        if at < 0:
            return
        (number,) = struct.unpack_from("!Q", data, at + 8)
        now = time.monotonic()
        with self._lock:
            found = self._waiting.pop(number, None)
            if found is None:
                return
            flow, sent = found
            self.verdict.arrived += 1
            allowed = flow.allowed(sent, now)
            if host not in allowed and flow.until is None:
                self.verdict.astray.append((flow.address, f"{host} not {allowed}", sent))


class RouteMonitor:
    """The times at which prefixes appear in the routing table of a namespace."""

    def __init__(self, space: str) -> None:
        self.seen: dict[str, float] = {}
        self.log: list[tuple[float, str]] = []
        self._socket = inside(space, self._open)
        self._stopping = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @staticmethod
    def _open() -> socket.socket:
        made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        made.bind((0, 0x40 | 0x400))  # RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_ROUTE
        made.settimeout(0.2)
        return made

    def _read(self) -> None:
        while not self._stopping:
            try:
                data = self._socket.recv(1 << 16)
            except TimeoutError:
                continue
            except OSError:
                return
            at = 0
            while at + 28 <= len(data):
                size, kind = struct.unpack_from("=IH", data, at)
                if kind in (24, 25):  # RTM_NEWROUTE, RTM_DELROUTE
                    self._note(kind == 24, data[at + 16 : at + size])
                at += max((size + 3) & ~3, 16)

    def _note(self, is_new: bool, body: bytes) -> None:
        family, length, way = body[0], body[1], ""
        address = None
        at = 12
        while at + 4 <= len(body):
            size, kind = struct.unpack_from("=HH", body, at)
            if kind == 1 and family in (socket.AF_INET, socket.AF_INET6):
                address = ip_address(body[at + 4 : at + size])
            if kind == 4:
                way = str(int.from_bytes(body[at + 4 : at + size], sys.byteorder))
            at += max((size + 3) & ~3, 4)
        if address is not None:
            now = time.monotonic()
            self.log.append((now, f"{'new' if is_new else 'gone'} {address}/{length} by {way}"))
            if is_new:
                self.seen[f"{address}/{length}"] = now

    def close(self) -> None:
        """Stop."""
        self._stopping = True
        self._thread.join()
        self._socket.close()


def percentile(values: list[float], part: float) -> float:
    """A percentile of values, in milliseconds; nan without any."""
    ordered = sorted(values)
    return (
        ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1000 if ordered else float("nan")
    )


def load() -> str:
    """The load of the machine, for a report."""
    return Path("/proc/loadavg").read_text().split()[0]
