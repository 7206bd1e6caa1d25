"""A small file system in memory, which can be made full."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from tests.servers.base import Missing

_PREFIX: Final = "borough-disk-"


def _clear_away() -> None:
    """Unmount the disks of processes that were killed: they hold memory."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        number = path.name.removeprefix(_PREFIX).partition("-")[0]
        if number.isdecimal() and not Path(f"/proc/{number}").exists():
            subprocess.run(["umount", "-l", str(path)], capture_output=True, check=False)
            with contextlib.suppress(OSError):
                path.rmdir()


class SmallDisk:
    """A file system of its own, where the servers' users may go.

    :ivar path: where it is mounted.
    """

    def __init__(self, megabytes: int) -> None:
        """Mount it.

        :raises Missing: only root may mount.
        """
        self._size = megabytes << 20
        _clear_away()
        self.path = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
        self.path.chmod(0o755)
        if os.getuid() != 0 or self._mount(f"size={self._size},mode=0777").returncode:
            self.path.rmdir()
            raise Missing("a small file system cannot be mounted (only root may)")

    def _mount(self, options: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.path)],
            capture_output=True,
            check=False,
        )

    def _resize(self, size: int) -> bool:
        command = ["mount", "-o", f"remount,size={size}", str(self.path)]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0

    def fill(self) -> None:
        """Leave no room at all: make it as small as what it holds."""
        for _ in range(1000):
            # It cannot be made smaller than it is by then, and somebody may be writing.
            if self._resize(max(shutil.disk_usage(self.path).used, 1 << 20)):
                return
        raise AssertionError("the small file system grows faster than it can be made full")

    def free(self) -> None:
        """Make it as large as it was."""
        assert self._resize(self._size)

    def remove(self) -> None:
        """Unmount it, even when something still has a file open there."""
        subprocess.run(["umount", "-l", str(self.path)], check=True)
        self.path.rmdir()
