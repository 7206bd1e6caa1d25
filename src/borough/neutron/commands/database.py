"""Neutron's database for commands, which run outside Neutron's processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from oslo_config import cfg
from oslo_db import exception as db_exc
from oslo_db import options as db_options
from oslo_db.sqlalchemy import enginefacade

from borough.errors import Contended, FixInput
from borough.neutron import options
from borough.neutron.session.runner import SessionDialect
from borough.retry import Retry
from borough.store.port import LostRace
from borough.store.sql import migrate

T = TypeVar("T")

#: Attempts at one transaction.
_RETRY: Final = Retry(attempts=10, first=0.01, longest=0.2)

#: Errors of a conflict with another transaction.
_BUSY: Final = (db_exc.DBDeadlock, db_exc.RetryRequest, db_exc.DBDuplicateEntry, LostRace)


def read_configuration(files: Sequence[str]) -> Any:
    """Neutron's options about its database, its driver and Borough.

    :raises FixInput: a file cannot be read.
    """
    conf: Any = cfg.ConfigOpts()
    conf.register_opts(db_options.database_opts, group="database")
    conf.register_opt(cfg.StrOpt("ipam_driver", default="internal"))
    options.register(conf)
    words = [word for name in files for word in ("--config-file", name)]
    try:
        conf(words, project="neutron")
    except (cfg.ConfigFilesNotFoundError, cfg.ConfigFileParseError) as error:
        raise FixInput(f"the configuration cannot be read: {error}") from None
    return conf


class Database:
    """Neutron's database."""

    def __init__(self, url: str) -> None:
        manager = enginefacade.transaction_context()
        manager.configure(connection=url, sqlite_fk=True)
        engine = manager.writer.get_engine()
        if engine.dialect.name != "sqlite":
            # Both sides must be read at one instant: a port that is added in between would look like a
            # difference.
            engine = engine.execution_options(isolation_level="REPEATABLE READ")
        self.engine: sa.Engine = engine
        # The first connection tells the dialect the version of the server.
        engine.connect().close()

    @classmethod
    def configured(cls, files: Sequence[str]) -> Database:
        """The database of Neutron's configuration files.

        :raises FixInput: a file cannot be read, or none names a database.
        """
        conf = read_configuration(files)
        if not conf.database.connection:
            raise FixInput("the configuration names no database: [database] connection is not set")
        return cls(conf.database.connection)

    def upgrade(self) -> bool:
        """Create or upgrade Borough's tables; false when they are of this release already.

        :raises FixInput: Borough does not support this kind of database.
        """
        SessionDialect(self.engine.dialect)
        with self.engine.connect() as connection:
            before = migrate.current(connection)
        migrate.upgrade(sa.create_engine(self.engine.url), shared=True)
        return before != migrate.REVISIONS[-1]

    def transact(self, work: Callable[[sa.Connection], T]) -> T:
        """Run a transaction; repeat it after a conflict with another one.

        :raises Contended: every attempt had a conflict.
        """

        def once() -> T:
            with self.engine.begin() as connection:
                return work(connection)

        try:
            return _RETRY.run(once, _BUSY)
        except _BUSY as error:
            raise Contended("other transactions are in the way; try again") from error
