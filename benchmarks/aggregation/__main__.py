"""Advertised prefixes: Borough's policy beside Calico's, first-fit, and a lower bound.

    python benchmarks/aggregation [--hosts 50,200] [--pools 1.05,1.25,2,4] [--subnets 1,4,32]
        [--families 4,6] [--days 2] [--host-days 0] [--seeds 1] [--policies borough,calico/26]
        [--lpm] [--declared] [--check]

Every policy plays the same seeded trace. Borough's decisions come from the package, as in the stores.
``--declared`` adds a second run of Borough, in which each host declares its greatest demand as ``expected``.
``--days 7 --host-days 7 --seeds 1,2,3`` shows how regions age: the columns ``aged`` are the second half of
the time, in which each host has been replaced on average once.
``--check`` exits with 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from math import nan
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from aggregation.indexed_space import make_subnets
from aggregation.measure import Measured, bound, play
from aggregation.policies import Borough, Calico, FirstFit, Policy
from aggregation.trace import Event, Shape, peak, peaks, trace
from borough.domain.declared.records import Subnet
from borough.domain.net.addresses import Family

POLICIES: dict[str, Callable[[list[Subnet]], Policy]] = {
    "borough": Borough,
    "calico/26": lambda subnets: Calico(subnets, 6),
    "calico/28": lambda subnets: Calico(subnets, 4),
    "calico/29": lambda subnets: Calico(subnets, 3),
    "first-fit": FirstFit,
}

#: The targets: most prefixes per host with an address, by size of the pool in multiples of the peak demand.
PER_HOST = {1.05: 3.0, 1.25: 1.9, 2.0: 1.25, 4.0: 1.1}


class Cell(NamedTuple):
    """One trace on one pool. A pool of many small subnets is rounded up to one block for each."""

    hosts: int
    pool: float
    subnets: int
    family: Family
    seed: int


def misses(cell: Cell, found: dict[str, Measured]) -> Iterator[str]:
    """The targets that a cell does not reach."""
    if "borough" not in found or "calico/26" not in found:
        return
    ours = found["borough"]
    default = found["calico/26"]
    calico = [each for name, each in found.items() if name.startswith("calico")]
    best = min(calico, key=lambda each: each.mean)
    if cell.pool <= 2 and ours.mean > 0.15 * default.mean:
        yield f"{ours.mean / default.mean:.3f} of /26"
    share = 0.75 if cell.pool <= 2 else 1.0
    if ours.mean > share * best.mean:
        yield f"{ours.mean / best.mean:.2f} of the best length"
    if ours.per_host > PER_HOST.get(cell.pool, 3.0):
        yield f"{ours.per_host:.2f} per host"
    if ours.churn > 40:
        yield f"churn {ours.churn:.0f}"
    if ours.waste > best.waste + 0.03:
        yield f"unused {ours.waste:.3f}, best length {best.waste:.3f}"
    if ours.refused:
        yield f"{ours.refused} refused"


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


def main() -> int:
    """Play all cells."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=_numbers, default=[50, 200])
    parser.add_argument("--pools", type=_numbers, default=list(PER_HOST))
    parser.add_argument("--subnets", type=_numbers, default=[1, 4, 32])
    parser.add_argument("--families", type=_numbers, default=[4, 6])
    parser.add_argument("--days", type=float, default=2.0)
    parser.add_argument("--mean", type=float, default=30.0, help="workloads per host at noon")
    parser.add_argument(
        "--host-days", type=float, default=0.0, help="mean life of a host; 0: for ever"
    )
    parser.add_argument("--seeds", type=_numbers, default=[1])
    parser.add_argument("--policies", type=lambda text: text.split(","), default=[*POLICIES])
    parser.add_argument("--lpm", action="store_true", help="count prefixes in lpm form as well")
    parser.add_argument(
        "--declared", action="store_true", help="run Borough also with declared demand"
    )
    parser.add_argument("--check", action="store_true", help="exit with 1 when a target is missed")
    options = parser.parse_args()
    columns = "hosts pool subnets IPv seed policy mean split peak lpm per_host aged aged_per_host ÷/26 ÷best"
    names = [*columns.split(), "unused", "borrowed", "churn", "aged_churn", "refused"]
    print("|", " | ".join(names).replace("_", " "), "|\n|" + "---|" * len(names))
    missed = 0
    for hosts, seed in product(map(int, options.hosts), map(int, options.seeds)):
        shape = Shape(hosts, options.mean, options.days, seed, options.host_days)
        events = trace(shape)
        policies = {name: POLICIES[name] for name in options.policies}
        if options.declared:
            policies["declared"] = partial(Borough, expected=peaks(events))
        for pool, subnets, family in product(
            options.pools, map(int, options.subnets), map(int, options.families)
        ):
            cell = Cell(hosts, pool, subnets, 4 if family == 4 else 6, seed)
            missed += _play(cell, policies, events, lpm=options.lpm)
    return 1 if missed and options.check else 0


def _play(
    cell: Cell,
    policies: dict[str, Callable[[list[Subnet]], Policy]],
    events: list[Event],
    *,
    lpm: bool,
) -> int:
    """Play one cell and print it; return the number of missed targets."""
    most = peak(events)
    made = make_subnets(round(most * cell.pool), cell.subnets, cell.family)
    capacity = sum(subnet.capacity for subnet in made)
    if capacity < most:
        # The reserved addresses of many small subnets leave too few for any policy.
        return 0
    bounds = [(subnet.prefix.base, subnet.prefix.last) for subnet in made]
    found = {
        name: play(events, policy(made), capacity, cell.family, bounds if lpm else None)
        for name, policy in policies.items()
    }
    _print(cell, found, bound(events, capacity))
    missed = list(misses(cell, found))
    for miss in missed:
        print(f"| | | | | | *missed: {miss}* |")
    return len(missed)


def _print(cell: Cell, found: dict[str, Measured], least: float) -> None:
    default = found["calico/26"].mean if "calico/26" in found else nan
    best = min((each.mean for name, each in found.items() if "calico" in name), default=nan)
    head = f"| {cell.hosts} | {cell.pool:g} | {cell.subnets} | {cell.family} | {cell.seed} |"
    for name, each in found.items():
        print(
            f"{head} {name} | {each.mean:.0f} | {each.split:.0f} | {each.peak} | {each.lpm:.0f} "
            f"| {each.per_host:.2f} | {each.aged_mean:.0f} | {each.aged_per_host:.2f} "
            f"| {each.mean / default:.3f} | {each.mean / best:.2f} | {each.waste:.3f} "
            f"| {each.borrowed:.3f} | {each.churn:.0f} | {each.aged_churn:.0f} | {each.refused} |",
            flush=True,
        )
    print(f"{head} *lower bound* | {least:.0f} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
