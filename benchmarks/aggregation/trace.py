"""Seeded traces of the workloads of a cluster: each needs one address on one host for some time.

The random choices, and the reason for each:

* Hosts differ by a factor of twenty (a truncated Pareto weight with the exponent of the 80/20 rule), as
  nodes do that run a few large services beside many small ones.
* Services live for days. Jobs live for minutes, and are most of the workloads that *start*. Replicas
  follow the day, as an autoscaler makes them: they start in the morning and end at night.
* Hosts are drained: all workloads of a host restart on other hosts within minutes. It stays empty for one
  to two hours.
* Hosts are replaced, if asked for: all workloads restart elsewhere, and the host never returns. A new host
  with another name takes its place. Nobody tells the policy, which has to reclaim what the old one claimed.
* Bursts: a job of many tasks starts on a few hosts and ends at one time.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from dataclasses import dataclass
from itertools import accumulate, count
from typing import NamedTuple

MINUTE = 60.0
HOUR = 60 * MINUTE
DAY = 24 * HOUR

#: Seconds in which a cluster fills up.
FILL = 2 * HOUR


class Event(NamedTuple):
    """The start or the end of a workload on a host, at a time in seconds."""

    at: float
    starts: bool
    workload: int
    host: int


@dataclass(frozen=True)
class Shape:
    """The parameters of a trace.

    :ivar hosts: number of hosts.
    :ivar mean: workloads that run on a host at noon, on average.
    :ivar days: length of the trace after the cluster has filled up.
    :ivar host_days: mean time in days until a host is replaced; 0: never.
    """

    hosts: int
    mean: float = 30.0
    days: float = 2.0
    seed: int = 1
    host_days: float = 0.0

    #: Mean lifetimes of jobs and services, in seconds.
    JOB, SERVICE = 30 * MINUTE, 1.5 * DAY
    #: The shares of jobs and of replicas among the workloads at noon; the rest are services.
    JOBS, REPLICAS = 0.08, 0.3


def trace(shape: Shape) -> list[Event]:
    """All events of a trace in order of time."""
    return _Cluster(shape).run()


def peak(events: list[Event]) -> int:
    """The most workloads that run at one time."""
    running = most = 0
    for event in events:
        running += 1 if event.starts else -1
        most = max(most, running)
    return most


def peaks(events: list[Event]) -> dict[int, int]:
    """The most workloads that run at one time on each host."""
    running: Counter[int] = Counter()
    most: Counter[int] = Counter()
    for event in events:
        running[event.host] += 1 if event.starts else -1
        most[event.host] = max(most[event.host], running[event.host])
    return most


class _Cluster:
    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._dice = random.Random(shape.seed)
        weights = [min(self._dice.paretovariate(1.16), 20.0) for _ in range(shape.hosts)]
        self._cumulated = list(accumulate(weights))
        self._hosts = list(range(shape.hosts))
        self._names = count(shape.hosts)
        self._ids = count()
        self._agenda: list[tuple[float, int, str, int, int]] = []
        self._order = count()
        self._running: dict[int, dict[int, float]] = {host: {} for host in self._hosts}
        self._away: set[int] = set()
        self._gone: set[int] = set()
        self._events: list[Event] = []

    def run(self) -> list[Event]:
        """Fill the cluster, then play all planned steps."""
        shape = self._shape
        end = FILL + shape.days * DAY
        total = shape.hosts * shape.mean
        services = total * (1 - shape.JOBS - shape.REPLICAS)
        for _ in range(round(services)):
            self._plan(self._dice.uniform(0, FILL), "service")
        for at in self._times(FILL, end, services / shape.SERVICE):
            self._plan(at, "service")
        for at in self._times(0, end, total * shape.JOBS / shape.JOB):
            self._plan(at, "job")
        for day in range(int(end / DAY) + 1):
            for _ in range(round(total * shape.REPLICAS)):
                self._plan(max(0.0, day * DAY + self._dice.gauss(3 * HOUR, 1.5 * HOUR)), "replica")
        for at in self._times(FILL, end, shape.hosts / (4 * DAY)):
            self._plan(at, "drain")
        for at in self._times(FILL, end, 1 / (3 * HOUR)):
            self._plan(at, "burst")
        if shape.host_days:
            for at in self._times(FILL, end, shape.hosts / (shape.host_days * DAY)):
                self._plan(at, "replace")
        while self._agenda and self._agenda[0][0] < end:
            at, _, kind, workload, host = heapq.heappop(self._agenda)
            getattr(self, f"_{kind}")(at, workload, host)
        return self._events

    def _times(self, at: float, end: float, rate: float) -> list[float]:
        found = []
        while (at := at + self._dice.expovariate(rate)) < end:
            found.append(at)
        return found

    def _plan(self, at: float, kind: str, workload: int = -1, host: int = -1) -> None:
        heapq.heappush(self._agenda, (at, next(self._order), kind, workload, host))

    def _pick(self) -> int:
        while True:
            host = self._dice.choices(self._hosts, cum_weights=self._cumulated)[0]
            if host not in self._away:
                return host

    def _start(self, at: float, host: int, until: float) -> None:
        workload = next(self._ids)
        self._running[host][workload] = until
        self._events.append(Event(at, True, workload, host))
        self._plan(until, "stop", workload, host)

    def _job(self, at: float, _workload: int, _host: int) -> None:
        self._start(at, self._pick(), at + self._dice.expovariate(1 / self._shape.JOB))

    def _service(self, at: float, _workload: int, _host: int) -> None:
        self._start(at, self._pick(), at + self._dice.expovariate(1 / self._shape.SERVICE))

    def _replica(self, at: float, _workload: int, _host: int) -> None:
        self._start(at, self._pick(), at + max(HOUR, self._dice.gauss(11 * HOUR, 2 * HOUR)))

    def _stop(self, at: float, workload: int, host: int) -> None:
        if self._running[host].pop(workload, None) is not None:
            self._events.append(Event(at, False, workload, host))

    def _drain(self, at: float, _workload: int, _host: int) -> None:
        host = self._dice.choice(self._hosts)
        if host in self._away or len(self._away) > len(self._hosts) // 4:
            return
        self._away.add(host)
        self._plan(at + self._dice.uniform(1 * HOUR, 2 * HOUR), "back", -1, host)
        self._empty(at, host)

    def _empty(self, at: float, host: int) -> None:
        for workload in self._running[host]:
            self._plan(at + self._dice.uniform(0, 5 * MINUTE), "restart", workload, host)

    def _replace(self, at: float, _workload: int, _host: int) -> None:
        place = self._dice.randrange(len(self._hosts))
        old, new = self._hosts[place], next(self._names)
        self._hosts[place] = new
        self._gone.add(old)
        self._running[new] = {}
        self._empty(at, old)

    def _restart(self, at: float, workload: int, host: int) -> None:
        until = self._running[host].get(workload)
        if until is not None:
            self._stop(at, workload, host)
            self._start(at, self._pick(), until)

    def _back(self, _at: float, _workload: int, host: int) -> None:
        self._away.discard(host)

    def _burst(self, at: float, _workload: int, _host: int) -> None:
        tasks = max(4, round(self._shape.hosts * self._shape.mean * 0.03))
        hosts = [self._pick() for _ in range(max(2, self._shape.hosts // 20))]
        end = at + self._dice.uniform(20 * MINUTE, 3 * HOUR)
        for _ in range(tasks):
            self._plan(
                at + self._dice.uniform(0, 2 * MINUTE), "task", int(end), self._dice.choice(hosts)
            )

    def _task(self, at: float, end: int, host: int) -> None:
        host = self._pick() if host in self._gone else host
        self._start(at, host, max(at, end) + self._dice.uniform(0, 2 * MINUTE))
