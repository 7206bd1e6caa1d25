"""What one process declares, all others see; and they make anew only what is another than before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import borough
from borough import Ipam
from borough.domain.model import Catalogue
from borough.errors import WouldStrand
from tests.conftest import STORES, each_store

DIMENSIONS = {"rack": {"fallback": "any"}}


Open = Callable[[], Ipam]


@pytest.fixture(params=each_store("memory"))
def another(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens one database, each time as another process would."""
    url = STORES[request.param](tmp_path, 0)
    with ExitStack() as opened:
        yield lambda: opened.enter_context(borough.open(url, create=True))


def topology(name: str, more: dict[str, Any]) -> dict[str, Any]:
    """A subnet, and what is said of it."""
    plain = {"name": name, "cidr": "10.0.0.0/24", "labels": {"network": "n"}}
    return {"name": name, "dimensions": DIMENSIONS, "scopes": ["blue"], "subnets": [plain | more]}


CHANGES: list[dict[str, Any]] = [
    {},
    {"labels": {"network": "n", "rack": "r1"}},
    {"labels": {"network": "n", "rack": ["r1", "r2"]}},
    {"ranges": ["10.0.0.8-10.0.0.90"]},
    {"ranges": ["10.0.0.8-10.0.0.90", "10.0.0.100-10.0.0.101"]},
    {"gateway": "10.0.0.1"},
    {"cidr": "10.0.0.0/25"},
    {"weight": 3},
    {"cooldown": 60},
    {"attributes": {"vlan": 1}},
    {"attributes": {"vlan": True}},
    {"claims": {"block": 4}},
]


def whole(catalogue: Catalogue) -> Catalogue:
    """A catalogue that compares by what is in it, to the type of an attribute."""
    return replace(
        catalogue,
        subnets={
            id: replace(subnet, attributes={"as text": repr(subnet.attributes)})
            for id, subnet in catalogue.subnets.items()
        },
    )


def test_every_change_is_seen(another: Open) -> None:
    """As somebody sees it who has read nothing before."""
    writer, reader = another(), another()
    for change in [*CHANGES, *reversed(CHANGES)]:
        writer.apply(topology("a", change))
        seen = whole(reader.catalogue())
        with another() as newcomer:
            assert seen == whole(newcomer.catalogue()), change
        assert whole(writer.catalogue()) == seen, change


def test_what_is_as_before_is_not_made_anew(another: Open) -> None:
    """With tens of thousands of subnets, that is what takes the time."""
    writer, reader = another(), another()
    writer.apply(topology("a", {}))
    before = reader.catalogue()
    writer.add_subnet("10.0.1.0/24", name="b", labels={"network": "m"})
    after = reader.catalogue()
    assert after.version != before.version
    assert after.by_name["a"] is before.by_name["a"]
    (cohort,) = before.cohorts
    assert after.cohorts[cohort] is before.cohorts[cohort]


def test_a_change_that_is_undone_is_not_kept(another: Open) -> None:
    """Rows that were read in a transaction that failed; then others under the same keys."""
    writer = another()
    writer.apply(topology("a", {}))
    writer.allocate(labels={"network": "n"})
    before = writer.catalogue()
    for smaller in ("10.0.0.128/25", "10.0.0.64/26"):
        with pytest.raises(WouldStrand):
            writer.apply(topology("a", {"cidr": smaller}))
    writer.add_subnet("10.0.0.0/24", name="b", scope="blue")
    with another() as newcomer:
        assert whole(writer.catalogue()) == whole(newcomer.catalogue())
    assert writer.catalogue().by_name["a"] == before.by_name["a"]
