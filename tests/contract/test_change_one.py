"""Single fields of a declared subnet or host, on every store."""

from __future__ import annotations

from typing import Any

import pytest

from borough import Ipam
from borough.errors import (
    FixInput,
    InvalidTopology,
    Overlap,
    QuotaExceeded,
    StaleVersion,
    UnknownDimension,
    UnknownObject,
    WouldStrand,
)

L = {"network": "n"}
TOPOLOGY: dict[str, Any] = {
    "dimensions": {"rack": {"fallback": "any"}},
    "scopes": ["vrf"],
    "pools": [
        {"name": "p", "prefixes": ["10.9.0.0/16"], "default_length": 26, "quota": 128},
    ],
    "subnets": [
        {
            "name": "s",
            "cidr": "10.0.0.0/24",
            "labels": {**L, "rack": ["r1", "r2"]},
            "attributes": {"a": 1, "b": [True]},
            "claims": {"block": 8},
            "exclude": ["10.0.0.9"],
            "weight": 3,
            "cooldown": 60,
        },
        {"name": "t", "cidr": "10.0.1.0/24", "labels": L},
    ],
    "hosts": {"h": {"rack": "r1", "claims": {"cap": 4}}},
}


@pytest.fixture
def space(ipam: Ipam) -> Ipam:
    ipam.apply(TOPOLOGY)
    return ipam


def lines(found: Any) -> list[str]:
    return [str(each) for each in found.changes]


def test_only_the_named_fields_change(space: Ipam) -> None:
    """Of labels, claims and attributes only the named values."""
    before = space.subnet("s")
    found = space.change_subnet("s", gateway="10.0.0.1", labels={"rack": "r3"})
    assert lines(found) == [
        "change subnet s: gateway none -> 10.0.0.1, "
        "labels network=n rack=r1|r2 -> network=n rack=r3"
    ]
    assert found.source == "default"
    after = space.subnet("s")
    assert (after.gateway, after.labels) == ("10.0.0.1", {"network": ["n"], "rack": ["r3"]})
    kept = ("name", "prefix", "exclude", "weight", "cooldown", "source", "attributes", "claims")
    assert all(getattr(after, name) == getattr(before, name) for name in kept)
    space.change_subnet(
        "s", attributes={"a": None, "c": "x"}, claims={"cap": 2}, ranges="10.0.0.0/28"
    )
    after = space.subnet("s")
    assert after.attributes == {"b": [True], "c": "x"}
    assert after.claims == {"block": 8, "cap": 2}
    assert after.ranges == ("10.0.0.0-10.0.0.15",)
    assert space.audit() == []


def test_none_puts_a_field_back_to_its_default(space: Ipam) -> None:
    """A whole field, or one value of it."""
    space.change_subnet("s", exclude=None, weight=None, labels={"rack": None}, claims=None)
    after = space.subnet("s")
    assert (after.exclude, after.weight, after.labels, after.claims) == (
        (),
        0,
        {"network": ["n"]},
        {},
    )
    space.change_host("h", labels={"rack": None}, claims={"cap": None, "block": 16})
    (host,) = space.hosts()
    assert (host.labels, host.claims, host.source) == ({}, {"block": 16}, "default")


def test_a_change_that_changes_nothing_is_empty(space: Ipam) -> None:
    """No event."""
    newest = space.newest_event()
    assert not space.change_subnet("s", weight=3, labels={"rack": ["r2", "r1"]})
    assert not space.change_host("h", labels={"rack": "r1"})
    assert space.newest_event() == newest


def test_a_change_is_what_a_file_would_do(space: Ipam) -> None:
    """The same lines and effects as applying the file with that field, and the file finds nothing left."""
    space.allocate(labels=L, host="h", owner="web", count=3)
    wanted = {**TOPOLOGY, "subnets": [{**TOPOLOGY["subnets"][0], "cidr": "10.0.0.0/25"}]}
    wanted["subnets"][0]["ranges"] = ["10.0.0.0/26"]
    wanted["subnets"] += TOPOLOGY["subnets"][1:]
    planned = space.apply(wanted, dry_run=True)
    options: dict[str, Any] = {"cidr": "10.0.0.0/25", "ranges": ["10.0.0.0/26"]}
    tried = space.change_subnet("s", dry_run=True, **options)
    assert space.subnet("s").prefix == "10.0.0.0/24"
    done = space.change_subnet("s", **options)
    assert lines(planned) == lines(tried) == lines(done)
    assert planned.effects == tried.effects == done.effects
    assert not space.apply(wanted)
    event = next(each for each in space.history("10.0.0.0/25") if each.act == "topology")
    assert event.detail.startswith("change subnet: cidr 10.0.0.0/24 -> 10.0.0.0/25")
    assert space.audit() == []


