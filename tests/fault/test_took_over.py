"""A database continues from an older state, after a failover or from a backup."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

import borough
from borough import Ipam
from borough.store.sql import schema
from tests.conftest import STORES, each_store
from tests.interleaving.places import Tables
from tests.interleaving.servers import engine_of


def names(ipam: Ipam) -> set[str]:
    return set(ipam.catalogue().by_name)


@pytest.mark.parametrize("kind", each_store("memory"))
@pytest.mark.parametrize("others", [1, 2])
def test_a_lost_version_is_not_used(kind: str, others: int, tmp_path: Path) -> None:
    """A process reads the whole catalogue when its version is of another history."""
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
        added = {f"new-{at}": f"10.3.{at}.0/24" for at in range(others)}
        with borough.open(url) as other:
            for name, prefix in added.items():
                other.add_subnet(prefix, name=name)
        assert names(ipam) == {"kept", *added}
    engine.dispose()
