"""The databases of the matrix, and the question whether a transaction waits for a lock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import sqlalchemy as sa

import borough
from borough.store.sql.open import resolve
from tests.conftest import STORES
from tests.interleaving.matrix import Ground
from tests.servers.galera import GaleraCluster
from tests.servers.shared import must_have

#: The number of transactions that wait for a lock, as each server counts them.
_WAITING: Final = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND wait_event_type = 'Lock'",
    "mariadb": "SELECT variable_value FROM information_schema.global_status "
    "WHERE variable_name = 'innodb_row_lock_current_waits'",
}


def is_waiting(engine: sa.Engine, kind: str) -> Callable[[], bool]:
    """A function that tells whether a transaction waits for a lock."""
    outside = engine.execution_options(isolation_level="AUTOCOMMIT")

    def ask() -> bool:
        with outside.connect() as connection:
            return int(connection.exec_driver_sql(_WAITING[kind]).scalar_one()) > 0

    return ask


def engine_of(url: str) -> sa.Engine:
    parsed, dialect = resolve(url)
    return dialect.engine(parsed, create=False)


@contextmanager
def single(kind: str, folder: Path) -> Iterator[Ground]:
    """One database on a single server, or in a file."""
    url = STORES[kind](folder, 0)
    borough.open(url, create=True).close()
    engine = engine_of(url)
    waits = is_waiting(engine, kind) if kind in _WAITING else None
    made = Ground((url, url), engine, is_waiting=waits)
    yield made
    made.close()


@contextmanager
def galera() -> Iterator[Ground]:
    """One database on two Galera nodes, one node for each process."""
    cluster = must_have(lambda: GaleraCluster(2))
    try:
        url = cluster.fresh()
        borough.open(url, create=True).close()
        urls = (url, cluster.url(url.rpartition("/")[2], 1))
        engines = [engine_of(each) for each in urls]
        waits = [is_waiting(each, "mariadb") for each in engines]

        def settle() -> None:
            # With this setting a read waits until the node has applied the commits of the other.
            for engine in engines:
                with engine.connect() as connection:
                    connection.exec_driver_sql("SET SESSION wsrep_sync_wait = 1")
                    connection.exec_driver_sql("SELECT count(*) FROM borough_meta")

        made = Ground(
            urls, engines[0], is_waiting=lambda: any(each() for each in waits), settle=settle
        )
        yield made
        made.close()
        engines[1].dispose()
    finally:
        cluster.remove()
