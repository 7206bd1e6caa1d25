"""A private Galera cluster: several MariaDB nodes on loopback, all of them writable."""

from __future__ import annotations

from pathlib import Path

from tests.servers.base import Missing, find_program, free_port
from tests.servers.mariadb import QUICK, MariadbServer

_LIBRARIES = ("/usr/lib/galera/libgalera_smm.so", "/usr/lib64/galera-4/libgalera_smm.so")


def _library() -> str:
    for path in _LIBRARIES:
        if Path(path).exists():
            return path
    raise Missing("Galera is not installed (on Debian and Ubuntu: apt-get install galera-4)")


class GaleraCluster:
    """Three nodes, or as many as are wanted, from ``mariadb-server``, ``galera-4`` and ``rsync``."""

    def __init__(self, size: int = 3) -> None:
        library = _library()
        find_program("rsync", package="rsync")
        find_program("lsof", package="lsof")
        groups = [free_port() for _ in range(size)]
        members = ",".join(f"127.0.0.1:{port}" for port in groups)
        self.nodes: list[MariadbServer] = []
        try:
            for number, port in enumerate(groups):
                self.nodes.append(self._node(number, port, members, library))
                self._join(number, bootstrap=number == 0)
        except BaseException:
            self.remove()
            raise

    @staticmethod
    def _node(number: int, port: int, members: str, library: str) -> MariadbServer:
        options = {
            "gmcast.listen_addr": f"tcp://127.0.0.1:{port}",
            "ist.recv_addr": f"127.0.0.1:{free_port()}",
            "gcache.size": "64M",
        }
        settings = {
            **QUICK,
            "wsrep_on": "ON",
            "wsrep_provider": library,
            "wsrep_cluster_name": "borough",
            "wsrep_cluster_address": f"gcomm://{members}",
            "wsrep_node_name": f"node{number + 1}",
            "wsrep_node_address": f"127.0.0.1:{port}",
            "wsrep_sst_method": "rsync",
            "wsrep_sst_receive_address": f"127.0.0.1:{free_port()}",
            "wsrep_provider_options": ";".join(
                f"{name}={value}" for name, value in options.items()
            ),
            "binlog_format": "ROW",
            "innodb_autoinc_lock_mode": "2",
            "innodb_buffer_pool_size": "128M",
        }
        return MariadbServer(settings, start=False)

    def _join(self, number: int, *, bootstrap: bool = False) -> None:
        node = self.nodes[number]
        if bootstrap:
            node.settings["wsrep_new_cluster"] = "1"
        try:
            node.start()
            node.wait_until(lambda: self.status(number, "wsrep_local_state_comment") == "Synced")
        finally:
            node.settings.pop("wsrep_new_cluster", None)

    def status(self, number: int, name: str) -> str:
        """A status variable of a node."""
        return str(self.nodes[number].run(f"SHOW GLOBAL STATUS LIKE '{name}'")[0][1])

    def bring_back(self, number: int) -> None:
        """Start a node again after it was killed, and wait until it has caught up."""
        self._join(number)

    def restart(self) -> None:
        """Start all nodes after all of them were killed: first the one that has got farthest."""
        reached = [node.reached() for node in self.nodes]
        first = reached.index(max(reached))
        self.nodes[first].may_begin()
        self._join(first, bootstrap=True)
        for number in range(len(self.nodes)):
            if number != first:
                self._join(number)

    def fresh(self, first: int = 0) -> str:
        """The URL of a new, empty database, with all nodes in it, from ``first`` on."""
        name = self.nodes[0].fresh().rpartition("/")[2]
        return self.url(name, first)

    def url(self, database: str, first: int = 0) -> str:
        """The URL of a database, with all nodes in it, from ``first`` on."""
        ports = [node.port for node in self.nodes[first:] + self.nodes[:first]]
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
        return f"mysql://root@{hosts}/{database}"

    def remove(self) -> None:
        """End all nodes and remove their folders."""
        for node in self.nodes:
            node.remove()
