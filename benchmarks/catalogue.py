"""What a change costs where tens of thousands of subnets are declared.

    python benchmarks/catalogue.py [--subnets 20000] [URL ...]

Two processes' worth of one library on each database named (default: an SQLite file of its own), every two
subnets in a network: one adds a subnet, the other allocates, once when it has to read the catalogue anew
and once when it does not. Medians of seven. A database named must be empty.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from statistics import median

import borough


def main() -> None:
    """Measure each database."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subnets", type=int, default=20_000)
    parser.add_argument("urls", nargs="*")
    options = parser.parse_args()
    print("| database | subnet added ms | allocate, catalogue changed ms | allocate ms |")
    print("|---|---:|---:|---:|")
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
        writer.apply({"subnets": subnets})
        wanted = {"network": "n0"}
        reader.allocate(labels=wanted)
        times: list[tuple[float, float, float]] = []
        for at in range(7):

            def add(at: int = at) -> object:
                return writer.add_subnet(f"11.0.{at}.0/24", labels={"network": f"more-{at}"})

            def take() -> object:
                return reader.allocate(labels=wanted)

            times.append((_timed(add), _timed(take), _timed(take)))
    added, changed, same = (median(each) * 1000 for each in zip(*times, strict=True))
    print(f"| {url.partition(':')[0]} | {added:.0f} | {changed:.0f} | {same:.1f} |", flush=True)


def _timed(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
