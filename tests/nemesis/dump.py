"""The final tables, read over SQL without the engine."""

from __future__ import annotations

import ipaddress
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit

EVENTS = "SELECT id, act, subject, owner, sequence FROM borough_event ORDER BY id"
HELD = (
    "SELECT address, sequence, owner, host FROM borough_allocation WHERE until IS NULL"
    " ORDER BY sequence"
)


class Event(NamedTuple):
    """A line of the audit trail.

    :ivar sequence: of the holding of an event other than ``allocated``.
    """

    id: int
    act: str
    subject: str
    owner: str
    sequence: int | None


class Held(NamedTuple):
    """A row of a held address."""

    address: str
    sequence: int
    owner: str
    host: str


@dataclass(frozen=True)
class Dump:
    """The final state of a database.

    :ivar findings: of an audit, as text.
    """

    events: Sequence[Event] = ()
    held: Sequence[Held] = ()
    findings: Sequence[str] = field(default=())


def read(url: str, findings: Sequence[str] = ()) -> Dump:
    """Read a database by its URL for the engine."""
    events = [Event(*row) for row in query(url, EVENTS)]
    held = [
        Held(str(ipaddress.ip_address(bytes(address))), *rest)
        for address, *rest in query(url, HELD)
    ]
    return Dump(events, held, findings)


def query(url: str, statement: str) -> list[Any]:
    """The rows of a statement."""
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        connection: Any = sqlite3.connect(url.removeprefix("sqlite:///"))
    elif parts.scheme == "postgresql":
        import psycopg

        connection = psycopg.connect(url)
    else:
        import pymysql

        # The first of several hosts: all nodes of a cluster are back at the end.
        host, _, port = parts.netloc.rpartition("@")[2].partition(",")[0].partition(":")
        connection = pymysql.connect(
            host=host, port=int(port), user=parts.username, database=parts.path[1:]
        )
    try:
        cursor = connection.cursor()
        cursor.execute(statement)
        return list(cursor.fetchall())
    finally:
        connection.close()
