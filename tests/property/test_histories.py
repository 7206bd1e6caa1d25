"""Every store gives the same answers as the in-memory one, and both obey the rules.

A history is a random sequence of everything that a user can do. After each step the stores must have
answered alike (the same addresses, or the same error), and the answer must be right by the oracle,
which knows nothing of ladders, blocks and cohorts.
"""

from __future__ import annotations

import ipaddress
import os
import tempfile
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import borough
from borough import BoroughError, Ipam
from borough.domain.encode import plain, utc
from borough.engine.views import Answer, Released, Reservations
from tests.conftest import STORES, Clock, each_store
from tests.model.oracle import Oracle

#: In CI at least 10,000 steps of each store (counted below); a developer's run is shorter.
MANY, SHORT = 230, 40
STEPS = 60

#: How hosts claim: never so that a request fails while an address is free.
CLAIMS: st.SearchStrategy[Any] = st.sampled_from(
    [
        True,
        {"block": 4, "largest": 8},
        {"block": 1},
        {"block": 64},
        {"cap": 4},
        {"cap": 24},
        {"expected": 20},
    ]
)
HOST_CLAIMS: st.SearchStrategy[Any] = st.sampled_from(
    [{}, {}, {}, {"expected": 30}, {"block": 2, "cap": 6}]
)
FALLBACKS = st.sampled_from(["none", "unlabelled", "any"])
LEASES = st.sampled_from([0, 0, 0, 60, 900])
NETWORKS = ["n1", "n2"]
SEGMENTS = ["s1", "s2"]
TYPES = ["floating", "agent"]
RACKS = ["r1", "r2", "r3"]
HOSTS = ["h1", "h2", "h3", "ghost"]
OWNERS = ["web", "db", "cache"]
MACS = ["00:16:3e:00:00:01", "00:16:3e:00:00:02"]

V4 = ["10.0.0.0/29", "10.0.0.8/30", "10.0.0.16/28", "10.0.0.32/31", "10.0.0.64/26", "10.0.1.0/25"]
V6 = ["2001:db8::/126", "2001:db8::10/124", "2001:db8:0:1::/64", "2001:db8::20/127"]
#: One for each rack: a group of several cohorts that soon runs dry.
SMALL = ["10.0.2.0/30", "10.0.2.8/29", "10.0.2.16/30"]
SCOPES = ["default", "blue"]


#: Ranges and exclusions that a subnet may have.
RANGES: dict[str, list[dict[str, Any]]] = {
    "10.0.0.16/28": [
        {},
        {"ranges": ["10.0.0.18-10.0.0.20", "10.0.0.24-10.0.0.29"]},
        {"exclude": ["10.0.0.20/30", "10.0.0.25"]},
    ],
    "10.0.0.64/26": [{}, {"exclude": ["10.0.0.64/27"]}],
    "10.0.1.0/25": [{}, {"ranges": []}, {"ranges": ["10.0.1.60-10.0.1.70", "10.0.1.80"]}],
}


@st.composite
def reshaped(draw: st.DrawFn, subnet: dict[str, Any]) -> list[dict[str, Any]]:
    """A subnet as it is, renamed, or in two halves."""
    shape = draw(st.sampled_from(["same", "same", "same", "renamed", "halves"]))
    network = ipaddress.ip_network(subnet["cidr"])
    if shape == "same" or (shape == "halves" and network.prefixlen > network.max_prefixlen - 3):
        return [subnet]
    if shape == "renamed":
        return [{**subnet, "name": f"{subnet['name']}-new"}]
    plain = {name: subnet[name] for name in subnet if name not in ("ranges", "exclude", "gateway")}
    lower, upper = network.subnets()
    name = subnet["name"] if draw(st.booleans()) else f"{subnet['name']}-lower"
    return [
        {**plain, "name": name, "cidr": str(lower)},
        {**plain, "name": f"{subnet['name']}-upper", "cidr": str(upper)},
    ]


def some(values: list[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), max_size=2, unique=True)


@st.composite
def small_groups(draw: st.DrawFn) -> list[dict[str, Any]]:
    return [
        {
            "name": f"default-{cidr}",
            "cidr": cidr,
            "scope": "default",
            "labels": {"network": ["n1"], "rack": [rack]},
            "weight": 0,
            "cooldown": draw(st.sampled_from([0, 0, 0, 60])),
        }
        for rack, cidr in zip(RACKS, SMALL, strict=True)
    ]


