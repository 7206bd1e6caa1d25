"""``borough serve`` as a process, and a proxy before it that records requests and drops answers."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import sqlalchemy as sa

import borough
from borough import Ipam
from borough.store.sql import schema
from tests.servers.base import free_port


class Served:
    """A service on a database of its own, which can be stopped and started on the same port.

    :ivar ipam: the same address space, without the service between.
    :ivar secret: a token that may administer.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self._database = f"sqlite:///{folder}/service.db"
        self._log = folder / "service.log"
        self._options = options
        self.ipam: Ipam = borough.open(self._database, create=True)
        _, self.secret = self.ipam.create_token("neutron", permission="administer")
        self.port = free_port()
        self.start()

    def start(self) -> None:
        """Start the process, and wait until it answers."""
        words = ["--db", self._database, "serve", "--port", str(self.port), *self._options]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "borough", *words],
                stdout=log,
                stderr=log,
                env={**os.environ, "BOROUGH_SERVER": ""},
                start_new_session=True,
            )
        deadline = time.monotonic() + 60
        while not self._answers():
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.05)

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def age(self, seconds: int) -> None:
        """Make every allocation older."""
        engine = sa.create_engine(self._database)
        with engine.begin() as connection:
            older = schema.allocation.c.at - seconds * 1_000_000
            connection.execute(sa.update(schema.allocation).values(at=older))
        engine.dispose()

    def stop(self) -> None:
        """Kill the process."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def close(self) -> None:
        """Stop it, and close its database."""
        self.stop()
        self.ipam.close()


class ServiceProxy:
    """A proxy before a service, as a process of its own: records requests, and fails some.

    A rule is (fault, method, path, times). ``lose`` drops the answer to a request that the service has
    served; ``refuse`` drops the request itself. An empty method or path matches every one.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self._rules, self._log = folder / "rules.json", folder / "seen.log"
        self.reset()
        self._own = free_port()
        self.url = f"http://127.0.0.1:{self._own}"
        words = ["-m", "tests.neutron.proxy", str(self._own), str(port), str(folder)]
        with (folder / "proxy.log").open("ab") as log:
            self._process = subprocess.Popen([sys.executable, *words], stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while not _listens(self._own):
            assert time.monotonic() < deadline
            time.sleep(0.05)

    @property
    def seen(self) -> list[tuple[str, str]]:
        """Methods and paths of the requests since the last :meth:`reset`, without their queries."""
        words = (line.split() for line in self._log.read_text().splitlines())
        return [(method, path) for method, path in words]

    def reset(self) -> None:
        """Forward everything from now on, and forget the requests seen."""
        self.rule()
        self._log.write_text("")

    def rule(self, *rules: tuple[str, str, str, int]) -> None:
        """Set the rules."""
        fresh = self._rules.with_suffix(".new")
        fresh.write_text(json.dumps(rules))
        fresh.replace(self._rules)

    def close(self) -> None:
        """Stop the proxy."""
        self._process.kill()
        self._process.wait()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=10).close()
    except OSError:
        return False
    return True
