"""A server takes over that lacks the last commits, and counts on from there."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
import sqlalchemy as sa

import borough
from borough import Ipam
from borough.store.sql import schema
from tests.conftest import STORES
from tests.interleaving.places import Tables
from tests.interleaving.servers import engine_of
from tests.servers.shared import KINDS

pytestmark = pytest.mark.server

#: The connections of others to the present database, and the statement that ends one.
_OTHERS: Final = {
    "postgresql": "SELECT pid FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()",
    "mariadb": "SELECT id FROM information_schema.processlist "
    "WHERE db = DATABASE() AND id <> CONNECTION_ID()",
}
_END: Final = {"postgresql": "SELECT pg_terminate_backend({})", "mariadb": "KILL {}"}


def names(ipam: Ipam) -> set[str]:
    return set(ipam.catalogue().by_name)


@pytest.mark.parametrize("kind", KINDS)
def test_a_version_that_was_lost_is_not_built_on(kind: str, tmp_path: Path) -> None:
    """A process reads the catalogue as a whole after its connections were lost."""
    url = STORES[kind](tmp_path, 0)
    borough.open(url, create=True).close()
    engine = engine_of(url)
    tables = Tables(engine)
    with borough.open(url) as ipam:
        ipam.add_subnet("10.1.0.0/24", name="kept")
        version, rows = ipam.catalogue().version, tables.read()
        ipam.add_subnet("10.2.0.0/24", name="lost")
        assert names(ipam) == {"kept", "lost"}
        tables.put_back(rows)
        with engine.begin() as connection:
            connection.execute(sa.update(schema.meta).values(catalogue_version=version))
            for (id,) in connection.exec_driver_sql(_OTHERS[kind]).all():
                connection.exec_driver_sql(_END[kind].format(id))
        with borough.open(url) as other:
            other.add_subnet("10.3.0.0/24", name="third")
            other.add_subnet("10.4.0.0/24", name="fourth")
        assert names(ipam) == {"kept", "third", "fourth"}
    engine.dispose()