@st.composite
def subnets(draw: st.DrawFn) -> list[dict[str, Any]]:
    made = []
    for scope in SCOPES:
        chosen = draw(st.lists(st.sampled_from(V4 + V6), unique=True, max_size=6))
        for cidr in chosen:
            labels = {"network": draw(some(NETWORKS)) or ["n1"]}
            labels["segment"] = draw(some(SEGMENTS))
            labels["service_type"] = draw(some(TYPES))
            labels["rack"] = draw(some(RACKS))
            subnet: dict[str, Any] = {
                "name": f"{scope}-{cidr}",
                "cidr": cidr,
                "scope": scope,
                "labels": {name: values for name, values in labels.items() if values},
                "weight": draw(st.sampled_from([0, 0, 0, 5])),
                "cooldown": draw(st.sampled_from([0, 0, 0, 60])),
                "claims": draw(st.sampled_from([{}, {}, {"block": 2}, {"cap": 8, "block": 8}])),
                "closed": draw(st.integers(0, 9)) == 0,
            }
            if cidr == "10.0.0.16/28":
                subnet["gateway"] = draw(st.sampled_from(["10.0.0.17", "10.0.0.24"]))
            subnet |= draw(st.sampled_from(RANGES.get(cidr, [{}])))
            made += draw(reshaped(subnet))
    return made


@st.composite
def topologies(draw: st.DrawFn) -> dict[str, Any]:
    is_small = draw(st.integers(0, 2)) == 0
    dimensions: dict[str, Any] = {
        "network": {"fallback": "none"},
        "segment": {"fallback": draw(st.sampled_from(["none", "none", "any"]))},
        "service_type": {"fallback": "unlabelled"},
        "rack": {"fallback": "any" if is_small else draw(FALLBACKS)},
        "host": {"fallback": "any", "claims": draw(CLAIMS)},
    }
    order = list(dimensions)
    if draw(st.booleans()):
        order.remove("host")
        order.insert(2, "host")
    return {
        "dimensions": {name: dimensions[name] for name in order},
        "scopes": SCOPES,
        "subnets": draw(small_groups() if is_small else subnets()),
        "hosts": {
            host: {
                name: values
                for name, values in {
                    "segment": draw(some(SEGMENTS)),
                    "rack": draw(st.sampled_from([[], *([rack] for rack in RACKS)])),
                    "claims": draw(HOST_CLAIMS),
                }.items()
                if values
            }
            for host in HOSTS[:3]
        },
    }


@st.composite
def selectors(draw: st.DrawFn) -> dict[str, Any]:
    labels: dict[str, Any] = {}
    if draw(st.integers(0, 9)):
        labels["network"] = draw(some(NETWORKS)) or ["n1"]
    for name, values in (("segment", SEGMENTS), ("service_type", TYPES), ("rack", RACKS)):
        if not draw(st.integers(0, 3)):
            labels[name] = draw(some(values)) or values[:1]
    return {
        "labels": labels,
        "host": draw(st.sampled_from([None, None, *HOSTS])),
        "scope": draw(st.sampled_from(["default", "default", "blue"])),
    }


