"""Held addresses that are edited, transferred to another owner, and found by attribute; on every store."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from borough import Ipam
from borough.domain.space.filters import Filter
from borough.domain.space.plan import Act, Plan
from borough.engine import edits
from borough.errors import Contended, FixInput, NotAllocated, StaleSequence, UnknownObject
from borough.store.port import Unit
from tests.conftest import Clock

L = {"network": "n"}
REQUEST: dict[str, Any] = {"labels": L, "host": "h1", "owner": "web-1", "key": "k"}


@pytest.fixture
def space(ipam: Ipam) -> Ipam:
    """A subnet with a cool-down, and one of the same prefix in another scope."""
    ipam.apply(
        {
            "scopes": ["vrf"],
            "subnets": [
                {"name": "pods", "cidr": "10.0.0.0/24", "labels": L, "cooldown": 60},
                {"name": "v", "cidr": "10.0.0.0/24", "scope": "vrf", "labels": L},
            ],
        }
    )
    return ipam


def details(ipam: Ipam) -> list[str]:
    return [each.detail for each in ipam.events(limit=10_000) if each.act == Act.EDITED]


def owners(ipam: Ipam, **filters: Any) -> list[str]:
    return [each.owner for each in ipam.allocations(**filters)]


# --- Edit -------------------------------------------------------------------------------------


def test_only_the_named_values_change(space: Ipam) -> None:
    """Address, host, claim, sequence and key stay."""
    before = space.allocate(**REQUEST, note="old", attributes={"a": 1, "b": "x"}).allocations[0]
    claims = space.blocks()
    edited = space.edit(before.address, owner="web-2", attributes={"b": None, "c": [1, True]})
    assert edited == replace(before, owner="web-2", attributes={"a": 1, "c": [1, True]})
    assert edited == space.show(before.address) == space.allocations()[0]
    assert space.blocks() == claims
    again = space.allocate(**REQUEST, note="old", attributes={"a": 1, "b": "x"})
    assert (again.replayed, again.allocations) == (True, (edited,))
    assert space.edit(before.address, note="").note == ""
    assert space.edit(before.address, owner="").owner == ""
    assert owners(space, owner="web-2") == []
    assert space.audit() == []


def test_an_event_tells_what_changed(space: Ipam) -> None:
    """From what to what; an edit that changes nothing is no event."""
    held = space.allocate(**REQUEST, attributes={"a": 1}).allocations[0]
    space.edit(held.address, owner="web-2", note="new", attributes={"a": "1", "b": None})
    space.edit(held.address, owner="web-2", note="new", attributes={"a": "1", "b": None})
    space.edit(held.address, note="", attributes={"a": 1})
    space.edit(held.address, attributes={"a": 1.0, "long": "x" * 9_000})
    first, second, third = details(space)
    assert first == 'owner web-1 -> web-2; note none -> new; attribute a 1 -> "1"'
    assert second == 'note new -> none; attribute a "1" -> 1'
    assert third.startswith('attribute a 1 -> 1.0; attribute long none -> "xxx')
    assert len(third) < 300
    event = space.history(held.address)[0]
    assert (event.act, event.owner, event.sequence) == ("edited", "web-2", held.sequence)


def test_a_stale_or_missing_address_is_refused(space: Ipam, clock: Clock) -> None:
    held = space.allocate(**REQUEST).allocations[0]
    with pytest.raises(StaleSequence) as caught:
        space.edit(held.address, owner="web-2", sequence=held.sequence + 1)
    assert caught.value.detail["owner"] == "web-1"
    with pytest.raises(NotAllocated):
        space.edit("10.0.0.200", owner="web-2")
    with pytest.raises(UnknownObject):
        space.edit(held.address, owner="web-2", scope="none")
    space.release(held.address)
    with pytest.raises(NotAllocated):
        space.edit(held.address, owner="web-2")
    clock.advance(61)
    space.allocate(labels=L, address=held.address, owner="next")
    with pytest.raises(StaleSequence):
        space.edit(held.address, owner="web-2", sequence=held.sequence)
    assert owners(space) == ["next"]
    assert details(space) == []


@pytest.mark.parametrize(
    "wrong",
    [{}, {"attributes": {}}, {"owner": "x" * 256}, {"note": " x"}, {"attributes": {"a": {1, 2}}}],
)
def test_an_edit_that_is_not_allowed_is_refused(space: Ipam, wrong: dict[str, Any]) -> None:
    held = space.allocate(**REQUEST).allocations[0]
    with pytest.raises(FixInput):
        space.edit(held.address, **wrong)


def test_attributes_that_are_too_large_together_are_refused(space: Ipam) -> None:
    held = space.allocate(**REQUEST, attributes={"a": "x" * 6_000}).allocations[0]
    with pytest.raises(FixInput):
        space.edit(held.address, attributes={"b": "x" * 6_000})
    assert space.show(held.address) == held


@pytest.mark.parametrize("count", [1, 12])
@pytest.mark.parametrize("late", ["edited", "removed", "cooled"])
def test_a_decision_from_before_an_edit_is_refused(
    space: Ipam, clock: Clock, count: int, late: str
) -> None:
    """A release for the old owner must not end the allocation of the new one."""
    held = space.allocate(labels=L, count=count, owner="old").allocations
    rows = space.store.transact(lambda unit: unit.allocations(Filter(owner="old")), write=False)
    space.edit(held[-1].address, owner="new")

    def release(unit: Unit) -> None:
        plan = Plan()
        if late == "edited":
            plan.edited = [(each, replace(each, note="late")) for each in rows]
        elif late == "removed":
            plan.removed = rows
        else:
            plan.cooled = [replace(each, until=clock.now) for each in rows]
        unit.commit(plan, clock.now)

    with pytest.raises(Contended):
        space.store.transact(release)
    assert sorted(owners(space)) == ["new", *["old"] * (count - 1)]
    assert {each.note for each in space.allocations()} == {""}


# --- Transfer ---------------------------------------------------------------------------------


def test_an_owner_is_transferred_in_pieces(space: Ipam, monkeypatch: pytest.MonkeyPatch) -> None:
    """In all scopes; a cooling address stays with the owner that released it."""
    monkeypatch.setattr(edits, "PIECE", 3)
    first = space.allocate(labels=L, count=9, owner="old").allocations
    space.allocate(labels=L, owner="old", scope="vrf")
    space.allocate(labels=L, owner="other")
    for each in first[:4]:
        space.release(each.address)
    seen: list[int] = []
    done = space.transfer("old", "new", progress=lambda piece: seen.append(piece.total))
    assert (done.total, done.next, seen) == (6, None, [0, 2, 5, 6])
    assert sorted(owners(space)) == [*["new"] * 6, *["old"] * 4, "other"]
    assert {each.sequence for each in first[4:]} < {
        each.sequence for each in space.allocations(owner="new")
    }
    assert set(details(space)) == {"owner old -> new"}
    assert space.transfer("old", "new").total == 0
    assert space.audit() == []


def test_a_transfer_of_one_scope_leaves_the_others(space: Ipam) -> None:
    space.allocate(labels=L, owner="old")
    space.allocate(labels=L, owner="old", scope="vrf")
    assert space.transfer("old", "new", scope="vrf").total == 1
    assert owners(space, scope="vrf") == ["new"]
    assert owners(space, scope="default") == ["old"]
    with pytest.raises(UnknownObject):
        space.transfer("old", "new", scope="none")
    with pytest.raises(FixInput):
        space.transfer("old", "old")


def test_many_addresses_are_transferred_at_once(space: Ipam) -> None:
    space.allocate(labels=L, count=200, owner="old", host="h1", attributes={"a": "ü"}, note="n")
    before = space.allocations()
    assert space.transfer("old", "new").total == 200
    assert space.allocations() == [replace(each, owner="new") for each in before]


# --- Search by attribute ----------------------------------------------------------------------


def test_addresses_are_found_by_attribute(space: Ipam) -> None:
    """All named attributes count; text is compared as it is, other values by their JSON."""
    kept: dict[str, dict[str, Any]] = {
        "text": {"k": "5", "tier": "front"},
        "number": {"k": 5, "tier": "front"},
        "more": {"k": "55", "x": {"k": "5"}},
        "case": {"K": "5"},
        "upper": {"k": "A%_b!"},
        "lower": {"k": "a%_b!"},
        "wild": {"k": "axxb!"},
        "quoted": {"k": 'say "ü"\\', "list": [1, "a"], "is": True},
        "none": {},
    }
    for owner, attributes in kept.items():
        space.allocate(labels=L, owner=owner, attributes=attributes)

    def found(**attributes: str) -> list[str]:
        return owners(space, attributes=attributes)

    assert found(k="5") == ["text", "number"]
    assert found(k="5", tier="front") == ["text", "number"]
    assert found(k="5", tier="back") == []
    assert found(k="A%_b!") == ["upper"]
    assert found(k='say "ü"\\') == ["quoted"]
    assert found(list='[1, "a"]') == found(**{"is": "true"}) == ["quoted"]
    assert found(k="") == found(k="%") == found(k='"5"') == []
    assert owners(space, attributes={"k": "5"}, owner="number") == ["number"]
    assert owners(space, attributes={"k": "5"}, subnet="v") == []
    assert owners(space, attributes={}) == owners(space)
    for wrong in ({"": "x"}, {"a=b": "x"}, {"k": 5}):
        with pytest.raises(FixInput):
            space.allocations(attributes=wrong)  # type: ignore[arg-type]


def test_pages_of_a_search_are_full(space: Ipam) -> None:
    """Rows that the database takes for matches do not shorten a page."""
    for at in range(12):
        attributes = {"x": {"k": "5"}} if at % 3 else {"k": "5"}
        space.allocate(labels=L, owner=f"o{at}", attributes=attributes)
    first = space.allocations(attributes={"k": "5"}, limit=3)
    assert [each.owner for each in first] == ["o0", "o3", "o6"]
    rest = space.allocations(attributes={"k": "5"}, limit=3, after=first[-1].sequence)
    assert [each.owner for each in rest] == ["o9"]
    pages = space.each_allocation(attributes={"k": "5"})
    assert [each.owner for each in pages] == ["o0", "o3", "o6", "o9"]
