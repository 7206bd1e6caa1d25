"""From a database URL to a store in SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Final, NamedTuple

import sqlalchemy as sa

from borough.errors import FixInput
from borough.store.sql.dialect import Dialect
from borough.store.sql.dialects import hosts
from borough.store.sql.store import SqlStore


class _Driver(NamedTuple):
    """A module of a database driver, and the extra of Borough that installs it."""

    module: str
    extra: str


class _Kind(NamedTuple):
    """A kind of database.

    :ivar module: the module of its dialect, imported when it is used.
    :ivar name: the dialect's class.
    :ivar drivers: by the name after the plus sign of a URL; empty for a URL without one.
    """

    module: str
    name: str
    drivers: Mapping[str, _Driver]


_PSYCOPG: Final = _Driver("psycopg", "postgresql")
_PYMYSQL: Final = _Driver("pymysql", "mariadb")
_SQLITE: Final = _Driver("sqlite3", "")
_MARIADB: Final = _Kind(
    "borough.store.sql.dialects.mariadb",
    "Mariadb",
    {"": _PYMYSQL, "pymysql": _PYMYSQL, "mysqldb": _Driver("MySQLdb", "mysqlclient")},
)

#: Kinds of databases by the first word of the URL.
DIALECTS: Final[dict[str, _Kind]] = {
    "sqlite": _Kind(
        "borough.store.sql.dialects.sqlite", "Sqlite", {"": _SQLITE, "pysqlite": _SQLITE}
    ),
    "postgresql": _Kind(
        "borough.store.sql.dialects.postgresql",
        "Postgresql",
        # URLs of other programs name the older driver; Borough uses psycopg 3.
        {"": _PSYCOPG, "psycopg": _PSYCOPG, "psycopg2": _PSYCOPG},
    ),
    "mysql": _MARIADB,
    "mariadb": _MARIADB,
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
    kind, _, name = parsed.drivername.partition("+")
    found = DIALECTS.get(kind)
    if found is None:
        known = ", ".join(["memory:", *(f"{each}://" for each in DIALECTS)])
        raise FixInput(f"there is no store for {kind!r} URLs; known are {known}")
    driver = found.drivers.get(name)
    if driver is None:
        drivers = ", ".join(f"{kind}+{each}://" for each in found.drivers if each)
        raise FixInput(f"there is no driver {name!r} for {kind} URLs; known are {drivers}")
    try:
        import_module(driver.module)
    except ImportError as error:
        raise FixInput(
            f"{kind} URLs need the module {driver.module} ({error}); run: "
            f"pip install 'borough[{driver.extra}]'",
            module=driver.module,
        ) from error
    made: Callable[[tuple[hosts.Address, ...]], Dialect] = getattr(
        import_module(found.module), found.name
    )
    return parsed, made(addresses)


def open_sql(url: str, *, create: bool, timeout: float, statement_time: float | None) -> SqlStore:
    """Open a database; see :func:`borough.store.open.open_store`."""
    parsed, dialect = resolve(url)
    return SqlStore.open(
        parsed, dialect, create=create, timeout=timeout, statement_time=statement_time
    )
