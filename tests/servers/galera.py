"""A private Galera cluster: several MariaDB nodes, all of them writable."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.servers.base import Missing, find_program, free_port
from tests.servers.mariadb import QUICK, MariadbServer

_LIBRARIES = ("/usr/lib/galera/libgalera_smm.so", "/usr/lib64/galera-4/libgalera_smm.so")


def _library() -> str:
    for path in _LIBRARIES:
        if Path(path).exists():
            return path
    raise Missing("Galera is not installed (on Debian and Ubuntu: apt-get install galera-4)")


class Place(NamedTuple):
    """The address of a node.

    :ivar inside: the words before its command that run it in a network namespace.
    """

    address: str = "127.0.0.1"
    inside: tuple[str, ...] = ()


class GaleraCluster:
    """A cluster of ``mariadb-server``, ``galera-4`` and ``rsync``."""

    def __init__(self, size: int = 3, places: Sequence[Place] = ()) -> None:
        """Start the nodes.

        :param size: number of nodes on loopback, when there are no ``places``.
        :param places: one for each node.
        """
        places = places or (Place(),) * size
        library = _library()
        find_program("rsync", package="rsync")
        find_program("lsof", package="lsof")
        groups = [free_port() for _ in places]
        members = ",".join(
            f"{place.address}:{port}" for place, port in zip(places, groups, strict=True)
        )
        self.nodes: list[MariadbServer] = []
        try:
            for number, (place, port) in enumerate(zip(places, groups, strict=True)):
                self.nodes.append(self._node(number, place, port, members, library))
                self._join(number, bootstrap=number == 0)
        except BaseException:
            self.remove()
            raise

    @staticmethod
    def _node(number: int, place: Place, port: int, members: str, library: str) -> MariadbServer:
        here = place.address
        options = {
            "gmcast.listen_addr": f"tcp://{here}:{port}",
            "ist.recv_addr": f"{here}:{free_port()}",
            "gcache.size": "64M",
        }
        settings = {
            **QUICK,
            "wsrep_on": "ON",
            "wsrep_provider": library,
            "wsrep_cluster_name": "borough",
            "wsrep_cluster_address": f"gcomm://{members}",
            "wsrep_node_name": f"node{number + 1}",
            "wsrep_node_address": f"{here}:{port}",
            "wsrep_sst_method": "rsync",
            "wsrep_sst_receive_address": f"{here}:{free_port()}",
            "wsrep_provider_options": ";".join(
                f"{name}={value}" for name, value in options.items()
            ),
            "binlog_format": "ROW",
            "innodb_autoinc_lock_mode": "2",
            "innodb_buffer_pool_size": "128M",
        }
        return MariadbServer(settings, start=False, address=here, inside=place.inside)

    def _join(self, number: int, *, bootstrap: bool = False, position: str = "") -> None:
        """Start a node.

        :param position: the last change in its own files; it gets later ones from the other nodes.
        """
        node = self.nodes[number]
        once = {"wsrep_new_cluster": "1"} if bootstrap else {}
        once |= {"wsrep_start_position": position} if position else {}
        node.settings.update(once)
        try:
            node.start()
            self.wait_until_synced(number)
        finally:
            for name in once:
                del node.settings[name]

    def wait_until_synced(self, number: int) -> None:
        """Wait until a node has caught up with the others."""
        node = self.nodes[number]
        node.wait_until(lambda: self.status(number, "wsrep_local_state_comment") == "Synced")

    def status(self, number: int, name: str) -> str:
        """A status variable of a node."""
        return str(self.nodes[number].run(f"SHOW GLOBAL STATUS LIKE '{name}'")[0][1])

    def bring_back(self, number: int) -> None:
        """Start a node again after it was killed, and wait until it has caught up."""
        self._join(number, position=self._recover(number))

    def bring_all_back(self) -> None:
        """Start the cluster again after all nodes were killed, first the one with the latest changes."""
        positions = [self._recover(number) for number in range(len(self.nodes))]
        known = [int(position.rpartition(":")[2]) for position in positions]
        order = sorted(range(len(self.nodes)), key=lambda number: -known[number])
        state = self.nodes[order[0]].folder / "data" / "grastate.dat"
        state.write_text(re.sub(r"(safe_to_bootstrap): 0", r"\1: 1", state.read_text()))
        for number in order:
            self._join(number, bootstrap=number == order[0], position=positions[number])

    def _recover(self, number: int) -> str:
        """The last change in the files of a killed node, as ``mariadbd-safe`` finds it."""
        node = self.nodes[number]
        done = subprocess.run(
            node.as_user([*node.command(), "--wsrep-recover"]),
            capture_output=True,
            text=True,
            check=False,
            cwd=node.folder,
            timeout=node.timeout,
        )
        found = re.search(r"Recovered position: (\S+)", done.stderr)
        assert found, done.stderr[-2000:]
        return found[1]

    def fresh(self, first: int = 0) -> str:
        """The URL of a new, empty database, with all nodes, beginning with ``first``."""
        name = self.nodes[0].fresh().rpartition("/")[2]
        return self.url(name, first)

    def url(self, database: str, first: int = 0) -> str:
        """The URL of a database, with all nodes, beginning with ``first``."""
        ordered = self.nodes[first:] + self.nodes[:first]
        hosts = ",".join(f"{node.address}:{node.port}" for node in ordered)
        return f"mysql://root@{hosts}/{database}"

    def remove(self) -> None:
        """End all nodes and remove their folders."""
        for node in self.nodes:
            node.remove()
