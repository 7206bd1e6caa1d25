"""The targets of a campaign: each kind of database, with the faults that can be injected."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final

from tests.processes import workers_of
from tests.servers.base import Missing, Server, free_port
from tests.servers.disk import SmallDisk
from tests.servers.mariadb import QUICK as MARIADB_QUICK
from tests.servers.mariadb import MariadbServer
from tests.servers.postgresql import QUICK as POSTGRESQL_QUICK
from tests.servers.postgresql import PostgresqlServer

#: Injects a fault, and returns after its end.
Fault = Callable[[Random], None]

#: Megabytes of a small disk; a full campaign writes some hundreds.
DISK: Final = 3000


class Target(ABC):
    """A database and its faults.

    :ivar url: of the database itself, even when clients use a service.
    :ivar clocks_jump: True when the clocks of clients may be wrong.
    :ivar slack: nanoseconds by which a refusal may depend on an older state.
    :ivar without: faults that are left out, each with the reason.
    """

    clocks_jump = True
    slack = 0

    def __init__(self) -> None:
        self.url = ""
        self.without: list[str] = []

    def client_url(self, _client: int) -> str:
        """The URL for a client."""
        return self.url

    @abstractmethod
    def faults(self) -> dict[str, Fault]:
        """Faults by name."""

    def differences(self) -> list[str]:
        """Compare all copies of the database at the end; return the differences."""
        return []

    @abstractmethod
    def close(self) -> None:
        """Remove everything."""

    def _small_disk(self) -> SmallDisk | None:
        try:
            return SmallDisk(DISK)
        except Missing as missing:
            self.without.append(f"disk full: {missing}")
            return None


class SqliteTarget(Target):
    """A file, on a small disk where one can be mounted."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._disk = self._small_disk()
        self._file = (self._disk.path if self._disk else folder) / "campaign.db"
        self.url = f"sqlite:///{self._file}"

    def faults(self) -> dict[str, Fault]:
        """A lock held by another program, and a full disk."""
        return {"lock held": self._lock} | _disk_full(self._disk)

    def _lock(self, chance: Random) -> None:
        import sqlite3

        with contextlib.closing(sqlite3.connect(self._file, isolation_level=None)) as connection:
            connection.execute("PRAGMA busy_timeout = 30000")
            connection.execute("BEGIN IMMEDIATE")
            time.sleep(chance.uniform(0.5, 2))
            connection.execute("ROLLBACK")

    def close(self) -> None:
        """See :class:`Target`."""
        if self._disk:
            self._disk.remove()


def _disk_full(
    disk: SmallDisk | None, recover: Callable[[], None] = lambda: None
) -> dict[str, Fault]:
    """The fault of a full disk, if there is one; ``recover`` is called after it."""

    def fill(chance: Random) -> None:
        assert disk is not None
        disk.fill()
        try:
            time.sleep(chance.uniform(0.3, 1.5))
        finally:
            disk.free()
        recover()

    return {"disk full": fill} if disk else {}


class ServerTarget(Target):
    """A server of one process, on a small disk where one can be mounted."""

    def __init__(self) -> None:
        super().__init__()
        self._disk = self._small_disk()
        try:
            self.server = self._make(self._disk.path if self._disk else None)
        except BaseException:
            if self._disk:
                self._disk.remove()
            raise
        self.url = self.server.fresh()

    @abstractmethod
    def _make(self, parent: Path | None) -> Server:
        """Start the server."""

    @abstractmethod
    def _bound_statements(self, seconds: float) -> None:
        """Set the statement timeout of all sessions; 0 for none."""

    @abstractmethod
    def _end_sessions(self) -> None:
        """End all sessions, as an administrator does."""

    def faults(self) -> dict[str, Fault]:
        """See :class:`Target`."""
        made: dict[str, Fault] = {
            "server killed": self._kill,
            "server restarted": self._restart,
            "sessions ended": self._end_many,
            "statement timeout": self._time_out,
        }
        return made | _disk_full(self._disk, self._recover)

    def _kill(self, chance: Random) -> None:
        self.server.kill()
        time.sleep(chance.uniform(0, 1))
        self.server.start()

    def _restart(self, _chance: Random) -> None:
        self.server.stop()
        self.server.start()

    def _end_many(self, chance: Random) -> None:
        for _ in range(chance.randrange(1, 6)):
            self._end_sessions()
            time.sleep(chance.uniform(0, 0.3))

    def _time_out(self, chance: Random) -> None:
        self._bound_statements(chance.choice((0.003, 0.01, 0.03)))
        try:
            time.sleep(chance.uniform(0.5, 2))
        finally:
            self._bound_statements(0)

    def _recover(self) -> None:
        # A server may exit when it cannot write.
        time.sleep(0.2)
        if self.server.is_up:
            with contextlib.suppress(AssertionError):
                self.server.wait_until(self.server.answers)
        if not self.server.is_up:
            self.server.start()

    def close(self) -> None:
        """See :class:`Target`."""
        self.server.remove()
        if self._disk:
            self._disk.remove()


