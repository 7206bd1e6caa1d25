"""What private servers have in common: a folder, a port, a process and its end."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Final

_FOLDERS: Final = "borough-server-"


class Missing(Exception):
    """The server is not installed; the text says what to install."""


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def find_program(name: str, *folders: str, package: str) -> str:
    """The path of a program.

    :raises Missing: naming the package that brings it.
    """
    for folder in sorted(str(each) for pattern in folders for each in Path("/").glob(pattern)):
        if os.access(f"{folder}/{name}", os.X_OK):
            return f"{folder}/{name}"
    found = shutil.which(name)
    if found:
        return found
    raise Missing(f"{name} is not installed (on Debian and Ubuntu: apt-get install {package})")


def _memory() -> Path | None:
    """A folder in memory with room for the databases of many tests."""
    found = Path("/dev/shm")
    if found.is_dir() and os.access(found, os.W_OK) and shutil.disk_usage(found).free > 8 * 2**30:
        return found
    return None


def _clear_away(placement_group: Path) -> None:
    """Remove what processes that were killed have left: in memory it would be missed."""
    for folder in placement_group.glob(f"{_FOLDERS}*-*"):
        number = folder.name.removeprefix(_FOLDERS).partition("-")[0]
        if number.isdecimal() and not Path(f"/proc/{number}").exists():
            shutil.rmtree(folder, ignore_errors=True)


class Server(ABC):
    """A server process of one's own.

    :ivar port: where it listens on its address.
    """

    #: Whom the process runs as when the tests run as root, which servers refuse to do.
    user: str

    #: How long a start or a stop may take, in seconds.
    timeout = 60.0

    #: Where its folder is made; None for the usual place.
    placement_group: Path | None = None

    #: Where it listens, and what a command begins with that is to run there: a network namespace.
    address = "127.0.0.1"
    inside: tuple[str, ...] = ()

    def __init__(self, *, quick: bool) -> None:
        """Make the folder.

        :param quick: in memory, if there is enough: to make a database of its own for every test is many
            small files, and for each of them MariaDB waits for the disk.
        """
        placement_group = self.placement_group or (_memory() if quick else None)
        _clear_away(placement_group or Path(tempfile.gettempdir()))
        self.folder = Path(
            tempfile.mkdtemp(prefix=f"{_FOLDERS}{os.getpid()}-", dir=placement_group)
        )
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0
        if os.getuid() == 0:
            account = pwd.getpwnam(self.user)
            os.chown(self.folder, account.pw_uid, grp.getgrgid(account.pw_gid).gr_gid)

    @abstractmethod
    def command(self) -> list[str]:
        """What starts the server in the foreground."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether the server takes connections."""

    @abstractmethod
    def url(self, database: str) -> str:
        """The URL of a database of this server."""

    @abstractmethod
    def run(self, statement: str) -> list[tuple[object, ...]]:
        """Run a statement as administrator; return its rows."""

    @property
    def pid(self) -> int:
        """The process of the server."""
        assert self._process is not None
        return self._process.pid

    @property
    def is_up(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """What the server said."""
        return (self.folder / "server.log").read_text(errors="replace")

    def as_user(self, command: list[str]) -> list[str]:
        """The command, run as the server's user, and never longer than these tests."""
        drop = ["--reuid", self.user, "--regid", self.user, "--init-groups"]
        own = drop if os.getuid() == 0 else []
        return [*self.inside, "setpriv", "--pdeathsig", "KILL", *own, *command]

    def start(self) -> None:
        """Start the process and wait until it answers."""
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self.as_user(self.command()),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )
        self.wait_until(self.answers)

    def wait_until(self, true: Callable[[], bool]) -> None:
        """Wait for something about the server, or fail with what it said."""
        deadline = time.monotonic() + self.timeout
        while not true():
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the server did not come up:\n{self.log[-4000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End the process in good order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the process as a crash would."""
        self._end(signal.SIGKILL)

    def _end(self, how: int) -> None:
        process = self._process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, how)
        try:
            process.wait(self.timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._process = None

    def remove(self) -> None:
        """End the process and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    @abstractmethod
    def fresh(self) -> str:
        """The URL of a new, empty database."""

    @abstractmethod
    def watch(self, database: str) -> None:
        """Count the statements of connections made to a database from now on."""

    @abstractmethod
    def sent(self, database: str) -> int:
        """How many statements have been counted, transaction brackets included."""
