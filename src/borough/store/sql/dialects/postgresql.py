"""PostgreSQL 15 and later, by psycopg 3.

Units of work run at REPEATABLE READ: one snapshot from the first read to the commit. A write to a row that
has changed since is refused, and the unit runs again. An allocation without a decision is one statement
without a transaction around it: :mod:`.postgresql_give`.
"""

from __future__ import annotations

import re
import select
from collections.abc import Callable
from typing import Any, Final

import psycopg
import sqlalchemy as sa
from psycopg.types.numeric import Int8Dumper
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from borough.domain.space.findings import Finding
from borough.domain.space.partitions import ALONE, Partition
from borough.store.sql import failures
from borough.store.sql.dialect import TORN_PAGE, LockRequest, risk
from borough.store.sql.dialects.hosts import Address, connector
from borough.store.sql.dialects.postgresql_give import PostgresqlGiver
from borough.store.sql.dialects.postgresql_write import PostgresqlWriter
from borough.store.sql.failures import Busy, Duplicate, Gone, NotReady
from borough.store.sql.postgresql_floor import horizon
from borough.store.sql.runner import Native, Runner

#: Seconds to wait for a host to answer before the next one is tried.
CONNECT_TIMEOUT: Final = 5

#: Most milliseconds that a statement waits for a lock; the unit of work is then run again.
LOCK_TIMEOUT: Final = 2000

_DURABILITY: Final = Native.numbered(
    "SELECT current_setting('fsync'), current_setting('full_page_writes')"
)
_POWER_CUT: Final = "a power cut may lose acknowledged changes and damage the database"

#: By SQLSTATE, or by its class (its first two characters); see appendix A of PostgreSQL's manual.
_ERRORS: Final[dict[str, Callable[[str], Exception]]] = {
    "23505": Duplicate,  # unique_violation
    "23503": Busy,  # foreign_key_violation: a concurrent removal of a subnet
    "40001": Busy,  # serialization_failure
    "40P01": Busy,  # deadlock_detected
    "55P03": Busy,  # lock_not_available
    "57014": Busy,  # query_canceled: a statement timeout
    "08": Gone,  # connection exceptions
    "53300": NotReady,  # too_many_connections
    "57P03": NotReady,  # cannot_connect_now
    "57P": Gone,  # shutdowns and starts
    "25P03": Gone,  # idle_in_transaction_session_timeout
    "25P04": Gone,  # transaction_timeout
    "53100": failures.no_room,  # disk_full
    "53200": failures.no_room,  # out_of_memory
    "25006": failures.read_only,
    "3D000": failures.no_database,
    "28": failures.no_login,  # invalid authorization
    "42501": failures.denied,  # insufficient_privilege
    "42883": failures.no_routine,  # undefined_function
}


#: Texts of the server for a refused login.
_LOGIN: Final = (
    "authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "pg_hba.conf rejects",
    "permission denied for database",
    'FATAL:  role "',
)
_DATABASE: Final = re.compile('FATAL:  database ".*" does not exist')


