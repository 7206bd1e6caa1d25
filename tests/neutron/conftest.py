"""These tests run in an environment that has Neutron: ``./test-neutron``."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers.shared import shared_server

if TYPE_CHECKING:
    from tests.neutron.cloud import Cloud
    from tests.neutron.remote import RemoteCloud

#: Neutron alone may be there as well for the sake of its drivers.
_NEEDED = ("neutron", "psycopg2", "testtools")

collect_ignore_glob = [] if all(map(find_spec, _NEEDED)) else ["test_*.py"]

SERVERS = ["postgresql", "mariadb"]


@pytest.fixture(params=SERVERS, scope="module")
def cloud(request: Any) -> Iterator[Cloud]:
    """Neutron's database with ours, asked through our driver, on each kind of server in turn."""
    from tests.neutron.cloud import Cloud

    made = Cloud(shared_server(request.param).fresh(), "borough")
    yield made
    made.engine.dispose()


@pytest.fixture(params=SERVERS, scope="module")
def made(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RemoteCloud]:
    """Neutron's database, on each kind of server in turn, with the addresses at a service."""
    from tests.neutron.remote import remote_cloud

    with remote_cloud(request.param, tmp_path_factory.mktemp("remote")) as cloud:
        yield cloud
