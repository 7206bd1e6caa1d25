"""The rules of all drivers, on every store: the tests of the conformance kit.

Rules of the engine only are in ``test_rules.py``. Many callers at once are in ``tests/race``.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from borough import Ipam
from borough.driver.conformance import test_addresses, test_groups, test_holding
from borough.driver.conformance.space import KitSpace
from borough.driver.feature import Feature
from borough.drivers.native import NativeDriver


def _needs(test: object) -> set[Feature]:
    marks = getattr(test, "pytestmark", [])
    return {feature for mark in marks if mark.name == "needs" for feature in mark.args}


for _part in (test_addresses, test_groups, test_holding):
    globals().update(
        (name, test)
        for name, test in vars(_part).items()
        if name.startswith("test_") and Feature.CONCURRENCY not in _needs(test)
    )
del test_addresses, test_groups, test_holding


@pytest.fixture
def space(ipam: Ipam) -> Iterator[KitSpace]:
    """A network of this test on a store, removed at the end."""
    made = KitSpace(NativeDriver(ipam))
    yield made
    made.clear()
