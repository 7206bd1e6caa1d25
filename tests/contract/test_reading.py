"""Reads of a map and a search: allocations by prefix and by beginning of the owner, columns."""

from __future__ import annotations

import pytest

from borough import Ipam
from borough.domain.net.prefixes import parse_prefix
from borough.engine import ipam as engine_ipam
from borough.engine import queries
from borough.engine.upkeep import hosts
from borough.errors import FixInput, InvalidPrefix, UnknownObject

L = {"network": "n"}


def addresses(ipam: Ipam, **query: object) -> list[str]:
    return sorted(each.address for each in ipam.allocations(**query))  # type: ignore[arg-type]


@pytest.fixture
def filled(ipam: Ipam) -> Ipam:
    """Two subnets of one scope, one of the same addresses in another, one of IPv6."""
    ipam.apply({"scopes": ["blue"]})
    ipam.add_subnet("10.0.0.0/24", name="a", labels=L)
    ipam.add_subnet("10.0.1.0/24", name="b", labels=L)
    ipam.add_subnet("10.0.0.0/24", name="other", labels=L, scope="blue")
    ipam.add_subnet("2001:db8::/64", name="six", labels=L)
    for address, owner in (
        ("10.0.0.5", "web-1"),
        ("10.0.0.70", "Web-2"),
        ("10.0.1.5", "web_3"),
        ("2001:db8::5", "we%"),
        ("2001:db8::8000:0:0:1", "é-1"),
    ):
        ipam.allocate(address=address, labels=L, owner=owner)
    ipam.allocate(address="10.0.0.5", labels=L, owner="web-blue", scope="blue")
    ipam.allocate(address="10.0.0.6", labels=L)
    return ipam


def test_allocations_in_a_state(filled: Ipam) -> None:
    """With and without other conditions, page by page."""
    filled.add_subnet("10.2.0.0/28", name="rests", labels=L, cooldown=60)
    for at, lease in ((1, 0), (2, 600), (3, 0), (4, 600)):
        filled.allocate(address=f"10.2.0.{at}", labels=L, owner="web-1", lease=lease)
    filled.release(["10.2.0.3", "10.2.0.4"])
    filled.reserve("10.2.0.5-10.2.0.6", owner="web-1")
    within = {"subnet": "rests"}
    assert addresses(filled, state="allocated", **within) == ["10.2.0.1", "10.2.0.2"]
    assert addresses(filled, state="cooling", **within) == ["10.2.0.3", "10.2.0.4"]
    assert addresses(filled, state="reserved") == ["10.2.0.5", "10.2.0.6"]
    assert addresses(filled, state="cooling", owner="web-1", prefix="10.2.0.0/29") == [
        "10.2.0.3",
        "10.2.0.4",
    ]
    assert len(filled.allocations(state="allocated")) == 9
    first, second = filled.allocations(state="reserved")
    assert filled.allocations(state="reserved", limit=1) == [first]
    assert filled.allocations(state="reserved", after=first.sequence) == [second]
    with pytest.raises(FixInput, match="no state"):
        filled.allocations(state="held")  # type: ignore[arg-type]


def test_an_export_has_allocated_addresses_only(filled: Ipam) -> None:
    filled.add_subnet("10.2.0.0/28", name="rests", labels=L, cooldown=60)
    filled.allocate(address="10.2.0.1", labels=L, owner="gone")
    filled.release("10.2.0.1")
    filled.reserve("10.2.0.2", owner="later")
    assert list(filled.export("hosts", scope="blue")) == ["10.0.0.5 web-blue"]
    assert list(filled.export("dns", zone="example.org", owner="web-1")) == [
        "web-1.example.org. IN A 10.0.0.5",
        "5.0.0.10.in-addr.arpa. IN PTR web-1.example.org.",
    ]
    assert len(list(filled.export())) == 1 + 7
    assert list(filled.export(subnet="rests")) == ["address,owner,host,scope,attributes,note"]
    with pytest.raises(FixInput):
        filled.export("word")


def test_allocations_of_a_prefix(filled: Ipam) -> None:
    """Those of its scope and family, from its first address to its last."""
    assert addresses(filled, prefix="10.0.0.0/26") == ["10.0.0.5", "10.0.0.6"]
    assert addresses(filled, prefix="10.0.0.0/23") == [
        "10.0.0.5",
        "10.0.0.6",
        "10.0.0.70",
        "10.0.1.5",
    ]
    assert addresses(filled, prefix="10.0.0.5/32", scope="blue") == ["10.0.0.5"]
    assert addresses(filled, prefix="10.0.1.0/24", scope="blue") == []
    assert addresses(filled, prefix="2001:db8::/65") == ["2001:db8::5"]
    assert addresses(filled, prefix="0.0.0.0/0", subnet="b") == ["10.0.1.5"]
    assert addresses(filled, prefix="10.0.1.4/30", subnet="a") == []
    assert addresses(filled, prefix="10.0.0.0/8", subnet="six") == []
    assert addresses(filled, prefix="10.0.0.0/8", owner="web-1") == ["10.0.0.5"]
    assert addresses(filled, prefix="10.0.0.0/8", scope="nowhere") == []
    with pytest.raises(InvalidPrefix):
        filled.allocations(prefix="10.0.0.1/24")


