"""The common part of private servers: folder, port and process."""

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
    """A free loopback port."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def find_program(name: str, *folders: str, package: str) -> str:
    """The path of a program.

    :raises Missing: the program is not installed; the text names its package.
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


def _remove_orphans(parent: Path) -> None:
    """Remove the folders of killed processes, which would occupy memory."""
    for folder in parent.glob(f"{_FOLDERS}*-*"):
        number = folder.name.removeprefix(_FOLDERS).partition("-")[0]
        if number.isdecimal() and not Path(f"/proc/{number}").exists():
            shutil.rmtree(folder, ignore_errors=True)


class Server(ABC):
    """A private server process.

    :ivar port: its port at ``address``.
    """

    #: Account of the process when the tests run as root, which servers refuse.
    user: str

    #: Longest start or stop, in seconds.
    timeout = 60.0

    #: The folder in which its own folder is made; None for memory or the temporary folder.
    parent: Path | None = None

    #: Its address, and the words before a command that run it in the server's network namespace.
    address = "127.0.0.1"
    inside: tuple[str, ...] = ()

    def __init__(self, *, quick: bool) -> None:
        """Make the folder.

        :param quick: in memory, if there is enough. A database for every test is many small files, and
            MariaDB waits for the disk at each of them.
        """
        parent = self.parent or (_memory() if quick else None)
        _remove_orphans(parent or Path(tempfile.gettempdir()))
        self.folder = Path(tempfile.mkdtemp(prefix=f"{_FOLDERS}{os.getpid()}-", dir=parent))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0
        if os.getuid() == 0:
            account = pwd.getpwnam(self.user)
            os.chown(self.folder, account.pw_uid, grp.getgrgid(account.pw_gid).gr_gid)

    @abstractmethod
    def command(self) -> list[str]:
        """The command that starts the server in the foreground."""

    @abstractmethod
    def answers(self) -> bool:
        """True when the server accepts connections."""

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
        """True while the process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """The output of the server."""
        return (self.folder / "server.log").read_text(errors="replace")

    def as_user(self, command: list[str]) -> list[str]:
        """The command, run as the server's user, and killed at the end of these tests."""
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
        """Wait for a condition, or fail with the output of the server."""
        deadline = time.monotonic() + self.timeout
        while not true():
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the server did not come up:\n{self.log[-4000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Shut the process down."""
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
        """Number of statements counted, with those that begin and end transactions."""
