"""A small file system in memory that tests can fill."""

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


def _unmount_orphans() -> None:
    """Unmount the disks of killed processes, which occupy memory."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        number = path.name.removeprefix(_PREFIX).partition("-")[0]
        if number.isdecimal() and not Path(f"/proc/{number}").exists():
            subprocess.run(["umount", "-l", str(path)], capture_output=True, check=False)
            with contextlib.suppress(OSError):
                path.rmdir()


class SmallDisk:
    """A file system that the accounts of the servers may use.

    :ivar path: its mount point.
    """

    def __init__(self, megabytes: int) -> None:
        """Mount it.

        :raises Missing: only root may mount.
        """
        self._size = megabytes << 20
        _unmount_orphans()
        self.path = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
        self.path.chmod(0o755)
        if os.getuid() != 0 or self._mount(f"size={self._size},mode=0777").returncode:
            self.path.rmdir()
            raise Missing("only root may mount a small file system")

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
        """Leave no space: shrink it to the size of its files."""
        for _ in range(1000):
            # It cannot shrink below its files, and another process may be writing.
            if self._resize(max(shutil.disk_usage(self.path).used, 1 << 20)):
                return
        raise AssertionError("the small file system grows faster than it shrinks")

    def free(self) -> None:
        """Restore its size."""
        assert self._resize(self._size)

    def remove(self) -> None:
        """Unmount it, even while a process has a file open there."""
        subprocess.run(["umount", "-l", str(self.path)], check=True)
        self.path.rmdir()
