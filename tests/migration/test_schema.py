"""The schema: the migrations make the tables that the code expects."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

import borough
from borough.errors import NotInitialised, NotOurDatabase, SchemaTooNew, SchemaTooOld
from borough.store.sql import migrate, schema
from borough.store.sql.open import resolve
from tests.conftest import STORES, each_store


@pytest.fixture(params=each_store("memory"))
def make_engine(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Callable[[bool], sa.Engine]]:
    """Engines on empty databases of each kind, or on ones that the migrations have made."""
    numbers = count()
    made: list[sa.Engine] = []

    def make(migrated: bool) -> sa.Engine:
        url = STORES[request.param](tmp_path, next(numbers))
        if migrated:
            borough.open(url, create=True).close()
        parsed, dialect = resolve(url)
        made.append(dialect.engine(parsed, create=True))
        return made[-1]

    yield make
    for engine in made:
        engine.dispose()


def test_all_migrations_replayed_make_the_schema(make_engine: Callable[[bool], sa.Engine]) -> None:
    """Tables, columns, indexes and constraints: nothing is left for Alembic to add or change."""
    with make_engine(True).connect() as connection:

        def belongs(item: Any, _name: object, kind: str, reflected: bool, _other: object) -> bool:
            only = () if reflected or kind != "index" else item.info.get("only_on", ())
            if kind == "index" and reflected and not item.name.startswith("ix_"):
                # MariaDB makes an index for each foreign key that has none.
                return False
            return not only or connection.dialect.name in only

        options = {
            "version_table": migrate.VERSION_TABLE,
            "compare_type": True,
            "include_object": belongs,
        }
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, schema.metadata) == []


def test_a_fresh_schema_equals_the_migrated_one(make_engine: Callable[[bool], sa.Engine]) -> None:
    """Column by column, index by index and constraint by constraint, as the database describes them."""
    fresh, migrated = make_engine(False), make_engine(True)
    schema.metadata.create_all(fresh)
    assert _describe(migrated) == _describe(fresh)
    # Once more: no left object prevents it.
    schema.metadata.drop_all(fresh)
    schema.metadata.create_all(fresh)
    assert _describe(migrated) == _describe(fresh)


def _describe(engine: sa.Engine) -> dict[str, object]:
    found: dict[str, object] = {}
    inspector = sa.inspect(engine)
    for table in schema.metadata.tables:
        options = inspector.get_table_options(table)
        found[table] = {
            "columns": [
                {**column, "type": repr(column["type"])} for column in inspector.get_columns(table)
            ],
            "primary key": inspector.get_pk_constraint(table),
            "foreign keys": sorted(map(repr, inspector.get_foreign_keys(table))),
            "unique": sorted(map(repr, inspector.get_unique_constraints(table))),
            "indexes": sorted(map(_index, inspector.get_indexes(table))),
            "options": {
                name: value for name, value in options.items() if "auto_increment" not in name
            },
        }
        if engine.dialect.name == "sqlite":
            query = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ?"
            with engine.connect() as connection:
                rows = connection.exec_driver_sql(query, (table,)).fetchall()
            found[f"{table} as it is written"] = sorted(map(str, rows))
    if engine.dialect.name == "postgresql":
        query = (
            "SELECT pg_get_triggerdef(t.oid), p.prosrc FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid "
            "WHERE NOT t.tgisinternal"
        )
        with engine.connect() as connection:
            found["triggers"] = list(map(str, connection.exec_driver_sql(query).fetchall()))
    return found


def _index(index: Any) -> str:
    options = {name: str(value) for name, value in index.pop("dialect_options", {}).items()}
    return f"{index} {options}"


@pytest.mark.server
@pytest.mark.parametrize("store", ["mariadb"])
def test_a_killed_upgrade_begins_again(store: str, tmp_path: Path) -> None:
    """Where data definition is not transactional, half a schema may be left without a revision."""
    url = STORES[store](tmp_path, 0)
    parsed, dialect = resolve(url)
    engine = dialect.engine(parsed, create=True)
    schema.metadata.create_all(engine, tables=schema.metadata.sorted_tables[:6])
    with borough.open(url, create=True) as ipam:
        ipam.add_subnet("10.0.0.0/24")
        assert ipam.audit() == []
    engine.dispose()


def test_the_list_of_revisions_is_that_of_the_files() -> None:
    """The list that opening a database is checked against."""
    walked = [script.revision for script in migrate.scripts().walk_revisions()]
    assert tuple(reversed(walked)) == migrate.REVISIONS


def test_every_constraint_is_named() -> None:
    """Errors are recognised by these names."""
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
    """Opening does not migrate."""
    url = f"sqlite:///{tmp_path}/s.db"
    borough.open(url, create=True).close()
    monkeypatch.setattr(migrate, "REVISIONS", (*migrate.REVISIONS, "9999"))
    with pytest.raises(SchemaTooOld):
        borough.open(url)


def test_a_foreign_database_is_left_alone(tmp_path: Path) -> None:
    """Tables, but none of Borough."""
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


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
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


def test_opening_again_with_create_keeps_all_rows(tmp_path: Path) -> None:
    """Init is idempotent."""
    url = f"sqlite:///{tmp_path}/s.db"
    with borough.open(url, create=True) as ipam:
        ipam.add_subnet("10.0.0.0/24")
    with borough.open(url, create=True) as ipam:
        assert len(ipam.subnets()) == 1
