"""Search over all scopes, by any part, page by page."""

from __future__ import annotations

import pytest

from borough import Ipam
from borough.engine import search
from borough.engine.views import Allocation
from borough.errors import FixInput

L = {"network": "n"}


@pytest.fixture
def filled(ipam: Ipam) -> Ipam:
    """Two scopes with the same addresses, and texts in every field."""
    ipam.apply(
        {
            "scopes": ["blue"],
            "dimensions": {"rack": {"fallback": "any"}},
            "hosts": {"node-17": {"rack": "r9"}},
        }
    )
    ipam.add_subnet("10.0.0.0/24", name="office", labels=L, attributes={"vlan": 4711})
    ipam.add_subnet("10.0.0.0/24", name="other", labels=L, scope="blue")
    ipam.add_subnet("2001:db8::/64", name="six", labels=L, gateway="2001:db8::1")
    ipam.allocate(address="10.0.0.5", labels=L, owner="Web-Front", host="node-17")
    ipam.allocate(address="10.0.0.6", labels=L, owner="db", note="behind the BALANCER")
    ipam.allocate(address="10.0.0.7", labels=L, owner="db", attributes={"mac": "fa:16:3e:00:00:0a"})
    ipam.allocate(address="10.0.0.5", labels=L, owner="web-back", scope="blue")
    ipam.allocate(address="2001:db8::5", labels=L, owner="100%_of")
    return ipam


def found(ipam: Ipam, text: str) -> list[str]:
    result = ipam.search(text)
    assert result.next is None
    assert (len(result.subnets), len(result.hosts)) == (result.subnet_count, result.host_count)
    return [
        *(f"subnet {each.name}" for each in result.subnets),
        *(f"host {each}" for each in result.hosts),
        *(f"{each.scope} {each.address}" for each in result.allocations),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web", ["default 10.0.0.5", "blue 10.0.0.5"]),
        ("FRONT", ["default 10.0.0.5"]),
        ("balancer", ["default 10.0.0.6"]),
        ("FA-16-3E-00-00-0A", ["default 10.0.0.7"]),
        ("3e:00:00", ["default 10.0.0.7"]),
        ("100%_", ["default 2001:db8::5"]),
        ("%", ["default 2001:db8::5"]),
        ("node-1", ["host node-17", "default 10.0.0.5"]),
        ("rack=r9", ["host node-17"]),
        ("4711", ["subnet office"]),
        ("ffic", ["subnet office"]),
        ("2001:db8::1", ["subnet six"]),
        ("10.0.0.5", ["subnet other", "subnet office", "default 10.0.0.5", "blue 10.0.0.5"]),
        ("2001:db8::/32", ["subnet six", "default 2001:db8::5"]),
        ("nothing of it", []),
    ],
)
def test_any_part_is_found(filled: Ipam, text: str, expected: list[str]) -> None:
    """In names, labels, notes, attributes and addresses, in letters of either case."""
    assert found(filled, text) == expected


def test_the_beginning_of_an_address_is_a_prefix(filled: Ipam) -> None:
    """``10.0.`` is 10.0.0.0/16."""
    assert len(filled.search("10.0.").allocations) == 4
    assert len(filled.search("10.1.").allocations) == 0


def test_pages_lead_to_the_end(filled: Ipam, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few matches a page, and few allocations compared: all are found, each once."""
    for examined in (2, 20_000):
        monkeypatch.setattr(search, "EXAMINED", examined)
        for text in ("b", "10.0.0.0/16"):
            whole = filled.search(text, limit=100).allocations if examined > 2 else None
            paged: list[Allocation] = []
            after = pages = 0
            while pages < 20:
                page = filled.search(text, after=after, limit=1)
                paged += page.allocations
                assert not (after and page.subnets)
                pages += 1
                if page.next is None:
                    break
                after = page.next
            sequences = [each.sequence for each in paged]
            assert sequences == sorted(set(sequences))
            assert len(sequences) == 4
            assert whole is None or tuple(paged) == whole


def test_an_empty_text_is_refused(ipam: Ipam) -> None:
    """It would be everything."""
    with pytest.raises(FixInput):
        ipam.search("  ")
