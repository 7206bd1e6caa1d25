"""From a URL to a store."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Final

import sqlalchemy as sa

from borough.errors import FixInput
from borough.store.memory import MemoryStore
from borough.store.port import Store
from borough.store.sql import hosts
from borough.store.sql.dialect import Dialect
from borough.store.sql.store import PATIENCE, SqlStore

#: Module and class of each dialect and the extra that brings its driver, by the first word of the URL.
#: A dialect is imported when it is used, so that its driver need not be installed otherwise.
DIALECTS: Final[dict[str, tuple[str, str, str]]] = {
    "sqlite": ("borough.store.sql.sqlite", "Sqlite", ""),
    "postgresql": ("borough.store.sql.postgresql", "Postgresql", "postgresql"),
    "mysql": ("borough.store.sql.mariadb", "Mariadb", "mariadb"),
    "mariadb": ("borough.store.sql.mariadb", "Mariadb", "mariadb"),
}


def resolve(url: str) -> tuple[sa.URL, Dialect]:
    """Read a database URL, which may list several hosts.

    :raises FixInput: it cannot be read, there is no store for it, or its driver is not installed.
    """
    try:
        first, addresses = hosts.split(url)
        parsed = sa.make_url(first)
    except (sa.exc.ArgumentError, ValueError):
        raise FixInput(
            "the database URL cannot be read; write memory:, sqlite:///file.db or another "
            "SQLAlchemy URL"
        ) from None
    found = DIALECTS.get(parsed.get_backend_name())
    if found is None:
        known = ", ".join(["memory:", *(f"{name}://" for name in DIALECTS)])
        raise FixInput(
            f"there is no store for {parsed.get_backend_name()!r} URLs; known are {known}"
        )
    try:
        made: Callable[[tuple[hosts.Address, ...]], Dialect] = getattr(
            import_module(found[0]), found[1]
        )
    except ModuleNotFoundError as error:
        raise FixInput(
            f"{parsed.get_backend_name()} URLs need the module {error.name}; run: "
            f"pip install 'borough[{found[2]}]'"
        ) from error
    return parsed, made(addresses)


def open_store(url: str, *, create: bool = False, patience: float = PATIENCE) -> Store:
    """Open the store that a URL names.

    :param url: ``memory:`` or an SQLAlchemy URL, such as ``sqlite:///borough.db``; a server's may list
        several hosts, with commas between.
    :param create: make or upgrade the schema.
    :param patience: seconds for which a unit of work is tried while others are in the way.
    :raises FixInput: for a URL that names no store.
    """
    if url == "memory:":
        return MemoryStore()
    parsed, dialect = resolve(url)
    return SqlStore.open(parsed, dialect, create=create, patience=patience)
