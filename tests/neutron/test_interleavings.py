"""Every act of a port interleaved with every change of its subnet, in Neutron's transactions."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import pytest

from borough.neutron.session import driver
from tests.interleaving.servers import is_waiting
from tests.neutron.cloud import Cloud
from tests.neutron.interleavings import ACTS, CHANGES, Change, SharedDatabase
from tests.servers.shared import shared_server


@pytest.fixture(params=["postgresql", "mariadb"], scope="module")
def database(request: Any) -> Iterator[SharedDatabase]:
    """A database on each kind of server that two processes of Neutron use."""
    url = shared_server(request.param).fresh()
    cloud = Cloud(url, "borough")
    made = SharedDatabase(cloud, url, is_waiting(cloud.engine, request.param))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(driver, "backend_of", made.backend_of)
        made.fill()
        yield made
    made.close()
    cloud.engine.dispose()


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
@pytest.mark.parametrize(
    "part", [0, pytest.param(None, marks=pytest.mark.matrix)], ids=["part", "whole"]
)
def test_every_act_interleaved_with_the_change(
    database: SharedDatabase, change: Change, part: int | None
):
    found = []
    for act in ACTS:
        for stops in ("act", "change"):
            name = f"{act.name} x {change.name}, {stops} stopped"
            if act.family in change.families and part in (None, zlib.crc32(name.encode()) % 3):
                faults = database.interleave(act, change, stops)
                found += [f"{name}: {'; '.join(faults)}"] if faults else []
    assert not found, "\n".join(["", *found])
