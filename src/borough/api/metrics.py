"""Metrics for Prometheus: the counters of the service's processes, and the use of the groups."""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import REGISTRY, Collector

from borough.domain.declared.records import Cohort
from borough.engine.ipam import Ipam
from borough.errors import BoroughError

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

#: Seconds after which the numbers about groups are read anew.
FRESH: Final = 15.0

#: Environment variable: the folder of the counters of several processes.
SHARED: Final = "PROMETHEUS_MULTIPROC_DIR"

_STATES: Final = (
    "size",
    "used",
    "free",
    "allocated",
    "cooling",
    "reserved",
    "outside",
    "claimed_free",
)


class Numbers(Collector):
    """Use of the groups; subnets with equal labels, family and scope are one group."""

    def __init__(self, ipam: Ipam, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._ipam = ipam
        self._clock = clock
        self._lock = threading.Lock()
        self._found: list[Metric] = []
        self._read_at: float | None = None
        self._registry = CollectorRegistry()
        if SHARED in os.environ:
            MultiProcessCollector(self._registry)  # type: ignore[no-untyped-call]
        self._registry.register(self)

    def text(self) -> bytes:
        """All numbers in Prometheus' text format."""
        made = generate_latest(self._registry)
        return made if SHARED in os.environ else made + generate_latest(REGISTRY)

    def describe(self) -> list[Metric]:
        """Return nothing: the registry calls this at its start, and it must not read the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The numbers about groups, at most :data:`FRESH` old."""
        with self._lock:
            if self._read_at is None or self._clock() - self._read_at >= FRESH:
                try:
                    self._found = list(self._read())
                except BoroughError:
                    self._found = [_up(0)]
                self._read_at = self._clock()
            yield from self._found

    def _read(self) -> Iterator[Metric]:
        catalogue = self._ipam.catalogue()
        groups = {
            subnet.name: _labels(catalogue.cohorts[catalogue.cohort_of[subnet.id]])
            for subnet in catalogue.subnets.values()
        }
        addresses: dict[tuple[tuple[str, ...], str], int] = defaultdict(int)
        for line in self._ipam.usage():
            for state in _STATES:
                if line.name in groups:
                    addresses[groups[line.name], state] += getattr(line, state)
        borrowed: dict[tuple[str, ...], int] = dict.fromkeys(groups.values(), 0)
        for block in self._ipam.blocks():
            if block.subnet in groups:
                borrowed[groups[block.subnet]] += len(block.borrowed)
        names = ["scope", "family", "group"]
        gauge = GaugeMetricFamily(
            "borough_group_addresses", "Addresses of a group by state.", labels=[*names, "state"]
        )
        for (group, state), number in addresses.items():
            gauge.add_metric([*group, state], number)
        loans = GaugeMetricFamily(
            "borough_group_borrowed_addresses",
            "Addresses of a group in blocks that another host has claimed.",
            labels=names,
        )
        for group, number in borrowed.items():
            loans.add_metric(group, number)
        yield gauge
        yield loans
        yield _up(1)


def _up(value: int) -> Metric:
    return GaugeMetricFamily(
        "borough_database_up", "1 when the last read of the database succeeded.", value=value
    )


def _labels(cohort: Cohort) -> tuple[str, ...]:
    words = [f"{name}={'|'.join(sorted(cohort.labels[name]))}" for name in sorted(cohort.labels)]
    return cohort.scope, str(cohort.family), " ".join(words)
