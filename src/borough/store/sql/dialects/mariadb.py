"""MariaDB 10.6 and later, alone or as a Galera cluster, by PyMySQL or mysqlclient.

Units of work run at REPEATABLE READ: one snapshot for all reads. Writes see later commits, so each has its
precondition, and a row count of zero runs the unit again. Galera locks no row on another node: the loser
fails at its commit (error 1213), and runs again as well. An allocation without a decision is one statement:
:mod:`.mariadb_give`.
"""

from __future__ import annotations

import re
import select
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import sqlalchemy as sa

from borough.domain.space.findings import Finding
from borough.domain.space.partitions import ALONE, Partition
from borough.errors import StatementTooLarge
from borough.store.sql import failures
from borough.store.sql import schema as t
from borough.store.sql.dialect import TORN_PAGE, LockRequest, risk
from borough.store.sql.dialects.hosts import Address, connector
from borough.store.sql.dialects.mariadb_give import MariadbGiver
from borough.store.sql.dialects.mariadb_horizon import Horizon
from borough.store.sql.dialects.mariadb_write import LEAST_PACKET, MariadbWriter
from borough.store.sql.failures import Busy, Duplicate, Gone, Interrupted, NotReady
from borough.store.sql.runner import Native, Runner

#: Seconds to wait for a host to answer before the next one is tried.
CONNECT_TIMEOUT: Final = 5

#: Most seconds that a statement waits for a row lock; the unit of work is then run again.
LOCK_TIMEOUT: Final = 2

#: Most keys that one statement locks: a list of all could exceed the largest accepted statement.
_BATCH: Final = 500

#: Selects the index of a node in a Galera cluster, and the size of the cluster.
CLUSTER_STATUS: Final = (
    "SHOW GLOBAL STATUS WHERE variable_name IN ('wsrep_local_index', 'wsrep_cluster_size')"
)

_QUEUE: Final = sa.select(t.meta.c.id).with_for_update()

_LOST: Final = "a crash of its machine may lose the changes that were acknowledged last"

#: Code of the finding, setting, durable values, and the loss with other values.
_LASTING: Final = (
    ("commit_not_flushed", "innodb_flush_log_at_trx_commit", ("1", "3"), _LOST),
    ("pages_not_whole", "innodb_doublewrite", ("ON", "fast"), TORN_PAGE),
)
_DURABILITY: Final = Native.named(
    "SHOW GLOBAL VARIABLES WHERE variable_name IN ('innodb_flush_log_at_trx_commit', "
    "'innodb_doublewrite', 'innodb_flush_method', 'log_bin', 'sync_binlog')"
)


def _too_large(text: str) -> Exception:
    return StatementTooLarge(
        f"the database server refuses a statement of this size ({text}); raise its max_allowed_packet "
        "to its default of 16 MiB, nothing was changed"
    )


#: By error number; see "MariaDB Error Codes" in MariaDB's manual.
_ERRORS: Final[dict[int, Callable[[str], Exception]]] = {
    1062: Duplicate,  # ER_DUP_ENTRY
    1020: Busy,  # ER_CHECKREAD: the row has changed since the snapshot
    1205: Busy,  # ER_LOCK_WAIT_TIMEOUT
    1467: Busy,  # ER_AUTOINC_READ_FAILED: a deadlock over the lock on ids
    1213: Busy,  # ER_LOCK_DEADLOCK, and a lost certification of Galera
    1451: Busy,  # ER_ROW_IS_REFERENCED_2: a concurrent allocation
    1452: Busy,  # ER_NO_REFERENCED_ROW_2: a concurrent removal of a subnet
    1317: Interrupted,  # ER_QUERY_INTERRUPTED
    1969: Interrupted,  # ER_STATEMENT_TIMEOUT
    1180: Busy,  # ER_ERROR_DURING_COMMIT: Galera
    1040: NotReady,  # ER_CON_COUNT_ERROR
    1047: NotReady,  # ER_UNKNOWN_COM_ERROR: a Galera node outside the majority, or still joining
    1053: Gone,  # ER_SERVER_SHUTDOWN
    1152: Gone,  # ER_ABORTING_CONNECTION
    1927: Gone,  # ER_CONNECTION_KILLED
    2002: Gone,  # CR_CONNECTION_ERROR
    2003: Gone,  # CR_CONN_HOST_ERROR
    2006: Gone,  # CR_SERVER_GONE_ERROR
    2013: Gone,  # CR_SERVER_LOST
    2055: Gone,  # CR_SERVER_LOST_EXTENDED
    20: failures.no_room,  # EE_DISK_FULL
    1021: failures.no_room,  # ER_DISK_FULL
    1041: failures.no_room,  # ER_OUT_OF_RESOURCES
    1114: failures.no_room,  # ER_RECORD_FILE_FULL
    1153: _too_large,  # ER_NET_PACKET_TOO_LARGE
    2020: _too_large,  # CR_NET_PACKET_TOO_LARGE
    1049: failures.no_database,  # ER_BAD_DB_ERROR
    1044: failures.denied,  # ER_DBACCESS_DENIED_ERROR
    1045: failures.no_login,  # ER_ACCESS_DENIED_ERROR
    1142: failures.denied,  # ER_TABLEACCESS_DENIED_ERROR
    1305: failures.no_routine,  # ER_SP_DOES_NOT_EXIST
    1370: failures.denied,  # ER_PROCACCESS_DENIED_ERROR
    1698: failures.no_login,  # ER_ACCESS_DENIED_NO_PASSWORD_ERROR
    1290: failures.read_only,  # ER_OPTION_PREVENTS_STATEMENT
    1792: failures.read_only,  # ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION
    1836: failures.read_only,  # ER_READ_ONLY_MODE
}

