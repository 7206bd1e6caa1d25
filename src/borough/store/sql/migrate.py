"""Creation, check and upgrade of the schema.

Alembic runs the steps. It is imported only then, because its import would delay every command. The version
table has a name of its own, so the schema can share a database with another application that uses Alembic.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from borough.errors import (
    NotInitialised,
    NotOurDatabase,
    SchemaTooNew,
    SchemaTooOld,
    UnfinishedCopy,
)
from borough.store.sql import routines, schema
from borough.store.sql.catalogue import change_log

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

VERSION_TABLE: Final = "borough_alembic_version"

#: Key of the lock that allows one upgrade of a database at a time.
_LOCK: Final = 7_016_996_765_293_437_281

#: Every revision, the oldest first: the names of the files in ``migrations/versions``.
REVISIONS: Final = ("0001",)

_version = sa.table(VERSION_TABLE, sa.column("version_num", sa.String))


def current(connection: sa.Connection) -> str | None:
    """The revision of a database; None when it has no version table or an empty one."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.scalar(sa.select(_version.c.version_num))
    return found


def check(engine: sa.Engine) -> None:
    """Accept a database whose schema is that of this release.

    :raises NotInitialised: it is empty.
    :raises NotOurDatabase: it has tables, but none of Borough.
    :raises SchemaTooOld: it needs :func:`upgrade`.
    :raises SchemaTooNew: a newer release made it.
    :raises UnfinishedCopy: it is the target of a copy that has not ended.
    """
    with engine.connect() as connection:
        revision = current(connection)
        if revision is None:
            _refuse_foreign(connection)
            raise NotInitialised("the database is empty; run `borough init`")
        _refuse_newer(revision)
        if revision != REVISIONS[-1]:
            raise SchemaTooOld(
                "the schema was made by an older release; run `borough init` to upgrade it",
                found=revision,
                wanted=REVISIONS[-1],
            )
        if connection.scalar(sa.select(schema.meta.c.id)) is None:
            raise UnfinishedCopy(
                "the database is the target of a copy that has not ended; run `borough copy` again"
            )


def _refuse_newer(revision: str) -> None:
    if revision not in REVISIONS:
        raise SchemaTooNew(
            f"the schema is at revision {revision}, which this release does not know; "
            "use the release that made it or a newer one",
            found=revision,
            wanted=REVISIONS[-1],
        )


def _refuse_foreign(connection: sa.Connection) -> None:
    tables = sorted(sa.inspect(connection).get_table_names())
    if tables:
        raise NotOurDatabase(
            f"the database holds tables that are not Borough's ({', '.join(tables[:3])}…); "
            "name another one",
            tables=tables[:20],
        )


def upgrade(engine: sa.Engine, *, shared: bool = False) -> None:
    """Make the schema, or upgrade it to this release; several processes may do it at once.

    :param shared: accept tables of another application.
    :raises NotOurDatabase: it has tables, but none of Borough.
    :raises SchemaTooNew: a newer release made it.
    """
    with engine.connect() as connection, _alone(connection):
        revision = current(connection)
        if revision is None:
            _remove_unfinished(connection)
            if not shared:
                _refuse_foreign(connection)
        else:
            _refuse_newer(revision)
        if revision != REVISIONS[-1]:
            _run(connection)
        routines.install(connection)
        if shared:
            change_log.keep_none(connection)


@contextmanager
def _alone(connection: sa.Connection) -> Iterator[None]:
    """Run one process at a time, so two that start at once do not both make the tables."""
    match connection.dialect.name:
        case "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield
        case "postgresql":
            connection.exec_driver_sql("BEGIN")
            # The process that has the lock may take longer than the timeout of statements.
            connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
            yield
        case _:
            # A lock of the session, because data definition ends a transaction here.
            connection.exec_driver_sql(f"SELECT GET_LOCK('borough_{_LOCK}', 120)")
            yield
            connection.exec_driver_sql(f"SELECT RELEASE_LOCK('borough_{_LOCK}')")
    connection.commit()


def _remove_unfinished(connection: sa.Connection) -> None:
    """Remove the tables of an upgrade that was interrupted before it recorded its first revision.

    Only where data definition is not transactional; such tables were never in use.
    """
    if connection.dialect.name not in ("mysql", "mariadb"):
        return
    found = set(sa.inspect(connection).get_table_names())
    for table in reversed(schema.metadata.sorted_tables):
        if table.name in found:
            table.drop(connection)


def scripts() -> ScriptDirectory:
    """The migration steps."""
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return ScriptDirectory.from_config(config)


def _run(connection: sa.Connection) -> None:
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext

    found = scripts()

    def steps(revision: Any, _context: Any) -> Any:
        return found._upgrade_revs("head", revision)

    with EnvironmentContext(Config(), found, fn=steps) as environment:
        environment.configure(
            connection=connection,
            target_metadata=schema.metadata,
            version_table=VERSION_TABLE,
            transactional_ddl=False,
        )
        environment.run_migrations()