def test_a_subnet_is_renamed_and_moved_with_its_addresses(space: Ipam) -> None:
    """Owners and sequence numbers stay."""
    held = space.allocate(subnets=["s"], owner="web").allocations[0]
    space.change_subnet("s", name="new", scope="vrf")
    moved = space.show(held.address, scope="vrf")
    assert (moved.subnet, moved.owner, moved.sequence) == ("new", "web", held.sequence)
    assert space.audit() == []


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({}, FixInput, "name a field"),
        ({"gatway": "10.0.0.1"}, FixInput, "did you mean 'gateway'"),
        ({"gateway": "10.0.1.1"}, InvalidTopology, "gateway: "),
        ({"cidr": None}, InvalidTopology, "cidr is missing"),
        ({"labels": "n"}, FixInput, "labels must be a mapping"),
        ({"labels": {"rck": "r1"}}, UnknownDimension, "did you mean 'rack'"),
        ({"scope": "vfr"}, UnknownObject, "did you mean 'vrf'"),
        ({"name": "t"}, FixInput, "there is a subnet named 't' already"),
        ({"cidr": "10.0.0.0/23"}, Overlap, "overlaps"),
        ({"cidr": "10.7.0.0/24", "exclude": None}, WouldStrand, "10.0.0."),
        ({"ranges": ["10.0.0.1-10.0.0.9", "10.0.0.3"]}, InvalidTopology, "overlaps another"),
        ({"attributes": {"x": "y" * 20_000}}, InvalidTopology, "attributes"),
    ],
)
def test_what_is_wrong_changes_nothing(
    space: Ipam, fields: dict[str, Any], error: type[Exception], words: str
) -> None:
    """The errors of a file, without the place in the file."""
    space.allocate(subnets=["s"], owner="web")
    before, newest = space.subnets(), space.newest_event()
    with pytest.raises(error, match=words):
        space.change_subnet("s", **fields)
    assert (space.subnets(), space.newest_event()) == (before, newest)


def test_unknown_and_stale_objects_are_refused(space: Ipam) -> None:
    """With a hint, and with the version in force."""
    with pytest.raises(UnknownObject, match="'x'"):
        space.change_subnet("x", weight=1)
    with pytest.raises(UnknownObject, match="no declared host 'hh'; did you mean 'h'"):
        space.change_host("hh", labels={"rack": "r1"})
    with pytest.raises(FixInput, match="a host has no field 'weight'"):
        space.change_host("h", weight=1)
    with pytest.raises(FixInput, match="largest region"):
        space.change_host("h", claims={"block": 64, "largest": 32})
    with pytest.raises(StaleVersion):
        space.change_subnet("s", weight=2, version=1_000_000)
    assert space.subnet("s").weight == 3


def test_a_carved_subnet_keeps_to_its_pool(space: Ipam) -> None:
    """Its lengths, its prefixes and its quota."""
    made = space.allocate_subnet("p", name="c", project="x")
    assert made.prefix == "10.9.0.0/26"
    with pytest.raises(FixInput, match="pool"):
        space.change_subnet("c", cidr="10.10.0.0/26")
    with pytest.raises(QuotaExceeded):
        space.change_subnet("c", cidr="10.9.0.0/24")
    assert space.change_subnet("c", cidr="10.9.0.0/25").source == ""
    after = space.subnet("c")
    assert (after.prefix, after.pool, after.project) == ("10.9.0.0/25", "p", "x")


def test_a_host_moves_to_another_rack(space: Ipam) -> None:
    """Its next address comes from a subnet of the new rack."""
    space.change_subnet("t", labels={"rack": "r9"})
    space.change_host("h", labels={"rack": "r9"})
    assert space.allocate(labels=L, host="h").allocations[0].subnet == "t"
    space.change_subnet("t", closed=True)
    assert space.allocate(labels=L, host="h").allocations[0].subnet == "s"


@pytest.mark.parametrize("way", ["file", "host"])
def test_a_host_that_loses_a_segment_tells_what_it_strands(ipam: Ipam, way: str) -> None:
    """Its addresses there stay, and the dry run lists them; a soft label or another host does not matter."""
    topology: dict[str, Any] = {
        "dimensions": {"rack": {"fallback": "any"}},
        "subnets": [
            {"name": each, "cidr": cidr, "labels": {**L, "segment": each}}
            for each, cidr in (("s1", "10.0.0.0/24"), ("s2", "10.0.1.0/24"))
        ],
        "hosts": {host: {"segment": ["s1", "s2"], "rack": "r1"} for host in ("h", "other")},
    }
    ipam.apply(topology)
    for host in ("h", "other"):
        for segment in ("s1", "s2"):
            ipam.allocate(labels={**L, "segment": segment}, host=host, owner=host, count=2)

    def lose(dry_run: bool) -> Any:
        labels: dict[str, Any] = {"segment": "s2", "rack": None}
        if way == "host":
            return ipam.change_host("h", dry_run=dry_run, labels=labels)
        hosts = {**topology["hosts"], "h": {"segment": "s2"}}
        return ipam.apply({**topology, "hosts": hosts}, dry_run=dry_run)

    tried, done = lose(True), lose(False)
    assert tried.effects == done.effects
    (effect,) = done.effects
    assert (effect.kind, effect.subnet, effect.holder) == ("unreached", "s1", "h")
    assert effect.message.startswith("2 addresses on host h in subnet s1, which the host no longer")
    assert len(ipam.allocations(host="h")) == 4
    told = [each for each in ipam.history(host="h") if "no longer" in each.detail]
    assert [(each.act, each.subnet) for each in told] == [("topology", "s1")]
    assert ipam.change_host("h", labels={"rack": "r1"}).effects == ()
    assert ipam.change_host("h", labels={"segment": None}).effects == ()
    assert ipam.audit() == []


def test_a_host_on_several_segments_gets_addresses_from_any(ipam: Ipam) -> None:
    """From the one that has room; a request is on one segment; claims are kept by segment."""
    ipam.apply(
        {
            "subnets": [
                {"name": each, "cidr": cidr, "labels": {**L, "segment": each}}
                for each, cidr in (("s1", "10.0.0.0/28"), ("s2", "10.0.1.0/26"))
            ],
            "hosts": {"h": {"segment": ["s1", "s2"]}},
        }
    )
    first = ipam.allocate(labels=L, host="h", count=20).allocations
    assert {each.subnet for each in first} == {"s2"}
    rest = [ipam.allocate(labels=L, host="h").allocations[0].subnet for _ in range(56)]
    assert (rest.count("s1"), rest.count("s2")) == (14, 42)
    assert {each.holder for each in ipam.blocks()} == {"host=h"}
