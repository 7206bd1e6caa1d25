"""From a URL to a store."""

from __future__ import annotations

from borough.store.memory.store import MemoryStore
from borough.store.port import TIMEOUT, Store


def open_store(
    url: str,
    *,
    create: bool = False,
    timeout: float = TIMEOUT,
    statement_time: float | None = None,
) -> Store:
    """Open the store that a URL names.

    :param url: ``memory:`` or an SQLAlchemy URL, such as ``sqlite:///borough.db``; it may list several
        hosts of a server, with commas between.
    :param create: make or upgrade the schema.
    :param timeout: seconds for which a unit of work is repeated after conflicts.
    :param statement_time: seconds after which a database server aborts a statement; None for never.
    :raises FixInput: for a URL that names no store.
    """
    if url == "memory:":
        return MemoryStore()
    # SQLAlchemy takes longer to import than most commands take to run: only a database pays for it.
    from borough.store.sql.open import open_sql

    return open_sql(url, create=create, timeout=timeout, statement_time=statement_time)
