"""A Galera cluster as a target: nodes in network namespaces, so that one can be cut off from the others."""

from __future__ import annotations

import os
import subprocess
import time
from random import Random
from typing import Final

from tests.nemesis.targets import Fault, Target, end_mariadb_sessions
from tests.servers.base import Missing, find_program
from tests.servers.galera import GaleraCluster, Place

#: Seconds of a partition; the other nodes expel a node after 5.
CUT: Final = (7.0, 13.0)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Missing(f"ip {' '.join(words)}: {done.stderr.strip()}")


class Network:
    """Network namespaces on a bridge; a process outside reaches all of them.

    :ivar places: one for each namespace.
    """

    def __init__(self, size: int) -> None:
        """Make it.

        :raises Missing: namespaces cannot be made, which needs root, or there is no packet filter.
        """
        find_program("ip", "usr/sbin", "sbin", package="iproute2")
        find_program("nft", "usr/sbin", "sbin", package="nftables")
        pid = os.getpid()
        net = f"198.18.{pid % 254 + 1}"
        self._bridge = f"borough{pid % 10**8}"
        self._names = [f"borough-{pid}-node{number}" for number in range(1, size + 1)]
        self.places: list[Place] = []
        try:
            _ip("link", "add", self._bridge, "type", "bridge")
            _ip("addr", "add", f"{net}.254/24", "dev", self._bridge)
            _ip("link", "set", self._bridge, "up")
            for number, name in enumerate(self._names, 1):
                self._add(number, name, f"{net}.{number}")
        except BaseException:
            self.remove()
            raise

    def _add(self, number: int, name: str, address: str) -> None:
        link = f"{self._bridge[7:]}-n{number}"
        _ip("netns", "add", name)
        _ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("link", "set", link, "master", self._bridge, "up")
        _ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            _ip("-n", name, "link", "set", device, "up")
        self.places.append(Place(address, ("ip", "netns", "exec", name)))

    def cut_off(self, number: int) -> None:
        """Drop all packets between one namespace and the others."""
        others = ", ".join(
            place.address for index, place in enumerate(self.places) if index != number
        )
        self._filter(
            number,
            "table ip cut {"
            f" chain in {{ type filter hook input priority 0; ip saddr {{ {others} }} drop; }};"
            f" chain out {{ type filter hook output priority 0; ip daddr {{ {others} }} drop; }}; }}",
        )

    def heal(self, number: int) -> None:
        """End :meth:`cut_off`."""
        self._filter(number, "delete table ip cut")

    def _filter(self, number: int, rules: str) -> None:
        subprocess.run([*self.places[number].inside, "nft", rules], check=True, capture_output=True)

    def remove(self) -> None:
        """Remove it; its processes must have ended."""
        for name in self._names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
        subprocess.run(["ip", "link", "del", self._bridge], capture_output=True, check=False)


class GaleraTarget(Target):
    """Three nodes; clients are distributed over the nodes."""

    # A node may not have applied changes that another has acknowledged, above all when it is cut off.
    slack = 30 * 10**9

    def __init__(self) -> None:
        super().__init__()
        self.without.append(
            "disk full: a node that cannot write leaves the cluster, like a killed one"
        )
        self._network: Network | None = None
        try:
            self._network = Network(3)
        except Missing as missing:
            self.without.append(f"node partitioned: {missing}")
        try:
            self._cluster = GaleraCluster(places=self._network.places if self._network else ())
        except BaseException:
            if self._network:
                self._network.remove()
            raise
        self.url = self._cluster.fresh()

    def client_url(self, client: int) -> str:
        """See :class:`Target`."""
        return self._cluster.url(self.url.rpartition("/")[2], client % 3)

    def faults(self) -> dict[str, Fault]:
        """See :class:`Target`."""
        made: dict[str, Fault] = {
            "node killed": self._kill,
            "all nodes killed": self._kill_all,
            "sessions ended": self._end_many,
            "statement timeout": self._time_out,
        }
        return made | ({"node partitioned": self._cut_off} if self._network else {})

    def _kill(self, chance: Random) -> None:
        number = chance.randrange(3)
        self._cluster.nodes[number].kill()
        time.sleep(chance.uniform(0, 8))
        self._cluster.bring_back(number)

    def _kill_all(self, _chance: Random) -> None:
        for node in self._cluster.nodes:
            node.kill()
        self._cluster.bring_all_back()

    def _cut_off(self, chance: Random) -> None:
        assert self._network is not None
        number = chance.randrange(3)
        self._network.cut_off(number)
        try:
            time.sleep(chance.uniform(*CUT))
        finally:
            self._network.heal(number)
        self._cluster.wait_until_synced(number)

    def _end_many(self, chance: Random) -> None:
        for _ in range(chance.randrange(1, 6)):
            end_mariadb_sessions(chance.choice(self._cluster.nodes))
            time.sleep(chance.uniform(0, 0.3))

    def _time_out(self, chance: Random) -> None:
        node = chance.choice(self._cluster.nodes)
        node.run(f"SET GLOBAL max_statement_time = {chance.choice((0.01, 0.03))}")
        end_mariadb_sessions(node)
        time.sleep(chance.uniform(0.5, 2))
        node.run("SET GLOBAL max_statement_time = 0")
        end_mariadb_sessions(node)

    def differences(self) -> list[str]:
        """Compare the nodes: row counts and checksums of the tables."""
        database = self.url.rpartition("/")[2]
        answers = []
        for number, node in enumerate(self._cluster.nodes):
            self._cluster.wait_until_synced(number)
            node.run("SET GLOBAL wsrep_sync_wait = 15")
            answers.append(
                [
                    node.run(f"SELECT count(*), sum({column}) FROM {table}", database)
                    for table, column in (
                        ("borough_allocation", "sequence"),
                        ("borough_event", "id"),
                        ("borough_block", "version + free"),
                        ("borough_free_range", "length"),
                    )
                ]
            )
        return [] if answers[0] == answers[1] == answers[2] else [f"nodes differ: {answers}"]

    def close(self) -> None:
        """See :class:`Target`."""
        self._cluster.remove()
        if self._network:
            self._network.remove()
