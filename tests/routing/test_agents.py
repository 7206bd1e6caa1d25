"""Routes by agents: every packet to a held address reaches its host, while everything changes."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_network
from pathlib import Path

import pytest

import borough
from borough import Ipam
from borough.domain.net.prefixes import parse_prefix
from borough.engine.announcements import late_hosts
from borough.engine.views import Allocation
from borough.errors import BoroughError
from tests.routing.fleet import Fleet, blocks
from tests.routing.namespaces import require_namespaces
from tests.routing.probes import Probes, RouteMonitor, load, percentile
from tests.servers.shared import must_have

pytestmark = [pytest.mark.routing, pytest.mark.timeout(7200)]

PODS = {"network": "pods"}

#: Acts of the long campaign.
ACTS = int(os.environ.get("BOROUGH_ACTS", "10000"))

TOPOLOGY = {
    "subnets": [
        {"name": "pods-a", "cidr": "10.64.0.0/24", "labels": PODS},
        {"name": "pods-b", "cidr": "10.64.1.0/24", "labels": PODS},
        {"name": "pods-v6", "cidr": "2001:db8:64::/120", "labels": PODS},
    ]
}


def test_page_has_a_configuration_for_each_daemon():
    """That of GoBGP is on the page and is not run: no test machine has gobgpd."""
    assert sorted(blocks()) == ["bird", "frr", "gobgp"]


@pytest.fixture
def ipam(tmp_path: Path) -> Iterator[Ipam]:
    with borough.open(f"sqlite:///{tmp_path}/ipam.db", create=True) as made:
        made.apply(TOPOLOGY)
        yield made


@dataclass
class Campaign:
    """Random acts on a fleet while probes flow to every held address.

    :ivar held: addresses with their probes' flow, by name.
    :ivar pending: those whose routes are not acknowledged yet, with the hosts that may get a probe.
    """

    fleet: Fleet
    probes: Probes
    monitor: RouteMonitor
    draw: random.Random
    held: dict[str, Allocation] = field(default_factory=dict)
    pending: dict[str, Allocation] = field(default_factory=dict)
    latencies: dict[str, list[float]] = field(default_factory=dict)
    expected: dict[str, tuple[float, str]] = field(default_factory=dict)
    log: list[tuple[float, str]] = field(default_factory=list)
    acts: dict[str, int] = field(default_factory=dict)
    largest: tuple[int, int, int] = (0, 0, 0)

    @property
    def ipam(self) -> Ipam:
        return self.fleet.ipam

    def act(self) -> None:
        """Do one random act, then look at what is pending."""
        weights = {"allocate": 10, "release": 7, "move": 4, "borrow": 3, "sweep": 1, "drain": 1}
        name = self.draw.choices(list(weights), list(weights.values()))[0]
        before = {each.prefix for each in self.ipam.routes()}
        try:
            getattr(self, name)()
        except BoroughError:
            name = "refused"
        at = time.monotonic()
        self.log.append((at, f"end of {name}"))
        self.acts[name] = self.acts.get(name, 0) + 1
        for each in self.ipam.routes():
            if each.prefix not in before:
                # A prefix that overlaps another one may have to wait for a host.
                kind = "bird" if each.host in self.fleet.birds else "frr"
                order = "in order" if overlaps(each.prefix, before) else "at once"
                self.expected[each.prefix] = at, f"{kind} {order}"
        self.look()

    def look(self) -> None:
        """Start the probes of addresses that are routed, and take the times of new routes."""
        for each in list(self.pending.values()):
            late = self.ipam.store.transact(
                partial(late_hosts, allocations=[each], now=self.ipam.now()), write=False
            )
            if not late:
                self.settled(each)
        for prefix, (at, kind) in list(self.expected.items()):
            seen = self.monitor.seen.get(prefix, 0.0)
            # The route may be there before the answer of the act is.
            if seen > at - 0.1:
                self.latencies.setdefault(kind, []).append(max(0.0, seen - at))
            if seen > at - 0.1 or time.monotonic() - at > 20:
                del self.expected[prefix]

    def settled(self, each: Allocation) -> None:
        """The address leads to its host from now on."""
        self.log.append((time.monotonic(), f"routed {each.address} on {each.host}"))
        del self.pending[each.address]
        if each.address in self.held:
            self.probes.move(each.address, each.host)
        else:
            self.probes.start(each.address, each.host)
        self.held[each.address] = each

    def host(self) -> str:
        return self.draw.choice(list(self.fleet.fabric.hosts))

    def free_of_doubt(self) -> list[Allocation]:
        return [each for each in self.held.values() if each.address not in self.pending]

    def allocate(self) -> None:
        answer = self.ipam.allocate(
            labels=PODS, host=self.host(), families=self.draw.choice((4, 4, 6)), owner="pod"
        )
        for each in answer.allocations:
            self.pending[each.address] = each

    def borrow(self) -> None:
        """Allocate an address that another host has claimed."""
        claimed = [
            each.prefix for each in self.ipam.blocks() if each.holder and ":" not in each.prefix
        ]
        if claimed:
            address = ip_network(self.draw.choice(claimed))[self.draw.randrange(8)]
            answer = self.ipam.allocate(
                labels=PODS, address=str(address), host=self.host(), owner="guest"
            )
            for each in answer.allocations:
                self.pending[each.address] = each

    def release(self) -> None:
        known = self.free_of_doubt()
        if len(known) < 20:
            return
        each = self.draw.choice(known)
        self.log.append((time.monotonic(), f"release {each.address} on {each.host}"))
        self.probes.stop(each.address)
        del self.held[each.address]
        time.sleep(0.01)
        self.ipam.release(each.address, sequence=each.sequence)

    def move(self) -> None:
        known = self.free_of_doubt()
        if known:
            each = self.draw.choice(known)
            to = self.host()
            self.log.append((time.monotonic(), f"move {each.address} from {each.host} to {to}"))
            self.probes.move(each.address, each.host, to)
            moved = self.ipam.reassign(each.address, to, force=True)
            self.pending[each.address] = moved

    def sweep(self) -> None:
        self.ipam.reclaim()

    def drain(self) -> None:
        self.ipam.drain(self.host())

    def around(self, wrong: list[tuple[str, str, float]]) -> str:
        """The log before the first wrong probes."""
        lines = []
        for address, what, sent in wrong[:3]:
            lines.append(f"{sent:.3f} {address}: {what}")
            lines += [
                f"{at:.3f}   {text}"
                for at, text in sorted(self.log + self.monitor.log)
                if sent - 3 < at < sent + 1
            ]
        return "\n".join(lines)

    def note_size(self) -> None:
        """The prefixes of the router beside one route a workload, and beside fixed /26."""
        held = self.ipam.allocations()
        fixed = {(each.host, each.address.rpartition(".")[0], "v4") for each in held}
        ours = len(self.ipam.routes())
        if len(held) > self.largest[1]:
            self.largest = (ours, len(held), len(fixed))


def overlaps(prefix: str, others: set[str]) -> bool:
    found = parse_prefix(prefix)
    return any(found.overlaps(parse_prefix(each)) for each in others)


def fault(fleet: Fleet, draw: random.Random) -> Callable[[], None]:
    """Kill the service or an agent; return what starts it again."""
    if draw.random() < 0.3:
        fleet.kill(fleet.service)
        return fleet.start_service
    name = draw.choice(list(fleet.fabric.hosts))
    fleet.kill(fleet.agents[name])
    return partial(fleet.start_agent, name)


def run(
    fleet: Fleet,
    acts: int,
    seed: int,
    *,
    kills: int,
    pause: float,
    most_lost: int = 0,
    capsys: pytest.CaptureFixture[str],
) -> None:
    probes = Probes(
        fleet.fabric.router.space, {name: node.space for name, node in fleet.fabric.hosts.items()}
    )
    monitor = RouteMonitor(fleet.fabric.router.space)
    made = Campaign(fleet, probes, monitor, random.Random(seed))
    at_kill = made.draw.sample(range(acts // 10, acts), min(kills, acts // 2))
    restart: tuple[float, Callable[[], None]] | None = None
    begun = time.monotonic()
    for number in range(acts):
        if restart is None and number in at_kill:
            restart = time.monotonic() + made.draw.uniform(0, 5), fault(fleet, made.draw)
            made.log.append((time.monotonic(), f"killed {restart[1]}"))
        if restart is not None and time.monotonic() > restart[0]:
            restart[1]()
            restart = None
        made.act()
        made.note_size()
        if pause:
            time.sleep(made.draw.uniform(0, 2 * pause))
    if restart is not None:
        restart[1]()
    deadline = time.monotonic() + 120
    while made.pending and time.monotonic() < deadline:
        made.look()
        time.sleep(0.05)
    fleet.wait_until_settled()
    verdict = probes.finish()
    monitor.close()
    with capsys.disabled():
        print(
            f"\nseed {seed}: {acts} acts {made.acts} in {time.monotonic() - begun:.0f} s, load {load()}"
        )
        print(
            f"probes: {verdict.sent} sent, {verdict.arrived} arrived, {len(verdict.lost)} lost, "
            f"{len(verdict.astray)} astray"
        )
        for kind, values in sorted(made.latencies.items()):
            print(
                f"{kind}: {len(values)} new routes, commit to router's kernel p50 "
                f"{percentile(values, 0.5):.0f} ms, p90 {percentile(values, 0.9):.0f} ms"
            )
        print("prefixes, addresses, host and /24 pairs at most:", made.largest)
    assert made.pending == {}, f"never routed: {made.pending}\n{fleet.logs()}"
    assert verdict.astray == [], made.around(verdict.astray)
    assert len(verdict.lost) <= most_lost, made.around(verdict.lost)
    assert verdict.arrived > 100


def test_short_campaign(ipam: Ipam, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Twelve hosts, eight with BIRD and four with FRR; nothing is killed.

    Beside all other tests a machine may lose a probe that had a route.
    """
    must_have(require_namespaces)
    fleet = Fleet(ipam, f"sqlite:///{tmp_path}/ipam.db", birds=8, frrs=4)
    try:
        fleet.wait_until_reported()
        run(fleet, 80, 1, kills=0, pause=0.05, most_lost=5, capsys=capsys)
    finally:
        fleet.remove()


@pytest.mark.campaign
def test_long_campaign(ipam: Ipam, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    must_have(require_namespaces)
    fleet = Fleet(ipam, f"sqlite:///{tmp_path}/ipam.db", birds=6, frrs=6)
    try:
        fleet.wait_until_reported()
        run(fleet, ACTS, random.randrange(1 << 30), kills=ACTS // 100, pause=0.05, capsys=capsys)
    finally:
        fleet.remove()
