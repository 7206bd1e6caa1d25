"""Every allocated address is reached on its host, with real daemons and kernels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from itertools import product
from pathlib import Path

import pytest

import borough
from borough import Ipam
from borough.engine.queries import RouteForm
from borough.engine.views import Allocation
from tests.cli.conftest import Cli
from tests.routing.namespaces import Bird, Fabric, Frr, Node, require_namespaces, wait_until
from tests.servers.shared import must_have

pytestmark = [pytest.mark.routing, pytest.mark.timeout(120)]

HOSTS = ("h1", "h2", "h.3")

PODS, TINY = {"network": "pods"}, {"network": "tiny"}

TOPOLOGY = {
    "subnets": [
        {"name": "pods-a", "cidr": "10.64.0.0/26", "labels": PODS},
        {"name": "pods-b", "cidr": "10.64.0.64/26", "labels": PODS},
        {"name": "pods-v6", "cidr": "2001:db8:64::/121", "labels": PODS},
        {"name": "tiny", "cidr": "10.64.0.128/31", "labels": TINY},
        {"name": "tiny-v6", "cidr": "2001:db8:64::80/127", "labels": TINY},
    ]
}

ROUTER = """\
log stderr all;
router id 172.31.0.1;
include "borough.conf";
protocol device {}
protocol kernel { ipv4 { import none; export all; }; }
protocol kernel { ipv6 { import none; export all; }; }
template bgp host { local as 65100; connect delay time 1; connect retry time 1; error wait time 1, 2; }
"""

PEER = """\
protocol bgp from host {{
    neighbor 172.31.{number}.1 as {asn};
    ipv4 {{ import where 'borough4:{name}'(); export all; }};
}}
protocol bgp from host {{
    neighbor fd00:b:{number}::1 as {asn};
    ipv6 {{ import where 'borough6:{name}'(); export all; }};
}}
"""

HOST = """\
log stderr all;
router id 172.31.{number}.1;
include "borough.conf";
protocol device {{}}
protocol direct {{ ipv4; ipv6; interface "lo"; }}
protocol kernel {{ ipv4 {{ import none; export where !borough4_single(); }}; }}
protocol kernel {{ ipv6 {{ import none; export where !borough6_single(); }}; }}
template bgp uplink {{
    local as {asn};
    connect delay time 1;
    connect retry time 1;
    error wait time 1, 2;
}}
protocol bgp from uplink {{
    neighbor 172.31.{number}.0 as 65100;
    ipv4 {{ import all; export where borough4_routes(); }};
}}
protocol bgp from uplink {{
    neighbor fd00:b:{number}:: as 65100;
    ipv6 {{ import all; export where borough6_routes(); }};
}}
"""


FRR_HOST = """\
frr version 8
frr defaults traditional
hostname {name}
log stdout
!
router bgp {asn}
 bgp router-id 172.31.{number}.1
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 neighbor 172.31.{number}.0 remote-as 65100
 neighbor 172.31.{number}.0 timers connect 1
 neighbor fd00:b:{number}:: remote-as 65100
 neighbor fd00:b:{number}:: timers connect 1
 !
 address-family ipv4 unicast
  redistribute kernel route-map borough4
  redistribute connected route-map borough4
  redistribute static route-map borough4
  neighbor 172.31.{number}.0 activate
 exit-address-family
 !
 address-family ipv6 unicast
  redistribute kernel route-map borough6
  redistribute connected route-map borough6
  redistribute static route-map borough6
  neighbor fd00:b:{number}:: activate
 exit-address-family
exit
!
"""


@dataclass
class Scene:
    """A fabric, and the addresses in it."""

    ipam: Ipam
    cli: Cli
    fabric: Fabric
    router: Bird
    daemons: dict[str, Bird | Frr]

    def holders(self) -> dict[str, str]:
        return {each.address: each.host for each in self.ipam.allocations()}

    def announce(self, form: RouteForm) -> None:
        """Load Borough's present output into all daemons, and wait for the kernels' routes."""
        said = ("routes", "--form", form, "--format")
        self.router.configure(self.cli.text(*said, "bird"))
        for name, daemon in self.daemons.items():
            kind = "bird" if isinstance(daemon, Bird) else "frr"
            daemon.configure(self.cli.text(*said, kind, "--host", name))
        routes = self.ipam.routes(form=form)
        for family in (4, 6):
            self.wait_for(
                family, {each.prefix: each.host for each in routes if each.family == family}
            )

    def wait_for(self, family: int, routes: dict[str, str]) -> None:
        """Wait until the kernels have exactly these routes."""
        ups = {host: f"up{number}" for number, host in enumerate(HOSTS, 1)}
        self._wait_for_node(
            self.fabric.router, family, {prefix: ups[host] for prefix, host in routes.items()}
        )
        for name, node in self.fabric.hosts.items():
            expected = {
                prefix: "blackhole" if host == name else "fabric"
                for prefix, host in routes.items()
                if host != name or ip_network(prefix).num_addresses > 1
            }
            self._wait_for_node(node, family, expected)

    @staticmethod
    def _wait_for_node(node: Node, family: int, expected: dict[str, str]) -> None:
        def found() -> dict[str, str]:
            # BIRD also writes routes of the host's own addresses.
            routes = node.routes(family, "bird", "bgp", "static")
            return {prefix: way for prefix, way in routes.items() if way != "lo"}

        wait_until(
            lambda: found() == expected,
            lambda: f"{node.name} has {found()}, not {expected}: {node.log}",
        )


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A router, three hosts, and addresses of both families on them, some borrowed."""
    must_have(require_namespaces)
    path: Path = tmp_path_factory.mktemp("routing") / "ipam.db"
    cli = Cli(path)
    with borough.open(cli.url, create=True) as ipam:
        ipam.apply(TOPOLOGY)
        fill(ipam)
        fabric = Fabric(HOSTS)
        try:
            place(ipam, fabric)
            yield Scene(ipam, cli, fabric, *daemons(cli, fabric))
        finally:
            fabric.remove()


