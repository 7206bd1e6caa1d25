"""The schema: what the migrations make is what the code expects."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

import borough
from borough.errors import NotInitialised, NotOurDatabase, SchemaTooNew, SchemaTooOld
from borough.store.sql import migrate, schema


def test_all_migrations_replayed_make_the_schema(tmp_path: Path) -> None:
    """Tables, columns, indexes and constraints: nothing is left for Alembic to add or change."""
    url = f"sqlite:///{tmp_path}/s.db"
    borough.open(url, create=True).close()
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        options = {"version_table": migrate.VERSION_TABLE, "compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, schema.metadata) == []
    engine.dispose()


def test_a_fresh_schema_equals_the_migrated_one(tmp_path: Path) -> None:
    """Column by column and index by index, as SQLite itself describes them."""
    borough.open(f"sqlite:///{tmp_path}/migrated.db", create=True).close()
    fresh = sa.create_engine(f"sqlite:///{tmp_path}/fresh.db")
    schema.metadata.create_all(fresh)
    fresh.dispose()
    assert _describe(tmp_path / "migrated.db") == _describe(tmp_path / "fresh.db")


def _describe(path: Path) -> dict[str, object]:
    connection = sqlite3.connect(path)
    tables = [
        name
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        if name.startswith("borough_") and name != migrate.VERSION_TABLE
    ]
    found: dict[str, object] = {}
    for table in tables:
        found[table] = (
            sorted(connection.execute(f"SELECT * FROM pragma_table_info('{table}')")),
            sorted(row[2:] for row in connection.execute(f"PRAGMA foreign_key_list({table})")),
        )
    found |= dict(
        connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        ).fetchall()
    )
    connection.close()
    return found


def test_the_list_of_revisions_is_that_of_the_files() -> None:
    """The list that opening a database is checked against."""
    walked = [script.revision for script in migrate.scripts().walk_revisions()]
    assert tuple(reversed(walked)) == migrate.REVISIONS


def test_every_constraint_is_named() -> None:
    """Errors are told apart by these names."""
    for table in schema.metadata.tables.values():
        for constraint in table.constraints:
            if not isinstance(constraint, sa.PrimaryKeyConstraint):
                assert constraint.name, f"{table.name}: {constraint!r}"


def set_revision(path: Path, revision: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(f"UPDATE {migrate.VERSION_TABLE} SET version_num = ?", (revision,))
    connection.commit()
    connection.close()


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    """Neither opened nor upgraded."""
    url = f"sqlite:///{tmp_path}/s.db"
    borough.open(url, create=True).close()
    set_revision(tmp_path / "s.db", "9999")
    for create in (False, True):
        with pytest.raises(SchemaTooNew):
            borough.open(url, create=create)


def test_an_older_schema_asks_for_an_upgrade(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening does not migrate by itself."""
    url = f"sqlite:///{tmp_path}/s.db"
    borough.open(url, create=True).close()
    monkeypatch.setattr(migrate, "REVISIONS", ("0001", "0002"))
    with pytest.raises(SchemaTooOld):
        borough.open(url)


def test_somebody_elses_database_is_left_alone(tmp_path: Path) -> None:
    """Tables, but none of ours."""
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE ports (id INTEGER)")
    connection.commit()
    before = path.read_bytes()
    for create in (False, True):
        with pytest.raises(NotOurDatabase):
            borough.open(f"sqlite:///{path}", create=create)
    connection.close()
    assert b"borough" not in before
    tables = sqlite3.connect(path).execute("SELECT name FROM sqlite_master").fetchall()
    assert tables == [("ports",)]


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    """A text file stays a text file."""
    path = tmp_path / "notes.txt"
    path.write_text("just some notes, long enough to be read as a header " * 20)
    with pytest.raises(NotOurDatabase):
        borough.open(f"sqlite:///{path}", create=True)
    assert path.read_text().startswith("just some notes")


def test_a_missing_database_is_not_made_by_accident(tmp_path: Path) -> None:
    """Only init makes one."""
    with pytest.raises(NotInitialised):
        borough.open(f"sqlite:///{tmp_path}/missing.db")
    assert list(tmp_path.iterdir()) == []


def test_opening_again_with_create_keeps_what_is_there(tmp_path: Path) -> None:
    """Init is idempotent."""
    url = f"sqlite:///{tmp_path}/s.db"
    with borough.open(url, create=True) as ipam:
        ipam.add_subnet("10.0.0.0/24")
    with borough.open(url, create=True) as ipam:
        assert len(ipam.subnets()) == 1
