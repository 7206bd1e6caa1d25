"""A release of all that an owner or a host has comes to the same however many are read at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import borough
from borough import Ipam
from borough.engine import queries
from borough.errors import BoroughError
from tests.conftest import Clock

HOSTS = ["h1", "h2", "h3"]
OWNERS = ["web", "db"]

#: A host that has more than a few addresses has several regions, of two sizes.
TOPOLOGY: dict[str, Any] = {
    "dimensions": {
        "network": {"fallback": "none"},
        "host": {"fallback": "any", "claims": {"block": 4, "largest": 16}},
    },
    "subnets": [
        {"name": "a", "cidr": "10.0.0.0/24", "labels": {"network": "n"}},
        {"name": "b", "cidr": "10.0.1.0/26", "labels": {"network": "n"}},
        {"name": "c", "cidr": "10.0.2.0/25", "labels": {"network": "m"}, "cooldown": 60},
    ],
}

TAKEN = st.lists(
    st.fixed_dictionaries(
        {
            "labels": st.sampled_from([{"network": "n"}, {"network": "n"}, {"network": "m"}]),
            "host": st.sampled_from([None, *HOSTS]),
            "owner": st.sampled_from(OWNERS),
            "count": st.integers(1, 24),
        }
    ),
    min_size=1,
    max_size=14,
)
WHOSE: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {}, optional={"host": st.sampled_from(HOSTS), "owner": st.sampled_from(OWNERS)}
).filter(bool)


def state(ipam: Ipam) -> dict[str, Any]:
    """All that is stored of addresses and space, but for the ids and versions of rows."""
    blocks, free_ranges = ipam.store.transact(
        lambda unit: (unit.blocks(), unit.free_ranges()), write=False
    )
    return {
        "blocks": [replace(each, id=0, version=0) for each in blocks],
        "runs": [replace(each, id=0) for each in free_ranges],
        "allocations": ipam.allocations(),
        "routes": ipam.routes(),
        "released": sorted(each.subject for each in ipam.events() if each.act == "released"),
    }


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(taken=TAKEN, whose=WHOSE, page=st.integers(1, 9))
def test_in_pieces_as_at_once(
    monkeypatch: pytest.MonkeyPatch,
    taken: list[dict[str, Any]],
    whose: dict[str, Any],
    page: int,
) -> None:
    """The regions that are given up, and the one that a host keeps, are the same."""
    found = []
    for size in (page, 100_000):
        monkeypatch.setattr(queries, "_PAGE", size)
        ipam = borough.open("memory:", clock=Clock())
        ipam.apply(TOPOLOGY)
        for request in taken:
            try:
                ipam.allocate(**request)
            except BoroughError:
                break
        released = ipam.release(**whose)
        assert released.total == len(released)
        assert ipam.audit() == []
        found.append((list(released), state(ipam)))
    assert found[0] == found[1]
