"""Hosts that are not declared: warned of, listed, or refused; on every store and over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from borough import Ipam
from borough.errors import UnknownObject

L = {"network": "n"}
SUBNET = {"name": "s", "cidr": "10.0.0.0/24", "labels": L}
HOSTS: dict[str, Any] = {"compute-04": {}, "compute-40": {}}


def declare(ipam: Ipam, **more: Any) -> None:
    ipam.apply({"subnets": [SUBNET], "hosts": HOSTS, **more})


def test_a_warning_suggests_the_declared_name(ipam: Ipam) -> None:
    declare(ipam)
    said = ("host 'compute-4' is not declared; did you mean 'compute-04'?",)
    assert ipam.allocate(labels=L, host="compute-4", key="k").warnings == said
    assert ipam.allocate(labels=L, host="compute-4", key="k").warnings == said
    assert ipam.allocate(labels=L, host="compute-4", count=2).warnings == said
    assert ipam.allocate(labels=L, host="zz").warnings == ("host 'zz' is not declared",)
    address = ipam.allocate(labels=L, host="compute-04")
    assert address.warnings == ()
    assert ipam.reassign(address.address, "Compute-4.example.org").warnings == (
        "host 'Compute-4.example.org' is not declared; did you mean 'compute-04'?",
    )
    assert ipam.reassign(address.address, "compute-40").warnings == ()


def test_no_warning_where_no_host_is_declared(ipam: Ipam) -> None:
    ipam.apply({"subnets": [SUBNET]})
    assert ipam.allocate(labels=L, host="h1").warnings == ()


def test_undeclared_hosts_are_listed(ipam: Ipam) -> None:
    """Those with an address or a claim, until the last one ends."""
    declare(ipam)
    assert ipam.undeclared_hosts() == []
    for host in ("b", "a", "compute-04", "a"):
        ipam.allocate(labels=L, host=host)
    ipam.allocate(labels=L, host="unclaimed", claims=False)
    ipam.allocate(labels=L)
    assert ipam.undeclared_hosts() == ["a", "b", "unclaimed"]
    (held,) = ipam.allocations(host="b")
    ipam.release(held.address)
    assert ipam.undeclared_hosts() == ["a", "b", "unclaimed"], "its claim is left"
    ipam.remove_host("b")
    assert ipam.undeclared_hosts() == ["a", "unclaimed"]


def test_only_declared_hosts(ipam: Ipam) -> None:
    declare(ipam, dimensions={"host": {"declared": True}})
    assert [each.declared for each in ipam.dimensions() if each.name == "host"] == [True]
    with pytest.raises(UnknownObject, match="did you mean 'compute-04'") as caught:
        ipam.allocate(labels=L, host="compute-4")
    assert caught.value.detail["try"]
    for more in ({"count": 2}, {"claims": False}, {"address": "10.0.0.9"}):
        with pytest.raises(UnknownObject, match="may name declared hosts only"):
            ipam.allocate(labels=L, host="compute-4", **more)
    with pytest.raises(UnknownObject):
        ipam.explain(labels=L, host="compute-4")
    address = ipam.allocate(labels=L, host="compute-04").address
    with pytest.raises(UnknownObject):
        ipam.reassign(address, "nowhere")
    assert ipam.allocate(labels=L).address
    # The advice: declare it.
    more_hosts = {**HOSTS, "compute-4": {}}
    ipam.apply(
        {"subnets": [SUBNET], "hosts": more_hosts, "dimensions": {"host": {"declared": True}}}
    )
    assert ipam.allocate(labels=L, host="compute-4").address
    ipam.apply({"subnets": [SUBNET], "hosts": HOSTS, "dimensions": {"host": {"declared": False}}})
    assert ipam.allocate(labels=L, host="nowhere").warnings
