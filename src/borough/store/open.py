"""From a URL to a store."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Final

import sqlalchemy as sa

from borough.errors import FixInput
from borough.store.memory import MemoryStore
from borough.store.port import Store
from borough.store.sql.store import PATIENCE, SqlStore

#: Module and class of each dialect, by the first word of the URL. A dialect is imported when it is
#: used, so that its driver need not be installed otherwise.
DIALECTS: Final[dict[str, tuple[str, str]]] = {
    "sqlite": ("borough.store.sql.sqlite", "Sqlite"),
}


def open_store(url: str, *, create: bool = False, patience: float = PATIENCE) -> Store:
    """Open the store that a URL names.

    :param url: ``memory:`` or an SQLAlchemy URL, such as ``sqlite:///borough.db``.
    :param create: make or upgrade the schema.
    :param patience: seconds for which a unit of work is tried while others are in the way.
    :raises FixInput: for a URL that names no store.
    """
    if url == "memory:":
        return MemoryStore()
    try:
        parsed = sa.make_url(url)
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
    dialect: Callable[[], object] = getattr(import_module(found[0]), found[1])
    return SqlStore.open(parsed, dialect(), create=create, patience=patience)  # type: ignore[arg-type]
