"""A database server whose disk is full."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

import borough
from borough.errors import BoroughError, DiskFull, RetryLater
from tests.fault.test_servers import assert_whole
from tests.servers.base import Server
from tests.servers.disk import SmallDisk
from tests.servers.mariadb import QUICK as MARIADB_QUICK
from tests.servers.mariadb import MariadbServer
from tests.servers.postgresql import QUICK as POSTGRESQL_QUICK
from tests.servers.postgresql import PostgresqlServer
from tests.servers.shared import must_have

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("fault-servers")]

L = {"network": "n"}


@pytest.fixture
def small_disk() -> Iterator[SmallDisk]:
    """A file system of 400 MB."""
    made = must_have(lambda: SmallDisk(400))
    yield made
    made.remove()


@pytest.fixture(params=["postgresql", "mariadb"])
def server(request: pytest.FixtureRequest, small_disk: SmallDisk) -> Iterator[Server]:
    """A server whose data is on the small disk."""

    class Postgresql(PostgresqlServer):
        parent = small_disk.path

    class Mariadb(MariadbServer):
        parent = small_disk.path

    def make() -> Server:
        if request.param == "postgresql":
            return Postgresql({**POSTGRESQL_QUICK, "max_wal_size": "'32MB'"})
        return Mariadb({**MARIADB_QUICK, "innodb_log_file_size": "16M"})

    made = must_have(make)
    yield made
    made.remove()


def test_a_full_disk_is_reported_and_loses_nothing(server: Server, small_disk: SmallDisk) -> None:
    """Every call succeeds or reports the full disk; afterwards all allocated addresses are stored."""
    url = server.fresh()
    given: list[str] = []
    errors: list[BoroughError] = []
    with borough.open(url, create=True, timeout=1) as ipam:
        ipam.add_subnet("10.0.0.0/14", labels=L)
        given += [ipam.allocate(labels=L).address for _ in range(5)]
        small_disk.fill()
        until = time.monotonic() + 20
        while len(errors) < 3 and time.monotonic() < until:
            try:
                answer = ipam.allocate(labels=L, count=2000, attributes={"note": "x" * 500})
                given += [each.address for each in answer.allocations]
            except BoroughError as error:
                errors.append(error)
        small_disk.free()
        if not server.is_up:
            server.start()
    assert len(errors) == 3, "the disk never became full"
    assert all(isinstance(error, DiskFull | RetryLater) for error in errors), errors
    with borough.open(url, timeout=20) as ipam:
        assert_whole(ipam, len(given))
        assert {each.address for each in ipam.allocations()} == set(given)
        for _ in range(3):
            ipam.allocate(labels=L)
        assert_whole(ipam, len(given) + 3)
