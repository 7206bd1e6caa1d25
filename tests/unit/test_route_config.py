"""Configuration of routing daemons: names that never meet, comments that stay comments."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from borough.engine.route_config import bird, frr
from borough.engine.views import Route

HOSTS = st.text(min_size=1, max_size=70) | st.sampled_from(
    ["node-1", "node_1", "node.1", "node:1", "Node-1", "a" * 40, "a" * 41, "ä", "'; }", "x\n!", "?"]
)


def routes_of(*hosts: str) -> list[Route]:
    return [
        Route(host, "default", family, prefix)
        for host in hosts
        for family, prefix in ((4, "10.0.0.0/28"), (6, "2001:db8::/124"))
    ]


@given(st.lists(HOSTS, unique=True, max_size=5))
def test_no_two_hosts_share_a_name(hosts: list[str]) -> None:
    """Whatever hosts are called; and the names are ones that both daemons take."""
    text = bird(routes_of(*hosts), host=None, form="strict", scope="default")
    names = re.findall(r"^function '([A-Za-z0-9_.:-]{1,64})'\(\)", text, re.M)
    assert len(set(names)) == len(names) == 2 * len(hosts)
    text = frr(routes_of(*hosts), host=None, form="strict", scope="default")
    assert set(re.findall(r"^(?:ip|ipv6) prefix-list (\S+) seq", text, re.M)) == set(names)


@given(HOSTS, HOSTS)
def test_a_host_cannot_leave_its_comment(host: str, scope: str) -> None:
    """The text of host and scope changes no line that a daemon obeys."""
    for write, sign in ((bird, "#"), (frr, "!")):

        def obeyed(host: str, scope: str, write=write, sign=sign) -> list[str]:
            text = write(routes_of(host), host=host, form="lpm", scope=scope)
            assert text.isascii()
            assert text.endswith("\n")
            assert "\r" not in text
            return [line for line in text.split("\n") if not line.startswith(sign)]

        assert obeyed(host, scope) == obeyed("h", "s")


@pytest.mark.parametrize("host", ["h", None])
def test_of_nothing(host: str | None) -> None:
    """A host without routes has all the names that its configuration refers to, and lets nothing pass."""
    text = bird([], host=host, form="strict", scope="default")
    lists = frr([], host=host, form="strict", scope="default")
    assert "    route " not in text
    assert not re.search(r"^ip(v6)? route ", lists, re.M)
    if host:
        for family in (4, 6):
            assert f"function borough{family}_routes() {{ return false; }}\n" in text
            assert f"protocol static borough{family} {{\n    ipv{family};\n}}\n" in text
        assert "\nip prefix-list borough4 seq 5 deny any\n" in lists
        assert "\nipv6 prefix-list borough6 seq 5 deny any\n" in lists


def test_advertised_prefixes_of_a_host() -> None:
    """Each prefix as a route into nothing, and in what is exported; other hosts' are left out."""
    routes = [*routes_of("other"), *routes_of("h"), Route("h", "default", 4, "10.0.0.77/32")]
    text = bird(routes, host="h", form="strict", scope="default")
    assert re.findall(r"route (\S+) blackhole;", text) == [
        "10.0.0.0/28",
        "10.0.0.77/32",
        "2001:db8::/124",
    ]
    assert text.count("10.0.0.0/28, 10.0.0.77/32") == 1
    lines = frr(routes, host="h", form="strict", scope="default").split("\n")
    assert [line for line in lines if "10.0.0.77" in line] == [
        "ip route 10.0.0.77/32 blackhole",
        "ip prefix-list borough4 seq 10 permit 10.0.0.77/32",
    ]
    assert "ipv6 route 2001:db8::/124 blackhole" in lines
