"""A router and hosts with agents, real BIRD and real FRR, and a service, in network namespaces."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from borough import Ipam
from tests.routing.namespaces import TIMEOUT, Bird, Fabric, Frr, Node, wait_until

DOCUMENT = Path(__file__).parent.parent.parent / "docs/howto/agent.md"

PORT = 8080

#: Seconds that the daemons need on a machine that is busy.
SETTLE = 1.0

ROUTER = """\
log stderr all;
router id 172.31.0.1;
include "borough.conf";
protocol device {}
protocol kernel { ipv4 { import none; export all; }; }
protocol kernel { ipv6 { import none; export all; }; }
template bgp host {
    local as 65100;
    connect delay time 1;
    connect retry time 1;
    error wait time 1, 2;
}
"""

PEER = """\
protocol bgp from host {{
    neighbor 172.31.{number}.1 as {asn};
    ipv4 {{ import all; export all; }};
}}
protocol bgp from host {{
    neighbor fd00:b:{number}::1 as {asn};
    ipv6 {{ import all; export all; }};
}}
"""

BIRD_HEAD = 'log stderr all;\nrouter id 172.31.{number}.1;\ninclude "borough.conf";\n'

FRR_HEAD = "frr version 8\nfrr defaults traditional\nhostname h{number}\nlog stdout\n!\n"


def blocks() -> dict[str, str]:
    """The configurations of the page, by daemon."""
    text = DOCUMENT.read_text()
    found = re.findall(r"^## (BIRD 2|FRR|GoBGP)\n.*?^```\w*\n(.*?)^```$", text, re.M | re.S)
    return {name.split()[0].lower(): block for name, block in found}


def numbered(block: str, number: int) -> str:
    """A configuration of the page, for host N."""
    block = block.replace("65101", str(65100 + number))
    return block.replace("172.31.1.", f"172.31.{number}.").replace("fd00:b:1:", f"fd00:b:{number}:")


class Fleet:
    """The fabric, its daemons, the service and the agents."""

    def __init__(self, ipam: Ipam, url: str, *, birds: int, frrs: int) -> None:
        self.ipam = ipam
        self._url = url
        names = [f"h{number}" for number in range(1, birds + frrs + 1)]
        self.birds, self.frrs = names[:birds], names[birds:]
        self.fabric = Fabric(names)
        # The threads stay: a program ends with the thread that has started it.
        self._pool = ThreadPoolExecutor(4)
        self.service: subprocess.Popen[bytes] | None = None
        self.agents: dict[str, subprocess.Popen[bytes]] = {}
        self.secrets = {name: ipam.create_token(f"agent-of-{name}", host=name)[1] for name in names}
        try:
            self._start_daemons(names)
            self.start_service()
            for name in names:
                self.start_agent(name)
        except BaseException:
            self.remove()
            raise

    def _start_daemons(self, names: list[str]) -> None:
        found = blocks()
        peers = [
            PEER.format(number=number, asn=65100 + number) for number in range(1, len(names) + 1)
        ]
        Bird(self.fabric.router, "".join([ROUTER, *peers]), "")

        def start(number: int) -> None:
            name, node = names[number - 1], self.fabric.hosts[names[number - 1]]
            if name in self.birds:
                config = BIRD_HEAD.format(number=number) + numbered(found["bird"], number)
                fast = "connect delay time 1; connect retry time 1; error wait time 1, 2;"
                Bird(node, config.replace("    local as", f"    {fast}\n    local as"), "")
            else:
                config = FRR_HEAD.format(number=number) + numbered(found["frr"], number)
                fast = re.sub(
                    r"( neighbor (\S+)) remote-as (\d+)",
                    r"\1 remote-as \3\n\1 timers connect 1",
                    config,
                )
                Frr(node, fast, "")

        list(self._pool.map(start, range(1, len(names) + 1)))

    def _program(self, node: Node, *words: str, secret: str = "") -> subprocess.Popen[bytes]:
        """Start a program of Borough in a namespace."""
        os.environ["BOROUGH_TOKEN"] = secret
        node.start(sys.executable, "-m", "borough", *words)
        del os.environ["BOROUGH_TOKEN"]
        return node.processes[-1]

    def start_service(self) -> None:
        """Start the service on the router."""
        words = (
            "--db",
            self._url,
            "serve",
            "--host",
            "0.0.0.0",
            "--tokens",
            "--reclaim-every",
            "0",
        )
        self.service = self._program(self.fabric.router, *words, "--port", str(PORT))

    def start_agent(self, name: str) -> None:
        """Start the agent of a host."""
        number = list(self.fabric.hosts).index(name) + 1
        node = self.fabric.hosts[name]
        words = ["agent", "--host", name, "--server", f"http://172.31.{number}.0:{PORT}"]
        words += ["--settle", str(SETTLE), "--status", str(node.folder / "status.json")]
        if name in self.birds:
            words += ["--single-table", "211"]
        self.agents[name] = self._program(node, *words, secret=self.secrets[name])

    @staticmethod
    def kill(process: subprocess.Popen[bytes] | None) -> None:
        """End a program without a warning."""
        assert process is not None
        process.send_signal(signal.SIGKILL)
        process.wait()

    def router_routes(self) -> dict[str, str]:
        """The prefixes in the kernel of the router, with their hosts."""
        ups = {f"up{number}": name for number, name in enumerate(self.fabric.hosts, 1)}
        return {
            prefix: ups.get(up, up)
            for family in (4, 6)
            for prefix, up in self.fabric.router.routes(family, "bird").items()
        }

    def wait_until_settled(self) -> None:
        """Wait until the kernel of the router has exactly the routes of the hosts."""

        def expected() -> dict[str, str]:
            return {each.prefix: each.host for each in self.ipam.routes()}

        def difference() -> str:
            found, wanted = self.router_routes().items(), expected().items()
            late = [each for each in self.ipam.agents() if each.is_late]
            return f"missing {wanted - found}, surplus {found - wanted}, late {late}"

        wait_until(lambda: self.router_routes() == expected(), difference, timeout=4 * TIMEOUT)

    def wait_until_reported(self) -> None:
        """Wait until every agent has reported."""
        wait_until(
            lambda: (
                {each.host for each in self.ipam.agents() if not each.silent}
                == set(self.fabric.hosts)
            ),
            self.logs,
            timeout=4 * TIMEOUT,
        )

    def logs(self) -> str:
        """The ends of all logs."""
        nodes = (self.fabric.router, *self.fabric.hosts.values())
        return "\n".join(f"--- {node.name}\n{node.log[-600:]}" for node in nodes)

    def remove(self) -> None:
        """Remove everything."""
        self.fabric.remove()
        self._pool.shutdown()
