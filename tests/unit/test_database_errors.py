"""Classification of the errors of database servers by their text."""

from __future__ import annotations

import pymysql
import pytest

from borough.errors import DiskFull
from borough.store.sql.dialects.mariadb import Mariadb


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (3, "Error writing file '/tmp/#sql/fd=80' (Errcode: 28 \"No space left on device\")"),
        (1, "Can't create/write to file '/tmp/x' (Errcode: 28 \"No space left on device\")"),
        (1026, "Error writing file 'binlog.000001' (errno: 122 \"Disk quota exceeded\")"),
        (1030, 'Got error 28 "No space left on device" from storage engine Aria'),
        (1034, "Index for table '/tmp/#sql-temptable-1-2-3.MAI' is corrupt; try to repair it"),
        (1114, "The table 'borough_event' is full"),
    ],
)
def test_full_disk_of_mariadb_is_disk_full(number: int, text: str) -> None:
    """A sort, a temporary table and the binary log run out of room as tables do."""
    assert isinstance(Mariadb().translate(pymysql.err.InternalError(number, text)), DiskFull)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (3, "Error writing file '/tmp/x' (Errcode: 5 \"Input/output error\")"),
        (1030, 'Got error 128 "Out of memory in engine" from storage engine Aria'),
        (1034, "Index for table 'borough_event' is corrupt; try to repair it"),
    ],
)
def test_other_errors_of_files_keep_their_words(number: int, text: str) -> None:
    """A broken disk is no full one: to make room does not help."""
    error = pymysql.err.InternalError(number, text)
    assert Mariadb().translate(error) is error