class PostgresqlTarget(ServerTarget):
    """A PostgreSQL server."""

    def _make(self, parent: Path | None) -> Server:
        class Here(PostgresqlServer):
            pass

        Here.parent = parent
        return Here({**POSTGRESQL_QUICK, "max_wal_size": "'256MB'"})

    def _bound_statements(self, seconds: float) -> None:
        self.server.run(f"ALTER SYSTEM SET statement_timeout = '{int(seconds * 1000)}ms'")
        self.server.run("SELECT pg_reload_conf()")

    def _end_sessions(self) -> None:
        self.server.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'test%'"
        )


def end_mariadb_sessions(server: MariadbServer) -> None:
    """Kill every session in a database of the tests."""
    import pymysql

    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM information_schema.processlist WHERE db LIKE 'test%'")
        for (id,) in cursor.fetchall():
            # The session may have ended meanwhile.
            with contextlib.suppress(pymysql.MySQLError):
                cursor.execute(f"KILL {id}")


class MariadbTarget(ServerTarget):
    """A MariaDB server."""

    def _make(self, parent: Path | None) -> Server:
        class Here(MariadbServer):
            pass

        Here.parent = parent
        return Here({**MARIADB_QUICK, "innodb_log_file_size": "64M"})

    def _bound_statements(self, seconds: float) -> None:
        self.server.run(f"SET GLOBAL max_statement_time = {seconds}")
        # A session keeps the timeout of its beginning.
        self._end_sessions()

    def _end_sessions(self) -> None:
        assert isinstance(self.server, MariadbServer)
        end_mariadb_sessions(self.server)


class Service:
    """``borough serve``, on the same port after every start."""

    def __init__(self, database: str, log: Path) -> None:
        self._database, self._log = database, log
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [sys.executable, "-m", "borough", "--db", self._database, "serve"]
        options = ["--port", str(self._port), "--workers", "2", "--timeout", "8"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *command, *options, "--reclaim-every", "2"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "BOROUGH_SERVER": ""},
                start_new_session=True,
            )
        deadline = time.monotonic() + 60
        while not self._answers():
            assert self._process.poll() is None, self._log.read_text()[-4000:]
            assert time.monotonic() < deadline, "the service does not answer"
            time.sleep(0.05)

    def _answers(self) -> bool:
        import http.client

        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def kill(self) -> None:
        """Kill it with all its processes."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def kill_one(self, chance: Random) -> None:
        """Kill one worker; the service replaces it."""
        assert self._process is not None
        workers = workers_of(self._process.pid)
        if workers:
            os.kill(chance.choice(workers), signal.SIGKILL)


class ServiceTarget(PostgresqlTarget):
    """The service in front of PostgreSQL."""

    clocks_jump = False

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.without.append("clock jumps: the service uses the clock of the machine")
        self.service = Service(self.url, folder / "service.log")

    def client_url(self, _client: int) -> str:
        """See :class:`Target`."""
        return self.service.url

    def faults(self) -> dict[str, Fault]:
        """See :class:`Target`."""
        made = super().faults()
        return {
            "service killed": self._kill_service,
            "worker of the service killed": self.service.kill_one,
            **made,
        }

    def _kill_service(self, chance: Random) -> None:
        self.service.kill()
        time.sleep(chance.uniform(0, 0.5))
        self.service.start()

    def close(self) -> None:
        """See :class:`Target`."""
        self.service.kill()
        super().close()


def make_target(kind: str, folder: Path) -> Target:
    """Make a target of a kind, with an empty database; the caller closes it.

    :raises Missing: the server is not installed.
    """
    if kind == "galera":
        from tests.nemesis.galera import GaleraTarget

        return GaleraTarget()
    kinds: dict[str, Callable[[], Target]] = {
        "sqlite": lambda: SqliteTarget(folder),
        "postgresql": PostgresqlTarget,
        "mariadb": MariadbTarget,
        "http": lambda: ServiceTarget(folder),
    }
    return kinds[kind]()
