"""Address space that changes shape while addresses are held, on every store."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from borough import Ipam
from borough.domain.declared.topology import FieldChange
from borough.engine.views import Route
from borough.errors import (
    AddressOutsideGroup,
    Exhausted,
    FixInput,
    InUse,
    KeyReused,
    KeySpent,
    NoMatchingSubnet,
    NotAllocated,
    Overlap,
    QuotaExceeded,
    WouldStrand,
)
from tests.conftest import Clock

L = {"network": "n"}
WEB = {"name": "web", "cidr": "10.1.0.0/24"}
HALVES = [{"name": "web", "cidr": "10.1.0.0/25"}, {"name": "web-b", "cidr": "10.1.0.128/25"}]


def space(*subnets: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"subnets": [{"labels": L, **each} for each in subnets], **more}


def held(ipam: Ipam) -> list[tuple[str, str, str, int]]:
    return [
        (each.scope, each.subnet, each.address, each.sequence)
        for each in sorted(ipam.allocations(), key=lambda each: each.address)
    ]


def effects(changes: Any, kind: str) -> list[tuple[str, str]]:
    return [(each.subject, each.holder) for each in changes.effects if each.kind == kind]


# --- Addresses follow -------------------------------------------------------------------------


def test_addresses_follow_a_split_and_the_join_back(ipam: Ipam) -> None:
    """Owner, sequence, key and claim stay, whichever half the address comes to lie in."""
    ipam.apply(space(WEB))
    low = ipam.allocate(labels=L, host="a", owner="x", key="k").allocations[0]
    ipam.allocate(labels=L, address="10.1.0.129", owner="y")
    high = ipam.allocate(labels=L, address="10.1.0.200", host="b").allocations[0]
    before, routes = held(ipam), ipam.routes()
    changes = ipam.apply(space(*HALVES))
    assert [each[1] for each in held(ipam)] == ["web", "web-b", "web-b"]
    assert [each.message for each in changes.effects] == [
        "2 addresses follow from subnet web to web-b"
    ]
    assert ipam.routes() == routes
    assert (
        ipam.allocate(labels=L, host="a", owner="x", key="k").allocations[0].address == low.address
    )
    assert ipam.show("10.1.0.200").sequence == high.sequence
    assert ipam.audit() == []
    ipam.apply(space(WEB))
    assert held(ipam) == before
    assert ipam.routes() == routes
    assert ipam.audit() == []


def test_only_what_falls_out_is_refused_and_named(ipam: Ipam) -> None:
    """The new broadcast and network addresses, and nothing else; the refusal changes nothing."""
    ipam.apply(space(WEB))
    for last in (1, 127, 128, 200):
        ipam.allocate(labels=L, address=f"10.1.0.{last}")
    before = held(ipam)
    for dry_run in (True, False):
        with pytest.raises(WouldStrand) as refused:
            ipam.apply(space(*HALVES), dry_run=dry_run)
        listed = [each["address"] for each in refused.value.detail["allocations"]]
        assert listed == ["10.1.0.127", "10.1.0.128"]
    assert held(ipam) == before
    assert len(ipam.subnets()) == 1


def test_a_join_takes_over_removed_subnets(ipam: Ipam) -> None:
    """Under the name of the upper half: its prefix begins where the removed lower half began."""
    ipam.apply(space(*HALVES))
    for address in ("10.1.0.5", "10.1.0.130"):
        ipam.allocate(labels=L, address=address)
    ipam.apply(space({"name": "web-b", "cidr": "10.1.0.0/24"}))
    assert [each[1:3] for each in held(ipam)] == [("web-b", "10.1.0.130"), ("web-b", "10.1.0.5")]
    assert ipam.audit() == []


def test_a_rename_keeps_everything(ipam: Ipam) -> None:
    """The same prefix under another name is the same subnet: claims, rests, keys, pool and project."""
    pool = {"name": "p", "prefixes": ["10.2.0.0/24"]}
    ipam.apply(space(pools=[pool]), name="pools")
    ipam.allocate_subnet("p", prefix_length=26, name="s", labels=L, project="red")
    ipam.apply(space({"name": "s", "cidr": "10.2.0.0/26", "cooldown": 60, "project": "red"}))
    ipam.allocate(labels=L, host="a", count=3)
    ipam.release("10.2.0.1")
    blocks = [(each.prefix, each.holder) for each in ipam.blocks()]
    changes = ipam.apply(
        space({"name": "s2", "cidr": "10.2.0.0/26", "cooldown": 60, "project": "red"})
    )
    assert [each.fields for each in changes.changes] == [(FieldChange("name", "s", "s2"),)]
    assert [(each.name, each.pool) for each in ipam.subnets()] == [("s2", "p")]
    assert {each.subnet for each in ipam.allocations()} == {"s2"}
    assert [(each.prefix, each.holder) for each in ipam.blocks()] == blocks
    assert ipam.audit() == []


def test_subnets_move_to_another_scope_and_trade_scopes(ipam: Ipam) -> None:
    """Addresses and claims go along; two may have the same addresses."""
    red = {"name": "red", "cidr": "10.1.0.0/24", "scope": "r"}
    ipam.apply(space(WEB, red, scopes=["r"]))
    ipam.allocate(labels=L, address="10.1.0.7", owner="w")
    ipam.allocate(labels=L, address="10.1.0.7", owner="r", scope="r")
    claimed = ipam.allocate(labels=L, host="h", scope="r").allocations[0]
    ipam.apply(space({**WEB, "scope": "r"}, {**red, "scope": "default"}, scopes=["r"]))
    found = {(each.scope, each.owner): each.subnet for each in ipam.allocations()}
    assert found == {("r", "w"): "web", ("default", "r"): "red", ("default", ""): "red"}
    assert ipam.show(claimed.address).block == claimed.block
    assert [each.subnet for each in ipam.blocks() if each.holder] == ["red"]
    assert {each.scope for each in ipam.routes()} == {"default"}
    assert ipam.audit() == []
    with pytest.raises(Overlap):
        ipam.apply(space({"name": "other", "cidr": "10.1.0.0/25"}), name="another")


def test_a_subnet_takes_the_place_of_a_removed_one_with_a_resting_address(ipam: Ipam) -> None:
    red = {"name": "red", "cidr": WEB["cidr"], "scope": "r"}
    ipam.apply(space({**WEB, "cooldown": 60}, red, scopes=["r"]))
    address = ipam.allocate(labels=L, owner="old").allocations[0].address
    ipam.release(address)
    ipam.allocate(labels=L, address=address, owner="new", scope="r")
    ipam.apply(space({**red, "scope": "default"}, scopes=["r"]))
    assert [
        (each.scope, each.subnet, each.address, each.owner, each.state)
        for each in ipam.allocations()
    ] == [("default", "red", address, "new", "allocated")]
    assert ipam.audit() == []


def test_no_address_that_two_scopes_hold_comes_to_lie_in_one(ipam: Ipam) -> None:
    """The move is refused until one of them is released; then a resting one gives way."""
    red = {"name": "red", "cidr": WEB["cidr"], "scope": "r"}
    ipam.apply(space({**WEB, "cooldown": 60}, {**red, "cooldown": 60}, scopes=["r"]))
    ipam.allocate(labels=L, address="10.1.0.9", owner="old")
    ipam.allocate(labels=L, address="10.1.0.9", owner="new", scope="r")
    moved = space({**red, "scope": "default", "cooldown": 60}, scopes=["r"])
    with pytest.raises(WouldStrand, match="held twice") as refused:
        ipam.apply(moved)
    assert [each["address"] for each in refused.value.detail["allocations"]] == ["10.1.0.9"]
    ipam.release("10.1.0.9", scope="r")
    ipam.apply(moved)
    assert [(each.scope, each.owner, each.state) for each in ipam.allocations()] == [
        ("default", "old", "allocated")
    ]
    assert ipam.audit() == []


def test_subnets_trade_prefixes_around_their_addresses(ipam: Ipam) -> None:
    """Each address stays where it is, in the subnet that has its prefix then."""
    ipam.apply(space(*HALVES))
    ipam.allocate(labels=L, address="10.1.0.5", owner="low")
    ipam.allocate(labels=L, address="10.1.0.205", owner="high")
    low, high = HALVES
    ipam.apply(space({**low, "cidr": high["cidr"]}, {**high, "cidr": low["cidr"]}))
    assert {each.owner: each.subnet for each in ipam.allocations()} == {
        "low": "web-b",
        "high": "web",
    }
    assert ipam.audit() == []


def test_addresses_that_cool_follow_as_well(ipam: Ipam, clock: Clock) -> None:
    """A shorter cool-down of the new subnet counts; without one they are free."""
    ipam.apply(space({**WEB, "cooldown": 3600}))
    for last in (5, 6, 200):
        ipam.allocate(labels=L, address=f"10.1.0.{last}")
        ipam.release(f"10.1.0.{last}")
    low, high = HALVES
    changes = ipam.apply(space({**low, "cooldown": 60}, high))
    assert [each.kind for each in changes.effects] == ["rest_ended"]
    assert [each[2] for each in held(ipam)] == ["10.1.0.5", "10.1.0.6"]
    clock.advance(61)
    assert ipam.reclaim().rested == 2
    assert ipam.audit() == []


# --- Claims and routes ------------------------------------------------------------------------


def named(routes: Iterable[Route]) -> list[tuple[str, str]]:
    return sorted((each.prefix, each.host) for each in routes)


def test_claims_in_use_outlive_a_change_of_ranges(ipam: Ipam, clock: Clock) -> None:
    """Their routes stay as few, and a claim ends when nothing of it is held any more."""
    pods = {"name": "pods", "cidr": "10.0.0.0/24"}
    ipam.apply(space(pods))
    for host in ("a", "b"):
        for _ in range(5):
            ipam.allocate(labels=L, host=host, owner=host)
    ipam.allocate(labels=L, host="c", owner="c")
    ipam.release(owner="c")
    blocks, routes = ipam.blocks(), ipam.routes()
    away = space({**pods, "ranges": ["10.0.0.240-10.0.0.254"]})
    dry = ipam.apply(away, dry_run=True)
    lost = [(each.subject, each.holder) for each in dry.effects if each.kind == "claim_lost"]
    changes = ipam.apply(away)
    assert changes.effects == dry.effects
    assert [holder for _, holder in lost] == ["host=c"]
    gave_up = [(each.subject, each.detail) for each in ipam.events() if each.act == "gave_up"]
    assert gave_up == lost
    # Routes end where the ranges end: outside of them each address has its own.
    now = ipam.routes()
    assert {each.host for each in now} == {"a", "b"}
    assert sorted(effects(changes, "withdrawn")) == named(
        each for each in routes if each not in now
    )
    assert sorted(effects(changes, "announced")) == named(
        each for each in now if each not in routes
    )
    clock.advance(7200)
    ipam.reclaim()
    clock.advance(7200)
    ipam.reclaim()
    assert ipam.routes() == now
    assert ipam.audit() == []
    ipam.apply(space(pods))
    assert ipam.routes() == [each for each in routes if each.host != "c"]
    assert [each.holder for each in ipam.blocks() if each.holder] == [
        each.holder for each in blocks if each.holder and each.holder != "host=c"
    ]
    ipam.apply(away)
    ipam.release(owner="a")
    ipam.reclaim()
    clock.advance(7200)
    ipam.reclaim()
    assert {each.host for each in ipam.routes()} == {"b"}
    assert ipam.audit() == []


def test_a_gateway_on_a_held_address_is_noted(ipam: Ipam) -> None:
    """In the dry run and in an event."""
    ipam.apply(space(WEB))
    ipam.allocate(labels=L, address="10.1.0.9", owner="web-9")
    for dry_run in (True, False):
        changes = ipam.apply(space({**WEB, "gateway": "10.1.0.9"}), dry_run=dry_run)
        assert effects(changes, "gateway_held") == [("10.1.0.9", "web-9")]
    assert "gateway 10.1.0.9" in ipam.events()[-1].detail
    assert ipam.audit() == []


# --- Closed subnets, ranges and exclusions ----------------------------------------------------


def test_a_closed_subnet_gives_nothing_and_keeps_what_it_has(ipam: Ipam) -> None:
    """Claims and routes go on, releases too."""
    ipam.apply(space(WEB))
    for _ in range(2):
        ipam.allocate(labels=L, host="a")
    routes = ipam.routes()
    ipam.apply(space({**WEB, "closed": True}))
    for request in ({}, {"host": "a"}, {"host": "b"}, {"count": 3}):
        with pytest.raises(NoMatchingSubnet, match="closed"):
            ipam.allocate(labels=L, **request)
    with pytest.raises(NoMatchingSubnet, match="closed"):
        ipam.allocate(subnets=["web"])
    with pytest.raises(AddressOutsideGroup, match="closed"):
        ipam.allocate(labels=L, address="10.1.0.77")
    assert ipam.routes() == routes
    assert [each.closed for each in ipam.subnets()] == [True]
    ipam.release("10.1.0.1")
    ipam.apply(space(WEB))
    assert ipam.allocate(labels=L, host="a").address == "10.1.0.1"
    assert ipam.audit() == []


def test_no_ranges_means_no_addresses(ipam: Ipam) -> None:
    """Other than no word about ranges, which means all."""
    ipam.apply(space({**WEB, "ranges": []}))
    with pytest.raises(Exhausted):
        ipam.allocate(labels=L)
    assert ipam.allocate(labels=L, address="10.1.0.5").address == "10.1.0.5"
    assert [each.ranges for each in ipam.subnets()] == [()]
    changes = ipam.apply(space(WEB))
    assert changes.changes[0].fields == (FieldChange("ranges", "none", "all"),)
    assert ipam.allocate(labels=L).address == "10.1.0.1"
    assert ipam.audit() == []


def test_ranges_and_exclusions_come_back_in_one_form(ipam: Ipam) -> None:
    """Single addresses and prefixes are accepted in both."""
    written = {
        "ranges": ["10.1.0.64/30", "10.1.0.10 - 10.1.0.14", "10.1.0.1"],
        "exclude": ["10.1.0.12/31", "10.1.0.11", "10.1.0.66"],
    }
    ipam.apply(space({**WEB, **written}))
    found = ipam.subnets()[0]
    assert found.ranges == ("10.1.0.1", "10.1.0.10-10.1.0.14", "10.1.0.64-10.1.0.67")
    assert found.exclude == ("10.1.0.11-10.1.0.13", "10.1.0.66")
    given = [each.address for each in ipam.allocate(labels=L, count=6).allocations]
    assert [each.rpartition(".")[2] for each in given] == ["1", "10", "14", "64", "65", "67"]
    with pytest.raises(Exhausted):
        ipam.allocate(labels=L)
    assert not ipam.apply(space({**WEB, **written}))
    assert ipam.audit() == []


# --- Cool-downs -------------------------------------------------------------------------------


def test_cool_downs_are_named_and_end_when_told(ipam: Ipam) -> None:
    """Releasing anew says that the address cools down, and how to end that."""
    ipam.apply(space({**WEB, "cooldown": "1h"}))
    for last in (5, 6, 7):
        ipam.allocate(labels=L, address=f"10.1.0.{last}", owner="o")
    ipam.release("10.1.0.5")
    with pytest.raises(NotAllocated, match="cools down until"):
        ipam.release("10.1.0.5")
    with pytest.raises(WouldStrand, match="1 more only cool down") as refused:
        ipam.remove_subnet("web")
    assert refused.value.detail["cooling"] == 1
    assert len(refused.value.detail["allocations"]) == 2
    ipam.release("10.1.0.5", now=True)
    assert ipam.events()[-1].detail == "cool-down ended"
    ipam.release("10.1.0.6", now=True)
    assert [each.address for each in ipam.allocations()] == ["10.1.0.7"]
    ipam.release(owner="o")
    assert ipam.release(owner="o", now=True).total == 1
    assert ipam.allocations() == []
    ipam.remove_subnet("web")
    assert ipam.audit() == []


# --- Pools ------------------------------------------------------------------------------------

NODES = {
    "name": "nodes",
    "prefixes": ["10.5.0.0/24"],
    "minimum_length": 26,
    "maximum_length": 28,
    "quota": 96,
}


def test_an_edit_keeps_to_the_pool_from_either_side(ipam: Ipam) -> None:
    """Place, scope, length and quota, in a topology with the subnet or with the pool."""
    ipam.apply({"pools": [NODES], "scopes": ["r"]}, name="pools")
    ipam.allocate_subnet("nodes", name="n-a", project="p1")
    ipam.allocate_subnet("nodes", name="n-b", prefix_length=27, project="p1")
    carved = {"name": "n-b", "cidr": "10.5.0.64/27", "project": "p1"}
    for edit in (
        {"cidr": "10.99.0.0/27"},
        {"cidr": "10.5.0.64/29"},
        {"cidr": "10.5.0.0/25"},
        {"scope": "r"},
    ):
        with pytest.raises((FixInput, Overlap)):
            ipam.apply({"subnets": [{**carved, **edit}]})
    with pytest.raises(QuotaExceeded):
        ipam.apply({"subnets": [{**carved, "cidr": "10.5.0.64/26"}]})
    ipam.apply({"subnets": [{**carved, "cidr": "10.5.0.64/26", "project": "p9"}]})
    for change in ({"prefixes": ["10.6.0.0/24"]}, {"minimum_length": 27}, {"scope": "r"}):
        with pytest.raises(InUse):
            ipam.apply({"pools": [{**NODES, **change}], "scopes": ["r"]}, name="pools")
    with pytest.raises(QuotaExceeded):
        ipam.apply({"pools": [{**NODES, "quota": 32}], "scopes": ["r"]}, name="pools")
    assert ipam.audit() == []


def test_a_quota_of_zero_is_none(ipam: Ipam) -> None:
    """As a cap of zero is none."""
    ipam.apply({"pools": [{**NODES, "quota": 0}]})
    for _ in range(4):
        ipam.allocate_subnet("nodes", project="p1")


def test_free_prefixes_of_a_pool(ipam: Ipam) -> None:
    """The largest ones, and those that are large enough."""
    ipam.apply({"pools": [NODES]})
    ipam.allocate_subnet("nodes", prefix_length=28)
    free = ["10.5.0.16/28", "10.5.0.32/27", "10.5.0.64/26", "10.5.0.128/25"]
    assert ipam.free_prefixes("nodes") == free
    assert ipam.free_prefixes("nodes", prefix_length=26) == free[2:]
    with pytest.raises(FixInput, match="there is no pool"):
        ipam.free_prefixes("node")


def test_carving_with_a_key_gives_one_subnet(ipam: Ipam) -> None:
    """Another request with the key is refused, and so is the same one when the subnet is gone."""
    ipam.apply({"pools": [NODES]})
    made = [ipam.allocate_subnet("nodes", labels=L, key="k") for _ in range(2)]
    assert made[0] == made[1]
    assert len(ipam.subnets()) == 1
    with pytest.raises(KeyReused):
        ipam.allocate_subnet("nodes", labels=L, prefix_length=27, key="k")
    with pytest.raises(KeyReused):
        ipam.allocate(labels=L, key="k")
    assert ipam.add_subnet("10.9.0.0/24", key="l") == ipam.add_subnet("10.9.0.0/24", key="l")
    last = ipam.allocate_subnet("nodes", prefix_length=28, key="m")
    ipam.remove_subnet(last.name)
    ipam.allocate_subnet("nodes", prefix_length=28)
    with pytest.raises(KeySpent):
        ipam.allocate_subnet("nodes", prefix_length=28, key="m")