def test_allocations_of_a_prefix_are_of_its_family(ipam: Ipam) -> None:
    """Packed addresses of both families sort among each other: 10.0.0.1 lies between 0a00:: and 0a01::."""
    ipam.add_subnet("10.0.0.0/16", name="four", labels=L)
    ipam.add_subnet("a00::/16", name="six", labels=L)
    for address in ("10.0.0.1", "10.0.255.1", "a00:1::1", "a00:ff01::1"):
        ipam.allocate(address=address, labels=L, owner="web")
    four, six = ["10.0.0.1", "10.0.255.1"], ["a00:1::1", "a00:ff01::1"]
    for query in ({}, {"owner": "web"}, {"owner_prefix": "w"}):
        assert addresses(ipam, prefix="10.0.0.0/8", **query) == four
        assert addresses(ipam, prefix="0.0.0.0/0", **query) == four
        assert addresses(ipam, prefix="a00::/16", **query) == six
        assert addresses(ipam, prefix="::/0", **query) == six
    assert addresses(ipam, prefix="0.0.0.0/0", subnet="four") == four
    assert addresses(ipam, prefix="::/0", subnet="four") == []
    assert [(each.name, each.allocated) for each in ipam.usage()] == [("four", 2), ("six", 2)]


def test_allocations_of_owners_that_begin_so(filled: Ipam) -> None:
    """Exactly, in every database: no wildcards, case matters, and an empty owner never matches."""
    assert addresses(filled, owner_prefix="web", scope="default") == ["10.0.0.5", "10.0.1.5"]
    assert addresses(filled, owner_prefix="web_") == ["10.0.1.5"]
    assert addresses(filled, owner_prefix="w%") == []
    assert addresses(filled, owner_prefix="we%") == ["2001:db8::5"]
    assert addresses(filled, owner_prefix="W") == ["10.0.0.70"]
    assert addresses(filled, owner_prefix="é-") == ["2001:db8::8000:0:0:1"]
    assert addresses(filled, owner_prefix="web", prefix="10.0.1.0/24") == ["10.0.1.5"]


def test_a_space_map_equals_the_list_of_blocks(filled: Ipam) -> None:
    """In a smaller form."""
    filled.allocate(labels=L, host="node-1", families=4, count=70)
    filled.allocate(labels=L, host="node-2", families=6)
    made = filled.space_map()
    subnets = {each.name: parse_prefix(each.prefix) for each in filled.subnets()}
    told = {}
    for at, place in enumerate(made.subnet):
        name = made.subnets[place]
        base = subnets[name].base + int(made.offset[at])
        told[name, base, made.length[at]] = (
            made.size[at],
            made.free[at],
            made.holders[made.holder[at]],
            made.region[at],
        )
    known = {}
    for each in filled.blocks():
        prefix = parse_prefix(each.prefix)
        if each.scope == "default":
            region = parse_prefix(each.region).length
            known[each.subnet, prefix.base, prefix.length] = (
                each.size,
                each.free,
                each.holder,
                region,
            )
    assert told == known
    assert {"", "host=node-1", "host=node-2"} == set(made.holders)
    assert made.event == filled.events()[-1].id
    # By subnet and address, so a reader need not sort.
    order = [(made.subnet[at], int(made.offset[at])) for at in range(len(made.subnet))]
    assert order == sorted(order)


def test_a_space_map_of_some_subnets(filled: Ipam) -> None:
    """Changed subnets can be read alone."""
    assert filled.space_map(subnets=["b"]).subnets == ["b"]
    assert filled.space_map(subnets=[]).subnets == []
    assert filled.space_map(subnets=["other"]).subnets == []
    assert filled.space_map(scope="blue").subnets == ["other"]
    with pytest.raises(UnknownObject):
        filled.space_map(scope="nowhere")


def test_offsets_that_a_reader_of_json_would_round_are_text(filled: Ipam) -> None:
    """A /64 is larger than the whole numbers of JavaScript."""
    filled.allocate(address="2001:db8::8000:0:0:40", labels=L)
    made = filled.space_map(subnets=["six"])
    assert str(1 << 63) in made.offset
    assert 0 in made.offset


def test_one_subnet(filled: Ipam) -> None:
    (listed,) = (each for each in filled.subnets() if each.name == "b")
    assert filled.subnet("b") == listed
    with pytest.raises(UnknownObject, match="did you mean 'other'"):
        filled.subnet("othr")


