"""Import of addresses that are in use already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import borough
from borough import Ipam
from borough.api.scoped import ScopedIpam, VisibleSubnets
from borough.domain.declared.dimensions import make_labels
from borough.engine import imports
from borough.engine.imports import Imported
from borough.engine.views import BlockView
from borough.errors import FixInput
from tests.conftest import STORES, each_store


def entry(address: str, owner: str = "", **more: Any) -> dict[str, Any]:
    return {"address": address, "owner": owner, **more}


def reasons(found: Imported) -> list[tuple[str, str]]:
    return [(each.address, each.reason) for each in found.conflicts]


@pytest.fixture
def space(ipam: Ipam) -> Ipam:
    """Two scopes, ranges, IPv6 and a claim."""
    ipam.apply(
        {
            "scopes": ["vrf"],
            "subnets": [
                {"name": "a", "cidr": "10.0.0.0/16", "labels": {"network": "n"}},
                {"name": "r", "cidr": "10.1.0.0/24", "ranges": ["10.1.0.100-10.1.0.199"]},
                {"name": "six", "cidr": "2001:db8::/64"},
                {"name": "v", "cidr": "10.0.0.0/24", "scope": "vrf", "cooldown": 600},
            ],
        }
    )
    ipam.allocate(labels={"network": "n"}, host="h1")
    return ipam


def claims(blocks: list[BlockView]) -> list[tuple[str, str]]:
    return [(each.region, each.holder) for each in blocks if each.holder]


def test_an_import_finds_the_subnet_by_the_address(space: Ipam) -> None:
    """Owner, host, attributes and note are kept; nothing is claimed, and audit is clean."""
    claimed = space.blocks()
    entries = [
        entry("10.0.7.9", "vm1", host="h2", attributes={"mac": "m"}, note="rack 7"),
        entry("10.0.7.10/16", "vm2"),
        entry("10.0.0.9", "vm3", scope="vrf"),
        entry("10.0.0.9", "vm4"),
        entry("10.1.0.7", "outside the ranges"),
        entry("10.1.0.107"),
        entry("2001:db8::77", "six"),
    ]
    assert space.import_allocations(entries, dry_run=True) == Imported(7, dry_run=True)
    assert len(space.allocations()) == 1
    assert space.import_allocations(entries) == Imported(7)
    assert space.import_allocations(entries) == Imported(unchanged=7)
    first = space.show("10.0.7.9")
    assert (first.subnet, first.owner, first.host, first.note) == ("a", "vm1", "h2", "rack 7")
    assert first.attributes == {"mac": "m"}
    assert space.show("10.0.0.9", scope="vrf").owner == "vm3"
    # One of the addresses lies in a claim: it is borrowed, and the claim stays.
    assert claims(space.blocks()) == claims(claimed)
    assert space.audit() == []
    assert space.history("10.0.7.9")[0].sequence == first.sequence
    assert len(space.release([each["address"].partition("/")[0] for each in entries[:2]])) == 2
    assert space.audit() == []


def test_conflicts_are_reported_and_the_rest_is_imported(space: Ipam) -> None:
    """Held otherwise, cooling, without a subnet, never given, named twice."""
    space.allocate(address="10.0.5.5", subnets=["a"], owner="other", host="h9")
    space.allocate(address="10.0.0.5", scope="vrf")
    space.release("10.0.0.5", scope="vrf")
    found = space.import_allocations(
        [
            entry("10.0.5.5", "mine"),
            entry("10.0.0.5", scope="vrf"),
            entry("172.16.0.1"),
            entry("10.0.0.1", scope="nowhere"),
            entry("10.0.0.0"),
            entry("10.0.9.9", "one"),
            entry("10.0.9.9", "two"),
            entry("10.0.9.10", "three"),
        ]
    )
    assert (found.added, found.unchanged, found.refused) == (2, 0, 6)
    assert sorted(reasons(found)) == [
        ("10.0.0.0", "unusable"),
        ("10.0.0.1", "no_subnet"),
        ("10.0.0.5", "cooling"),
        ("10.0.5.5", "held"),
        ("10.0.9.9", "twice"),
        ("172.16.0.1", "no_subnet"),
    ]
    (held,) = [each for each in found.conflicts if each.reason == "held"]
    assert (held.owner, held.host, held.subnet) == ("other", "h9", "a")
    assert space.show("10.0.9.9").owner == "one"
    assert space.audit() == []


def test_a_large_import_is_in_pieces_that_resume(
    space: Ipam, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error names the entry and what was added before; run again, the rest follows."""
    monkeypatch.setattr(imports, "PIECE", 100)
    entries = [entry(f"10.0.{at // 200 + 20}.{at % 200 + 3}", f"vm{at}") for at in range(450)]
    seen: list[int] = []
    with pytest.raises(FixInput) as caught:
        space.import_allocations(
            [*entries[:250], entry("10.0.0.300")], progress=lambda each: seen.append(each.added)
        )
    assert caught.value.detail["entry"] == 251
    assert caught.value.detail["done"] == {"added": 200}
    assert seen == [100, 200]
    again = space.import_allocations(entries)
    assert (again.added, again.unchanged) == (250, 200)
    assert space.audit() == []
    with pytest.raises(FixInput, match="entry 1 has the fields"):
        space.import_allocations([{"ip": "10.0.0.1"}])


@pytest.mark.parametrize("store", each_store())
def test_a_confined_token_imports_within_its_boundary(store: str, tmp_path: Path) -> None:
    """Other subnets do not exist for it."""
    ipam = borough.open(STORES[store](tmp_path, 0), create=True)
    ipam.apply(
        {
            "dimensions": {"tenant": {"fallback": "none"}},
            "subnets": [
                {"name": "r", "cidr": "10.0.0.0/24", "labels": {"tenant": "red"}},
                {"name": "g", "cidr": "10.1.0.0/24", "labels": {"tenant": "green"}},
            ],
        }
    )
    ipam.allocate(address="10.1.0.5", subnets=["g"], owner="secret")
    scoped = ScopedIpam(ipam, make_labels({"tenant": "red"}), VisibleSubnets())
    found = scoped.import_allocations(
        [entry("10.0.0.5", "red"), entry("10.1.0.5", "red"), entry("10.1.0.6", "red")]
    )
    assert found.added == 1
    assert {reason for _, reason in reasons(found)} == {"no_subnet"}
    assert "secret" not in repr(found)
    assert [each.owner for each in ipam.allocations()] == ["secret", "red"]


@pytest.mark.parametrize("store", each_store())
def test_an_import_into_a_full_block_and_a_large_free_range(store: str, tmp_path: Path) -> None:
    """Addresses far apart open a block each, and the rest of the space stays whole."""
    with borough.open(STORES[store](tmp_path, 0), create=True) as ipam:
        ipam.add_subnet("10.0.0.0/8", name="a", labels={"network": "n"})
        apart = [entry(f"10.{at}.7.7", f"vm{at}") for at in range(0, 250, 10)]
        assert ipam.import_allocations(apart).added == 25
        assert ipam.audit() == []
        whole = [entry(f"10.0.7.{at}", "block") for at in range(64)]
        found = ipam.import_allocations(whole)
        assert (found.added, reasons(found)) == (63, [("10.0.7.7", "held")])
        assert ipam.audit() == []
        ipam.allocate(labels={"network": "n"}, count=200)
        assert ipam.audit() == []
