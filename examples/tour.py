"""A tour of Borough on real topologies: it runs every command and shows its output.

    ./demo            makes a virtual environment and runs the tour

The databases are in a temporary folder that is removed at the end.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent

#: A routed network with segments that a few requests exhaust.
SMALL = """\
name: small
subnets:
  - {name: edge-v4, cidr: 192.0.2.128/29, gateway: 192.0.2.129, labels: {network: edge, segment: rack-7}}
  - {name: edge-spare-v4, cidr: 192.0.2.136/29, labels: {network: edge, segment: rack-8}}
hosts:
  compute0007: {segment: rack-7}
"""


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

    def write(self, name: str, text: str) -> None:
        """Put a file into the temporary folder; ``%`` names it in commands."""
        (self._folder / name).write_text(text, encoding="utf-8")

    def use(self, name: str) -> None:
        """Use the database of this name from now on."""
        self._environment["BOROUGH_DB"] = f"sqlite:///{self._folder}/{name}.db"

    def run(self, line: str, *, expect: int = 0) -> None:
        """Run a command of ``borough`` and show it; end the tour at an unexpected exit code."""
        print(f"\n$ borough {line}", flush=True)
        words = [word.replace("@", f"{HERE}/", 1) for word in shlex.split(line)]
        words = [word.replace("%", f"{self._folder}/", 1) for word in words]
        done = subprocess.run(
            [sys.executable, "-m", "borough", *words], env=self._environment, check=False
        )
        if done.returncode != expect:
            sys.exit(f"the tour expected exit code {expect} and got {done.returncode}")
        if expect:
            print(f"(exit code {expect})", flush=True)


def routed(tour: Tour) -> None:
    tour.step("A routed provider network: two segments, each host reaches one of them")
    tour.use("routed")
    tour.run("init")
    tour.run("apply @routed-network.yaml")
    tour.step("Ports on two hosts: the host selects the segment, one request for both families")
    for number, host in ((1, "compute0001"), (2, "compute0001"), (3, "compute0002")):
        tour.run(
            f"allocate -l network=multisegment1 --host {host} --family both --owner port-{number}"
        )
    tour.step("The explanation: the order of preference of such a request, step by step")
    tour.run("explain -l network=multisegment1 --host compute0002")


def hard(tour: Tour) -> None:
    tour.step("A hard boundary: an exhausted segment refuses, although another one has space")
    tour.write("small.yaml", SMALL)
    tour.run("apply %small.yaml")
    tour.run("allocate -l network=edge --host compute0007 --count 5 --owner fleet")
    tour.run("allocate -l network=edge --host compute0007 --owner one-too-many", expect=3)


def typed(tour: Tour) -> None:
    tour.step("Service types: a port uses subnets of its type, and falls back to untyped ones only")
    tour.use("service")
    tour.run("init")
    tour.run("apply @service-subnets.yaml")
    tour.run("allocate -l network=demo-ext-net -l service_type=network:floatingip --owner fip-1")
    tour.run("allocate -l network=demo-ext-net -l service_type=compute:nova --owner vm-1 --explain")


def soft(tour: Tour) -> None:
    tour.step("A soft boundary: each host claims a block and advertises one prefix")
    tour.use("containers")
    tour.run("init")
    tour.run("apply @container-hosts.yaml")
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
        print(
            "\nEnd of the tour. Next: docs/explanation/concepts.md, and README.md for first steps."
        )


if __name__ == "__main__":
    main()
