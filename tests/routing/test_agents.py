"""Routes by agents: every packet to a held address reaches its host, while everything changes."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import borough
from borough import Ipam
from borough.engine.announcements import late_hosts
from borough.engine.views import Allocation
from borough.errors import BoroughError
from tests.routing.fleet import Fleet, blocks
from tests.routing.namespaces import require_namespaces
from tests.routing.probes import Probes, RouteMonitor, load, percentile
from tests.servers.shared import must_have

pytestmark = [pytest.mark.routing, pytest.mark.timeout(7200)]

PODS = {"network": "pods"}

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
    latencies: dict[str, list[float]] = field(default_factory=lambda: {"bird": [], "frr": []})
    expected: dict[str, tuple[float, str]] = field(default_factory=dict)
    acts: dict[str, int] = field(default_factory=dict)
    largest: tuple[int, int, int] = (0, 0, 0)

    @property
    def ipam(self) -> Ipam:
        return self.fleet.ipam

    def act(self) -> None:
        """Do one random act, then look at what is pending."""
        weights = {"allocate": 10, "release": 7, "move": 4, "borrow": 3, "sweep": 1, "drain": 1}
        name = self.draw.choices(list(weights), list(weights.values()))[0]
        before = {each.prefix: each.host for each in self.ipam.routes()}
        begun = time.monotonic()
        try:
            getattr(self, name)()
        except BoroughError:
            name = "refused"
        self.acts[name] = self.acts.get(name, 0) + 1
        for each in self.ipam.routes():
            if before.get(each.prefix) != each.host and each.prefix not in self.expected:
                self.monitor.seen.pop(each.prefix, None) if each.prefix not in before else None
                if each.prefix not in before:
                    self.expected[each.prefix] = (begun, each.host)
        self.look()

    def look(self) -> None:
        """Start the probes of addresses that are routed, and take the times of new routes."""
        if self.pending:
            waiting = list(self.pending.values())
            for each in waiting:
                late = self.ipam.store.transact(
                    lambda unit, each=each: late_hosts(unit, [each], self.ipam.now()), write=False
                )
                if not late:
                    self.settled(each)
        for prefix, (begun, host) in list(self.expected.items()):
            seen = self.monitor.seen.get(prefix)
            if seen is not None and seen >= begun:
                kind = "bird" if host in self.fleet.birds else "frr"
                self.latencies[kind].append(seen - begun)
            if seen is not None or time.monotonic() - begun > 20:
                del self.expected[prefix]

    def settled(self, each: Allocation) -> None:
        """The address leads to its host from now on."""
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
        free = [
            address
            for block in self.ipam.blocks()
            if block.holder and block.prefix.startswith("10.64.")
            for address in [block.prefix.partition("/")[0].rpartition(".")]
            for address in [f"{address[0]}.{int(address[2]) + self.draw.randrange(2, 8)}"]
        ]
        if free:
            answer = self.ipam.allocate(
                labels=PODS, address=self.draw.choice(free), host=self.host(), owner="guest"
            )
            for each in answer.allocations:
                self.pending[each.address] = each

    def release(self) -> None:
        known = self.free_of_doubt()
        if len(known) < 20:
            return
        each = self.draw.choice(known)
        self.probes.stop(each.address)
        del self.held[each.address]
        time.sleep(0.01)
        self.ipam.release(each.address, sequence=each.sequence)

    def move(self) -> None:
        known = self.free_of_doubt()
        if known:
            each = self.draw.choice(known)
            to = self.host()
            self.probes.move(each.address, each.host, to)
            moved = self.ipam.reassign(each.address, to, force=True)
            self.pending[each.address] = moved

    def sweep(self) -> None:
        self.ipam.reclaim()

    def drain(self) -> None:
        self.ipam.drain(self.host())

    def note_size(self) -> None:
        """The prefixes of the router beside one route a workload, and beside fixed /26."""
        held = self.ipam.allocations()
        fixed = {(each.host, each.address.rpartition(".")[0], "v4") for each in held}
        ours = len(self.ipam.routes())
        if len(held) > self.largest[1]:
            self.largest = (ours, len(held), len(fixed))


def run(
    fleet: Fleet,
    acts: int,
    seed: int,
    *,
    kills: int,
    pause: float,
    capsys: pytest.CaptureFixture[str],
) -> None:
    probes = Probes(
        fleet.fabric.router.space, {name: node.space for name, node in fleet.fabric.hosts.items()}
    )
    monitor = RouteMonitor(fleet.fabric.router.space)
    made = Campaign(fleet, probes, monitor, random.Random(seed))
    at_kill = sorted(made.draw.sample(range(acts // 10, acts), min(kills, acts // 2)))
    begun = time.monotonic()
    for number in range(acts):
        if at_kill and number == at_kill[0]:
            at_kill.pop(0)
            if made.draw.random() < 0.3:
                fleet.kill(fleet.service)
                fleet.start_service()
            else:
                name = made.host()
                fleet.kill(fleet.agents[name])
                fleet.start_agent(name)
        made.act()
        made.note_size()
        if pause:
            time.sleep(made.draw.uniform(0, 2 * pause))
    deadline = time.monotonic() + 60
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
        for kind, values in made.latencies.items():
            print(
                f"{kind}: {len(values)} new routes, commit to router's kernel p50 "
                f"{percentile(values, 0.5):.0f} ms, p90 {percentile(values, 0.9):.0f} ms"
            )
        print("prefixes, addresses, host and /24 pairs at most:", made.largest)
    assert made.pending == {}, f"never routed: {made.pending}\n{fleet.logs()}"
    assert verdict.astray == []
    assert verdict.lost == []
    assert verdict.arrived > 100


def test_short_campaign(ipam: Ipam, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Twelve hosts, eight with BIRD and four with FRR; about half a minute of acts."""
    must_have(require_namespaces)
    fleet = Fleet(ipam, f"sqlite:///{tmp_path}/ipam.db", birds=8, frrs=4)
    try:
        fleet.wait_until_reported()
        run(fleet, 120, random.randrange(1 << 30), kills=3, pause=0.05, capsys=capsys)
    finally:
        fleet.remove()


@pytest.mark.campaign
def test_long_campaign(ipam: Ipam, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    must_have(require_namespaces)
    fleet = Fleet(ipam, f"sqlite:///{tmp_path}/ipam.db", birds=6, frrs=6)
    try:
        fleet.wait_until_reported()
        run(fleet, 10_000, random.randrange(1 << 30), kills=100, pause=0.05, capsys=capsys)
    finally:
        fleet.remove()
