"""One server of each kind for all tests of a process, started at first use."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable
from functools import cache
from typing import TypeVar

import pytest

from tests.servers.base import Missing, Server
from tests.servers.mariadb import MariadbServer
from tests.servers.postgresql import PostgresqlServer

T = TypeVar("T")

KINDS: dict[str, Callable[[], Server]] = {
    "postgresql": PostgresqlServer,
    "mariadb": MariadbServer,
}


@cache
def _started(kind: str) -> Server | Missing:
    try:
        server = KINDS[kind]()
    except Missing as missing:
        return missing
    atexit.register(server.remove)
    return server


def shared_server(kind: str) -> Server:
    """The server that tests share; without its package a test skips, or fails in CI."""
    found = _started(kind)
    if isinstance(found, Server):
        return found
    if os.environ.get("CI"):
        pytest.fail(str(found))
    pytest.skip(str(found))


def must_have(make: Callable[[], T]) -> T:
    """Make a server that the test removes; without its package the test skips, or fails in CI."""
    try:
        return make()
    except Missing as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))
