"""Every address that is held is reached, and on the host that holds it: with real daemons and kernels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

import pytest

import borough
from borough import Ipam
from borough.engine.ipam import RouteForm
from tests.cli.conftest import Cli
from tests.routing.namespaces import Bird, Fabric, require_namespaces, wait_until
from tests.servers.shared import must_have

pytestmark = [pytest.mark.routing, pytest.mark.timeout(120)]

HOSTS = ("h1", "h2", "h.3")

TOPOLOGY = {
    "subnets": [
        {"name": "pods-a", "cidr": "10.64.0.0/26", "labels": {"network": "pods"}},
        {"name": "pods-b", "cidr": "10.64.0.64/26", "labels": {"network": "pods"}},
        {"name": "pods-v6", "cidr": "2001:db8:64::/121", "labels": {"network": "pods"}},
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
template bgp router {{
    local as {asn};
    connect delay time 1;
    connect retry time 1;
    error wait time 1, 2;
}}
protocol bgp from router {{
    neighbor 172.31.{number}.0 as 65100;
    ipv4 {{ import all; export where borough4_routes(); }};
}}
protocol bgp from router {{
    neighbor fd00:b:{number}:: as 65100;
    ipv6 {{ import all; export where borough6_routes(); }};
}}
"""


@dataclass
class Scene:
    """A fabric, and the addresses in it."""

    ipam: Ipam
    cli: Cli
    fabric: Fabric
    router: Bird
    birds: dict[str, Bird]

    def holders(self) -> dict[str, str]:
        return {each.address: each.host for each in self.ipam.allocations()}

    def borrowed(self) -> list[str]:
        return [each.address for each in self.ipam.allocations() if each.borrowed]

    def place(self) -> None:
        """Put every address where it is held."""
        for name, node in self.fabric.hosts.items():
            node.ip("addr", "flush", "dev", "lo", "scope", "global")
            for address, host in self.holders().items():
                if host == name:
                    length = 128 if ":" in address else 32
                    node.ip("addr", "add", f"{address}/{length}", "dev", "lo")

    def announce(self, form: RouteForm) -> None:
        """Have all daemons read what Borough says now, and wait until the kernels know."""
        self.place()
        said = ("routes", "--form", form, "--format", "bird")
        self.router.configure(self.cli.text(*said))
        for name, bird in self.birds.items():
            bird.configure(self.cli.text(*said, "--host", name))
        for family in (4, 6):
            links = {
                each.prefix: each.host
                for each in self.ipam.routes(form=form)
                if each.family == family
            }
            self.settle(family, links)

    def settle(self, family: int, routes: dict[str, str]) -> None:
        """Wait until the kernels have exactly these routes."""
        ups = {name: f"up{number}" for number, name in enumerate(HOSTS, 1)}
        expected = {prefix: ups[host] for prefix, host in routes.items()}
        router = self.fabric.router
        wait_until(
            lambda: router.routes(family, "bird") == expected,
            lambda: f"{router.routes(family, 'bird')} is not {expected}: {router.log}",
        )
        for name, node in self.fabric.hosts.items():
            wait_until(
                lambda node=node, name=name: (
                    node.routes(family, "bird")  # type: ignore[misc]
                    == {
                        prefix: "blackhole" if host == name else "fabric"
                        for prefix, host in routes.items()
                        if host != name or ip_network(prefix).num_addresses > 1
                    }
                ),
                lambda node=node: f"{node.name}: {node.routes(family, 'bird')}: {node.log}",  # type: ignore[misc]
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
            yield Scene(ipam, cli, fabric, *daemons(cli, fabric))
        finally:
            fabric.remove()


def fill(ipam: Ipam) -> None:
    """Give each host some, let each borrow of the next, and take some back."""
    for count, host in zip((20, 5, 11), HOSTS, strict=True):
        for family in (4, 6):
            ipam.allocate(
                labels={"network": "pods"}, host=host, families=family, count=count, owner=host
            )
    mine = ipam.allocations()
    for at, host in enumerate(HOSTS):
        for family in (4, 6):
            lender = HOSTS[at - 1]
            names = [each for each in mine if (each.host, each.family) == (lender, family)]
            for each in names[1:3]:
                ipam.release(each.address)
                ipam.allocate(address=each.address, host=host, owner="guest")


def daemons(cli: Cli, fabric: Fabric) -> tuple[Bird, dict[str, Bird]]:
    peers = [
        PEER.format(number=number, name=name, asn=65100 + number)
        for number, name in enumerate(HOSTS, 1)
    ]
    router = Bird(fabric.router, "".join([ROUTER, *peers]), cli.text("routes", "--format", "bird"))
    hosts = {
        name: Bird(
            fabric.hosts[name],
            HOST.format(number=number, asn=65100 + number),
            cli.text("routes", "--host", name, "--format", "bird"),
        )
        for number, name in enumerate(HOSTS, 1)
    }
    return router, hosts


@pytest.mark.parametrize("form", ["strict", "lpm"])
def test_every_address_is_reached_where_it_is_held(scene: Scene, form: RouteForm) -> None:
    """From the router and from every host; borrowed addresses and both families included."""
    scene.announce(form)
    holders = scene.holders()
    assert {":" in address for address in scene.borrowed()} == {True, False}
    assert set(Counter(holders.values())) == set(HOSTS)
    answers = scene.fabric.router.pings(holders)
    assert {address: scene.fabric.answering(ttl) for address, ttl in answers.items()} == holders
    for name, node in scene.fabric.hosts.items():
        others = {address: host for address, host in holders.items() if host != name}
        answers = node.pings(others)
        assert {address: scene.fabric.answering(ttl) for address, ttl in answers.items()} == others
