"""A private NetBox: PostgreSQL, Redis, and the application from PyPI.

NetBox needs a newer Python than Borough. The variable ``NETBOX_VENV`` names its environment
(``python3.12 -m venv DIR && DIR/bin/pip install netbox gunicorn``). Making its tables takes minutes. With
``NETBOX_TABLES=FILE`` they are written to that file the first time, and read from it later.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from tests.servers.base import Missing, find_program, free_port
from tests.servers.postgresql import PostgresqlServer

CONFIGURATION = """\
ALLOWED_HOSTS = ["127.0.0.1"]
DATABASES = {{
    "default": {{"NAME": "{database}", "USER": "postgres", "PASSWORD": "", "HOST": "127.0.0.1",
                 "PORT": {pg_port}, "CONN_MAX_AGE": 300}}
}}
REDIS = {{
    name: {{"HOST": "127.0.0.1", "PORT": {redis_port}, "PASSWORD": "", "DATABASE": number, "SSL": False}}
    for number, name in enumerate(("tasks", "caching"))
}}
SECRET_KEY = "{secret}"
API_TOKEN_PEPPERS = {{1: "{secret}"}}
CENSUS_REPORTING_ENABLED = False
CHANGELOG_RETENTION = 1
"""

MAKE_TOKEN = """
from users.models import Token, User
user, _ = User.objects.get_or_create(username="borough", defaults={"is_superuser": True})
token = Token(user=user)
token.save()
print("TOKEN=" + token.get_auth_header_prefix().split()[-1] + token.token)
"""


class NetboxServer:
    """NetBox 4.5 or later, in two processes.

    :param venv: its environment; the one of ``NETBOX_VENV`` unless set.
    :param threads: threads of each process.
    :ivar token: the API token.
    """

    def __init__(self, venv: str = "", threads: int = 2) -> None:
        venv = venv or os.environ.get("NETBOX_VENV", "")
        self._netbox = Path(venv) / "bin" / "netbox"
        if not venv or not self._netbox.exists():
            raise Missing("set NETBOX_VENV to an environment with netbox and gunicorn")
        redis = find_program("redis-server", package="redis-server")
        self._postgresql = PostgresqlServer()
        self.folder = Path(tempfile.mkdtemp(prefix="borough-netbox-"))
        self._processes: list[subprocess.Popen[bytes]] = []
        redis_port, self.port = free_port(), free_port()
        database = self._postgresql.fresh().rpartition("/")[2]
        (self.folder / "conf").mkdir()
        (self.folder / "conf" / "configuration.py").write_text(
            CONFIGURATION.format(
                database=database,
                pg_port=self._postgresql.port,
                redis_port=redis_port,
                secret=secrets.token_hex(32),
            )
        )
        self._environment = {**os.environ, "NETBOX_ROOT": str(self.folder)}
        self._start(redis, "--port", str(redis_port), "--bind", "127.0.0.1", "--save", "")
        self._make_tables(database)
        said = self.run("shell", "-c", MAKE_TOKEN)
        self.token = said.partition("TOKEN=")[2].split()[0]
        bind = f"127.0.0.1:{self.port}"
        gunicorn = str(self._netbox.parent / "gunicorn")
        self._start(gunicorn, "-w", "2", "--threads", str(threads), "-b", bind, "netbox.wsgi")
        # Each process imports all of NetBox first.
        self._postgresql.timeout = 600
        self._postgresql.wait_until(self._answers)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _make_tables(self, database: str) -> None:
        kept = Path(os.environ.get("NETBOX_TABLES", ""))
        if kept.is_file():
            self._on_database("psql", database, "-q", "-f", str(kept))
        self.run("migrate", "--no-input", "-v", "0")
        if kept.name and not kept.exists():
            self._on_database("pg_dump", database, "-O", "-f", str(kept))

    def _on_database(self, program: str, database: str, *arguments: str) -> None:
        found = find_program(program, "usr/lib/postgresql/*/bin", package="postgresql")
        server = ["-h", "127.0.0.1", "-p", str(self._postgresql.port), "-U", "postgres"]
        subprocess.run([found, *server, *arguments, database], check=True, capture_output=True)

    def run(self, *arguments: str) -> str:
        """Run a command of NetBox."""
        done = subprocess.run(
            [str(self._netbox), *arguments],
            env=self._environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
        return done.stdout

    def _start(self, *command: str) -> None:
        with (self.folder / "server.log").open("ab") as log:
            self._processes.append(
                subprocess.Popen(
                    ["setpriv", "--pdeathsig", "KILL", *command],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self.folder,
                    env=self._environment,
                )
            )

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/api/", timeout=30):
                return True
        except urllib.error.HTTPError as error:
            # NetBox runs, and requires a login.
            return error.code in (401, 403)
        except OSError:
            return False

    def remove(self) -> None:
        """End all processes and remove the files."""
        for process in reversed(self._processes):
            process.terminate()
            process.wait(30)
        self._postgresql.remove()
        shutil.rmtree(self.folder, ignore_errors=True)
