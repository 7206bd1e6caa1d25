"""Requests larger than the largest statement."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import borough
from borough import Ipam
from borough.errors import StatementTooLarge
from borough.store.sql.dialects import mariadb_write, postgresql_write
from borough.store.sql.dialects.mariadb import Mariadb
from tests.conftest import STORES
from tests.servers.mariadb import QUICK, MariadbServer
from tests.servers.shared import must_have

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("fault-large")]

L = {"network": "n"}

#: As long as a name may be, and twice as long once it is quoted.
LONG = '"' * 255


@pytest.fixture(scope="module")
def narrow() -> Iterator[MariadbServer]:
    """A server with the smallest limit that is accepted."""
    limit = str(mariadb_write.LEAST_PACKET)
    made = must_have(lambda: MariadbServer({**QUICK, "max_allowed_packet": limit}))
    yield made
    made.remove()


@pytest.mark.slow
def test_a_request_of_many_packets(narrow: MariadbServer) -> None:
    """Allocated and released in one transaction each, in several packets."""
    with borough.open(narrow.fresh(), create=True, timeout=60) as ipam:
        ipam.add_subnet("10.0.0.0/16", name="a", labels=L)
        given = ipam.allocate(labels=L, host="h", owner=LONG, count=8192, key="k")
        again = ipam.allocate(labels=L, host="h", owner=LONG, count=8192, key="k")
        assert len({each.address for each in given.allocations}) == 8192
        assert (again.allocations, again.replayed) == (given.allocations, True)
        assert len(ipam.release(owner=LONG)) == 8192
        assert ipam.allocations() == []
        assert ipam.audit() == []


def test_a_limit_that_is_too_low_is_reported_at_connection(narrow: MariadbServer) -> None:
    """Not as a lost connection with each large request."""
    url = narrow.fresh()
    borough.open(url, create=True).close()
    narrow.run(f"SET GLOBAL max_allowed_packet = {mariadb_write.LEAST_PACKET // 2}")
    try:
        with pytest.raises(StatementTooLarge, match="max_allowed_packet is 524288"):
            borough.open(url)
    finally:
        narrow.run(f"SET GLOBAL max_allowed_packet = {mariadb_write.LEAST_PACKET}")


def test_a_statement_that_is_too_large_is_reported() -> None:
    """It would be refused at each attempt."""
    import pymysql

    told = Mariadb().translate(pymysql.OperationalError(1153, "Got a packet bigger than …"))
    assert isinstance(told, StatementTooLarge)


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_every_kind_of_row_in_several_statements(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Claims, growth, reassignment, removal of a host, a cool-down: the same as in one statement each."""

    def play(ipam: Ipam) -> list[tuple[str, str, str]]:
        ipam.add_subnet("10.0.0.0/20", name="a", labels=L, cooldown=60)
        ipam.add_subnet("10.1.0.0/20", name="b", labels={"network": "m"})
        for network in ("n", "m"):
            for host in ("h1", "h2", "h1"):
                ipam.allocate(labels={"network": network}, host=host, owner=host, count=150)
            ipam.allocate(labels={"network": network}, owner="loose", count=150, key=network)
        ipam.rename_host("h2", "h3")
        ipam.release(owner="h2")
        ipam.allocate(labels={"network": "m"}, host="h4", owner="h4", count=300)
        ipam.remove_host("h1", release=True)
        assert ipam.audit() == []
        return [(each.address, each.owner, each.state) for each in ipam.allocations()]

    with borough.open(STORES[kind](tmp_path, 0), create=True) as whole:
        expected = play(whole)
    monkeypatch.setattr(postgresql_write, "_MOST", 7)
    monkeypatch.setattr(mariadb_write, "_PIECE", 500)
    with borough.open(STORES[kind](tmp_path, 0), create=True) as pieces:
        assert play(pieces) == expected
