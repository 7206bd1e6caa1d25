"""Hosts and a router in network namespaces, and the routing daemons in them."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tests.servers.base import Missing, find_program

TIMEOUT = 30.0

_numbers = itertools.count(1)


def require_namespaces() -> None:
    """Check that namespaces can be made.

    :raises Missing: a package or a privilege is missing; the text names it.
    """
    find_program("ip", "usr/sbin", "sbin", package="iproute2")
    find_program("ping", package="iputils-ping")
    find_program("bird", "usr/sbin", package="bird2")
    find_program("birdc", "usr/sbin", package="bird2")
    find_program("vtysh", package="frr")
    find_program("zebra", "usr/lib/frr", package="frr")
    find_program("frr-reload.py", "usr/lib/frr", package="frr-pythontools")
    name = f"borough-{os.getpid()}-probe"
    tried = _try("ip", "netns", "add", name)
    try:
        if tried.returncode == 0:
            tried = _try("ip", "-n", name, "link", "add", "up", "type", "veth")
    finally:
        _try("ip", "netns", "del", name)
    if tried.returncode:
        raise Missing(
            f"network namespaces cannot be made, which takes root: {tried.stderr.strip()}"
        )


def _try(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False)


def _own(path: Path) -> None:
    """Make a folder for FRR's daemons, which drop their privileges."""
    path.mkdir(parents=True)
    shutil.chown(path, "frr", "frr")


def wait_until(
    true: Callable[[], bool], state: Callable[[], str], timeout: float = TIMEOUT
) -> None:
    """Wait for a condition, or fail with a description of the state."""
    deadline = time.monotonic() + timeout
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(state())
        time.sleep(0.1)


class Node:
    """A namespace with a loopback interface, and the processes in it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.space = f"borough-{os.getpid()}-{next(_numbers)}"
        self.folder = Path(tempfile.mkdtemp(prefix="borough-routing-"))
        self.folders = [self.folder]
        self.processes: list[subprocess.Popen[bytes]] = []
        self._ip_must("netns", "add", self.space)
        # Without detection of duplicate addresses an address works at once.
        self.set("net/ipv6/conf/default/accept_dad", 0)
        self.ip("link", "set", "lo", "up")

    @staticmethod
    def _ip_must(*words: str) -> str:
        done = _try("ip", *words)
        assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"
        return done.stdout

    def ip(self, *words: str) -> str:
        """Run ``ip`` in it."""
        return self._ip_must("-n", self.space, *words)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a program in it and wait for its end."""
        return _try("ip", "netns", "exec", self.space, *words)

    def must(self, *words: str) -> str:
        """Run a program in it; a failure fails the test."""
        done = self.run(*words)
        assert done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self, *words: str) -> None:
        """Start a program in it in the background."""
        with (self.folder / "log").open("ab") as log:
            self.processes.append(
                subprocess.Popen(
                    ["ip", "netns", "exec", self.space, "setpriv", "--pdeathsig", "KILL", *words],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self.folder,
                )
            )

    @property
    def log(self) -> str:
        """The end of the output of its programs."""
        path = self.folder / "log"
        return path.read_text(errors="replace")[-3000:] if path.exists() else ""

    def set(self, name: str, value: int) -> None:
        """Set a variable of its kernel."""
        self.must("sh", "-c", f"echo {value} > /proc/sys/{name}")

    def routes(self, family: int, *protocols: str) -> dict[str, str]:
        """Its kernel's routes by prefix: their type, or their interface."""
        shown = json.loads(self.ip(f"-{family}", "-j", "-d", "route", "show"))
        return {
            _prefix(family, each["dst"]): each["type"]
            if each["type"] != "unicast"
            else each.get("dev", "")
            for each in shown
            if each.get("protocol") in protocols
        }

    def pings(self, addresses: Iterable[str]) -> dict[str, int | None]:
        """The time to live of each address's answer; None without an answer."""
        script = 'for each in "$@"; do echo "$each" $(ping -n -c 1 -W 1 "$each" | grep -o "ttl=.*"); done'
        said = self.must("sh", "-c", script, "sh", *addresses)
        found = re.findall(r"^(\S+)(?: ttl=(\d+).*)?$", said, re.M)
        return {address: int(ttl) if ttl else None for address, ttl in found}

    def remove(self) -> None:
        """End its processes and remove it."""
        for process in reversed(self.processes):
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
            process.kill()
            process.wait()
        _try("ip", "netns", "del", self.space)
        for folder in self.folders:
            shutil.rmtree(folder, ignore_errors=True)


def _prefix(family: int, shown: str) -> str:
    """The prefix of a route as ``ip`` shows it, which omits the length of a single address."""
    return shown if "/" in shown else f"{shown}/{32 if family == 4 else 128}"