#: Errors of the server's own files, temporary files included; the text has the system's error number.
_FILE_ERRORS: Final = frozenset(
    {
        1,  # EE_CANTCREATEFILE
        3,  # EE_WRITE
        1004,  # ER_CANT_CREATE_FILE
        1026,  # ER_ERROR_ON_WRITE
        1030,  # ER_GET_ERRNO: of a storage engine
        1034,  # ER_NOT_KEYFILE
    }
)
#: ENOSPC or EDQUOT, as MariaDB writes them. A temporary table cut short by a full disk has a "corrupt" index.
_NO_SPACE: Final = re.compile(
    r"(?i)\b(?:errcode|errno|error):? (?:28|122)\b|index for table '[^']*#sql"
)


class Mariadb:
    """See :class:`borough.store.sql.dialect.Dialect`."""

    begin_write = "START TRANSACTION"
    begin_read = "START TRANSACTION READ ONLY"
    sharer = None
    tells_key = True
    is_server = True

    def __init__(self, hosts: tuple[Address, ...] = ()) -> None:
        self._hosts = hosts or (Address("127.0.0.1", None),)
        self.giver = MariadbGiver()
        self.writer = MariadbWriter()
        self._horizon = Horizon()

    def engine(self, url: sa.URL, *, create: bool) -> sa.Engine:
        driver = url.drivername.partition("+")[2] or "pymysql"
        url = url.set(drivername=f"mariadb+{driver}")

        def connect(address: Address) -> Any:
            _, options = engine.dialect.create_connect_args(url)
            options["host"] = address.host
            options["port"] = address.port or 3306
            options.setdefault("connect_timeout", CONNECT_TIMEOUT)
            options.setdefault("charset", "utf8mb4")
            connection = engine.dialect.loaded_dbapi.connect(**options)
            _configure(connection)
            return connection

        engine = sa.create_engine(
            url,
            creator=connector(self._hosts, connect, self.translate),
            pool_size=16,
            max_overflow=48,
            isolation_level="AUTOCOMMIT",
        )
        return engine

    def compiler(self, engine: sa.Engine) -> sa.Dialect:
        return engine.dialect

    def cursor(self, connection: Any) -> Any:
        return connection.cursor()

    def partition(self, connection: Any) -> Partition:
        cursor = connection.cursor()
        cursor.execute(CLUSTER_STATUS)
        found = partition_of(cursor.fetchall())
        cursor.close()
        return found

    def begin_locked(self, runner: Runner, request: LockRequest) -> None:
        """Begin with locking reads, which take no snapshot.

        Declared changes queue at the row of the catalogue. A unit that rebuilds the space of a subnet locks
        its pieces. Otherwise the new space would lack an allocation that is not committed yet.

        Free ranges come before blocks, as in all writes: a transaction that waits here has written nothing,
        and the server ends a deadlock at the cost of the transaction that has written least.

        Locks on rows of earlier attempts do not help a unit that needs the best piece, because the next
        read finds another one. After more lost races every read of the transaction locks its rows. Not
        sooner, because readers that lock run into deadlocks.
        """
        if request.serializable:
            runner.text("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        runner.text(self.begin_write)
        if request.declares:
            runner.rows(_QUEUE)
        for column, keys in (
            (t.free_range.c.id, request.free_ranges),
            (t.block.c.id, request.blocks),
        ):
            for start in range(0, len(keys), _BATCH):
                some = column.in_(keys[start : start + _BATCH])
                runner.once(sa.select(column).where(some).order_by(column).with_for_update())
        for start in range(0, len(request.subnets), _BATCH):
            _lock_space(runner, request.subnets[start : start + _BATCH])

    def risks(self, runner: Runner) -> list[Finding]:
        """Check the settings of the connected node alone.

        See "InnoDB System Variables" and "sync_binlog" in MariaDB's manual. After a crash the binary log,
        where there is one, decides which transactions are kept.
        """
        has = {name.lower(): value for name, value in runner.native(_DURABILITY, {})}
        found = [
            risk(code, name, has[name], wanted[0], loss)
            for code, name, wanted, loss in _LASTING
            if name in has and has[name] not in wanted
        ]
        if has.get("log_bin") == "ON" and has["sync_binlog"] != "1":
            found.append(risk("binlog_not_flushed", "sync_binlog", has["sync_binlog"], "1", _LOST))
        if has.get("innodb_flush_method") == "nosync":
            found.append(risk("disk_not_synced", "innodb_flush_method", "nosync", "fsync", _LOST))
        return found

    def limit(self, connection: Any, seconds: float) -> None:
        cursor = connection.cursor()
        cursor.execute(f"SET SESSION max_statement_time = {seconds:f}")
        cursor.close()

    def horizon(self, runner: Runner) -> int:
        return self._horizon.find(runner)

    def is_alive(self, connection: Any) -> bool:
        raw = connection.dbapi_connection
        if raw is None or not raw.open:
            return False
        # PyMySQL has a socket, mysqlclient its number.
        number = raw.fileno() if hasattr(raw, "fileno") else raw._sock.fileno()
        poll = select.poll()
        poll.register(number, select.POLLIN)
        # An idle connection has something to read only when the server has closed it.
        return not poll.poll(0)

    def translate(self, error: Exception) -> Exception:
        kind = type(error)
        if isinstance(error, struct.error):
            # PyMySQL, when the server aborts an answer to report that the transaction was rolled back.
            return Gone(f"the answer cannot be read: {error}")
        if kind.__module__.partition(".")[0] not in ("pymysql", "MySQLdb"):
            return error
        number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        text = str(error.args[1] if len(error.args) > 1 else error) or kind.__name__
        if kind.__name__ == "InterfaceError" or "sequence number wrong" in text:
            # The connection was closed during the call, or is in another state than the driver expects.
            return Gone(text)
        if number in _FILE_ERRORS and _NO_SPACE.search(text):
            return failures.no_room(text)
        made = _ERRORS.get(number)
        return made(text) if made else error


def partition_of(status: Iterable[tuple[str, str]]) -> Partition:
    """The partition of a node of a Galera cluster, by the answer to :data:`CLUSTER_STATUS`."""
    found = {name.lower(): int(value) for name, value in status}
    index, size = found.get("wsrep_local_index", 0), found.get("wsrep_cluster_size", 0)
    # Without a cluster there is no size, and the index has no meaning.
    return Partition(index, size) if size > 1 and index < size else ALONE


def _lock_space(runner: Runner, subnet_ids: Sequence[int]) -> None:
    """Lock unused space, blocks, and subnets, in the order in which allocations lock them."""
    ids: list[Any] = [sa.literal_column(str(int(id))) for id in subnet_ids]
    for table, column, index in (
        (t.free_range, t.free_range.c.subnet_id, "uq_borough_free_range_subnet_base"),
        (t.block, t.block.c.subnet_id, "uq_borough_block_subnet_base"),
        (t.subnet, t.subnet.c.id, "PRIMARY"),
    ):
        runner.once(
            sa.select(table.c.id)
            # By another index the optimiser would scan, and lock, a small table as a whole.
            .with_hint(table, f"FORCE INDEX ({index})")
            .where(column.in_(ids))
            .with_for_update()
        )


def _configure(connection: Any) -> None:
    connection.autocommit(True)
    cursor = connection.cursor()
    cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    cursor.execute(
        f"SET SESSION innodb_lock_wait_timeout = {LOCK_TIMEOUT}, "
        # Strict, whatever the default: a text that is too long is an error and is not truncated.
        "sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO'"
    )
    # A Galera node that is not ready accepts connections and settings. It refuses this statement, so the
    # client tries the next host.
    cursor.execute("DO 0")
    cursor.execute("SELECT @@max_allowed_packet")
    limit = cursor.fetchone()[0]
    cursor.close()
    if limit < LEAST_PACKET:
        # A larger statement ends the connection, which looks like a lost server.
        raise _too_large(f"max_allowed_packet is {limit}, at least {LEAST_PACKET} is needed")
