"""Fixtures of the kit: the driver under test, the space of a test, and the table at the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from borough.driver.conformance.space import KitSpace
from borough.driver.conformance.summary import Summary
from borough.driver.feature import Feature
from borough.driver.interface import GroupDriver
from borough.driver.registry import load_driver
from borough.driver.settings import read_settings
from borough.errors import BoroughError

_USAGE_ERROR: Final = 4
_summaries: Final = pytest.StashKey[Summary]()


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, and begin the table."""
    config.addinivalue_line("markers", "needs(feature, …): features that the driver must have")
    config.stash[_summaries] = Summary()
    config.pluginmanager.register(_Reports(config.stash[_summaries]))


@pytest.fixture(scope="session")
def driver(request: pytest.FixtureRequest) -> Iterator[GroupDriver]:
    """The driver under test, one for the whole session."""
    name = request.config.getoption("--driver")
    path = request.config.getoption("--driver-config")
    if not name:
        pytest.exit("name the driver to test: --driver NAME", _USAGE_ERROR)
    try:
        opened = load_driver(name, read_settings(path) if path else {})
    except BoroughError as error:
        pytest.exit(f"driver {name}: {error.message}", _USAGE_ERROR)
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def _skip_what_it_lacks(request: pytest.FixtureRequest, driver: GroupDriver) -> None:
    """Skip a test for a feature that the driver lacks, and no other."""
    marks = request.node.iter_markers("needs")
    features: list[Feature] = [feature for mark in marks for feature in mark.args]
    request.node.user_properties.extend(("feature", feature.name) for feature in features)
    for feature in features:
        if feature in driver.lacks:
            pytest.skip(f"lacks {feature.value}: {driver.lacks[feature]}")


@pytest.fixture
def space(driver: GroupDriver) -> Iterator[KitSpace]:
    """A network of this test on the driver, removed at the end."""
    made = KitSpace(driver)
    yield made
    made.clear()


class _Reports:
    """Collects the results of all tests, also from the workers of pytest-xdist."""

    def __init__(self, summary: Summary) -> None:
        self._summary = summary

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._summary.add(report)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the table."""
    config.stash[_summaries].write(terminalreporter, config.getoption("--driver"))
