"""A process that reads only what has changed sees what a process sees that reads everything."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import borough
from borough import BoroughError, Ipam
from borough.domain.declared.catalogue import Catalogue
from tests.conftest import STORES, each_store

NAMES = ["a", "b", "c", "d"]
#: Disjoint, so that topologies are refused seldom; subnets trade them.
PREFIXES = ["10.0.0.0/25", "10.0.0.128/26", "10.0.2.0/24", "10.0.3.0/28"]
#: Of subnets that stand in no topology.
SINGLE = ["10.0.8.0/24", "2001:db8:8::/64"]
SCOPES = ["default", "red", "blue"]
VALUES = ["v1", "v2"]
HOSTS = ["h1", "h2", "h3"]

#: Something that the writer does, or None: the reader reads.
Step = Callable[[Ipam], Any] | None


def labels(draw: st.DrawFn, *names: str) -> dict[str, list[str]]:
    """Values in some dimensions."""
    values = st.lists(st.sampled_from(VALUES), max_size=2, unique=True)
    drawn = {name: draw(values) for name in names}
    return {name: found for name, found in drawn.items() if found}


@st.composite
def applied(draw: st.DrawFn) -> Step:
    """A topology with some of the objects, each otherwise than before."""
    subnets = [
        {
            "name": name,
            "cidr": cidr,
            "labels": labels(draw, "network", "rack"),
            "weight": draw(st.sampled_from([0, 0, 7])),
            "cooldown": draw(st.sampled_from([0, 0, 60])),
            "claims": draw(st.sampled_from([{}, {"block": 4}])),
        }
        for name, cidr in zip(NAMES, draw(st.permutations(PREFIXES)), strict=True)
    ]
    subnets += [{**each, "name": f"red-{each['name']}", "scope": "red"} for each in subnets]
    racks = {"fallback": draw(st.sampled_from(["any", "unlabelled"]))}
    some_hosts = draw(st.lists(st.sampled_from(HOSTS), unique=True))
    pool = {"name": "p", "prefixes": ["172.16.0.0/20"]}
    topology = {
        "dimensions": {"network": {"fallback": "none"}, "rack": racks},
        "scopes": draw(st.sampled_from([SCOPES, SCOPES[:2]])),
        "subnets": [each for each in subnets if draw(st.integers(0, 3))],
        "hosts": {host: labels(draw, "rack") for host in some_hosts},
        "pools": draw(st.sampled_from([[], [pool]])),
    }
    return lambda ipam: ipam.apply(topology)


STEPS: st.SearchStrategy[Step] = st.one_of(
    applied(),
    applied(),
    st.sampled_from(SINGLE).map(
        lambda cidr: lambda ipam: ipam.add_subnet(cidr, labels={"network": "v1"})
    ),
    st.sampled_from([*NAMES, *SINGLE]).map(lambda name: lambda ipam: ipam.remove_subnet(name)),
    st.sampled_from(HOSTS).map(lambda host: lambda ipam: ipam.remove_host(host)),
    st.permutations(HOSTS).map(lambda two: lambda ipam: ipam.rename_host(two[0], two[1])),
    st.none(),
    st.none(),
)


def looked_up(catalogue: Catalogue) -> dict[str, Any]:
    """All that a catalogue is asked for otherwise than by id."""
    cohorts = catalogue.cohorts.values()
    return {
        "names": dict(catalogue.by_name),
        "members": {id: list(catalogue.members[id]) for id in range(99)},
        "labelled": {
            (name, value): list(catalogue.cohorts_with(name, value))
            for name in ("network", "rack")
            for value in VALUES
        },
        "scopes": {
            scope: sorted(catalogue.cohorts_in(scope), key=lambda cohort: cohort.id)
            for scope in SCOPES
        },
        "places": [
            catalogue.subnet_at(scope, subnet.family, subnet.prefix.last)
            for scope in SCOPES
            for _, subnet in sorted(catalogue.subnets.items())
        ],
        "cools": catalogue.cools,
        "cohorts": sorted(cohort.key for cohort in cohorts),
    }


@pytest.fixture
def make_url(request: pytest.FixtureRequest) -> Callable[[], str]:
    """Makes the URL of a database that is empty."""
    folder = Path(tempfile.mkdtemp())
    numbers = iter(range(10_000))
    return lambda: STORES[request.param](folder, next(numbers))


@pytest.mark.parametrize("make_url", each_store("memory"), indirect=True)
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(STEPS, min_size=4, max_size=24))
def test_what_is_followed_is_what_is_read(make_url: Callable[[], str], steps: list[Step]) -> None:
    """Whatever is added, changed, renamed and removed, and however many versions are missed."""
    url = make_url()
    with borough.open(url, create=True) as writer, borough.open(url) as reader:
        reader.catalogue()
        for step in [*steps, None]:
            if step is not None:
                with suppress(BoroughError):
                    step(writer)
                continue
            seen = reader.catalogue()
            with borough.open(url) as newcomer:
                whole = newcomer.catalogue()
            assert seen == whole
            assert looked_up(seen) == looked_up(whole)
