"""The routines of the database servers, and their installation.

Each is one ``.sql`` file that can be read, and run by hand. Its name ends with its version: a changed routine
is a new file with the next number. So processes of two releases can share a database during an upgrade.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import sqlalchemy as sa

_FOLDERS: Final = {"mysql": "mariadb", "mariadb": "mariadb", "postgresql": "postgresql"}

_EXISTING: Final = sa.text(
    "SELECT routine_name FROM information_schema.routines WHERE routine_schema = :place"
)
_PLACE: Final = {"mysql": "DATABASE()", "mariadb": "DATABASE()", "postgresql": "current_schema()"}


def texts(kind: str) -> dict[str, str]:
    """The routines of a kind of database by name; none for one without a server.

    :param kind: SQLAlchemy's name of it.
    """
    folder = Path(__file__).parent / _FOLDERS.get(kind, "none")
    return {file.stem: file.read_text("utf-8") for file in sorted(folder.glob("*.sql"))}


def missing(connection: sa.Connection) -> dict[str, str]:
    """The routines of this release that a database lacks."""
    kind = connection.dialect.name
    wanted = texts(kind)
    if not wanted:
        return {}
    place = connection.exec_driver_sql(f"SELECT {_PLACE[kind]}").scalar_one()
    has = {name.lower() for (name,) in connection.execute(_EXISTING, {"place": place})}
    return {name: text for name, text in wanted.items() if name not in has}


def install(connection: sa.Connection) -> None:
    """Make the routines that a database lacks.

    Also in a database with the tables of this release: dumps of MariaDB lack routines, unless they are asked
    for.
    """
    for text in missing(connection).values():
        connection.exec_driver_sql(text)
