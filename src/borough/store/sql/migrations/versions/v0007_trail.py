"""Events in order, seen by the labels of their time, and pruned.

Revision: 0007
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LONG = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
MARIADB: dict[str, Any] = {
    f"{name}_{option}": value
    for name in ("mysql", "mariadb")
    for option, value in (
        ("engine", "InnoDB"),
        ("charset", "utf8mb4"),
        ("collate", "utf8mb4_nopad_bin"),
    )
}

# A copy of borough.store.sql.postgresql_floor, as it was at this revision.
FUNCTION = f"""
CREATE OR REPLACE FUNCTION borough_event_floor() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Once a transaction: the first floor is the lowest, and locks are few. The setting is undone with
    -- the savepoint or transaction that it was made in, as the lock is.
    IF coalesce(current_setting('borough.has_floor', true), '') = '' THEN
        PERFORM pg_advisory_xact_lock_shared(
            {0x42524F << 40} + CASE WHEN is_called THEN last_value ELSE 0 END
        ) FROM borough_event_id_seq;
        PERFORM set_config('borough.has_floor', 'yes', true);
    END IF;
    RETURN NULL;
END $$
"""
TRIGGER = """
CREATE TRIGGER borough_event_floor BEFORE INSERT ON borough_event
FOR EACH STATEMENT EXECUTE FUNCTION borough_event_floor()
"""


def upgrade() -> None:
    """Apply; safe to run again after it was interrupted where data definition is not transactional."""
    found = sa.inspect(op.get_bind())
    if not found.has_table("borough_cohort_labels"):
        op.create_table(
            "borough_cohort_labels",
            sa.Column("id", ID, nullable=False),
            sa.Column("labels", LONG, nullable=False),
            sa.PrimaryKeyConstraint("id"),
            **MARIADB,
        )
    _fill()
    if "cohort_id" not in {column["name"] for column in found.get_columns("borough_event")}:
        # Which labels the subnets of older events had at their time is not known.
        op.add_column("borough_event", sa.Column("cohort_id", ID, nullable=True))
    if "ix_borough_event_cohort" not in {
        index["name"] for index in found.get_indexes("borough_event")
    }:
        op.create_index("ix_borough_event_cohort", "borough_event", ["cohort_id", "id"])
    if not found.has_table("borough_pruned"):
        op.create_table(
            "borough_pruned",
            sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
            sa.Column("through", sa.BigInteger(), nullable=False),
            sa.PrimaryKeyConstraint("id"),
            sa.CheckConstraint("id = 1", name="ck_borough_pruned_single"),
            **MARIADB,
        )
    bind = op.get_bind()
    mark = sa.table("borough_pruned", sa.column("id"), sa.column("through"))
    if bind.scalar(sa.select(mark.c.id)) is None:
        bind.execute(sa.insert(mark).values(id=1, through=0))
    if op.get_context().dialect.name == "postgresql":
        op.execute(FUNCTION)
        op.execute(TRIGGER)


def _fill() -> None:
    """Write down the labels of the cohorts that there are."""
    bind = op.get_bind()
    kept = sa.table("borough_cohort_labels", sa.column("id"), sa.column("labels"))
    cohort = sa.table("borough_cohort", sa.column("id"), sa.column("description"))
    known = set(bind.scalars(sa.select(kept.c.id)))
    rows = [
        {"id": id, "labels": _labels(text)}
        for id, text in bind.execute(sa.select(cohort.c.id, cohort.c.description)).all()
        if id not in known
    ]
    if rows:
        bind.execute(sa.insert(kept), rows)
    if rows and op.get_context().dialect.name == "postgresql":
        # Rows that bring their ids do not move the sequence that gives the next one.
        newest = sa.select(sa.func.max(kept.c.id)).scalar_subquery()
        sequence = sa.func.pg_get_serial_sequence("borough_cohort_labels", "id")
        bind.execute(sa.select(sa.func.setval(sequence, newest)))


def _labels(text: str) -> str:
    """The labels in a cohort's text; none where it is damaged, which an audit repairs."""
    try:
        found = json.loads(text)[3]
    except (ValueError, LookupError, TypeError):
        found = None
    return json.dumps(found if isinstance(found, dict) else {}, sort_keys=True)