class Postgresql:
    """See :class:`borough.store.sql.dialect.Dialect`."""

    begin_write = "BEGIN ISOLATION LEVEL REPEATABLE READ"
    begin_read = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
    tells_key = False
    is_server = True

    def __init__(self, hosts: tuple[Address, ...] = ()) -> None:
        self._hosts = hosts or (Address("", None),)
        self.giver = PostgresqlGiver()
        # Pipelines need libpq 14, which psycopg's own packages have.
        self.sharer = self.giver if psycopg.Pipeline.is_supported() else None
        self.writer = PostgresqlWriter()

    def engine(self, url: sa.URL, *, create: bool) -> sa.Engine:
        url = url.set(drivername="postgresql+psycopg")

        def connect(address: Address) -> Any:
            _, options = dialect.create_connect_args(url)
            if address.host:
                options["host"] = address.host
                options["port"] = address.port or 5432
            options.setdefault("connect_timeout", CONNECT_TIMEOUT)
            options.setdefault("application_name", "borough")
            connection = psycopg.connect(**options, autocommit=True)
            _configure(connection)
            return connection

        engine = sa.create_engine(
            url,
            creator=connector(self._hosts, connect, self.translate),
            pool_size=16,
            max_overflow=48,
            isolation_level="AUTOCOMMIT",
        )
        dialect = engine.dialect
        return engine

    def compiler(self, _engine: sa.Engine) -> sa.Dialect:
        return PGDialect_psycopg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]

    def cursor(self, connection: Any) -> Any:
        # A raw cursor passes ``$1`` to the server. To search a long text for parameters each time would be a
        # fifth of an allocation.
        cursor = psycopg.RawCursor(connection.dbapi_connection)
        cursor.format = psycopg.pq.Format.BINARY
        return cursor

    def partition(self, _connection: Any) -> Partition:
        return ALONE

    def begin_locked(self, runner: Runner, request: LockRequest) -> None:
        """Begin with locks of tables, which take no snapshot.

        A row lock would come with a snapshot from before the wait. The lock is held for a few statements.
        Declared changes queue at the table of the catalogue's version, other units at the table of blocks.
        Each mode that excludes writers also conflicts with a vacuum: see "What is asked of the server" in
        docs/reference/operations.md.
        """
        runner.text(self.begin_write)
        if request.declares:
            runner.text("LOCK TABLE borough_meta IN SHARE ROW EXCLUSIVE MODE")
        if request.starved or request.subnets:
            runner.text("LOCK TABLE borough_block IN SHARE ROW EXCLUSIVE MODE")

    def risks(self, runner: Runner) -> list[Finding]:
        # Without synchronous_commit, which :func:`_configure` sets. See PostgreSQL's manual, section 20.5.
        ((synced, whole),) = runner.native(_DURABILITY, {})
        found = []
        if synced != "on":
            found.append(risk("disk_not_synced", "fsync", synced, "on", _POWER_CUT))
        if whole != "on":
            found.append(risk("pages_not_whole", "full_page_writes", whole, "on", TORN_PAGE))
        return found

    def limit(self, connection: Any, seconds: float) -> None:
        connection.execute(f"SET statement_timeout = {round(seconds * 1000)}")

    def horizon(self, runner: Runner) -> int:
        return horizon(runner)

    def is_alive(self, connection: Any) -> bool:
        raw = connection.dbapi_connection
        if raw is None or raw.closed:
            return False
        # An idle connection has something to read only when the server has closed it.
        poll = select.poll()
        poll.register(raw.fileno(), select.POLLIN)
        return not poll.poll(0)

    def translate(self, error: Exception) -> Exception:
        if not isinstance(error, psycopg.Error):
            return error
        code = error.sqlstate or ""
        text = (str(error).strip() or type(error).__name__).splitlines()[0]
        if not code:
            return _unnumbered(text) if isinstance(error, psycopg.OperationalError) else error
        made = _ERRORS.get(code) or _ERRORS.get(code[:3]) or _ERRORS.get(code[:2])
        return made(text) if made else error


def _unnumbered(text: str) -> Exception:
    """An error of the client library, which has no codes: mostly a connection that is lost."""
    if any(words in text for words in _LOGIN):
        return failures.no_login(text)
    if _DATABASE.search(text):
        return failures.no_database(text)
    return Gone(text)


def _configure(connection: psycopg.Connection[Any]) -> None:
    # One type for all integers: a prepared statement is identified by its text and types.
    connection.adapters.register_dumper(int, Int8Dumper)
    connection.prepare_threshold = 0
    connection.execute(
        # Plans for the values of parameters are no better here, and planning takes longer than execution.
        "SELECT set_config('plan_cache_mode', 'force_generic_plan', false), "
        "set_config('jit', 'off', false), "
        # The start of a worker takes longer than nearly every statement.
        "set_config('max_parallel_workers_per_gather', '0', false), "
        f"set_config('lock_timeout', '{LOCK_TIMEOUT}', false), "
        "set_config('synchronous_commit', CASE current_setting('synchronous_commit') "
        # An acknowledged address must survive a power cut, whatever the server's default is.
        "WHEN 'off' THEN 'local' ELSE current_setting('synchronous_commit') END, false)"
    )