def fill(ipam: Ipam) -> None:
    """Allocate on each host, partly borrowed from the host before it, once a whole claim."""
    for count, host in zip((20, 5, 11), HOSTS, strict=True):
        ipam.allocate(labels=PODS, host=host, families=(4, 6), count=count, owner=host)
    # Two claims with a gap: in lpm form one prefix covers them.
    for address in ("10.64.0.90", "10.64.0.120", "2001:db8:64::5a", "2001:db8:64::78"):
        ipam.allocate(labels=PODS, address=address, host="h1", owner="h1")
    allocations = ipam.allocations()
    for at, host in enumerate(HOSTS):
        for family in (4, 6):
            lender = (HOSTS[at - 1], family)
            lent = [each for each in allocations if (each.host, each.family) == lender]
            for each in lent[1:4:2]:
                lend(ipam, each, host)
    for each in ipam.allocate(labels=TINY, host="h1", families=(4, 6), count=2).allocations:
        lend(ipam, each, "h2")


def lend(ipam: Ipam, allocation: Allocation, host: str) -> None:
    """Release an address of one host and allocate it to another, which then borrows it."""
    ipam.release(allocation.address)
    labels = TINY if allocation.subnet.startswith("tiny") else PODS
    ipam.allocate(labels=labels, address=allocation.address, host=host, owner="guest")


def place(ipam: Ipam, fabric: Fabric) -> None:
    """Configure each address on its host, or in a workload of it when borrowed."""
    for name, node in fabric.hosts.items():
        allocations = ipam.allocations(host=name)
        fabric.attach(name, [single(each) for each in allocations if each.borrowed])
        for each in allocations:
            if not each.borrowed:
                node.ip("addr", "add", single(each), "dev", "lo")


def single(allocation: Allocation) -> str:
    return f"{allocation.address}/{32 if allocation.family == 4 else 128}"


def daemons(cli: Cli, fabric: Fabric) -> tuple[Bird, dict[str, Bird | Frr]]:
    """Start BIRD on the router and all hosts but the last, which has FRR."""
    peers = [
        PEER.format(number=number, name=name, asn=65100 + number)
        for number, name in enumerate(HOSTS, 1)
    ]
    said = ("routes", "--format")
    router = Bird(fabric.router, "".join([ROUTER, *peers]), cli.text(*said, "bird"))
    hosts: dict[str, Bird | Frr] = {}
    for number, (name, node) in enumerate(fabric.hosts.items(), 1):
        with_frr = name == HOSTS[-1]
        config = (FRR_HOST if with_frr else HOST).format(
            number=number, name=name, asn=65100 + number
        )
        if with_frr:
            hosts[name] = Frr(node, config, cli.text(*said, "frr", "--host", name))
        else:
            hosts[name] = Bird(node, config, cli.text(*said, "bird", "--host", name))
    return router, hosts


@pytest.mark.parametrize("form", ["strict", "lpm"])
def test_every_address_is_reached_where_it_is_held(scene: Scene, form: RouteForm) -> None:
    """From the router and from every host, with borrowed addresses and both families."""
    scene.announce(form)
    holders = scene.holders()
    borrowed = [each for each in scene.ipam.allocations() if each.borrowed]
    assert {(each.host, each.family) for each in borrowed} == set(product(HOSTS, (4, 6)))
    if form == "lpm":
        assert len(scene.ipam.routes(form="lpm")) < len(scene.ipam.routes())
    answers = scene.fabric.router.pings(holders)
    assert {address: scene.fabric.answering(ttl) for address, ttl in answers.items()} == holders
    for name, node in scene.fabric.hosts.items():
        others = {address: host for address, host in holders.items() if host != name}
        answers = node.pings(others)
        assert {address: scene.fabric.answering(ttl) for address, ttl in answers.items()} == others
