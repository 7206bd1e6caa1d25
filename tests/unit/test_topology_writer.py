"""A topology as a mapping, and back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from borough.engine.topology.document import load_topology
from borough.engine.topology.writer import write_topology
from tests.conftest import EXAMPLES

EVERYTHING = {
    "name": "all",
    "dimensions": {
        "network": {"fallback": "none"},
        "rack": {"fallback": "any", "claims": True},
        "row": {"fallback": "any", "claims": {"block": 8, "borrow": False}},
        "host": {"fallback": "any", "claims": False},
        "zone": {"fallback": "unlabelled"},
    },
    "scopes": ["blue"],
    "pools": [
        {
            "name": "p",
            "scope": "blue",
            "prefixes": ["10.0.0.0/8"],
            "default_length": 24,
            "quota": 9,
        },
        {"name": "six", "prefixes": ["2001:db8::/32"], "minimum_length": 48, "maximum_length": 64},
    ],
    "subnets": [
        {
            "name": "a",
            "cidr": "10.1.0.0/24",
            "scope": "blue",
            "gateway": "10.1.0.1",
            "ranges": ["10.1.0.10-10.1.0.20", "10.1.0.30-10.1.0.30"],
            "labels": {"network": ["x", "y"], "rack": "r1"},
            "weight": -3,
            "project": "p1",
            "cooldown": "5m",
            "attributes": {"vlan": 7, "deep": [{"a": None}]},
            "claims": {"cap": 64},
        },
        {"name": "b", "cidr": "2001:db8::/64"},
    ],
    "hosts": {"h1": {"rack": ["r1", "r2"]}, "h2": {}},
}


@pytest.mark.parametrize("source", [EVERYTHING, *sorted(EXAMPLES.glob("*.yaml"))], ids=str)
def test_a_written_topology_reads_as_the_same(source: Path | dict[str, object]) -> None:
    """Also after it has been JSON."""
    topology = load_topology(source)
    assert load_topology(json.loads(json.dumps(write_topology(topology)))) == topology
