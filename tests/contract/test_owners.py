"""Addresses of owners that no longer live."""

from __future__ import annotations

from datetime import timedelta

import pytest

from borough import Ipam
from borough.domain.encode import utc
from borough.errors import FixInput

HOUR = timedelta(hours=1)


@pytest.fixture
def space(ipam: Ipam) -> Ipam:
    """Three owners in two scopes, and an address of nobody."""
    ipam.apply(
        {
            "scopes": ["vrf"],
            "subnets": [
                {"name": "a", "cidr": "10.0.0.0/24"},
                {"name": "v", "cidr": "10.0.0.0/24", "scope": "vrf"},
            ],
        }
    )
    for at, owner in enumerate(("vm1", "vm2", "db1", "")):
        ipam.allocate(address=f"10.0.0.{at + 5}", owner=owner)
    ipam.allocate(address="10.0.0.5", owner="vm1", scope="vrf")
    return ipam


def test_two_checks_a_grace_period_apart_release(space: Ipam) -> None:
    """In all scopes; an owner that is back, and an address that is allocated anew, stay."""
    first = space.reconcile_owners(["vm2", "db1"], {}, utc(0), grace=HOUR)
    assert (first.released, len(first.waiting)) == ((), 2)
    soon = space.reconcile_owners(["vm2", "db1"], first.missing, utc(1), grace=HOUR)
    assert (soon.released, soon.missing) == ((), first.missing)
    space.release("10.0.0.5", scope="vrf")
    space.allocate(address="10.0.0.5", owner="vm1", scope="vrf")
    later = utc(0) + HOUR
    dry = space.reconcile_owners(["vm2", "db1"], first.missing, later, grace=HOUR, dry_run=True)
    assert [each.scope for each in dry.released] == ["default"]
    assert len(space.allocations()) == 5
    done = space.reconcile_owners(["vm2", "db1"], first.missing, later, grace=HOUR)
    assert done.released == dry.released
    assert [each.scope for each in done.waiting] == ["vrf"]
    assert len(space.allocations()) == 4
    back = space.reconcile_owners(["vm1", "vm2", "db1"], done.missing, later + HOUR, grace=HOUR)
    assert (back.released, back.waiting, back.missing) == ((), (), {})
    assert space.audit() == []


def test_other_owners_are_not_compared(space: Ipam) -> None:
    """A list of one system says nothing about the owners of another one."""
    first = space.reconcile_owners(["vm1"], {}, utc(0), grace=HOUR, owner_prefix="vm")
    assert [each.owner for each in first.waiting] == ["vm2"]
    with pytest.raises(FixInput):
        space.reconcile_owners([], {}, utc(0), grace=HOUR)
