"""Other users cannot read a new SQLite database."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

import borough


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_only_the_owner_can_read_a_new_database(tmp_path: Path, mask: int) -> None:
    """With its log and its shared memory, under any umask, from the moment it exists."""
    path = tmp_path / "borough.db"
    before = os.umask(mask)
    try:
        with borough.open(f"sqlite:///{path}", create=True) as ipam:
            ipam.add_subnet("10.0.0.0/24")
            for each in ("", "-wal", "-shm"):
                assert mode(Path(f"{path}{each}")) == 0o600, each
    finally:
        os.umask(before)


def test_the_mode_of_an_existing_database_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "borough.db"
    borough.open(f"sqlite:///{path}", create=True).close()
    path.chmod(0o640)
    borough.open(f"sqlite:///{path}", create=True).close()
    assert mode(path) == 0o640