def _connect(number: int, upper: tuple[Node, str], lower: tuple[Node, str]) -> None:
    """Link two namespaces by interfaces of these names; the default route of the lower is the upper."""
    (above, up), (below, down) = upper, lower
    above.ip(*f"link add {up} type veth peer name {down} netns {below.space}".split())
    for node, interface, end in ((above, up, 0), (below, down, 1)):
        node.ip("link", "set", "dev", interface, "up")
        node.ip("addr", "add", f"172.31.{number}.{end}/31", "dev", interface)
        node.ip("addr", "add", f"fd00:b:{number}::{end}/127", "dev", interface, "nodad")
    below.ip("route", "add", "default", "via", f"172.31.{number}.0")
    below.ip("-6", "route", "add", "default", "via", f"fd00:b:{number}::")


class Fabric:
    """A router, and hosts that are linked with it.

    Link N has the addresses 172.31.N.0 and .1, and fd00:b:N::0 and ::1; the router has the lower ones.
    Answers of host N and of its workloads start with a time to live of 100 + 10 N, which identifies the host.
    """

    def __init__(self, hosts: Sequence[str]) -> None:
        self.router = Node("router")
        self.hosts: dict[str, Node] = {}
        self.workloads: list[Node] = []
        try:
            for version in ("ipv4", "ipv6"):
                self.router.set(f"net/{version}/conf/all/forwarding", 1)
            for number, name in enumerate(hosts, 1):
                self.hosts[name] = Node(name)
                _connect(number, (self.router, f"up{number}"), (self.hosts[name], "fabric"))
                self._mark(self.hosts[name], number)
        except BaseException:
            self.remove()
            raise

    def attach(self, host: str, addresses: Iterable[str]) -> None:
        """Add a workload with addresses behind its own interface of a host, as a container has it."""
        node, made = self.hosts[host], Node(f"workload of {host}")
        self.workloads.append(made)
        number = 100 + len(self.workloads)
        _connect(number, (node, "workload"), (made, "fabric"))
        for version in ("ipv4", "ipv6"):
            node.set(f"net/{version}/conf/all/forwarding", 1)
        for address in addresses:
            made.ip("addr", "add", address, "dev", "lo")
            via = f"fd00:b:{number}::1" if ":" in address else f"172.31.{number}.1"
            node.ip("route", "add", address, "via", via)
        self._mark(made, list(self.hosts).index(host) + 1)

    @staticmethod
    def _mark(node: Node, number: int) -> None:
        node.set("net/ipv4/ip_default_ttl", 100 + 10 * number)
        node.set("net/ipv6/conf/fabric/hop_limit", 100 + 10 * number)

    def answering(self, ttl: int | None) -> str | None:
        """The host that an answer's time to live identifies."""
        if ttl is None:
            return None
        return list(self.hosts)[(ttl + 9) // 10 - 11]

    def remove(self) -> None:
        """Remove everything."""
        for node in (*self.workloads, *self.hosts.values(), self.router):
            node.remove()


class Bird:
    """BIRD in a namespace; its configuration includes Borough's output."""

    def __init__(self, node: Node, config: str, included: str) -> None:
        self.node = node
        self._config = node.folder / "bird.conf"
        self._config.write_text(config)
        self.include(included)
        self._socket = node.folder / "bird.ctl"
        checked = node.run("bird", "-p", "-c", str(self._config))
        assert checked.returncode == 0, checked.stderr
        node.start("bird", "-f", "-c", str(self._config), "-s", str(self._socket))
        wait_until(self._socket.exists, lambda: f"BIRD of {node.name}: {node.log}")

    def include(self, text: str) -> None:
        """Replace Borough's output."""
        (self.node.folder / "borough.conf").write_text(text)

    def configure(self, included: str) -> None:
        """Replace Borough's output, and reload the configuration."""
        self.include(included)
        said = self.node.must("birdc", "-s", str(self._socket), "configure")
        assert re.search("Reconfigured|Reconfiguration in progress", said), said


class Frr:
    """FRR in a namespace; Borough's output is added to its configuration."""

    def __init__(self, node: Node, config: str, added: str) -> None:
        self.node = node
        self._path = node.folder / "frr.conf"
        self._config = config
        # The daemons of one namespace share a folder of their own below this one.
        self._sockets = Path("/var/run/frr") / node.space
        _own(self._sockets)
        node.folders.append(self._sockets)
        # In this order: a daemon that does not find zebra tries again after ten seconds.
        for daemon, listens in (
            ("zebra", "zserv.api"),
            ("staticd", "staticd.vty"),
            ("bgpd", "bgpd.vty"),
        ):
            words = ["-N", node.space, "-A", "127.0.0.1", "-P", "0", "-f", "/dev/null"]
            node.start(find_program(daemon, "usr/lib/frr", package="frr"), *words)
            wait_until((self._sockets / listens).exists, lambda: f"FRR of {node.name}: {node.log}")
        self.configure(added)

    def configure(self, added: str) -> None:
        """Check the whole configuration, then load it."""
        self._path.write_text(f"{self._config}{added}")
        said = self.node.run("vtysh", "-C", "-f", str(self._path))
        assert (said.returncode, said.stdout) == (0, ""), said
        reload = find_program("frr-reload.py", "usr/lib/frr", package="frr-pythontools")
        self.node.must(reload, "--reload", "-N", self.node.space, str(self._path))
