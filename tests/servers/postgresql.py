"""A private PostgreSQL server."""

from __future__ import annotations

import re
import signal
import subprocess
from collections import Counter
from typing import Final

from tests.servers.base import Server, find_program

#: With these settings only, the files are in memory, where a sync takes no time.
QUICK: Final = {"autovacuum": "on"}


class PostgresqlServer(Server):
    """PostgreSQL 15 or later, from the package ``postgresql``.

    :ivar settings: lines of its configuration.
    """

    user = "postgres"

    def __init__(self, settings: dict[str, str] | None = None) -> None:
        self._folder_of = "usr/lib/postgresql/*/bin"
        initdb = find_program("initdb", self._folder_of, package="postgresql")
        self._program = find_program("postgres", self._folder_of, package="postgresql")
        settings = QUICK if settings is None else settings
        super().__init__(quick=settings.items() >= QUICK.items())
        self._data = self.folder / "data"
        self._read = 0
        self._sent: Counter[str] = Counter()
        self.settings = {
            "listen_addresses": "'127.0.0.1'",
            "unix_socket_directories": "''",
            "max_connections": "200",
            "shared_buffers": "'256MB'",
            "shared_preload_libraries": "'pg_stat_statements'",
            "lc_messages": "'C'",
            "log_line_prefix": "'%d '",
            **settings,
        }
        create = [initdb, "-D", str(self._data), "-U", "postgres", "-A", "trust", "-E", "UTF8"]
        made = subprocess.run(  # noqa: PLW1510  (the assertion shows its output)
            self.as_user([*create, "--no-locale", "--no-sync"]),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.folder,
        )
        assert made.returncode == 0, made.stdout
        self.start()
        self.run("CREATE EXTENSION pg_stat_statements")

    def command(self) -> list[str]:
        options = [f"--{name}={value.strip(chr(39))}" for name, value in self.settings.items()]
        return [self._program, "-D", str(self._data), "-p", str(self.port), *options]

    def answers(self) -> bool:
        import psycopg

        try:
            self.run("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def stop(self) -> None:
        # A "smart" shutdown would wait until all clients disconnect.
        self._end(signal.SIGINT)

    def url(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def run(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        import psycopg

        # A test that bounds the time of statements in the server's settings does not bound its own.
        unbound = "-c statement_timeout=0"
        with psycopg.connect(self.url(database), autocommit=True, options=unbound) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def fresh(self) -> str:
        self._databases += 1
        name = f"test_{self._databases}"
        self.run(f"CREATE DATABASE {name} STRATEGY file_copy")
        return self.url(name)

    def statements(self, database: str) -> int:
        """Number of statements that a database got, without those that begin and end transactions."""
        rows = self.run(
            "SELECT coalesce(sum(calls), 0) FROM pg_stat_statements s JOIN pg_database d "
            f"ON d.oid = s.dbid WHERE datname = '{database}'"
        )
        return int(str(rows[0][0]))

    def watch(self, database: str) -> None:
        """Log every statement of connections made to a database from now on."""
        self.run(f"ALTER DATABASE {database} SET log_statement = 'all'")

    def sent(self, database: str) -> int:
        """Number of statements logged, with those that begin and end transactions."""
        with (self.folder / "server.log").open("rb") as log:
            log.seek(self._read)
            new = log.read()
        # The last line may be incomplete; the next call reads it.
        new = new[: new.rfind(b"\n") + 1]
        self._read += len(new)
        found = re.findall(rb"^(\w+) LOG:  (?:statement|execute [^:]*):", new, re.M)
        self._sent.update(name.decode() for name in found)
        return self._sent[database]
