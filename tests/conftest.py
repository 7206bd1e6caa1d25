"""Fixtures of all tests: the stores, and a clock that tests advance."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import borough
from borough import Ipam
from tests.servers.shared import KINDS, shared_server

EXAMPLES = Path(__file__).parent.parent / "examples"


@dataclass
class Clock:
    """Microseconds since the epoch, advanced by tests."""

    now: int = 1_700_000_000_000_000

    def __call__(self) -> int:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += int(seconds * 1_000_000)


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


#: The URL of an empty database of each kind. A new store is one more entry: every suite with
#: ``make_ipam`` or ``ipam`` runs on it.
STORES: dict[str, Callable[[Path, int], str]] = {
    "memory": lambda _folder, _number: "memory:",
    "sqlite": lambda folder, number: f"sqlite:///{folder}/ipam-{number}.db",
    "postgresql": lambda _folder, _number: shared_server("postgresql").fresh(),
    "mariadb": lambda _folder, _number: shared_server("mariadb").fresh(),
}


def each_store(*but: str) -> list[Any]:
    """Parameters for a test that runs on every store, those that need a server marked."""
    return [
        pytest.param(name, marks=[pytest.mark.server] if name in KINDS else [])
        for name in sorted(STORES)
        if name not in but
    ]


#: The service in front of a store: suites of every store also run over HTTP.
HTTP = "http"


@pytest.fixture(params=[*each_store(), HTTP])
def make_ipam(
    request: pytest.FixtureRequest, tmp_path: Path, clock: Clock
) -> Iterator[Callable[[], Ipam]]:
    """Make fresh address spaces, on each kind of store in turn."""
    numbers = itertools.count()
    opened: list[Ipam] = []

    def make() -> Ipam:
        served = request.param == HTTP
        url = STORES["memory" if served else request.param](tmp_path, next(numbers))
        # Some tests make a call lose every race.
        ipam = borough.open(url, create=True, clock=clock, timeout=1)
        if served:
            from tests.api.serving import serve  # the environment beside Neutron has no service

            ipam = serve(ipam)
        opened.append(ipam)
        return ipam

    yield make
    for ipam in opened:
        ipam.close()


@pytest.fixture
def ipam(make_ipam: Callable[[], Ipam]) -> Ipam:
    """One fresh address space, on each kind of store in turn."""
    return make_ipam()


#: Folders with the tests that take longest.
_LONGEST = ("interleaving", "property", "race")


# Before pytest-xdist reads the groups.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run races in one test process: four times sixteen processes would only wait for processors."""
    for item in items:
        if item.path.parent.name == "race":
            item.add_marker(pytest.mark.xdist_group("race"))
    # The longest tests come first, so that no process runs one alone at the end.
    items.sort(key=lambda item: item.path.parent.name not in _LONGEST)
