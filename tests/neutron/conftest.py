"""Tests beside Neutron, in the environment of ``./test-neutron``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers.shared import shared_server

if TYPE_CHECKING:
    from tests.neutron.cloud import Cloud
    from tests.neutron.remote import RemoteCloud

#: Another environment may have Neutron without the rest.
_NEEDED = ("neutron", "psycopg2", "testtools")

collect_ignore_glob = [] if all(map(find_spec, _NEEDED)) else ["test_*.py"]

SERVERS = ["postgresql", "mariadb"]

#: Each driver on each kind of server.
BOTH = [(driver, kind) for driver in ("borough", "borough_remote") for kind in SERVERS]


@contextmanager
def opened_cloud(which: tuple[str, str], folder: Path, *, tables: bool = True) -> Iterator[Cloud]:
    """A cloud of one driver.

    :param which: the driver and the kind of server.
    :param tables: create Borough's tables where the driver needs them.
    """
    from tests.neutron.cloud import Cloud
    from tests.neutron.remote import remote_cloud

    driver, kind = which
    if driver == "borough_remote":
        with remote_cloud(kind, folder) as remote:
            yield remote
        return
    cloud = Cloud(shared_server(kind).fresh(), driver, tables=tables)
    yield cloud
    cloud.close()


@pytest.fixture(params=BOTH, ids="-".join, scope="module")
def cloud(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A cloud of each driver on each kind of server in turn."""
    with opened_cloud(request.param, tmp_path_factory.mktemp("cloud")) as made:
        yield made


@pytest.fixture(params=SERVERS, scope="module")
def session_cloud(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A cloud whose addresses are in Neutron's database, on each kind of server in turn."""
    with opened_cloud(("borough", request.param), tmp_path_factory.mktemp("session")) as made:
        yield made


@pytest.fixture(params=SERVERS, scope="module")
def service_cloud(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RemoteCloud]:
    """A cloud whose addresses are at a service, on each kind of server in turn."""
    from tests.neutron.remote import remote_cloud

    with remote_cloud(request.param, tmp_path_factory.mktemp("service")) as made:
        yield made