class Histories(RuleBasedStateMachine):
    """The in-memory store beside one other."""

    url: ClassVar[Callable[[Path, int], str]] = STORES["sqlite"]
    steps: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.folder = tempfile.TemporaryDirectory()
        url = type(self).url(Path(self.folder.name), 0)
        self.ipams = [
            borough.open("memory:", clock=self.clock),
            borough.open(url, create=True, clock=self.clock),
        ]
        self.topology: dict[str, Any] = {"subnets": [], "hosts": {}}
        self.carved: list[str] = []
        self.held: dict[tuple[str, str], tuple[int, ...]] = {}
        self.keys: dict[str, dict[str, Any]] = {}

    def teardown(self) -> None:
        findings = [ipam.audit() for ipam in self.ipams]
        for ipam in self.ipams:
            ipam.close()
        self.folder.cleanup()
        assert findings == [[], []]

    # --- Doing the same on both -----------------------------------------------------------------

    def both(self, act: Callable[[Ipam], Any]) -> Any:
        """Run on each store; the outcomes must be equal. Returns the first answer or error."""
        outcomes: list[Any] = []
        for ipam in self.ipams:
            try:
                outcomes.append(act(ipam))
            except BoroughError as error:
                outcomes.append(error)
        plain = [_plain(outcome) for outcome in outcomes]
        assert plain[0] == plain[1], f"{plain[0]}\n{plain[1]}\n{self._state()}"
        return outcomes[0]

    def _state(self) -> str:
        """What each store holds, for a difference that does not come again."""
        return "\n".join(
            f"{[str(each) for each in ipam.blocks()]}\n{ipam.audit()}" for ipam in self.ipams
        )

    def oracle(self, *, ends_leases: bool = True) -> Oracle:
        """The rules, with what is held now.

        :param ends_leases: whether addresses are free after their lease and its cool-down.
        """
        cooling = {(each.scope, each.address): each.subnet for each in self.ipams[0].allocations()}
        cooldowns = {each.name: each.cooldown for each in self.ipams[0].subnets()}
        expired = {
            (each.scope, each.address)
            for each in self.ipams[0].allocations()
            if (each.cooling_until is not None and not self._rests(each))
            or (
                ends_leases
                and not each.sticky
                and self._is_over(each, timedelta(seconds=cooldowns[each.subnet]))
            )
        }
        extra = [
            {
                "name": each.name,
                "cidr": each.prefix,
                "labels": dict(each.labels),
                "scope": each.scope,
                "weight": each.weight,
            }
            for each in self.ipams[0].subnets()
            if each.pool
        ]
        dimensions = {each.name: str(each.fallback) for each in self.ipams[0].dimensions()}
        held = {key: name for key, name in cooling.items() if key not in expired}
        return Oracle(dimensions, [*self.topology["subnets"], *extra], self.topology["hosts"], held)

    def _rests(self, allocation: Any) -> bool:
        return bool(allocation.cooling_until > utc(self.clock.now))

    def _is_over(self, allocation: Any, after: timedelta = timedelta()) -> bool:
        """True when the lease of an address was over some time ago."""
        until = allocation.leased_until
        return until is not None and until + after <= utc(self.clock.now)

    # --- Rules ------------------------------------------------------------------------------------

    @initialize(topology=topologies())
    def start(self, topology: dict[str, Any]) -> None:
        self._apply(topology)

    @rule(topology=topologies())
    def change_topology(self, topology: dict[str, Any]) -> None:
        self._apply(topology)

    def _apply(self, topology: dict[str, Any]) -> None:
        before = [self._held(ipam) for ipam in self.ipams]
        outcome = self.both(lambda ipam: bool(ipam.apply(topology)))
        after = [self._held(ipam) for ipam in self.ipams]
        assert [each.keys() for each in after] == [each.keys() for each in before]
        if not isinstance(outcome, BoroughError):
            self.topology = topology
            self.both(lambda ipam: bool(ipam.apply(topology)))
            self._follow(before[1], after[1])
        elif outcome.code == "would_strand":
            self._really_falls_out(before[0], topology, outcome.detail["allocations"])
        note(f"apply: {outcome!r}")

    def _held(self, ipam: Ipam) -> dict[int, Any]:
        return {
            each.sequence: each
            for each in ipam.allocations()
            if each.state != "cooling" and not self._is_over(each)
        }

    def _follow(self, before: dict[int, Any], after: dict[int, Any]) -> None:
        """Each address lies in the subnet that it is filed under, and keeps its holder."""
        subnets = {each.name: each for each in self.ipams[1].subnets()}
        for sequence, each in after.items():
            old, subnet = before[sequence], subnets[each.subnet]
            assert (each.address, each.owner, each.host) == (old.address, old.owner, old.host)
            assert each.scope == subnet.scope
            assert ipaddress.ip_address(each.address) in ipaddress.ip_network(subnet.prefix)

    def _really_falls_out(
        self, before: dict[int, Any], topology: dict[str, Any], listed: list[dict[str, Any]]
    ) -> None:
        """No declared subnet of the scope of an address that is refused could hold it.

        Or the address is held in both scopes, and these meet.
        """
        addresses = [each.address for each in before.values()]
        for refused in listed:
            old = before.get(refused["sequence"])
            # A lease that is over, and that nobody has ended yet, is refused as well.
            if old is None or addresses.count(old.address) == 2:
                continue
            for subnet in topology["subnets"]:
                if subnet["scope"] == old.scope:
                    whole = {"cidr": subnet["cidr"]}
                    assert old.address not in Oracle({}, [], {}).usable(whole), (old, subnet)

    @rule(
        selector=selectors(),
        families=st.sampled_from([None, [4], [6], [4, 6]]),
        count=st.sampled_from([1, 1, 1, 1, 2, 5, 40]),
        kind=st.sampled_from(["any", "any", "any", "next"]),
        owner=st.sampled_from(OWNERS),
        lease=LEASES,
    )
    def allocate(
        self, selector: dict[str, Any], families: Any, count: int, kind: Any, owner: str, lease: int
    ) -> None:
        self._allocate(selector, families, count, kind, owner, lease)

    @rule(data=st.data(), hosts=st.lists(st.sampled_from(HOSTS), min_size=2, max_size=4))
    def run_dry(self, data: st.DataObject, hosts: list[str]) -> None:
        """Single addresses for several hosts; then one after the other comes free and is asked for."""
        group = {"labels": {"network": ["n1"]}, "scope": "default"}
        for host in islice(cycle(hosts), 12):
            if isinstance(self._allocate({**group, "host": host}, [4], 1, "any", "dry"), Exception):
                break
        for host in hosts:
            held = [each.address for each in self.ipams[0].allocations(owner="dry")]
            if not held:
                return
            address = data.draw(st.sampled_from(held))
            self.both(partial(Ipam.release, address=address))
            self._allocate({**group, "host": host}, [4], 1, "any", "dry")

    def _allocate(
        self,
        selector: dict[str, Any],
        families: Any,
        count: int,
        kind: Any,
        owner: str,
        lease: int = 0,
    ) -> Any:
        oracle = self.oracle()
        # Without cool-downs, leases that are over end when nothing else is free.
        cools = any(each.cooldown for each in self.ipams[0].subnets())
        first = oracle if cools else self.oracle(ends_leases=False)
        wanted = dict(selector, families=families, count=count, kind=kind, owner=owner, lease=lease)
        outcome = self.both(lambda ipam: ipam.allocate(**wanted))
        note(f"allocate {wanted}: {_plain(outcome)}")
        place = (selector["labels"], selector["host"], selector["scope"])
        if isinstance(outcome, BoroughError):
            assert outcome.code in ("exhausted", "no_matching_subnet")
            assert not oracle.can_give(*place, families or [4], count)
            return outcome
        given = [each.family for each in outcome.allocations]
        assert oracle.can_give(*place, sorted(set(given)), count)
        for each in outcome.allocations:
            assert (each.scope, each.address) not in oracle.held, "given twice"
        if len(given) == 1:
            best = first.best(*place, given[0]) or oracle.best(*place, given[0])
            assert outcome.allocations[0].subnet in best
        else:
            self._together(oracle, place, outcome)
        if kind == "next" and len(given) == 1 and not any(b.holder for b in self.ipams[0].blocks()):
            subnet = next(s for s in oracle.subnets if s["name"] == outcome.allocations[0].subnet)
            free = first.free(subnet) or oracle.free(subnet)
            assert outcome.allocations[0].address == free[0]
        return outcome

    def _together(self, oracle: Oracle, place: tuple[Any, ...], outcome: Answer) -> None:
        used = {each.subnet for each in outcome.allocations}
        placement_groups = [
            {subnet["name"] for subnet in placement_group}
            for placement_group in oracle.placement_groups(*place)
        ]
        assert any(used <= placement_group for placement_group in placement_groups), (
            "straddles two homes"
        )

    @rule(
        selector=selectors(),
        cidr=st.sampled_from([*V4, *SMALL, *V6]),
        offset=st.integers(0, 40),
        owner=st.sampled_from(OWNERS),
    )
    def allocate_by_name(
        self, selector: dict[str, Any], cidr: str, offset: int, owner: str
    ) -> None:
        network = ipaddress.ip_network(cidr)
        address = str(network[min(offset, network.num_addresses - 1)])
        scope = selector["scope"]
        before = {each.address: each for each in self.ipams[0].allocations(scope=scope)}
        outcome = self.both(lambda ipam: ipam.allocate(**selector, address=address, owner=owner))
        kept = before.get(address)
        if kept is not None and kept.state == "reserved":
            if not isinstance(outcome, BoroughError):
                assert (kept.owner, outcome.allocations[0].sticky) == (owner, True)
            elif outcome.code == "address_in_use":
                assert kept.owner != owner

    @rule(
        selector=selectors(),
        cidr=st.sampled_from(V4[:3]),
        offset=st.integers(1, 3),
        owner=st.sampled_from(OWNERS),
    )
    def share(self, selector: dict[str, Any], cidr: str, offset: int, owner: str) -> None:
        """Few addresses, which several owners share; the same request again changes nothing."""
        wanted = {**selector, "host": None, "address": str(ipaddress.ip_network(cidr)[offset])}
        outcome = self.both(lambda ipam: ipam.allocate(**wanted, owner=owner, shared=True))
        if isinstance(outcome, BoroughError):
            return
        assert owner in outcome.allocations[0].sharers
        again = self.both(lambda ipam: ipam.allocate(**wanted, owner=owner, shared=True))
        assert (again.allocations, again.replayed) == (outcome.allocations, True)

    @rule(data=st.data(), owner=st.sampled_from(OWNERS))
    def unshare(self, data: st.DataObject, owner: str) -> None:
        """Others keep the address; after the last one it is released."""
        shared = [each for each in self.ipams[0].allocations(owner=owner) if each.sharers]
        if not shared:
            return
        one = data.draw(st.sampled_from(shared))
        where: dict[str, Any] = {"address": one.address, "scope": one.scope}
        if one.state == "allocated" and len(one.sharers) > 1:
            assert isinstance(self.both(lambda ipam: ipam.release(**where)), BoroughError)
        self.both(lambda ipam: ipam.release(**where, owner=owner))
        held = {
            (each.address, each.scope): each.sharers
            for each in self.ipams[0].allocations()
            if each.state == "allocated"
        }
        left = tuple(each for each in one.sharers if each != owner)
        if one.state == "allocated":
            assert held.get((one.address, one.scope), ()) == left

    @rule(
        selector=selectors(),
        mac=st.sampled_from(MACS),
        families=st.sampled_from([None, [6], [4, 6]]),
    )
    def allocate_eui64(self, selector: dict[str, Any], mac: str, families: Any) -> None:
        self.both(lambda ipam: ipam.allocate(**selector, mac=mac, families=families, owner="eui"))

    @rule(selector=selectors())
    def allocate_gateway(self, selector: dict[str, Any]) -> None:
        self.both(lambda ipam: ipam.allocate(**selector, kind="gateway", owner="router"))

    @rule(data=st.data(), host=st.sampled_from([None, *HOSTS]), count=st.sampled_from([1, 3]))
    def allocate_from_named_subnets(self, data: st.DataObject, host: Any, count: int) -> None:
        names = [each["name"] for each in self.topology["subnets"] if each["scope"] == "default"]
        if not names:
            return
        chosen = data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=4, unique=True))
        tiers: list[Any] = chosen if data.draw(st.booleans()) else [tuple(chosen)]
        self.both(lambda ipam: ipam.allocate(subnets=tiers, host=host, count=count, owner="port"))

    @rule(selector=selectors(), key=st.sampled_from(["k1", "k2"]), repeat=st.booleans())
    def allocate_with_key(self, selector: dict[str, Any], key: str, repeat: bool) -> None:
        if repeat and key in self.keys:
            selector = self.keys[key]
        lease = {"k1": 0, "k2": 90}[key]
        outcome = self.both(
            lambda ipam: ipam.allocate(**selector, key=key, owner="keyed", lease=lease)
        )
        if isinstance(outcome, BoroughError):
            assert outcome.code != "idempotency_key_reused" or not _alike(self.keys[key], selector)
            return
        if outcome.replayed:
            assert _alike(self.keys[key], selector)
        self.keys[key] = selector

    @rule(data=st.data(), stale=st.sampled_from([None, 0, -1]), now=st.booleans())
    def release_one(self, data: st.DataObject, stale: int | None, now: bool) -> None:
        held = self.ipams[0].allocations()
        if not held:
            return
        at = data.draw(st.integers(0, len(held) - 1))

        def act(ipam: Ipam) -> Any:
            each = ipam.allocations()[at]
            sequence = None if stale is None else each.sequence + stale
            return ipam.release(each.address, scope=each.scope, sequence=sequence, now=now)

        outcome = self.both(act)
        if stale == -1 and isinstance(outcome, BoroughError):
            assert outcome.code in ("stale_sequence", "not_allocated")
        if stale == -1:
            assert isinstance(outcome, BoroughError)

    @rule(owner=st.sampled_from([*OWNERS, "nobody"]), scope=st.sampled_from(SCOPES))
    def release_owner(self, owner: str, scope: str) -> None:
        self.both(lambda ipam: ipam.release(owner=owner, scope=scope))
        left = self.ipams[1].allocations(owner=owner, scope=scope)
        assert all(each.state in ("cooling", "reserved") for each in left)

    @rule(
        cidr=st.sampled_from([*V4, *SMALL, *V6]),
        offset=st.integers(0, 40),
        owner=st.sampled_from(["", *OWNERS]),
        scope=st.sampled_from(SCOPES),
    )
    def reserve(self, cidr: str, offset: int, owner: str, scope: str) -> None:
        """Up to three addresses, held, cooling, reserved or free."""
        network = ipaddress.ip_network(cidr)
        first, last = (
            int(network[min(at, network.num_addresses - 1)]) for at in (offset, offset + 2)
        )
        piece = "-".join(str(type(network[0])(end)) for end in (first, last))
        before = self._held(self.ipams[0])
        outcome = self.both(lambda ipam: ipam.reserve(piece, owner=owner, scope=scope))
        assert self._held(self.ipams[0]).keys() >= before.keys()
        if not isinstance(outcome, BoroughError):
            for each in self.ipams[0].allocations(scope=scope):
                if first <= int(ipaddress.ip_address(each.address)) <= last:
                    assert (each.sticky, each.owner) == (True, owner)

    @rule(
        selector=selectors(),
        families=st.sampled_from([None, [4], [6], [4, 6]]),
        owner=st.sampled_from(OWNERS),
        kind=st.sampled_from(["any", "next"]),
        lease=LEASES,
    )
    def allocate_sticky(
        self, selector: dict[str, Any], families: Any, owner: str, kind: Any, lease: int
    ) -> None:
        """The owner gets what it has in the group, else what is reserved for it, and the same again."""
        oracle = self.oracle()
        wanted = dict(selector, families=families, owner=owner, kind=kind, sticky=True, lease=lease)
        place = (selector["labels"], selector["host"], selector["scope"])
        rows = self.ipams[0].allocations(owner=owner, scope=selector["scope"])
        outcome = self.both(lambda ipam: ipam.allocate(**wanted))
        if isinstance(outcome, BoroughError):
            assert outcome.code in ("exhausted", "no_matching_subnet")
            return
        found = outcome.allocations
        for each in found:
            group = oracle.group(*place, each.family)
            states = {self._state_of(row) for row in rows if row.subnet in group}
            before = {row.address: self._state_of(row) for row in rows}.get(each.address)
            if len(found) == 1 and "allocated" in states:
                assert before == "allocated"
            elif len(found) == 1 and "reserved" in states:
                assert before == "reserved"
            assert each.sticky
        again = self.both(lambda ipam: ipam.allocate(**wanted, key="any"))
        assert (again.allocations, again.replayed) == (found, True)

    def _state_of(self, row: Any) -> str:
        """The state of an address after leases that are over have ended."""
        if self._is_over(row):
            return "reserved" if row.sticky else "over"
        return str(row.state)

    @rule(data=st.data(), stale=st.sampled_from([None, 0, -1]), lease=st.sampled_from([None, 600]))
    def renew(self, data: st.DataObject, stale: int | None, lease: int | None) -> None:
        """An address with a lease that lives, and with the right number, is renewed; no other is."""
        rows = self.ipams[0].allocations()
        if not rows:
            return
        leased = [at for at, each in enumerate(rows) if each.lease] or [0]
        at = data.draw(st.sampled_from([*leased, len(rows) - 1]))
        old = rows[at]

        def act(ipam: Ipam) -> Any:
            each = ipam.allocations()[at]
            sequence = None if stale is None else each.sequence + stale
            done = ipam.renew(each.address, scope=each.scope, sequence=sequence, lease=lease)
            return done.allocations

        outcome = self.both(act)
        is_due = bool(old.lease) and not self._is_over(old) and stale != -1
        assert isinstance(outcome, BoroughError) is not is_due
        if is_due:
            (new,) = outcome
            end = utc(self.clock.now) + timedelta(seconds=lease or old.lease)
            assert old.leased_until is not None
            assert (new.sequence, new.leased_until) == (old.sequence, max(old.leased_until, end))

    @rule(key=st.sampled_from(["k1", "k2"]))
    def renew_key(self, key: str) -> None:
        self.both(lambda ipam: ipam.renew(key=key).allocations)

    @rule(data=st.data(), owner=st.sampled_from(["", *OWNERS]), now=st.booleans())
    def cancel(self, data: st.DataObject, owner: str, now: bool) -> None:
        kept = [each for each in self.ipams[0].allocations() if each.sticky]
        if not kept:
            return
        one = data.draw(st.sampled_from(kept))
        where: dict[str, Any] = {"addresses": one.address, "scope": one.scope}
        if data.draw(st.booleans()) and owner:
            where = {}
        self.both(lambda ipam: ipam.cancel(**where, owner=owner, now=now))

    @rule(host=st.sampled_from(HOSTS), scope=st.sampled_from(SCOPES))
    def release_host(self, host: str, scope: str) -> None:
        self.both(lambda ipam: ipam.release(host=host, scope=scope))

    @rule(host=st.sampled_from(HOSTS))
    def drain(self, host: str) -> None:
        self.both(lambda ipam: _without_numbers(plain(ipam.drain(host))))

    @rule(host=st.sampled_from(HOSTS), release=st.booleans())
    def remove_host(self, host: str, release: bool) -> None:
        self.both(lambda ipam: _without_numbers(plain(ipam.remove_host(host, release=release))))
        self._forget_hosts()

    @rule(old=st.sampled_from(HOSTS), new=st.sampled_from(HOSTS))
    def rename_host(self, old: str, new: str) -> None:
        self.both(lambda ipam: _without_numbers(plain(ipam.rename_host(old, new))))
        self._forget_hosts()

    def _forget_hosts(self) -> None:
        """Let the oracle know the hosts that are left, whatever the topology says."""
        declared = {
            host.name: {**host.labels, **({"claims": host.claims} if host.claims else {})}
            for host in self.ipams[0].hosts()
        }
        self.topology = {**self.topology, "hosts": declared}

    @rule(data=st.data(), host=st.sampled_from(HOSTS), force=st.booleans())
    def move(self, data: st.DataObject, host: str, force: bool) -> None:
        held = self.ipams[0].allocations()
        if not held:
            return
        each = held[data.draw(st.integers(0, len(held) - 1))]
        self.both(
            lambda ipam: _without_sequence(
                ipam.reassign(each.address, host, force=force, scope=each.scope)
            )
        )

    @rule(
        data=st.data(),
        owner=st.sampled_from([None, "", *OWNERS]),
        note=st.sampled_from([None, "", "a note"]),
        attributes=st.dictionaries(
            st.sampled_from(["k", "l"]), st.sampled_from([None, 1, "1", True, {"k": "1"}])
        ),
    )
    def edit(self, data: st.DataObject, owner: Any, note: Any, attributes: dict[str, Any]) -> None:
        held = self.ipams[0].allocations()
        if not held:
            return
        each = held[data.draw(st.integers(0, len(held) - 1))]
        values = {"owner": owner, "note": note, "attributes": attributes}
        self.both(
            lambda ipam: _without_sequence(ipam.edit(each.address, scope=each.scope, **values))
        )
        self.both(lambda ipam: tuple(ipam.allocations(attributes={"k": "1"}, limit=2)))

    @rule(owner=st.sampled_from(OWNERS), to=st.sampled_from(OWNERS))
    def transfer(self, owner: str, to: str) -> None:
        self.both(lambda ipam: ipam.transfer(owner, to).total)

    @rule()
    def reclaim(self) -> None:
        self.both(lambda ipam: ipam.reclaim())

    @rule(turn=st.integers(0, 4))
    def defragment(self, turn: int) -> None:
        # It plays a release and an allocation for each address: as dear as all other rules together.
        if turn:
            return
        self.both(lambda ipam: _without_numbers(plain(ipam.defragment(limit=5))))

    @rule(seconds=st.sampled_from([1, 59, 61, 900, 7200]))
    def pass_time(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule(selector=selectors(), count=st.sampled_from([1, 3]))
    def explain(self, selector: dict[str, Any], count: int) -> None:
        self.both(lambda ipam: ipam.explain(**selector, count=count))

    @precondition(lambda self: self.topology["subnets"])
    @rule(
        length=st.sampled_from([28, 29, 30]),
        network=st.sampled_from(NETWORKS),
        key=st.sampled_from([None, None, "c1", "c2"]),
    )
    def carve(self, length: int, network: str, key: str | None) -> None:
        pool = {"name": "pool", "prefixes": ["10.9.0.0/26"], "maximum_length": 30}
        self.both(lambda ipam: bool(ipam.apply({"name": "pools", "pools": [pool]})))
        view = self.both(
            lambda ipam: ipam.allocate_subnet(
                "pool", prefix_length=length, labels={"network": network}, key=key
            )
        )
        self.both(lambda ipam: ipam.free_prefixes("pool"))
        self.both(lambda ipam: ipam.undeclared_hosts())
        if not isinstance(view, BoroughError) and view.name not in self.carved:
            self.carved.append(view.name)

    @rule(cidr=st.sampled_from([*V4, *V6]))
    def change_scope(self, cidr: str) -> None:
        """Move a subnet to the other scope; one of the same prefix there comes the other way."""
        topology = {**self.topology, "subnets": [dict(each) for each in self.topology["subnets"]]}
        for each in topology["subnets"]:
            if each["cidr"] == cidr:
                each["scope"] = SCOPES[1 - SCOPES.index(each["scope"])]
        self._apply(topology)

    @precondition(lambda self: self.topology["subnets"])
    @rule(data=st.data())
    def change_subnet(self, data: st.DataObject) -> None:
        """Afterwards the file with the same change finds nothing left to do."""
        at = data.draw(st.integers(0, len(self.topology["subnets"]) - 1))
        old = self.topology["subnets"][at]
        network = ipaddress.ip_network(old["cidr"])
        other = SCOPES[1 - SCOPES.index(old["scope"])]
        choices: list[dict[str, Any]] = [
            {"weight": 5, "cooldown": None},
            {"cooldown": 60, "closed": True},
            {"labels": {"rack": ["r1"], "segment": None}, "claims": {"block": 2}},
            {"scope": other, "name": f"{old['name']}-moved"},
        ]
        if network.prefixlen < network.max_prefixlen - 1:
            lower = str(next(network.subnets()))
            choices.append({"cidr": lower, "ranges": None, "exclude": None, "gateway": None})
        fields = data.draw(st.sampled_from(choices))
        outcome = self.both(lambda ipam: bool(ipam.change_subnet(old["name"], **fields)))
        if isinstance(outcome, BoroughError):
            return
        new = {**old, **fields}
        for name in ("labels", "claims"):
            new[name] = {**old.get(name, {}), **fields.get(name, {})}
            new[name] = {key: value for key, value in new[name].items() if value is not None}
        made = {name: value for name, value in new.items() if value is not None}
        subnets = self.topology["subnets"]
        self.topology = {**self.topology, "subnets": [*subnets[:at], made, *subnets[at + 1 :]]}
        assert self.both(lambda ipam: bool(ipam.apply(self.topology))) is False

    @precondition(lambda self: self.topology.get("hosts"))
    @rule(data=st.data(), rack=st.sampled_from([["r1"], ["r2"], None]))
    def change_host(self, data: st.DataObject, rack: list[str] | None) -> None:
        name = data.draw(st.sampled_from(sorted(self.topology["hosts"])))
        self.both(lambda ipam: bool(ipam.change_host(name, labels={"rack": rack})))
        labels = {**self.topology["hosts"][name], "rack": rack}
        host = {each: value for each, value in labels.items() if value is not None}
        self.topology = {**self.topology, "hosts": {**self.topology["hosts"], name: host}}
        assert self.both(lambda ipam: bool(ipam.apply(self.topology))) is False

    @precondition(lambda self: self.carved)
    @rule(data=st.data())
    def give_subnet_back(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(self.carved))
        outcome = self.both(lambda ipam: ipam.remove_subnet(name))
        if not isinstance(outcome, BoroughError):
            self.carved.remove(name)

    # --- Always -----------------------------------------------------------------------------------

    @invariant()
    def the_stores_hold_the_same(self) -> None:
        type(self).steps += 1
        for look in (_allocations, _blocks, _usage, _routes):
            seen = [look(ipam) for ipam in self.ipams]
            assert seen[0] == seen[1]

    @invariant()
    def every_address_leads_to_its_host(self) -> None:
        """By longest match over the routes of all hosts; inside loans and around them."""
        table: dict[tuple[str, Any], str] = {}
        for each in self.ipams[1].routes():
            table[each.scope, ipaddress.ip_network(each.prefix)] = each.host
        for held in self.ipams[1].allocations():
            if held.state != "allocated" or not held.host:
                continue
            address = ipaddress.ip_address(held.address)
            lengths = range(address.max_prefixlen, -1, -1)
            networks = (ipaddress.ip_network((address, n), strict=False) for n in lengths)
            hops = (table.get((held.scope, network)) for network in networks)
            assert next((hop for hop in hops if hop), None) == held.host, held

    @invariant()
    def nothing_is_held_twice(self) -> None:
        held = [(each.scope, each.address) for each in self.ipams[1].allocations()]
        assert len(held) == len(set(held))


def _alike(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two selectors ask for the same: the order of a label's values says nothing."""

    def plain(selector: dict[str, Any]) -> dict[str, Any]:
        labels = {name: sorted(values) for name, values in selector["labels"].items()}
        return {**selector, "labels": labels}

    return plain(one) == plain(other)


def _plain(outcome: Any) -> Any:
    """What must be equal between stores: everything but the sequence numbers."""
    if isinstance(outcome, BoroughError):
        return outcome.code, _without_numbers(outcome.detail)
    if isinstance(outcome, Answer):
        return outcome.replayed, [_without_sequence(each) for each in outcome.allocations]
    if isinstance(outcome, Reservations):
        return outcome.total, [_without_sequence(each) for each in outcome.reservations]
    if isinstance(outcome, tuple | Released):
        return [_without_sequence(each) for each in outcome]
    return plain(outcome)


def _without_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_numbers(each) for key, each in value.items() if key != "sequence"}
    return [_without_numbers(each) for each in value] if isinstance(value, list) else value


def _without_sequence(allocation: Any) -> dict[str, Any]:
    return {name: value for name, value in plain(allocation).items() if name != "sequence"}


def _allocations(ipam: Ipam) -> Any:
    return [_without_sequence(each) for each in ipam.allocations()]


def _blocks(ipam: Ipam) -> Any:
    found = plain(ipam.blocks())
    return sorted(found, key=lambda each: (each["scope"], each["subnet"], each["prefix"]))


def _usage(ipam: Ipam) -> Any:
    return plain(ipam.usage())


def _routes(ipam: Ipam) -> Any:
    return plain(ipam.routes())


def _histories() -> int:
    """How many; where nobody says, few, or in CI always the same ones."""
    return int(os.environ.get("BOROUGH_HISTORIES", MANY if os.environ.get("CI") else SHORT))


@pytest.mark.timeout(0 if "BOROUGH_HISTORIES" in os.environ else 2400)
# Each store's histories take minutes, and may run beside each other.
@pytest.mark.parametrize(
    "store",
    [
        pytest.param(*each.values, marks=[*each.marks, pytest.mark.xdist_group(each.values[0])])
        for each in each_store("memory")
    ],
)
def test_a_store_agrees_with_the_model_on_any_history(
    store: str, record_property: Callable[[str, object], None]
) -> None:
    """Rule by rule, the same addresses and the same errors, whatever happened before."""
    machine: Any = type(f"Histories_{store}", (Histories,), {"url": staticmethod(STORES[store])})
    machine.TestCase.settings = settings(
        max_examples=_histories(),
        stateful_step_count=STEPS,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    machine.TestCase("runTest").runTest()
    record_property("steps", machine.steps)
    if os.environ.get("CI"):
        assert machine.steps >= 10_000
