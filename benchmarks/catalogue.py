"""Time of a change where tens of thousands of subnets are declared.

    python benchmarks/catalogue.py [--subnets 50000] [URL ...]

Two instances of the library work on each empty database named (default: a new SQLite file). Each network has
two subnets. One instance applies all subnets, adds seven more, changes seven by a command of their own, and
applies a topology in which one differs. The other instance allocates twice after each subnet added, and once
after each changed. Times are medians of seven, except of topologies.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from statistics import median

import borough
from borough.engine.topology.apply import load


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subnets", type=int, default=50_000)
    parser.add_argument("urls", nargs="*")
    options = parser.parse_args()
    print(
        "| database | applied s | subnet added ms | subnet changed ms | file with one changed ms "
        "| allocate, one added ms | allocate, one changed ms | allocate ms |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for url in options.urls or [f"sqlite:///{folder}/catalogue.db"]:
            _measure(url, options.subnets)


def _measure(url: str, count: int) -> None:
    with borough.open(url, create=True) as writer, borough.open(url) as reader:
        subnets = [
            {
                "name": f"s{at}",
                "cidr": f"10.{at >> 8}.{at & 255}.0/24",
                "labels": {"network": f"n{at // 2}"},
            }
            for at in range(count)
        ]
        first = load({"subnets": subnets}, None)
        second = load({"subnets": [{**subnets[0], "weight": 1}, *subnets[1:]]}, None)
        applied = _timed(lambda: writer.apply(first))
        labels = {"network": "n0"}
        reader.allocate(labels=labels)
        times: list[tuple[float, ...]] = []
        for at in range(7):

            def add(at: int = at) -> object:
                return writer.add_subnet(f"11.0.{at}.0/24", labels={"network": f"more-{at}"})

            def take() -> object:
                return reader.allocate(labels=labels)

            def narrow(at: int = at) -> object:
                name = f"s{count // 2 + at}"
                first = writer.subnet(name).prefix.partition("/")[0]
                return writer.change_subnet(name, cidr=f"{first}/25", weight=1)

            times.append(tuple(map(_timed, (add, take, take, narrow, take))))
        one = _timed(lambda: writer.apply(second)) * 1000
    added, then, same, changed, after = (median(each) * 1000 for each in zip(*times, strict=True))
    print(
        f"| {url.partition(':')[0]} | {applied:.1f} | {added:.0f} | {changed:.0f} | {one:.0f} "
        f"| {then:.0f} | {after:.0f} | {same:.1f} |",
        flush=True,
    )


def _timed(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