def test_allocations_are_read_page_by_page(ipam: Ipam, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each once, in order, with the filters and bounds of the list."""
    monkeypatch.setattr(queries, "_PAGE", 3)
    ipam.apply({"subnets": [{"name": "s", "cidr": "10.0.0.0/24", "labels": {"network": "n"}}]})
    for owner in ("a", "b", "a"):
        ipam.allocate(labels={"network": "n"}, count=5, owner=owner)
    assert list(ipam.each_allocation()) == ipam.allocations()
    assert list(ipam.each_allocation(owner="a")) == ipam.allocations(owner="a")
    assert list(ipam.each_allocation(owner="a", limit=7)) == ipam.allocations(owner="a", limit=7)
    after = ipam.allocations()[4].sequence
    assert list(ipam.each_allocation(after=after)) == ipam.allocations(after=after)
    assert list(ipam.each_allocation(limit=3)) == ipam.allocations(limit=3)


def test_a_large_release_lists_some_and_counts_all(
    ipam: Ipam, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer lists a bounded number of addresses; all of them are released."""
    monkeypatch.setattr(engine_ipam, "RELEASED_LISTED", 4)
    monkeypatch.setattr(queries, "_PAGE", 3)
    ipam.apply({"subnets": [{"name": "s", "cidr": "10.0.0.0/24", "labels": {"network": "n"}}]})
    held = ipam.allocate(labels={"network": "n"}, count=10, owner="a").allocations
    released = ipam.release(owner="a")
    assert [each.sequence for each in released] == sorted(each.sequence for each in held)[:4]
    assert released.total == 10
    assert ipam.allocations() == []
    named = ipam.allocate(labels={"network": "n"}, count=6).allocations
    released = ipam.release([each.address for each in named])
    assert len(released) == released.total == 6


def test_a_large_host_is_removed_page_by_page(ipam: Ipam, monkeypatch: pytest.MonkeyPatch) -> None:
    """With all its addresses and claims; the answer lists some of them."""
    monkeypatch.setattr(hosts, "RELEASED_LISTED", 4)
    monkeypatch.setattr(queries, "_PAGE", 3)
    ipam.apply({"subnets": [{"name": "s", "cidr": "10.0.0.0/24", "labels": {"network": "n"}}]})
    held = ipam.allocate(labels={"network": "n"}, host="h", count=40).allocations
    done = ipam.remove_host("h", release=True)
    assert [each.sequence for each in done.released] == sorted(each.sequence for each in held)[:4]
    assert (done.total, done.remaining) == (40, ())
    assert done.claims
    assert ipam.allocations() == []
    assert {each.holder for each in ipam.blocks()} <= {""}
    assert ipam.audit() == []


def test_addresses_of_a_subnet_in_order(ipam: Ipam) -> None:
    """Held addresses are lines, all others are ranges; pages follow each other."""
    ipam.add_subnet(
        "10.0.0.0/28", name="a", labels=L, gateway="10.0.0.1", exclude=["10.0.0.12-10.0.0.13"]
    )
    for address in ("10.0.0.9", "10.0.0.2", "10.0.0.12"):
        ipam.allocate(address=address, labels=L, owner=f"of-{address}")
    ipam.reserve(["10.0.0.5"], owner="later")
    whole = [
        ("10.0.0.0", "10.0.0.0", "never"),
        ("10.0.0.1", "10.0.0.1", "by_name"),
        ("10.0.0.2", "10.0.0.2", "allocated"),
        ("10.0.0.3", "10.0.0.4", "free"),
        ("10.0.0.5", "10.0.0.5", "reserved"),
        ("10.0.0.6", "10.0.0.8", "free"),
        ("10.0.0.9", "10.0.0.9", "allocated"),
        ("10.0.0.10", "10.0.0.11", "free"),
        ("10.0.0.12", "10.0.0.12", "allocated"),
        ("10.0.0.13", "10.0.0.13", "by_name"),
        ("10.0.0.14", "10.0.0.14", "free"),
        ("10.0.0.15", "10.0.0.15", "never"),
    ]
    lines = ipam.addresses("a")
    assert [(each.first, each.last, each.state) for each in lines] == whole
    owners = [each.allocation and each.allocation.owner for each in lines]
    assert owners[2:5] == ["of-10.0.0.2", None, "later"]
    for size in range(1, 6):
        paged, after = [], None
        while page := ipam.addresses("a", after=after, limit=size):
            paged += page
            after = page[-1].last
        assert paged == lines


def test_addresses_of_a_large_subnet(filled: Ipam) -> None:
    """The free rest of a /64 is one line; other scopes and subnets are left out."""
    lines = [(each.first, each.last, each.state) for each in filled.addresses("six")]
    assert lines == [
        ("2001:db8::", "2001:db8::", "never"),
        ("2001:db8::1", "2001:db8::4", "free"),
        ("2001:db8::5", "2001:db8::5", "allocated"),
        ("2001:db8::6", "2001:db8:0:0:8000::", "free"),
        ("2001:db8::8000:0:0:1", "2001:db8::8000:0:0:1", "allocated"),
        ("2001:db8::8000:0:0:2", "2001:db8::ffff:ffff:ffff:ffff", "free"),
    ]
    held = [each.first for each in filled.addresses("a") if each.allocation]
    assert held == ["10.0.0.5", "10.0.0.6", "10.0.0.70"]
    assert filled.addresses("a", after="10.0.0.255") == []
    with pytest.raises(UnknownObject):
        filled.addresses("nowhere")
    with pytest.raises(FixInput):
        filled.addresses("a", after="10.0.1.0")
