"""A private MariaDB server, alone or as a node of a Galera cluster."""

from __future__ import annotations

import os
import subprocess
from typing import Any, Final

from tests.servers.base import Server, find_program

#: With these settings only, the files are in memory, where a sync takes no time.
QUICK: Final = {"innodb_use_native_aio": "0"}


class MariadbServer(Server):
    """MariaDB 10.6 or later, from the package ``mariadb-server``.

    :ivar settings: options of the server, such as those of a cluster.
    """

    user = "mysql"

    def __init__(
        self,
        settings: dict[str, str] | None = None,
        *,
        start: bool = True,
        address: str = "127.0.0.1",
        inside: tuple[str, ...] = (),
    ) -> None:
        self.address, self.inside = address, inside
        install = find_program("mariadb-install-db", "usr/bin", package="mariadb-server")
        self._program = find_program("mariadbd", "usr/sbin", package="mariadb-server")
        settings = QUICK if settings is None else settings
        super().__init__(quick=settings.items() >= QUICK.items())
        self._data = self.folder / "data"
        self.settings = {
            "bind_address": address,
            "max_connections": "300",
            "tmpdir": str(self.folder),
            "innodb_buffer_pool_size": "256M",
            "innodb_log_file_size": "128M",
            "skip_name_resolve": "1",
            **settings,
        }
        # A client of a server in a network namespace does not connect from localhost.
        login = self.folder / "login.sql"
        login.write_text(
            "FLUSH PRIVILEGES;\nCREATE USER root@'%';\nGRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;\n"
        )
        login.chmod(0o644)
        create = [install, "--no-defaults", f"--datadir={self._data}", f"--user={self.user}"]
        create.append(f"--extra-file={login}")
        done = subprocess.run(
            self.as_user([*create, "--auth-root-authentication-method=normal", "--skip-test-db"]),
            check=False,
            capture_output=True,
            text=True,
            cwd=self.folder,
            # Its temporary files have the process id in their names: those of a killed process may remain.
            env={**os.environ, "TMPDIR": str(self.folder)},
        )
        if done.returncode:
            raise RuntimeError(f"MariaDB did not make its tables: {done.stdout}{done.stderr}")
        if start:
            self.start()

    def command(self) -> list[str]:
        options = [f"--{name.replace('_', '-')}={value}" for name, value in self.settings.items()]
        return [
            self._program,
            "--no-defaults",
            f"--datadir={self._data}",
            f"--port={self.port}",
            f"--socket={self.folder}/server.sock",
            f"--pid-file={self.folder}/server.pid",
            *options,
        ]

    def connect(self, database: str | None = None, **more: Any) -> Any:
        import pymysql

        return pymysql.connect(
            host=self.address,
            port=self.port,
            user="root",
            database=database,
            autocommit=True,
            connect_timeout=5,
            **more,
        )

    def answers(self) -> bool:
        import pymysql

        try:
            self.run("SELECT 1")
        except pymysql.MySQLError:
            return False
        return True

    def url(self, database: str) -> str:
        return f"mysql://root@{self.address}:{self.port}/{database}"

    def run(self, statement: str, database: str | None = None) -> list[tuple[object, ...]]:
        with self.connect(database) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    def fresh(self) -> str:
        self._databases += 1
        name = f"test_{self._databases}"
        self.run(f"CREATE DATABASE {name}")
        return self.url(name)

    def statements(self, _database: str) -> int:
        """Number of statements that the server got, with this one and those of transactions.

        Statements of a stored program do not count.
        """
        return int(str(self.run("SHOW GLOBAL STATUS LIKE 'Questions'")[0][1]))

    def watch(self, _database: str) -> None:
        """Nothing to do: the server always counts."""

    def sent(self, database: str) -> int:
        """Number of statements that the server got; see :meth:`statements`."""
        return self.statements(database)
