"""Figures of usage: they add up, cover all scopes, and know no boundary; on every store and over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from borough import Ipam
from borough.engine.views import Usage
from borough.errors import UnknownObject


def subnet(name: str, cidr: str, labels: dict[str, str], **more: Any) -> dict[str, Any]:
    return {"name": name, "cidr": cidr, "labels": labels, **more}


def adds_up(line: Usage) -> bool:
    inside = line.used + line.free == line.size
    return inside and line.allocated + line.cooling == line.used + line.outside


def test_addresses_outside_the_ranges_are_a_figure_of_their_own(ipam: Ipam) -> None:
    labels = {"network": "n"}
    ipam.apply({"subnets": [subnet("s", "10.0.0.0/24", labels, ranges=["10.0.0.100-10.0.0.109"])]})
    for last in range(10, 20):
        ipam.allocate(labels=labels, address=f"10.0.0.{last}")
    (line,) = ipam.usage()
    assert (line.size, line.used, line.free) == (10, 0, 10)
    assert (line.allocated, line.outside) == (10, 10)
    for _ in range(3):
        ipam.allocate(labels=labels)
    (line,) = ipam.usage()
    assert (line.used, line.free, line.allocated, line.outside) == (3, 7, 13, 10)
    assert adds_up(line)


def test_figures_add_up(ipam: Ipam) -> None:
    """With claims, a held gateway, cool-downs and IPv6."""
    four, six = {"network": "n"}, {"network": "six"}
    ipam.apply(
        {
            "subnets": [
                subnet("four", "10.0.0.0/26", four, gateway="10.0.0.1", cooldown=60),
                subnet("six", "2001:db8::/64", six),
            ]
        }
    )
    ipam.allocate(labels=four, kind="gateway")
    ipam.allocate(labels=four, host="h1", count=20, owner="a")
    ipam.allocate(labels=six, count=3)
    ipam.allocate(labels=six, address="2001:db8::ffff")
    ipam.release(ipam.allocations(owner="a")[0].address)
    first, second = ipam.usage()
    assert adds_up(first)
    assert adds_up(second)
    assert (first.allocated, first.cooling, first.outside) == (20, 1, 1)
    assert (second.size, second.used) == (2**64 - 1, 4)


@pytest.fixture
def segments(ipam: Ipam) -> Ipam:
    """One network in four segments, two of them in another scope."""
    subnets = [
        subnet(f"s{at}", f"10.0.{at}.0/24", {"network": "tenant", "segment": f"r{at}"}, scope=scope)
        for at, scope in enumerate(["default", "default", "red", "red"])
    ]
    other = subnet("other", "10.9.0.0/24", {"network": "other"})
    ipam.apply({"scopes": ["red"], "subnets": [*subnets, other]})
    return ipam


def test_a_report_knows_no_boundary(segments: Ipam) -> None:
    """A segment is a hard boundary for a request, and a filter for a report."""
    found = segments.usage(labels={"network": "tenant"})
    assert [(each.scope, each.name) for each in found] == [
        ("default", "s0"),
        ("default", "s1"),
        ("red", "s2"),
        ("red", "s3"),
    ]
    found = segments.usage(labels={"network": "tenant", "segment": ["r1", "r2"]})
    assert [each.name for each in found] == ["s1", "s2"]
    assert [each.name for each in segments.usage(scope="red")] == ["s2", "s3"]
    assert len(segments.usage()) == 5


def test_with_a_host_it_is_the_order_of_preference(segments: Ipam) -> None:
    assert not segments.usage(labels={"network": "tenant"}, host="h1")
    found = segments.usage(labels={"network": "tenant", "segment": "r1"}, host="h1")
    assert [each.name for each in found] == ["s1"]


def test_a_name_that_nothing_has_is_refused(segments: Ipam) -> None:
    with pytest.raises(UnknownObject, match="did you mean 'network'"):
        segments.usage(labels={"netwrok": "tenant"})
    with pytest.raises(UnknownObject, match="scope"):
        segments.usage(scope="rde")
    with pytest.raises(UnknownObject, match="dimension"):
        segments.subnets(labels={"netwrok": "tenant"})
