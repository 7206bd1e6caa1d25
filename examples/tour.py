"""A tour of Borough on real topologies: it runs every command and shows its output.

    ./demo            makes a virtual environment and runs the tour

Every command can be typed in the root of the checkout, after ``. .venv/bin/activate``. The databases are in a
temporary folder that is removed at the end.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


class Tour:
    """Runs commands, with a heading for each step."""

    def __init__(self, folder: Path) -> None:
        self._environment = {"COLUMNS": "100", **os.environ}
        self._folder = folder
        self._steps = 0

    def step(self, text: str) -> None:
        self._steps += 1
        print(
            f"\n\033[1m{self._steps}. {text}\033[0m"
            if sys.stdout.isatty()
            else f"\n{self._steps}. {text}"
        )

    def use(self, name: str) -> None:
        """Use the database of this name from now on."""
        url = f"sqlite:///{self._folder}/{name}.db"
        print(f"\n$ export BOROUGH_DB={url}", flush=True)
        self._environment["BOROUGH_DB"] = url

    def run(self, line: str, *, expect: int = 0) -> None:
        """Run a command of ``borough`` and show it; end the tour at an unexpected exit code."""
        print(f"\n$ borough {line}", flush=True)
        command = [sys.executable, "-m", "borough", *shlex.split(line)]
        done = subprocess.run(command, env=self._environment, cwd=ROOT, check=False)
        if done.returncode != expect:
            sys.exit(f"the tour expected exit code {expect} and got {done.returncode}")
        if expect:
            print(f"(exit code {expect})", flush=True)


def routed(tour: Tour) -> None:
    tour.step("A routed provider network: two segments, each host reaches one of them")
    tour.use("routed")
    tour.run("init")
    tour.run("apply examples/routed-network.yaml")
    tour.step("Ports on two hosts: the host selects the segment, one request for both families")
    for number, host in ((1, "compute0001"), (2, "compute0001"), (3, "compute0002")):
        tour.run(
            f"allocate -l network=multisegment1 --host {host} --family both --owner port-{number}"
        )
    tour.step("The explanation: the order of preference of such a request, step by step")
    tour.run("explain -l network=multisegment1 --host compute0002")


def hard(tour: Tour) -> None:
    tour.step("A hard boundary: an exhausted segment refuses, although another one has space")
    tour.run("apply examples/small-segments.yaml")
    tour.run("allocate -l network=edge --host compute0007 --count 5 --owner fleet")
    tour.run("allocate -l network=edge --host compute0007 --owner one-too-many", expect=3)


def typed(tour: Tour) -> None:
    tour.step("Service types: a port uses subnets of its type, and falls back to untyped ones only")
    tour.use("service")
    tour.run("init")
    tour.run("apply examples/service-subnets.yaml")
    tour.run("allocate -l network=demo-ext-net -l service_type=network:floatingip --owner fip-1")
    tour.run("allocate -l network=demo-ext-net -l service_type=compute:nova --owner vm-1 --explain")


def soft(tour: Tour) -> None:
    tour.step("A soft boundary: each host claims a block and advertises one prefix")
    tour.use("containers")
    tour.run("init")
    tour.run("apply examples/container-hosts.yaml")
    for host in ("node-1", "node-2", "node-3"):
        tour.run(f"allocate -l network=pods --host {host} --count 6 --owner pods-of-{host}")
    tour.run("allocate -l network=pods --host node-1 --count 10 --owner more-of-node-1 --explain")
    tour.step("The routes that each host advertises")
    tour.run("routes")
    tour.run("list blocks")


def summary(tour: Tour) -> None:
    tour.step("The usage of each group")
    tour.run("usage -l network=pods")
    tour.use("routed")
    tour.run("usage")
    tour.step("The audit: all tables agree with each other")
    tour.run("audit")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        tour = Tour(Path(folder))
        for part in (routed, hard, typed, soft, summary):
            part(tour)
        print("\nEnd of the tour. Next: docs/start/tutorial.md.")


if __name__ == "__main__":
    main()
